"""A dead machine that exists already, brought back or replaced; and what may be tried before that.

On OpenStack the machine itself is deleted and made again, and nothing of this but a reboot is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cmom import runtime
from cmom.clients.probes import ssh_greeting
from cmom.clients.ssh import SshClient
from cmom.errors import ActionRequired, CmomError
from cmom.models import Host, Version
from cmom.operations.connections import ssh_access
from cmom.operations.glue import change_properties, operation
from cmom.operations.sites import secrets_of
from cmom.runtime import ManagerRecord
from cmom.services import pool
from cmom.services.generations import generation_of, uninstall_any
from cmom.services.healing.renewal import run_rebuild_command
from cmom.services.inputs import parse_rebuild_command
from cmom.services.machine import Machine
from cmom.services.manager_install import ManagerInstaller, Patience
from cmom.services.remedies import reboot_machine, restart_services


@operation
def rebuild(
    ctx: Any, host: Mapping[str, str], rebuild_command: Any, rebuild_timeout_seconds: float, **_: Any
) -> None:
    """Run the user's command that brings the machine back, wait for it, and clear it of what is left of a
    manager.

    This is the one place where a machine that we know may show another host key: the new one is recorded, and
    held to from then on.

    Args:
        ctx: The context of a manager that is uninstalled.
        host: The machine, as plain data.
        rebuild_command: As the user gave it.
        rebuild_timeout_seconds: How long it may take.
    """
    machine = Host(**host)
    command = parse_rebuild_command(rebuild_command)
    if command is None:
        raise ActionRequired(f"There is no rebuild_command to bring {machine.public_ip} back.")
    run_rebuild_command(
        command.for_host(machine),
        ctx.logger,
        lock_path=Path(ctx.plugin.workdir) / f"rebuild-{ctx.instance.id}.lock",
        timeout_seconds=float(rebuild_timeout_seconds),
        secrets=secrets_of(ctx.node.properties),
    )
    _clear(ctx, machine)


@operation
def clear(ctx: Any, host: Mapping[str, str], **_: Any) -> None:
    """Clear a machine, on which a try of this heal has failed, of what that has left there."""
    _clear(ctx, Host(**host))


@operation
def replace(ctx: Any, dead: Mapping[str, str], ssh_port: int, **_: Any) -> None:
    """Give the host a spare of the pool instead of a machine that is dead; one that it has and that lives it
    keeps. One that has died before is taken when there is no other and it answers again.

    Args:
        ctx: The context of the relationship to the pool.
        dead: The machine that is not to be used again, as plain data.
        ssh_port: Of the machines.
    """
    held = runtime.load_host(ctx.source.instance.runtime_properties)
    gone = {dead["ip"]}
    if held is not None and held.ip not in gone:
        if ssh_greeting(held.public_ip, int(ssh_port)):
            return
        gone.add(held.ip)
    target = ctx.target.node.properties
    entries = target[target["entries_from"]]

    def answers(entry: pool.Entry) -> bool:
        host = pool.host_of(entry)
        return host.ip not in gone and bool(ssh_greeting(host.public_ip, int(ssh_port)))

    def swap(properties: runtime.Properties) -> dict[str, Any]:
        retired = sorted({*(properties.get(runtime.RETIRED) or ()), *gone})
        ledger = pool.give_back(properties.get(runtime.ALLOCATIONS) or {}, ctx.source.instance.id)
        free = pool.replacements(entries, ledger, retired=retired, answers=answers)
        avoid = set(map(pool.address_of, entries)) - set(map(pool.address_of, free))
        allocation = pool.take(entries, ledger, ctx.source.instance.id, avoid=avoid)
        properties[runtime.ALLOCATIONS], properties[runtime.RETIRED] = allocation.ledger, retired
        return allocation.entry

    host = pool.host_of(change_properties(ctx.target.instance, swap))
    change_properties(ctx.source.instance, lambda properties: runtime.store_host(properties, host))
    ctx.logger.warning("%s takes the place of %s.", host.public_ip, ", ".join(sorted(gone)))


@operation
def restart(ctx: Any, **_: Any) -> None:
    """Restart the manager's services on a machine that still lets us log in."""
    with _attempt(ctx, "restarting its services"), _connected(ctx) as (machine, version):
        restart_services(machine, generation_of(version))


@operation
def reboot(ctx: Any, **_: Any) -> None:
    """Reboot a machine that still lets us log in."""
    with _attempt(ctx, "rebooting it"), _connected(ctx) as (machine, _version):
        reboot_machine(machine)


@contextmanager
def _attempt(ctx: Any, what: str) -> Iterator[None]:
    """Let something be tried; what comes next is for when it fails."""
    try:
        yield
    except CmomError as error:
        ctx.logger.warning("%s of %s failed: %s", what.capitalize(), ctx.instance.id, error)


@contextmanager
def _connected(ctx: Any) -> Iterator[tuple[Machine, Version]]:
    record = ManagerRecord.load(ctx.instance.runtime_properties)
    if record is None:
        raise ActionRequired(f"{ctx.instance.id} is not installed.")
    access, secrets = ssh_access(ctx.node.properties), secrets_of(ctx.node.properties)
    with SshClient(record.host.public_ip, access, host_key=record.ssh_host_key, secrets=secrets) as ssh:
        yield Machine(record.host, ssh, ctx.logger), Version.parse(record.manager_version)


def _clear(ctx: Any, host: Host) -> None:
    properties = ctx.node.properties
    patience = Patience(
        ssh_seconds=float(properties["ssh_timeout_seconds"]),
        # A machine that is just being made may answer before it knows its keys.
        key_grace_seconds=float(properties["ssh_timeout_seconds"]),
    )
    with SshClient(host.public_ip, ssh_access(properties), secrets=secrets_of(properties)) as ssh:
        installer = ManagerInstaller(host, ssh, ctx.logger, patience=patience)
        installer.reach(lambda host_key: _remember_host_key(ctx, host_key))
        if uninstall_any(installer):
            ctx.logger.info("%s was not empty; what was left of its manager is removed.", host.public_ip)


def _remember_host_key(ctx: Any, host_key: str) -> None:
    change_properties(ctx.instance, lambda properties: properties.update({runtime.SSH_HOST_KEY: host_key}))
    ctx.logger.info("The host key of %s is recorded anew.", ctx.instance.id)
