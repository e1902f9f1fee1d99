"""What managers of generation 5 use beside their machines: a licence, a database and brokers elsewhere."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from cmom.services.validation import files
from cmom.services.validation.fields import Fields
from cmom.services.validation.findings import shown
from cmom.services.validation.manager import readable
from cmom.services.wanted import ExternalBrokers, ExternalDatabase

EXTERNAL_INPUTS = ("manager_license_path", "external_database", "external_brokers")

_DATABASE_TEXTS = ("server_db_name", "server_username", "cloudify_db_name", "cloudify_username")
_DATABASE_FIELDS = ("host", "ca_path", "server_password", "cloudify_password", *_DATABASE_TEXTS)
_BROKER_FIELDS = ("username", "password", "ca_path", "members")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\Z")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\Z")


def read_license_path(fields: Fields) -> str | None:
    """Read where the licence of the managers is: a file on Tier 2."""
    path = readable(fields, "manager_license_path")
    if path is None:
        return None
    try:
        if not read_license(path):
            fields.fault("manager_license_path", f"{path} is no licence of Cloudify: it has no `license`")
            return None
    except files.Unusable as error:
        fields.fault("manager_license_path", str(error))
        return None
    return path


def read_license(path: str) -> Mapping[str, Any]:
    """Return what a licence says of itself, in its own words; empty when it is none.

    Raises:
        Unusable: The file cannot be read.
    """
    found = files.yaml_mapping(path).get("license")
    return found if isinstance(found, Mapping) else {}


def read_database(fields: Fields) -> ExternalDatabase | None:
    """Read the database that exists elsewhere; None when there is none."""
    raw = fields.raw("external_database")
    if raw is None or raw in ("", {}):
        return None
    example = "{host: db.example, ca_path: /path, server_password: ..., cloudify_password: ...}"
    given = Fields(raw, "external_database", fields.findings, _DATABASE_FIELDS, example=example)
    host = given.line("host", required=True)
    if host is not None:
        name, colon, port = host.rpartition(":") if host.count(":") == 1 else (host, "", "")
        if not _is_host(name) or (colon and not port.isdigit()):
            given.fault("host", f"must be a name or an address, with :port if need be, unlike {shown(host)}")
            host = None
    ca_path = readable(given, "ca_path", required=True)
    server, own = (given.secret(name, required=True) for name in ("server_password", "cloudify_password"))
    texts = {name: value for name in _DATABASE_TEXTS if (value := given.line(name)) is not None}
    if host is None or ca_path is None or server is None or own is None:
        return None
    return ExternalDatabase(host, ca_path, server, own, **texts)


def read_brokers(fields: Fields) -> ExternalBrokers | None:
    """Read the brokers that exist elsewhere; None when there are none."""
    raw = fields.raw("external_brokers")
    if raw is None or raw in ("", {}):
        return None
    example = "{username: ..., password: ..., ca_path: /path, members: [{name: b1, address: 10.0.0.5}]}"
    given = Fields(raw, "external_brokers", fields.findings, _BROKER_FIELDS, example=example)
    username = given.line("username", required=True)
    password = given.secret("password", required=True)
    ca_path = readable(given, "ca_path", required=True)
    members: dict[str, str] = {}
    for place, entry in given.entries("members", required=True):
        one = Fields(
            entry, place, fields.findings, ("name", "address"), example="{name: b1, address: 10.0.0.5}"
        )
        name, address = one.line("name", required=True), one.line("address", required=True)
        if name is not None and not _LABEL.match(name):
            one.fault("name", f"must be a host name without dots, unlike {shown(name)}")
        elif name in members:
            one.fault("name", f"is there twice: {shown(name)}")
        elif address is not None and not _is_host(address):
            one.fault("address", f"must be a name or an address, unlike {shown(address)}")
        elif name is not None and address is not None:
            members[name] = address
    if given.raw("members") in ([], ()):
        given.fault("members", "must name one broker or more")
    if username is None or password is None or ca_path is None or not members:
        return None
    return ExternalBrokers(username, password, ca_path, members)


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return bool(_HOST.match(text))
    return True
