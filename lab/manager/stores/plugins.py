"""Plugins: wagons with their plugin.yaml."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

import yaml

from lab.manager.archives import ReceivedPlugin
from lab.manager.exceptions import ConflictError, InvalidPluginError
from lab.manager.stores.scoped import Resource, Scoped


@dataclass
class Plugin(Resource):
    """One plugin; `metadata` is the wagon's package.json, `yaml` says whether one came along."""

    metadata: dict[str, Any] = field(default_factory=dict)
    title: str | None = None
    has_yaml: bool = False
    archive_bytes: int = 0
    installed_at: float = 0.0

    @property
    def package_name(self) -> str:
        """The name of the Python package."""
        return str(self.metadata["package_name"])

    @property
    def package_version(self) -> str:
        """Its version."""
        return str(self.metadata.get("package_version", ""))

    @property
    def archive_name(self) -> str:
        """The wagon's file name."""
        return str(self.metadata.get("archive_name") or f"{self.package_name}.wgn")

    @property
    def folder(self) -> str:
        """Where its files lie below the manager's resources."""
        return f"plugins/{self.id}"

    @property
    def wagon_file(self) -> str:
        """The wagon below the manager's resources."""
        return f"{self.folder}/{self.archive_name.rpartition('/')[2]}"

    @property
    def yaml_file(self) -> str:
        """The plugin.yaml below the manager's resources."""
        return f"{self.folder}/plugin.yaml"


class Plugins(Scoped[Plugin]):
    """All plugins."""

    def __init__(self) -> None:
        super().__init__("Plugin")

    def register(
        self,
        received: ReceivedPlugin,
        *,
        tenant: str,
        visibility: str,
        user: str,
        now: float,
        title: str | None,
    ) -> Plugin:
        """Keep what was uploaded.

        Raises:
            InvalidPluginError: The plugin.yaml is no mapping.
            ConflictError: The same wagon is there; the message names the id it would have had.
        """
        if received.yaml is not None:
            _check_yaml(received.yaml)
        new = Plugin(
            str(uuid.uuid4()),
            tenant,
            visibility,
            user,
            now,
            received.metadata,
            title,
            received.yaml is not None,
            received.wagon.stat().st_size,
            now,
        )
        for other in self:
            same = (other.package_name, other.archive_name) == (new.package_name, new.archive_name)
            visible = other.tenant == tenant or "global" in (other.visibility, visibility)
            if same and visible:
                raise ConflictError(
                    f"a plugin archive by the name of {new.archive_name} already exists for "
                    f"package with name {new.package_name} and version {new.package_version} "
                    f"with ID {new.id}"
                )
        return self.add(new)

    def named(self, tenant: str, package_name: str, version: str | None = None) -> Plugin | None:
        """The newest plugin a tenant sees of a package, or the one of a version."""
        found = [
            plugin
            for plugin in self.seen_by(tenant)
            if plugin.package_name == package_name and (not version or plugin.package_version == version)
        ]
        return found[-1] if found else None


def _check_yaml(content: bytes) -> None:
    try:
        loaded = yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise InvalidPluginError(f"The provided plugin.yaml is not valid: {error}") from error
    if not isinstance(loaded, dict) or not isinstance(loaded.get("plugins"), dict):
        raise InvalidPluginError("The provided plugin.yaml has no `plugins` section")
