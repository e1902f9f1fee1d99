"""What the cluster should hold: tenants, secrets, plugins, blueprints and deployments.

Used by the preflight of an installation and at the start of each workflow that takes such lists, so that a
list is judged whole before the first request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from cmom.clients.urls import is_url
from cmom.models import Secret
from cmom.services.validation import archives, files
from cmom.services.validation.fields import Fields, identifier_problem
from cmom.services.validation.findings import kind_of, shown
from cmom.services.validation.manager import readable
from cmom.services.validation.plain import json_problem
from cmom.services.wanted import (
    DEFAULT_TENANT,
    DEFAULT_VISIBILITY,
    BlueprintEntry,
    DeploymentEntry,
    PluginEntry,
    Resources,
    SecretEntry,
)

VISIBILITIES = ("private", "tenant", "global")
KINDS = ("tenants", "secrets", "plugins", "blueprints", "deployments")

_YAML_SUFFIXES = (".yaml", ".yml")
_ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2")


def read_resources(fields: Fields) -> Resources:
    """Read the five lists; one that is not given is empty."""
    return Resources(
        tenants=read_tenants(fields),
        secrets=read_secrets(fields),
        plugins=read_plugins(fields),
        blueprints=read_blueprints(fields),
        deployments=read_deployments(fields),
    )


def read_tenants(fields: Fields) -> tuple[str, ...]:
    """Read names of tenants."""
    found: dict[str, str] = {}
    for place, raw in fields.entries("tenants"):
        if not isinstance(raw, str):
            hint = "; put it in quotes" if isinstance(raw, int | float) else ""
            fields.findings.fault(place, f"must be the name of a tenant, not {kind_of(raw)}{hint}")
            continue
        problem = identifier_problem(raw)
        if problem:
            fields.findings.fault(place, problem)
        elif found.setdefault(raw, place) != place:
            fields.findings.fault(place, f"is the same as {found[raw]}: {shown(raw)}")
    return tuple(found)


def read_secrets(fields: Fields) -> tuple[SecretEntry, ...]:
    """Read secrets, each with its value as text or in a file; no message about one holds a value."""
    found = []
    once = _Once()
    known = ("key", "string", "file", "tenant", "visibility")
    for place, raw in fields.entries("secrets"):
        entry = Fields(raw, place, fields.findings, known, example="{key: KEY, string: VALUE}")
        # Not shown when it is wrong: it may be the value, in the wrong place.
        key = entry.identifier("key", required=True, show=False)
        value = _secret_value(entry)
        tenant, visibility = _where(entry)
        once.check(entry, "key", key, tenant)
        if key and value is not None and tenant and visibility:
            found.append(SecretEntry(place, key, value, tenant, visibility))
    return tuple(found)


def _secret_value(entry: Fields) -> Secret | None:
    if not entry.valid:
        return None
    # Empty text beside a file is an example left unfilled; alone it is no value.
    if entry.given("string") and entry.given("file"):
        entry.fault("file", "is given beside `string`; a secret has one of them only")
        return None
    if entry.given("string"):
        return entry.secret("string")
    if not entry.given("file"):
        entry.fault("string", "missing (or `file`): a secret needs a value that is not empty")
        return None
    path = entry.text("file")
    if path is None:
        return None
    try:
        content = files.small_content(path).decode("utf-8")
    except files.Unusable as error:
        entry.fault("file", str(error))
    except UnicodeDecodeError:
        entry.fault("file", f"{path} is not text (UTF-8); managers keep text only")
    else:
        if content:
            return Secret(content)
        entry.fault("file", f"{path} is empty")
    return None


def read_plugins(fields: Fields) -> tuple[PluginEntry, ...]:
    """Read plugins, each with its wagon and its yaml."""
    found = []
    known = ("wagon", "yaml", "tenant", "visibility")
    for place, raw in fields.entries("plugins"):
        entry = Fields(raw, place, fields.findings, known, example="{wagon: PATH_OR_URL, yaml: PATH_OR_URL}")
        wagon = _source(entry, "wagon", archives.check_wagon)
        plugin_yaml = _source(entry, "yaml", _check_plugin_yaml)
        tenant, visibility = _where(entry)
        if wagon and plugin_yaml and tenant and visibility:
            found.append(PluginEntry(place, wagon, plugin_yaml, tenant, visibility))
    return tuple(found)


def _check_plugin_yaml(path: str) -> None:
    if not isinstance(files.yaml_mapping(path).get("plugins"), Mapping):
        raise files.Unusable(f"{path} is not a plugin's yaml: it has no section `plugins`")


def read_blueprints(fields: Fields) -> tuple[BlueprintEntry, ...]:
    """Read blueprints: a yaml file (its folder goes with it), an archive, or the URL of an archive."""
    found = []
    once = _Once()
    known = ("path", "id", "filename", "tenant", "visibility")
    for place, raw in fields.entries("blueprints"):
        entry = Fields(raw, place, fields.findings, known, example="{path: PATH_OR_URL}")
        filename = _filename(entry)
        path = _source(entry, "path", partial(_check_blueprint, filename))
        blueprint_id = _blueprint_id(entry, path)
        tenant, visibility = _where(entry)
        once.check(entry, "id", blueprint_id, tenant)
        if path and blueprint_id and tenant and visibility:
            found.append(BlueprintEntry(place, path, blueprint_id, filename, tenant, visibility))
    return tuple(found)


def _filename(entry: Fields) -> str | None:
    value = entry.line("filename")
    if value is None:
        return None
    if value.startswith("/") or ".." in value.split("/") or not value.lower().endswith(_YAML_SUFFIXES):
        entry.fault(
            "filename", f"must be the path of a .yaml file within the archive's folder, unlike {shown(value)}"
        )
        return None
    path = entry.raw("path")
    if isinstance(path, str) and not is_url(path) and path.lower().endswith(_YAML_SUFFIXES):
        entry.fault("filename", "is for archives only; `path` names a yaml file already")
        return None
    return value


def _check_blueprint(filename: str | None, path: str) -> None:
    if not path.lower().endswith(_YAML_SUFFIXES):
        archives.check_blueprint_archive(path, filename)
    elif "tosca_definitions_version" not in files.yaml_mapping(path):
        raise files.Unusable(f"{path} is not a blueprint: it has no `tosca_definitions_version`")


def _blueprint_id(entry: Fields, path: str | None) -> str | None:
    if entry.given("id") or path is None:
        return entry.identifier("id")
    name = default_blueprint_id(path)
    problem = identifier_problem(name)
    if problem:
        entry.fault("id", f"missing, and the name taken from `path` cannot be one: it {problem}")
        return None
    return name


def default_blueprint_id(path: str) -> str:
    """Return the id of a blueprint that was given none: the name of its folder, or of its archive."""
    where = PurePosixPath(unquote(urlsplit(path).path) if is_url(path) else path)
    if not is_url(path) and where.suffix.lower() in _YAML_SUFFIXES:
        return where.parent.name
    for suffix in _ARCHIVE_SUFFIXES:  # none of them is the end of another
        if where.name.lower().endswith(suffix):
            return where.name[: -len(suffix)]
    return where.name


def read_deployments(fields: Fields) -> tuple[DeploymentEntry, ...]:
    """Read deployments, each with its inputs as a mapping or in a YAML file."""
    found = []
    once = _Once()
    known = ("deployment_id", "blueprint_id", "inputs", "tenant", "visibility")
    for place, raw in fields.entries("deployments"):
        entry = Fields(raw, place, fields.findings, known, example="{blueprint_id: ID}")
        blueprint_id = entry.identifier("blueprint_id", required=True)
        deployment_id = entry.identifier("deployment_id", default=blueprint_id)
        inputs = read_parameters(entry, "inputs")
        tenant, visibility = _where(entry)
        once.check(entry, "deployment_id", deployment_id, tenant)
        if blueprint_id and deployment_id and inputs is not None and tenant and visibility:
            found.append(DeploymentEntry(place, deployment_id, blueprint_id, inputs, tenant, visibility))
    return tuple(found)


def read_parameters(entry: Fields, name: str) -> dict[str, Any] | None:
    """Read what is a mapping, or the path of a YAML file with one; None (with a fault) when it is neither."""
    value = entry.raw(name)
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        path = readable(entry, name)
        if path is None:
            return None
        try:
            value = files.yaml_mapping(path)
        except files.Unusable as error:
            entry.fault(name, str(error))
            return None
    if not isinstance(value, Mapping):
        entry.fault(name, f"must be a mapping or the path of a YAML file, not {kind_of(value)}")
        return None
    if not all(isinstance(key, str) for key in value):
        entry.fault(name, "has a name that is not text; put it in quotes")
        return None
    problem = json_problem(value)
    if problem:
        entry.fault(name, problem)
        return None
    return dict(value)


def _source(entry: Fields, name: str, check: Callable[[str], None]) -> str | None:
    """Read a path or URL; what is local is looked into."""
    value = entry.line(name, required=True)
    if value is None:
        return None
    try:
        source = files.path_or_url(value)
        if not is_url(source):
            check(source)
    except files.Unusable as error:
        entry.fault(name, str(error))
        return None
    return source


def _where(entry: Fields) -> tuple[str | None, str | None]:
    """Read in which tenant a thing is to be, and who may see it."""
    return (
        entry.identifier("tenant", default=DEFAULT_TENANT),
        entry.choice("visibility", VISIBILITIES, default=DEFAULT_VISIBILITY),
    )


class _Once:
    """Identifiers that may be there only once in a tenant."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, str], str] = {}

    def check(self, entry: Fields, name: str, identifier: str | None, tenant: str | None) -> None:
        """Note an identifier; a fault when an earlier entry has it in the same tenant."""
        if identifier is None or tenant is None:
            return
        first = self._places.setdefault((tenant, identifier), entry.at(name))
        if first != entry.at(name):
            entry.fault(name, f"is the same as {first}: {shown(identifier)} in tenant {tenant}")
