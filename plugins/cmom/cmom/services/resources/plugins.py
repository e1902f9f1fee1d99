"""Plugins: known by name and version, which stand in the wagon; looked for before anything large is moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmom.clients.resource_uploads import upload_plugin
from cmom.clients.resources import HeldPlugin
from cmom.services.progress import TransferProgress
from cmom.services.resources.facts import Facts
from cmom.services.resources.making import CREATED, EXISTS, Made, Tally, compare_visibility, upload
from cmom.services.resources.sources import Sources
from cmom.services.tier1 import Tier1
from cmom.services.validation.archives import wagon_metadata
from cmom.services.validation.files import Unusable, yaml_mapping
from cmom.services.waiting import Clock
from cmom.services.wanted import PluginEntry

LARGE_BYTES = 16 * 1000 * 1000
_WAGON_SUFFIX = ".wgn"


@dataclass(frozen=True)
class PluginIdentity:
    """What a plugin is known by; what is not known is empty.

    Attributes:
        archive_name: The wagon's own name, which has its platform in it.
    """

    package_name: str
    package_version: str
    archive_name: str

    def __str__(self) -> str:
        return f"{self.package_name} {self.package_version}".strip()

    def among(self, plugins: tuple[HeldPlugin, ...]) -> HeldPlugin | None:
        """Return the one of these that it is; None when none is, or when too little is known to tell."""
        if not (self.package_name and self.package_version and self.archive_name):
            return None
        for plugin in plugins:
            known = (plugin.package_name, plugin.package_version, plugin.archive_name)
            if known == (self.package_name, self.package_version, self.archive_name):
                return plugin
        return None


class PluginMaker:
    """Uploads plugins that are not there.

    Args:
        tier1: The cluster.
        facts: What it holds.
        sources: Where wagons and yaml files come from.
        say: Receives lines of progress.
        clock: Tells how often.
    """

    def __init__(
        self, tier1: Tier1, facts: Facts, sources: Sources, say: Callable[[str], None], clock: Clock
    ) -> None:
        self._tier1 = tier1
        self._facts = facts
        self._sources = sources
        self._say = say
        self._clock = clock

    def ensure_plugin(self, entry: PluginEntry) -> Made:
        """Make sure that a plugin is there.

        The yaml, which is small, and the wagon's name tell mostly which one it is, so that a wagon that is
        there already is not fetched.

        Raises:
            ActionRequired: What was fetched is not a plugin.
            CmomError: See `Tier1.call`.
        """
        yaml = self._sources.file(entry.yaml)
        identity = _from_yaml(_mapping(yaml, entry.yaml), self._sources.name(entry.wagon))
        held = identity.among(self._facts.plugins(entry.tenant))
        if held is None:
            wagon = self._sources.file(entry.wagon)
            identity = _from_wagon(wagon, entry.wagon) or identity
            held = identity.among(self._facts.plugins(entry.tenant))
            if held is None:
                return CREATED if self._upload(entry, identity, wagon, yaml) else EXISTS
        return compare_visibility(
            self._tier1, "plugins", entry.tenant, held, entry.visibility, identifier=held.id
        )

    def _upload(self, entry: PluginEntry, identity: PluginIdentity, wagon: Path, yaml: Path) -> bool:
        size = wagon.stat().st_size
        progress = TransferProgress(f"Uploading plugin {identity}", self._say, self._clock)
        tally = Tally(size, progress if size >= LARGE_BYTES else None)
        name = self._sources.name(entry.wagon)
        if not name.endswith(_WAGON_SUFFIX):
            name = identity.archive_name or f"plugin{_WAGON_SUFFIX}"
        return upload(
            self._tier1,
            lambda api, sent: upload_plugin(
                api,
                entry.tenant,
                wagon,
                yaml,
                entry.visibility,
                name=str(identity),
                wagon_name=name,
                progress=sent,
            ),
            f"uploading plugin {identity}",
            tally,
        )


def _mapping(path: Path, source: str) -> Mapping[Any, Any]:
    try:
        return yaml_mapping(str(path))
    except Unusable as error:
        raise Sources.unusable(error, path, source) from error


def _from_yaml(content: Mapping[Any, Any], wagon_name: str) -> PluginIdentity:
    """Return what a plugin.yaml says of the package that its plugins are in."""
    plugins = content.get("plugins")
    for plugin in plugins.values() if isinstance(plugins, Mapping) else ():
        if isinstance(plugin, Mapping) and plugin.get("package_name") and plugin.get("package_version"):
            return PluginIdentity(str(plugin["package_name"]), str(plugin["package_version"]), wagon_name)
    return PluginIdentity(wagon_name, "", "")


def _from_wagon(path: Path, source: str) -> PluginIdentity | None:
    try:
        metadata = wagon_metadata(str(path))
    except Unusable as error:
        raise Sources.unusable(error, path, source) from error
    if metadata is None:
        return None
    return PluginIdentity(
        str(metadata.get("package_name") or ""),
        str(metadata.get("package_version") or ""),
        str(metadata.get("archive_name") or ""),
    )
