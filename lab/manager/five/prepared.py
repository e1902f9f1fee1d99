"""Whether a command finds on the machine what its configuration says is there."""

from __future__ import annotations

from lab.manager.five.configuration import CONFIGURED, HOME, Config, installed_services
from lab.manager.five.errors import BootstrapError
from lab.manager.host import Machine


def check_prepared(machine: Machine, config: Config, command: str) -> None:
    """Refuse a configuration whose services are not all configured here.

    Raises:
        BootstrapError: One is not.
    """
    there = installed_services(machine, CONFIGURED)
    if all(service in there for service in config.services):
        return
    raise BootstrapError(
        f"Files in {CONFIGURED} do not match configured services.\n"
        f"Make sure you use the correct config file (currently used: "
        f"{config.files if config.files != [f'{HOME}/config.yaml'] else f'{HOME}/config.yaml'}).\n"
        f"This can also mean you need to run `cfy_manager configure` before running `cfy_manager {command}`."
    )


def check_supported(machine: Machine, command: str, services: list[str]) -> None:
    """Refuse a command that none of the machine's services knows.

    Raises:
        BootstrapError: None does.
    """
    if not set(services) & set(installed_services(machine, CONFIGURED)):
        raise BootstrapError(
            f"Running `cfy_manager {command}` requires at least one of {services} to be configured on "
            "this node"
        )
