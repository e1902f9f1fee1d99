"""What a manager is made of: RPM, administrator, LDAP, `additional_config`, files and scripts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmom.models import Secret, is_unicode
from cmom.services.validation import files
from cmom.services.validation.fields import Fields, identifier_problem
from cmom.services.validation.findings import kind_of, shown
from cmom.services.validation.plain import MAX_VALUES, grows_too_large
from cmom.services.wanted import DEFAULT_ADMIN_USERNAME, FileCopy, Ldap

# `validate_and_decode_password` of the REST service, 4.3 to 7.0. The installer takes a shorter one, and
# then nobody could ever set it again.
MIN_PASSWORD = 5
MAX_PASSWORD = 256
MAX_CONFIG_DEPTH = 32

_LDAP_TEXTS = ("server", "username", "password", "domain", "dn_extra")


def read_install_rpm_path(fields: Fields) -> str | None:
    """Read where the install RPM is: a path on Tier 2, or a URL. The preflight looks into it."""
    value = fields.line("install_rpm_path", required=True)
    if value is None:
        return None
    try:
        return files.path_or_url(value)
    except files.Unusable as error:
        fields.fault("install_rpm_path", str(error))
        return None


def read_admin(fields: Fields) -> tuple[str | None, Secret | None]:
    """Read the administrator's name and password, as strict as every place that uses them together."""
    username = fields.line("manager_admin_username", default=DEFAULT_ADMIN_USERNAME)
    problem = identifier_problem(username) if username is not None else None
    if problem:
        fields.fault("manager_admin_username", problem)
    password = fields.secret("manager_admin_password", required=True)
    if password is not None:
        problem = _password_problem(password.reveal())
        if problem:
            fields.fault("manager_admin_password", problem)
            password = None
    return username, password


def _password_problem(password: str) -> str | None:
    """Judge a password; what is said holds nothing of it."""
    if len(password) < MIN_PASSWORD or len(password) > MAX_PASSWORD:
        return f"must have between {MIN_PASSWORD} and {MAX_PASSWORD} characters"
    if not all(" " <= character <= "~" for character in password):
        # Generation 4's installer runs on Python 2 and encodes it as ASCII (`get_auth_headers` in its
        # network.py).
        return "may have printable ASCII characters only; generation 4's installer fails on any other"
    return None


def read_ldap(fields: Fields) -> Ldap | None:
    """Read `ldap_config`; None when it names no server, whatever else is in it."""
    raw = fields.raw("ldap_config")
    if raw is None or raw == "":
        return None
    known = (*_LDAP_TEXTS, "is_active_directory")
    ldap = Fields(raw, "ldap_config", fields.findings, known, example="{server: ldaps://ldap.example.org}")
    password = ldap.secret("password")
    texts = {name: ldap.line(name) for name in _LDAP_TEXTS if name != "password"}
    is_active_directory = ldap.boolean("is_active_directory")
    for name, value in (*texts.items(), ("password", password.reveal() if password else None)):
        if value and ("'" in value or not value.isprintable()):
            # The installer writes them between single quotes into the REST service's YAML (its
            # cloudify-rest.conf).
            ldap.fault(
                name, "must not hold single quotes or control characters; generation 4 cannot take them"
            )
    server = texts["server"]
    if server is None:
        if any(texts.values()) or password:
            fields.findings.warn("ldap_config", "names no server, so LDAP is not configured at all")
        return None
    if ldap.given("username") != ldap.given("password"):
        missing = "password" if ldap.given("username") else "username"
        ldap.fault(missing, "missing: username and password are given together, or neither")
    if not ldap.given("domain"):
        ldap.fault("domain", "missing: an LDAP server needs its domain")
    return Ldap(
        server=server,
        username=texts["username"],
        password=password,
        domain=texts["domain"],
        dn_extra=texts["dn_extra"],
        is_active_directory=is_active_directory,
    )


def read_additional_config(fields: Fields) -> dict[str, Any]:
    """Read what overlays our configuration: a mapping of plain YAML."""
    raw = fields.raw("additional_config")
    if raw is None or raw == "":
        return {}
    if not isinstance(raw, Mapping):
        fields.fault("additional_config", f"must be a mapping like config.yaml, not {kind_of(raw)}")
        return {}
    if grows_too_large(raw):
        fields.fault("additional_config", f"holds more than {MAX_VALUES} values with its anchors written out")
        return {}
    copied = _plain(raw, "additional_config", fields, 0)
    return copied if isinstance(copied, dict) else {}


def _plain(value: object, place: str, fields: Fields, depth: int) -> object:
    """Copy plain data; a fault for what YAML cannot hold. Values are never shown: some are secret."""
    if depth > MAX_CONFIG_DEPTH:
        fields.findings.fault("additional_config", f"is nested more than {MAX_CONFIG_DEPTH} levels deep")
        return None
    if isinstance(value, Mapping):
        copied = {}
        for key, content in value.items():
            if not isinstance(key, str):
                fields.findings.fault(place, f"has a key that is {kind_of(key)}, not text")
                continue
            copied[str(key)] = _plain(content, f"{place}.{shown(key)[1:-1]}", fields, depth + 1)
        return copied
    if isinstance(value, list | tuple):
        return [
            _plain(content, f"{place}[{number}]", fields, depth + 1) for number, content in enumerate(value)
        ]
    if isinstance(value, str) and not is_unicode(value):
        fields.findings.fault(place, "holds characters that are no Unicode text")
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    fields.findings.fault(place, f"must be plain YAML, not {kind_of(value)}")
    return None


def read_files(fields: Fields) -> tuple[FileCopy, ...]:
    """Read the files that go onto every machine: `src` on Tier 2, `dst` an absolute path on the machine."""
    found = []
    places: dict[str, str] = {}
    for place, raw in fields.entries("files"):
        entry = Fields(
            raw, place, fields.findings, ("src", "dst"), example="{src: /path/here, dst: /path/there}"
        )
        source = readable(entry, "src", required=True)
        destination = entry.line("dst", required=True)
        if destination is not None:
            if not destination.startswith("/") or destination.endswith("/") or ".." in destination.split("/"):
                entry.fault("dst", f"must be the absolute path of a file, unlike {shown(destination)}")
            elif places.setdefault(destination, entry.at("dst")) != entry.at("dst"):
                entry.fault("dst", f"is the same as {places[destination]}: {shown(destination)}")
        if source and destination:
            found.append(FileCopy(source, destination))
    return tuple(found)


def read_scripts(fields: Fields) -> tuple[str, ...]:
    """Read the scripts that run on every machine after its installation: paths on Tier 2."""
    found = []
    for place, raw in fields.entries("scripts"):
        if not isinstance(raw, str) or not raw:
            fields.findings.fault(
                place, f"must be the path of a script, not {kind_of(raw) if raw else 'empty'}"
            )
            continue
        try:
            found.append(str(files.readable_file(raw)))
        except files.Unusable as error:
            fields.findings.fault(place, str(error))
    return tuple(found)


def readable(fields: Fields, name: str, *, required: bool = False) -> str | None:
    """Read a field that names a file of Tier 2; a fault when this user cannot read that."""
    value = fields.text(name, required=required)
    if value is None:
        return None
    try:
        return str(files.readable_file(value))
    except files.Unusable as error:
        fields.fault(name, str(error))
        return None
