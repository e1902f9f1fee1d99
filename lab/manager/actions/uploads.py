"""What is done with an archive that came: a plugin, or a blueprint."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lab.manager import archives, dsl
from lab.manager.exceptions import BadParametersError
from lab.manager.stores.blueprints import Blueprint
from lab.manager.stores.plugins import Plugin

if TYPE_CHECKING:
    from lab.manager.models import Manager


async def register_plugin(
    manager: Manager,
    archive: Path,
    *,
    tenant: str,
    visibility: str,
    user: str,
    title: str | None,
) -> Plugin:
    """Take a plugin archive apart and keep it.

    Raises:
        InvalidPluginError: It is none.
        ConflictError: It is there.
    """
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        received = await asyncio.to_thread(archives.open_plugin, archive, Path(folder))
        plugin = manager.database.plugins.register(
            received,
            tenant=tenant,
            visibility=visibility,
            user=user,
            now=manager.now(),
            title=title,
        )
        manager.files.adopt(received.wagon, plugin.wagon_file)
        if received.yaml is not None:
            path = manager.files.path(plugin.yaml_file)
            path.write_bytes(received.yaml)
    manager.replicate_files()
    return plugin


async def read_blueprint(
    manager: Manager, archive: Path, blueprint: Blueprint, main_file_name: str | None
) -> None:
    """Unpack and parse a blueprint's archive; fills in the blueprint.

    Raises:
        BadParametersError: The archive, or the main file in it.
        InvalidBlueprintError: What the file says.
    """
    kind = archives.archive_kind(archive)
    name = main_file_name or "blueprint.yaml"
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        top = await asyncio.to_thread(archives.unpack_blueprint, archive, Path(folder))
        main = (top / name).resolve()
        if not main.is_relative_to(top.resolve()) or not main.is_file():
            raise BadParametersError(f"{name} does not exist in the application directory")
        blueprint.main_file_name = name
        blueprint.archive_kind = kind or "tar.gz"
        # In a thread: YAML of a few thousand lines takes its time.
        blueprint.plan = await asyncio.to_thread(dsl.parse, top, name, _finder(manager, blueprint.tenant))


def keep_blueprint(manager: Manager, archive: Path, blueprint: Blueprint) -> None:
    """Move a blueprint's archive to where it is downloaded from."""
    manager.files.adopt(archive, blueprint.archive_file)
    manager.replicate_files()


def _finder(manager: Manager, tenant: str) -> dsl.PluginYaml:
    def find(package: str, arguments: dict[str, str]) -> bytes | None:
        plugin = manager.database.plugins.named(tenant, package, arguments.get("version"))
        if plugin is None or not plugin.has_yaml:
            return None
        path = manager.files.path(plugin.yaml_file)
        return path.read_bytes() if path.is_file() else None

    return find
