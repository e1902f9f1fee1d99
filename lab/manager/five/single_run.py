"""What a run does for an all-in-one manager: its database and its broker are its own."""

from __future__ import annotations

import secrets
import string

from lab.manager.configuration import CertificateFiles, Configuration
from lab.manager.exceptions import ManagerError
from lab.manager.five import files
from lab.manager.five.configuration import Config
from lab.manager.five.console import Console
from lab.manager.five.errors import BootstrapError
from lab.manager.five.license import read
from lab.manager.five.tables import BrokerRow, ManagerRow, Tables
from lab.manager.five.validations import networks
from lab.manager.host import Machine
from lab.manager.models import Manager

_WHERE = "RESTSERVICE"


async def configure(machine: Machine, console: Console, config: Config) -> None:
    """Let the manager be, or take a configuration anew.

    Raises:
        BootstrapError: The licence is refused.
    """
    fill_password(config)
    files.manager_certificates(machine, config)
    files.leave_manager_files(
        machine, {"postgresql_host": "localhost", "manager_hostname": hostname(machine, config)}
    )
    before = machine.manager
    manager = before
    given = manager_configuration(config)
    if manager is None or manager.version != config.version or manager.link is not None:
        manager = Manager(machine, given, config.version)
    else:
        manager.configuration = given
    tables = manager.own_tables
    name = hostname(machine, config)
    tables.managers.clear()
    tables.register(row_of(machine, config, manager, tables, number=0))
    tables.brokers = {
        name: BrokerRow(
            name,
            config.private_ip,
            {"default": config.private_ip},
            config.text("rabbitmq.username"),
            config.text("rabbitmq.password"),
            management_host="127.0.0.1",
            port=5671,
        )
    }
    await serve(machine, manager, before)
    upload_license(machine, console, config, tables, config.version)


def hostname(machine: Machine, config: Config) -> str:
    """What the manager is called."""
    return config.text("manager.hostname") or machine.hostname


def fill_password(config: Config) -> None:
    """Make the administrator's password when none is given."""
    security = config.raw["manager"]["security"]
    if not security["admin_password"]:
        alphabet = string.ascii_letters + string.digits
        security["admin_password"] = "".join(secrets.choice(alphabet) for _ in range(12))


def manager_configuration(config: Config) -> Configuration:
    """What a manager is installed with, in the words that both generations share."""
    return Configuration(
        private_ip=config.private_ip,
        public_ip=config.public_ip,
        ssl_enabled=bool(config.at("manager.security.ssl_enabled")),
        admin_username=config.text("manager.security.admin_username") or "admin",
        admin_password=config.text("manager.security.admin_password") or None,
        skip_sanity=bool(config.at("sanity.skip_sanity")),
        skip_validations=bool(config.at("validations.skip_validations")),
        certificates=CertificateFiles(),
        license_path=config.text("manager.cloudify_license_path") or None,
        raw=config.raw,
    )


def row_of(
    machine: Machine, config: Config, manager: Manager, tables: Tables, number: int | None = None
) -> ManagerRow:
    """A manager as it is registered."""
    authority = machine.path(files.CA_CERT)
    return ManagerRow(
        tables.next_id() if number is None else number,
        hostname(machine, config),
        config.private_ip,
        config.public_ip,
        config.version,
        networks(config),
        authority.read_text() if authority.is_file() else None,
        manager,
    )


async def serve(machine: Machine, manager: Manager, before: Manager | None) -> None:
    """Let a manager answer on its machine instead of the one that was there before."""
    if before is not None:
        if before is not manager:
            before.power_off()
        await machine.stop_rest()
    machine.manager = manager
    try:
        await manager.power_on()
    except BaseException:
        # Stopped at the last moment: a first installation leaves nothing that answers.
        await machine.stop_rest()
        machine.manager = before
        raise


def upload_license(machine: Machine, console: Console, config: Config, tables: Tables, version: str) -> None:
    """Upload the licence whose path is given.

    Raises:
        BootstrapError: The manager refuses it.
    """
    path = config.text("manager.cloudify_license_path")
    if not path:
        return
    console.say(_WHERE, "INFO", f"Uploading Cloudify license `{path}` to the Manager...")
    try:
        content = machine.path(path).read_bytes()
    except OSError as error:
        console.say(
            _WHERE,
            "WARNING",
            f"Failed to upload Cloudify license `{path}` due to IOError: [Errno {error.errno}] "
            f"{error.strerror}: '{path}'",
        )
        return
    try:
        tables.license = read(content, version)
    except ManagerError as error:
        raise BootstrapError(f"Failed to upload Cloudify license: {error.status} {error.message}") from None
