"""`cfy_manager remove`, `start`, `stop` and `restart`: the services of one configuration."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence

from lab.manager.five import files
from lab.manager.five.configuration import (
    CONFIGURED,
    DATABASE,
    INSTALLED,
    MAIN_SERVICES,
    MANAGER,
    QUEUE,
    Config,
)
from lab.manager.five.console import Console
from lab.manager.five.errors import ProcessExecutionError
from lab.manager.five.prepared import check_prepared
from lab.manager.host import Machine, Settings

_PARTS = {DATABASE: "Database", QUEUE: "Queue", MANAGER: "Manager"}
_NAMES = {"postgresqlserver": DATABASE, "rabbitmq": QUEUE}


async def remove(machine: Machine, console: Console, config: Config) -> int:
    """Take services off the machine with what they know; their clusters are not told."""
    began = machine.clock.now()
    there = [service for service in MAIN_SERVICES if service in config.services]
    what = "Manager" if config.all_in_one else ", ".join(_PARTS[service] for service in there)
    console.say("MAIN", "NOTICE", f"Removing Cloudify {what}...")
    seconds = Settings.of(machine).remove_seconds
    if seconds > 0:
        await machine.clock.sleep(seconds)
    if MANAGER in there and machine.manager is not None:
        machine.manager.power_off()
        await machine.stop_rest()
        machine.manager = None
        for folder in ("/opt/manager", "/opt/mgmtworker"):
            shutil.rmtree(machine.path(folder), ignore_errors=True)
    if QUEUE in there and machine.backing.broker is not None:
        machine.backing.broker.power_off()
        machine.backing.broker = None
    if DATABASE in there and machine.backing.database is not None:
        machine.backing.database.power_off()
        machine.backing.database = None
        shutil.rmtree(machine.path("/etc/etcd"), ignore_errors=True)
        machine.path("/etc/patroni.conf").unlink(missing_ok=True)
    _forget(machine, config)
    _rename_certificates(machine)
    console.say("MAIN", "NOTICE", f"Cloudify {what} successfully removed!")
    elapsed = int(machine.clock.now() - began)
    console.say("MAIN", "NOTICE", f"Finished in {elapsed // 60} minutes and {elapsed % 60} seconds")
    return 0


def _forget(machine: Machine, config: Config) -> None:
    for folder in (INSTALLED, CONFIGURED):
        for service in config.services:
            machine.path(f"{folder}/{service}").unlink(missing_ok=True)
        left = machine.path(folder)
        if left.is_dir() and not any((left / service).exists() for service in MAIN_SERVICES):
            shutil.rmtree(left)


def _rename_certificates(machine: Machine) -> None:
    """They stay, under a name with the time, so that a new installation makes new ones."""
    folder = machine.path(files.SSL)
    prefix = time.strftime("%Y%m%d-%H%M%S_", time.gmtime(machine.clock.now()))
    for one in list(folder.iterdir()) if folder.is_dir() else ():
        if one.name[0].isalpha():
            one.rename(one.with_name(prefix + one.name))


async def switch(
    machine: Machine, console: Console, config: Config, command: str, components: Sequence[str]
) -> int:
    """Start, stop or restart services.

    Args:
        command: `start`, `stop` or `restart`.
        components: Only these; without any, all of the configuration.

    Raises:
        BootstrapError: They are not all installed, or a database is not what the configuration says.
        OSError: REST cannot listen.
    """
    check_prepared(machine, config, command)
    chosen = {_NAMES.get(name.lower().replace("_", ""), MANAGER) for name in components} or set(
        config.services
    )
    words = {"start": "Starting", "stop": "Stopping", "restart": "Restarting"}[command]
    console.say("MAIN", "NOTICE", f"{words} Cloudify Manager services...")
    meant = [service for service in MAIN_SERVICES if service in chosen and service in config.services]
    # As PostgresqlServer.start and stop: without `nodes` they mean a database that stands alone.
    stranger = DATABASE in meant and not config.db_addresses and _is_clustered(machine)
    if command != "start":
        for service in meant:
            if not (stranger and service == DATABASE):
                await set_running(machine, service, on=False)
    if command != "stop":
        if stranger:
            raise ProcessExecutionError.of(
                ["systemctl", "start", "postgresql-14"],
                "Job for postgresql-14.service failed because the control process exited with error code",
            )
        for service in meant:
            await set_running(machine, service, on=True)
    if command != "restart":
        done = "started" if command == "start" else "stopped"
        console.say("MAIN", "NOTICE", f"Cloudify Manager services successfully {done}!")
    return 0


def _is_clustered(machine: Machine) -> bool:
    database = machine.backing.database
    return database is not None and bool(database.nodes)


async def set_running(machine: Machine, service: str, *, on: bool) -> None:
    """Start or stop one service; nothing happens when it is not installed.

    Args:
        service: `database_service`, `queue_service` or `manager_service`.
    """
    if service == MANAGER:
        manager = machine.manager
        if manager is not None and not on:
            manager.power_off()
            await machine.stop_rest()
        elif manager is not None and not manager.powered:
            await manager.power_on()
        return
    backing = machine.backing
    one = backing.database if service == DATABASE else backing.broker
    if one is not None:
        one.power_on() if on else one.power_off()
