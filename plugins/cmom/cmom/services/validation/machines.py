"""Machines and how they are reached: `hosts`, `resource_pool`, number, ports, SSH, rebuilding."""

from __future__ import annotations

import ipaddress
import re
import shlex
import shutil
import string
from collections.abc import Mapping

from cmom.clients.ssh_keys import load_private_key
from cmom.errors import ActionRequired
from cmom.models import DEFAULT_REST_PORT, DEFAULT_SSH_PORT, Host, SshAccess
from cmom.services import pool
from cmom.services.validation import files
from cmom.services.validation.fields import Fields
from cmom.services.validation.findings import Findings, kind_of, shown
from cmom.services.wanted import DEFAULT_NUM_OF_INSTANCES, RebuildCommand

MAX_PORT = 65535
PLACEHOLDERS = ("ip", "public_ip", "hostname")

_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)\Z")
_MAX_HOSTNAME = 253


def read_num_of_instances(fields: Fields) -> int | None:
    """Read how many managers the cluster has."""
    return fields.integer("num_of_instances", default=DEFAULT_NUM_OF_INSTANCES, least=1)


def read_hosts(fields: Fields, num_of_instances: int | None) -> tuple[Host, ...]:
    """Read the machines that exist already; empty when the input is not given at all."""
    hosts = []
    seen = _Seen(fields.findings)
    entries = list(fields.entries("hosts"))
    for place, raw in entries:
        entry = Fields(
            raw, place, fields.findings, ("ip", "public_ip", "hostname"), example="{ip: 10.0.0.21}"
        )
        ip = _address(entry, "ip", required=True, version_4=True)
        public_ip = _address(entry, "public_ip")
        hostname = _hostname(entry, "hostname", ip)
        seen.once(entry, "ip", ip)
        seen.once(entry, "public_ip", public_ip)
        seen.once(entry, "hostname", hostname.lower() if hostname else None)
        if ip:
            hosts.append(pool.host_of({"ip": ip, "public_ip": public_ip, "hostname": hostname}))
    _enough(fields, "hosts", len(entries), num_of_instances)
    return tuple(hosts)


def read_resource_pool(fields: Fields, num_of_instances: int | None) -> tuple[Mapping[str, str], ...]:
    """Read the addresses and names for managers to come; empty when the input is not given at all."""
    found = []
    seen = _Seen(fields.findings)
    entries = list(fields.entries("resource_pool"))
    for place, raw in entries:
        entry = Fields(
            raw,
            place,
            fields.findings,
            ("ip_address", "hostname"),
            example="{ip_address: 10.0.0.21, hostname: manager-1}",
        )
        ip = _address(entry, "ip_address", required=True, version_4=True)
        hostname = _hostname(entry, "hostname", ip, required=True)
        seen.once(entry, "ip_address", ip)
        seen.once(entry, "hostname", hostname.lower() if hostname else None)
        if ip and hostname:
            found.append({"ip_address": ip, "hostname": hostname})
    _enough(fields, "resource_pool", len(entries), num_of_instances)
    return tuple(found)


def read_port(fields: Fields, name: str, default: int) -> int | None:
    """Read a TCP port."""
    return fields.integer(name, default=default, least=1, most=MAX_PORT)


def read_rest_port(fields: Fields) -> int | None:
    """Read the port of the managers' REST service."""
    return read_port(fields, "rest_port", DEFAULT_REST_PORT)


def read_ssh(fields: Fields) -> SshAccess | None:
    """Read how Tier 2 logs in; the key must be one that works without asking anybody."""
    user = fields.line("ssh_user", required=True)
    if user and (user.startswith("-") or re.search(r"[\s@:/]", user)):
        fields.fault("ssh_user", f"is not the name of a user: {shown(user)}")
    path = fields.text("ssh_private_key_path", required=True)
    port = read_port(fields, "ssh_port", DEFAULT_SSH_PORT)
    if path:
        try:
            path = str(files.readable_file(path))
            load_private_key(path)
        except (files.Unusable, ActionRequired) as error:
            fields.fault("ssh_private_key_path", str(error))
        else:
            if files.open_to_others(path):
                fields.findings.warn(
                    "ssh_private_key_path",
                    f"other users of Tier 2 may read {path}; chmod 600 would keep it private",
                )
    if user is None or path is None or port is None:
        return None
    return SshAccess(user=user, private_key_path=path, port=port)


def read_rebuild_command(fields: Fields) -> RebuildCommand | None:
    """Read the command that rebuilds one machine: one line, or a list of words; run without a shell."""
    value = fields.raw("rebuild_command")
    if value is None or value in ("", [], ()):
        return None
    parts = _words(fields, value)
    if not parts:
        return None
    problems = [problem for problem in map(_placeholder_problem, parts) if problem]
    for problem in problems:
        fields.fault("rebuild_command", problem)
    program = parts[0]
    if "{" not in program and shutil.which(program) is None:
        fields.fault(
            "rebuild_command", f"there is no program {shown(program)} on Tier 2 that this user may run"
        )
        return None
    return None if problems else RebuildCommand(tuple(parts))


def _words(fields: Fields, value: object) -> list[str] | None:
    if isinstance(value, str):
        try:
            words = shlex.split(value)
        except ValueError as error:
            fields.fault("rebuild_command", f"cannot be split into words: {str(error).lower()}")
            return None
        if not words:
            fields.fault("rebuild_command", "is empty")
        return words
    if not isinstance(value, list | tuple):
        fields.fault("rebuild_command", f"must be text or a list of words, not {kind_of(value)}")
        return None
    wrong = [number for number, word in enumerate(value) if not isinstance(word, str)]
    for number in wrong:
        fields.fault(
            f"rebuild_command[{number}]", f"must be text, not {kind_of(value[number])}; put it in quotes"
        )
    if not wrong and (not value[0] or any("\0" in word for word in value)):
        fields.fault("rebuild_command", "must begin with a program, and must not hold NUL characters")
        return None
    return None if wrong else list(value)


def _placeholder_problem(part: str) -> str | None:
    allowed = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    try:
        pieces = list(string.Formatter().parse(part))
    except ValueError:
        return f"has a single brace in {shown(part)}; allowed are {allowed}, and {{{{ for a brace itself"
    for _, name, spec, conversion in pieces:
        if name is not None and (name not in PLACEHOLDERS or spec or conversion):
            return f"has an unknown placeholder in {shown(part)}; allowed are {allowed}"
    return None


def _address(entry: Fields, name: str, *, required: bool = False, version_4: bool = False) -> str | None:
    value = entry.line(name, required=required)
    if value is None:
        return None
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        entry.fault(name, f"is not an IP address: {shown(value)}")
        return None
    if address.is_unspecified or address.is_multicast or "%" in value:
        entry.fault(name, f"is not the address of a machine: {shown(value)}")
        return None
    if version_4 and address.version != 4:
        # Generation 4 looks for the private address among the machine's AF_INET ones (its validations.py).
        entry.fault(name, f"must be an IPv4 address, unlike {shown(value)}: managers install on those only")
        return None
    return str(address)


def _hostname(entry: Fields, name: str, ip: str | None, *, required: bool = False) -> str | None:
    value = entry.line(name, required=required)
    if value is None:
        return None
    labels = value.split(".")
    if len(value) > _MAX_HOSTNAME or not all(_LABEL.match(label) for label in labels):
        entry.fault(
            name, f"is not a valid host name (letters, digits, '-', parts joined by '.'): {shown(value)}"
        )
        return None
    if labels[-1].isdigit() and value != ip:
        entry.fault(name, f"looks like an address, and is not that of its machine: {shown(value)}")
        return None
    return value


def _enough(fields: Fields, name: str, count: int, num_of_instances: int | None) -> None:
    """Say that a list is too short; one that is not given at all belongs to another infrastructure."""
    if fields.raw(name) is None or not isinstance(fields.raw(name), list | tuple) or num_of_instances is None:
        return
    if count < num_of_instances:
        entries = "1 entry" if count == 1 else f"{count} entries"
        fields.fault(name, f"{entries}, but num_of_instances is {num_of_instances}")


class _Seen:
    """What may be there only once in a list."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._places: dict[tuple[str, str], str] = {}

    def once(self, entry: Fields, name: str, value: str | None) -> None:
        """Note a value; a fault when another entry has it."""
        if value is None:
            return
        first = self._places.setdefault((name, value), entry.at(name))
        if first != entry.at(name):
            self._findings.fault(entry.at(name), f"is the same as {first}: {shown(value)}")
