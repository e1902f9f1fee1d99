"""Which services a member of generation 5 has, and what they are called by users, by the installer, by us."""

from __future__ import annotations

import enum
import ipaddress
from dataclasses import dataclass

from cmom.models import Host
from cmom.services.installation import InstallerRun
from cmom.services.machine import STATE_DIRECTORY
from cmom.services.manager_config import CONFIG_PATH

SMALLEST_CLUSTER = 3


class Service(str, enum.Enum):
    """One of the three that a member consists of, in the order in which they are installed."""

    DATABASE = "database"
    BROKER = "broker"
    MANAGER = "manager"

    @property
    def word(self) -> str:
        """What the user calls it in `additional_config`."""
        return _WORDS[self]

    @property
    def installed_services(self) -> tuple[str, ...]:
        """What a run of the installer for it alone has in `services_to_install`."""
        return (_MAIN[self], "monitoring_service", *(("entropy_service",) if self is Service.MANAGER else ()))

    @property
    def run(self) -> InstallerRun:
        """The run of the installer for it alone.

        Its configuration must lie below /etc/cloudify (`_sanitized_config_path` of the installer).
        """
        path = f"/etc/cloudify/cmom-{self.value}.yaml"
        return InstallerRun(
            what=self.value,
            unit=f"cmom-install-{self.value}",
            removal_unit=f"cmom-remove-{self.value}",
            note_path=f"{STATE_DIRECTORY}/install-{self.value}.json",
            config_path=path,
            config_options=("-c", path),
            removal_options=(),
            finished_files=(_mark(self),),
        )


_WORDS = {Service.DATABASE: "postgresql", Service.BROKER: "rabbitmq", Service.MANAGER: "manager"}
_MAIN = {
    Service.DATABASE: "database_service",
    Service.BROKER: "queue_service",
    Service.MANAGER: "manager_service",
}


def _mark(service: Service) -> str:
    """Return what the installer leaves when a service is configured (INITIAL_CONFIGURE_DIR)."""
    return f"/etc/cloudify/.configured/{_MAIN[service]}"


@dataclass(frozen=True)
class Layout:
    """What each member of a cluster has.

    Attributes:
        services: In the order in which they are installed.
        single: Whether there is one member only, installed in a single run, that can never have another.
    """

    services: tuple[Service, ...]
    single: bool

    @property
    def single_run(self) -> InstallerRun:
        """The run that installs everything on a single member."""
        return InstallerRun(
            config_path=CONFIG_PATH, removal_options=(), finished_files=(_mark(Service.MANAGER),)
        )

    @property
    def installed_services(self) -> tuple[str, ...]:
        """What a single run has in `services_to_install`."""
        return (*(_MAIN[service] for service in self.services), "monitoring_service", "entropy_service")

    @property
    def keeps_data(self) -> bool:
        """Whether members hold a database or a broker, of which a majority must live."""
        return any(service is not Service.MANAGER for service in self.services)


def layout_of(num_of_instances: int, *, external_database: bool, external_brokers: bool) -> Layout:
    """Return what each of some members has.

    Args:
        num_of_instances: How many there are to be at the installation.
        external_database: Whether the database exists elsewhere.
        external_brokers: Whether the brokers do.
    """
    elsewhere = {
        *((Service.DATABASE,) if external_database else ()),
        *((Service.BROKER,) if external_brokers else ()),
    }
    services = tuple(service for service in Service if service not in elsewhere)
    return Layout(services, single=num_of_instances == 1 and services != (Service.MANAGER,))


def size_problem(num_of_instances: int, layout: Layout) -> str | None:
    """Say why there cannot be that many members; None when there can."""
    if num_of_instances != 2 or not layout.keeps_data:
        return None
    return (
        "2 members cannot be a cluster of generation 5: when one of them dies, the other is no majority of "
        "the databases and brokers. Choose 1 (one manager with everything on it), or 3 or more (odd is "
        "best); or give external_database and external_brokers, over which there may be any number "
        "of managers"
    )


def size_remark(num_of_instances: int, layout: Layout) -> str | None:
    """Say what is unwise about a size; None when nothing is."""
    if num_of_instances < SMALLEST_CLUSTER or num_of_instances % 2 or not layout.keeps_data:
        return None
    return (
        f"{num_of_instances} members bear no more deaths than {num_of_instances - 1} do, for a majority must "
        "live: an odd number is best"
    )


def member_name(host: Host) -> str:
    """Return what a member is called in the cluster: by its database, its broker and its manager alike.

    A broker's name is cut at its first dot (`use_long_name` in config.yaml), and an address is no name.
    """
    try:
        ipaddress.ip_address(host.hostname or host.ip)
    except ValueError:
        return host.hostname.partition(".")[0].lower()
    return f"member-{host.ip.replace('.', '-').replace(':', '-')}"
