"""`cfy_manager install` of generation 5: one run for the services of one configuration.

Simulated: nothing is unpacked or started; a database, a broker or a manager that is installed exists
in the lab's memory and leaves the files that others look for. What a run says, and in which order it
checks and acts, is the installer's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from lab.manager.aside import write
from lab.manager.five import (
    broker_run,
    certs,
    configuration,
    database_run,
    manager_run,
    single_run,
    validations,
)
from lab.manager.five.configuration import CONFIGURED, DATABASE, INSTALLED, MANAGER, MONITORING, QUEUE, Config
from lab.manager.five.console import Console, Out
from lab.manager.five.errors import BootstrapError
from lab.manager.host import Machine, Settings, installed_version

# What a service consists of, in the order in which it is configured.
_COMPONENTS = {
    configuration.ENTROPY: ("Haveged",),
    DATABASE: ("PostgreSQL Server",),
    QUEUE: ("RabbitMQ",),
    MANAGER: (
        *("Cloudify Manager resources", "PostgreSQL Client", "Rest Service", "Nginx", "AMQP Postgres"),
        *("Management Worker", "Stage", "Composer", "Execution Scheduler", "Usage Collector", "CLI"),
    ),
    MONITORING: ("Prometheus Service",),
}
_ACTS = {"PostgreSQL Server": "database", "RabbitMQ": "broker", "Rest Service": "manager"}


@dataclass(frozen=True)
class Options:
    """What a run is called with.

    Attributes:
        files: `-c`, in order.
        private_ip, public_ip, admin_password: override the configuration.
    """

    files: Sequence[str] = ()
    private_ip: str = ""
    public_ip: str = ""
    admin_password: str = ""


def prepare(machine: Machine, options: Options) -> Config:
    """The configuration of a run.

    Raises:
        BootstrapError: It cannot be read.
    """
    config = configuration.load(machine, options.files)
    manager = config.raw["manager"]
    if options.private_ip:
        manager["private_ip"] = options.private_ip
    if options.public_ip:
        manager["public_ip"] = options.public_ip
    if options.admin_password:
        manager["security"]["admin_password"] = options.admin_password
    return config


async def install(
    machine: Machine, out: Out, err: Out, options: Options | None = None, *, verbose: bool = False
) -> int:
    """Run it; what runs again over a finished one takes the configuration anew and loses nothing.

    Returns:
        The exit code: 0, or 1 after a message.
    """
    console = Console(machine, out, err, verbose=verbose)
    began = machine.clock.now()
    try:
        if installed_version(machine) is None:
            raise BootstrapError("The cloudify-manager-install package is not installed")
        config = prepare(machine, options or Options())
        console.say("MAIN", "NOTICE", "Installing desired components...")
        check(config, machine, console)
        await _components(machine, console, config)
    except Exception as error:
        return console.fail(error)
    console.say("MAIN", "NOTICE", "Installation finished successfully!")
    for folder in (INSTALLED, CONFIGURED):
        for service in config.services:
            write(machine.path(f"{folder}/{service}"), b"", 0o644)
    seconds = int(machine.clock.now() - began)
    console.say("MAIN", "NOTICE", f"Finished in {seconds // 60} minutes and {seconds % 60} seconds")
    if MANAGER in config.services:
        _farewell(console, config)
    return 0


def check(config: Config, machine: Machine, console: Console) -> None:
    """The checks before anything is changed.

    Raises:
        BootstrapError: They refuse.
    """
    validations.validate(
        config,
        machine,
        lambda words: console.say("VALIDATIONS", "NOTICE", words),
        lambda words: console.say("VALIDATIONS", "WARNING", words),
    )


async def _components(machine: Machine, console: Console, config: Config) -> None:
    names = [name for service, parts in _COMPONENTS.items() if service in config.services for name in parts]
    settings = Settings.of(machine)
    manager = MANAGER in config.services
    whole = settings.install_seconds if manager else settings.service_install_seconds
    pause = whole / max(1, 2 * len(names))
    fault = machine.faults.match(("install-fail", "install-hang"))
    for name in names:
        console.say(name, "NOTICE", f"Installing {name}...")
        await _let_pass(machine, pause)
        console.say(name, "NOTICE", f"{name} successfully installed")
    for position, name in enumerate(names):
        if fault is not None and position == len(names) // 2:
            if fault.kind == "install-fail":
                raise BootstrapError(f"Failed to start service {name}: it did not start in time")
            await (machine.clock.sleep(fault.seconds) if fault.seconds else asyncio.Event().wait())
        console.say(name, "NOTICE", f"Configuring {name}...")
        await _configure(name, machine, console, config)
        await _let_pass(machine, pause)
        console.say(name, "NOTICE", f"{name} successfully configured")
    if manager and not config.at("sanity.skip_sanity") and machine.manager is not None:
        alone = len(machine.manager.tables.managers) < 2
        words = "Running Sanity..." if alone else "Not running the sanity check: part of a cluster"
        console.say("SANITY", "NOTICE", words)
        if alone:
            console.say("SANITY", "NOTICE", "Sanity completed successfully")


async def _configure(name: str, machine: Machine, console: Console, config: Config) -> None:
    if name == "Prometheus Service":
        told = config.section("prometheus")
        certs.check_section(
            machine,
            "prometheus",
            cert=str(told.get("cert_path") or ""),
            key=str(told.get("key_path") or ""),
            ca=str(told.get("ca_path") or ""),
            ca_key=str(told.get("ca_key_path") or ""),
            ca_alone=True,
        )
    act = _ACTS.get(name)
    if act is None:
        return
    if config.all_in_one:
        # Database and broker are the manager's own.
        if act == "manager":
            await single_run.configure(machine, console, config)
    elif act == "database":
        await database_run.configure(machine, console, config)
    elif act == "broker":
        await broker_run.configure(machine, console, config)
    else:
        await manager_run.configure(machine, console, config)


async def _let_pass(machine: Machine, seconds: float) -> None:
    if seconds > 0:
        await machine.clock.sleep(seconds)


def _farewell(console: Console, config: Config) -> None:
    protocol = "https" if config.at("manager.security.ssl_enabled") else "http"
    password = config.text("manager.security.admin_password")
    line = "#" * 50
    ip = config.public_ip
    for words in (
        line,
        f"Manager is up at {protocol}://{ip}",
        f"Admin password: {password}",
        line,
        "To connect to the manager, use:",
        f"cfy profiles use {ip} -u admin -p {password} -t default_tenant -ssl -c path/to/"
        "cloudify_internal_ca_cert.pem",
        line,
        "To install the default plugins bundle run:",
        "'cfy plugins bundle-upload'",
        line,
    ):
        console.plain(words)
