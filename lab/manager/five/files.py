"""Files that an installation leaves: certificates where the services look for them, and others."""

from __future__ import annotations

import json
from typing import Any

from lab.manager import certificates
from lab.manager.aside import write
from lab.manager.five.configuration import HOME, Config
from lab.manager.five.validations import networks
from lab.manager.host import Machine

SSL = f"{HOME}/ssl"
INTERNAL_CERT, INTERNAL_KEY = f"{SSL}/cloudify_internal_cert.pem", f"{SSL}/cloudify_internal_key.pem"
EXTERNAL_CERT, EXTERNAL_KEY = f"{SSL}/cloudify_external_cert.pem", f"{SSL}/cloudify_external_key.pem"
CA_CERT, CA_KEY = f"{SSL}/cloudify_internal_ca_cert.pem", f"{SSL}/cloudify_internal_ca_key.pem"
REST_CONFIG = "/opt/manager/cloudify-rest.conf"
_RESOURCES = "/opt/manager/resources"


def copy(machine: Machine, source: str, target: str, mode: int) -> None:
    """Put a given file where a service looks for it; nothing happens without one."""
    if source and source != target and machine.path(source).is_file():
        write(machine.path(target), machine.path(source).read_bytes(), mode)


def manager_certificates(machine: Machine, config: Config) -> None:
    """Put the manager's certificates in place; what was not given is made."""
    ssl = {key: str(value or "") for key, value in config.section("ssl_inputs").items()}
    authority = _authority(machine, ssl)
    names = [*networks(config).values(), config.text("manager.hostname") or machine.hostname]
    for kind, cert, key in (
        ("internal", INTERNAL_CERT, INTERNAL_KEY),
        ("external", EXTERNAL_CERT, EXTERNAL_KEY),
    ):
        given = ssl[f"{kind}_cert_path"], ssl[f"{kind}_key_path"]
        if all(given):
            pair = tuple(machine.path(path).read_bytes() for path in given)
        elif machine.path(cert).is_file():
            continue
        elif authority is None:
            # Only the CA's certificate was given: what is missing is signed by one of its own.
            pair = certificates.make_pair(names, *certificates.make_authority())
        else:
            pair = certificates.make_pair(names, *authority, ssl["ca_key_password"] or None)
        write(machine.path(cert), pair[0], 0o444)
        write(machine.path(key), pair[1], 0o440)
    for kind, name in (("postgresql_client", "postgresql"), ("postgresql_superuser_client", "postgresql_su")):
        copy(machine, ssl[f"{kind}_cert_path"], f"{SSL}/{name}.crt", 0o444)
        copy(machine, ssl[f"{kind}_key_path"], f"{SSL}/{name}.key", 0o400)
    server_ca = config.text("postgresql_server.ca_path") or config.text("postgresql_client.ca_path")
    copy(machine, server_ca, f"{SSL}/postgresql_ca.crt", 0o444)
    copy(machine, config.text("rabbitmq.ca_path"), f"{SSL}/rabbitmq-ca.pem", 0o444)


def _authority(machine: Machine, ssl: dict[str, str]) -> tuple[bytes, bytes] | None:
    cert, key = ssl["ca_cert_path"], ssl["ca_key_path"]
    if cert:
        copy(machine, cert, CA_CERT, 0o444)
        copy(machine, key, CA_KEY, 0o440)
        return (machine.path(cert).read_bytes(), machine.path(key).read_bytes()) if key else None
    if not machine.path(CA_KEY).is_file():
        if ssl["internal_cert_path"]:
            return None
        made = certificates.make_authority()
        write(machine.path(CA_CERT), made[0], 0o444)
        write(machine.path(CA_KEY), made[1], 0o440)
    return machine.path(CA_CERT).read_bytes(), machine.path(CA_KEY).read_bytes()


def write_rest_config(machine: Machine, values: dict[str, Any]) -> None:
    """Set values in REST's own configuration file."""
    path = machine.path(REST_CONFIG)
    before = json.loads(path.read_text()) if path.is_file() else {}
    write(path, json.dumps({**before, **values}).encode(), 0o660)


def leave_manager_files(machine: Machine, rest_config: dict[str, Any]) -> None:
    """The files of a manager that others look at."""
    write_rest_config(machine, rest_config)
    for leaf in ("/opt/manager/rest-security.conf", "/opt/manager/authorization.conf"):
        write(machine.path(leaf), b"{}\n", 0o660)
    for folder in ("blueprints", "deployments", "uploaded-blueprints", "snapshots", "plugins"):
        machine.path(f"{_RESOURCES}/{folder}").mkdir(parents=True, exist_ok=True)
    machine.path("/opt/mgmtworker/work").mkdir(parents=True, exist_ok=True)
