"""/plugins."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from lab.manager import bodies
from lab.manager.actions import downloads, uploads
from lab.manager.calls import Call, to_flag
from lab.manager.exceptions import PluginInUseError
from lab.manager.responses.formats import attachment, chosen, deleted, listing, reply
from lab.manager.stores.plugins import Plugin
from lab.manager.stores.scoped import check_visibility
from lab.manager.transitions import timestamp

_FIELDS = (
    "id",
    "archive_name",
    "package_name",
    "package_source",
    "package_version",
    "supported_platform",
    "distribution",
    "distribution_version",
    "distribution_release",
    "wheels",
    "excluded_wheels",
    "supported_py_versions",
    "uploaded_at",
    "created_by",
    "tenant_name",
    "visibility",
    "private_resource",
    "resource_availability",
    "file_server_path",
    "yaml_url_path",
    "title",
)


async def upload(call: Call) -> web.StreamResponse:
    """POST /plugins: the body is the archive; `visibility`, `title`, `plugin_archive_url`."""
    visibility = check_visibility(call.argument("visibility") or "tenant")
    with call.manager.files.incoming() as (target, path):
        size = await bodies.save(call.request, target)
        url = call.argument("plugin_archive_url")
        if url and not size:
            await downloads.fetch(url, path)
        plugin = await uploads.register_plugin(
            call.manager,
            path,
            tenant=call.tenant,
            visibility=visibility,
            user=call.user.username,
            title=call.argument("title"),
        )
    seconds = call.manager.settings.plugin_install_seconds
    plugin.installed_at = call.now + seconds
    if call.manager.traits.installs_plugins_first and seconds:
        await call.manager.machine.clock.sleep(seconds)
    return reply(_wire(call, plugin), 201)


async def list_plugins(call: Call) -> web.StreamResponse:
    """GET /plugins."""
    plugins = call.database.plugins.seen_by(call.tenant, everywhere=call.all_tenants)
    fields = _FIELDS + _extra_fields(call)
    return listing(call, [_wire(call, p) for p in plugins], fields=fields)


async def get(call: Call) -> web.StreamResponse:
    """GET /plugins/ID."""
    return reply(chosen(call, _wire(call, _get(call))))


async def delete(call: Call) -> web.StreamResponse:
    """DELETE /plugins/ID {force}."""
    plugin = _get(call)
    body = await call.json(optional=True)
    force = to_flag("force", body.get("force", False)) or call.flag("force")
    used_by = [d.id for d in call.database.deployments if plugin.id in d.plugin_ids]
    if used_by and not force:
        raise PluginInUseError(
            f'Plugin "{plugin.id}" is currently in use in deployments: {", ".join(used_by)}. '
            f'You can "force" plugin removal if needed.'
        )
    wire = _wire(call, plugin)
    call.database.plugins.discard(plugin)
    call.manager.files.delete(plugin.folder)
    call.manager.replicate_files()
    return deleted(call, wire)


async def download(call: Call) -> web.StreamResponse:
    """GET /plugins/ID/archive: the wagon."""
    plugin = _get(call)
    return await attachment(call, plugin.wagon_file, plugin.archive_name)


async def set_visibility(call: Call) -> web.StreamResponse:
    """PATCH /plugins/ID/set-visibility {visibility}."""
    body = await call.json()
    plugin = _get(call)
    call.database.plugins.widen(plugin, body.get("visibility"), ("tenant", "global"))
    return reply(_wire(call, plugin))


def _get(call: Call) -> Plugin:
    return call.database.plugins.get(call.tenant, call.part("id"))


def _extra_fields(call: Call) -> tuple[str, ...]:
    return ("installation_state",) if call.manager.traits.generation >= 5 else ()


def _wire(call: Call, plugin: Plugin) -> dict[str, Any]:
    metadata = plugin.metadata
    system = metadata.get("build_server_os_properties") or {}
    yaml_url = (
        f"plugin:{plugin.package_name}?version={plugin.package_version}&distribution="
        f"{system.get('distribution')}"
        if plugin.has_yaml
        else ""
    )
    wire: dict[str, Any] = {
        "id": plugin.id,
        "archive_name": plugin.archive_name,
        "package_name": plugin.package_name,
        "package_source": metadata.get("package_source"),
        "package_version": plugin.package_version,
        "supported_platform": metadata.get("supported_platform"),
        "distribution": system.get("distribution"),
        "distribution_version": system.get("distribution_version"),
        "distribution_release": system.get("distribution_release"),
        "wheels": metadata.get("wheels") or [],
        "excluded_wheels": metadata.get("excluded_wheels") or [],
        "supported_py_versions": metadata.get("supported_python_versions"),
        "uploaded_at": timestamp(plugin.created_at),
        "file_server_path": yaml_url and plugin.yaml_file,
        "yaml_url_path": yaml_url,
        "title": plugin.title or plugin.package_name,
        **plugin.ownership(),
    }
    del wire["created_at"]
    if _extra_fields(call):
        state = "installed" if call.now >= plugin.installed_at else "installing"
        wire["installation_state"] = [
            {"manager": call.manager.machine.hostname, "state": state, "error": None}
        ]
    return wire
