"""What the monitor is told, in a YAML file; what is secret comes from another file or from the environment.

All faults are told in one message, each with its place, before anything is begun.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cmom.clients.urls import is_host
from cmom.errors import ActionRequired, Fault, InvalidInputs
from cmom.models import ManagerAccess, Secret
from cmom.monitor.breaker import BreakerSettings
from cmom.monitor.config_files import read_mapping, read_secret_mapping
from cmom.monitor.pulse import Times
from cmom.services.validation.fields import identifier_problem
from cmom.services.validation.findings import shown

USERNAME_VARIABLE = "CMOM_TIER2_USERNAME"
PASSWORD_VARIABLE = "CMOM_TIER2_PASSWORD"  # noqa: S105 - its name, not its content
# The service that the Tier 2 manager offers its own components: TLS whatever the users' side has.
DEFAULT_TIER2_PORT = 53333
DEFAULT_WEB_PORT = 9188
MANAGER, LOCAL = "manager", "local"


@dataclass(frozen=True)
class ManagerTier2:
    """A Tier 2 that is a manager.

    Attributes:
        access: How to talk to it; the tenant in it does not count.
        tenants: Those whose deployments are watched.
    """

    address: str
    access: ManagerAccess
    tenants: tuple[str, ...] = ("default_tenant",)


@dataclass(frozen=True)
class LocalTier2:
    """A Tier 2 that is the local profile of ``cfy``.

    Attributes:
        workdir: What ``CFY_WORKDIR`` is for ``cfy``.
        cfy: The program that starts workflows.
    """

    workdir: Path
    cfy: str = "cfy"


@dataclass(frozen=True)
class WebSettings:
    """Where the page and the metrics are served.

    Attributes:
        port: 0 for not at all.
    """

    address: str = "127.0.0.1"
    port: int = DEFAULT_WEB_PORT


@dataclass(frozen=True)
class Config:
    """Everything that the monitor is told.

    Attributes:
        times: What counts where a deployment does not say its own heartbeat interval.
        rest_interval_seconds: How often REST is asked of a member that is heard over SSH.
        refresh_seconds: How often Tier 2 is read.
        heals_at_once: How many heals may run in the whole fleet.
    """

    tier2: ManagerTier2 | LocalTier2
    times: Times = field(default_factory=Times)
    rest_interval_seconds: float = 60.0
    breaker: BreakerSettings = field(default_factory=BreakerSettings)
    refresh_seconds: float = 15.0
    heals_at_once: int = 4
    web: WebSettings = field(default_factory=WebSettings)


# Section and key of every setting that is a number, with the least it may be and what it is by default.
_NUMBERS: Mapping[tuple[str, str], tuple[float, float]] = {
    ("heartbeat", "interval_seconds"): (0.05, 10.0),
    ("heartbeat", "timeout_seconds"): (0.05, 5.0),
    ("heartbeat", "rest_interval_seconds"): (0.05, 60.0),
    ("verdict", "suspect_seconds"): (0.0, 30.0),
    ("verdict", "failed_seconds"): (0.1, 60.0),
    ("verdict", "recover_seconds"): (0.0, 30.0),
    ("verdict", "grace_seconds"): (0.0, 60.0),
    ("breaker", "share"): (0.01, 0.3),
    ("breaker", "least_clusters"): (1, 2),
    ("breaker", "reset_seconds"): (0.0, 60.0),
    ("healing", "heals_at_once"): (1, 4),
    ("tier2", "refresh_seconds"): (0.1, 15.0),
    ("tier2", "port"): (1, DEFAULT_TIER2_PORT),
    ("web", "port"): (0, DEFAULT_WEB_PORT),
}
# The most it may be, where that is not a week or as many.
_MOST: Mapping[tuple[str, str], int] = {("tier2", "port"): 65535, ("web", "port"): 65535}
_MOST_BY_DEFAULT = 7 * 24 * 3600
_WHOLE = {("breaker", "least_clusters"), ("healing", "heals_at_once"), ("tier2", "port"), ("web", "port")}
_OTHER_KEYS = {
    ("tier2", key) for key in ("kind", "address", "ca_cert", "tenants", "credentials_file", "workdir", "cfy")
} | {("web", "address")}
_SECRET_KEYS = {"password", "username", "token"}


def load_config(path: Path, environment: Mapping[str, str] | None = None) -> Config:
    """Read the configuration.

    Args:
        path: The YAML file.
        environment: For tests; by default that of the process.

    Raises:
        InvalidInputs: With all faults in it.
        ActionRequired: It cannot be read.
    """
    return parse_config(
        read_mapping(path, "The configuration"), os.environ if environment is None else environment
    )


def parse_config(content: Mapping[str, Any], environment: Mapping[str, str]) -> Config:
    """Make a configuration of what a file says; raises the same."""
    return _Parser(content, environment).parse()


class _Parser:
    """Collects faults on the way."""

    def __init__(self, content: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._faults: list[Fault] = []
        self._sections: dict[str, Mapping[str, Any]] = {}
        known = {section for section, _ in [*_NUMBERS, *_OTHER_KEYS]}
        for name, section in content.items():
            if name not in known:
                self._fault(
                    shown(name)[1:-1], f"there is no such section; there are {', '.join(sorted(known))}"
                )
            elif not isinstance(section, Mapping):
                self._fault(str(name), "must be a mapping")
            else:
                self._sections[name] = section
                self._check_keys(name, section)

    def parse(self) -> Config:
        number = self._number
        interval = number("heartbeat", "interval_seconds")
        times = Times(
            interval_seconds=interval,
            suspect_seconds=number("verdict", "suspect_seconds"),
            failed_seconds=number("verdict", "failed_seconds"),
            recover_seconds=number("verdict", "recover_seconds"),
            grace_seconds=number("verdict", "grace_seconds"),
            timeout_seconds=number("heartbeat", "timeout_seconds"),
        )
        if times.suspect_seconds > times.failed_seconds:
            self._fault("verdict.suspect_seconds", "must not be longer than failed_seconds")
        breaker = BreakerSettings(
            number("breaker", "share"),
            int(number("breaker", "least_clusters")),
            number("breaker", "reset_seconds"),
        )
        if breaker.share > 1:
            self._fault("breaker.share", "is a part of all clusters, from 0 to 1")
        tier2 = self._tier2()
        config = Config(
            tier2=tier2,
            times=times,
            rest_interval_seconds=number("heartbeat", "rest_interval_seconds"),
            breaker=breaker,
            refresh_seconds=number("tier2", "refresh_seconds"),
            heals_at_once=int(number("healing", "heals_at_once")),
            web=WebSettings(self._text("web", "address") or WebSettings.address, int(number("web", "port"))),
        )
        if self._faults:
            raise InvalidInputs(self._faults)
        return config

    def _tier2(self) -> ManagerTier2 | LocalTier2:
        kind = self._text("tier2", "kind") or MANAGER
        if kind == LOCAL:
            workdir = self._text("tier2", "workdir") or self._environment.get("CFY_WORKDIR") or "~"
            return LocalTier2(Path(os.path.expanduser(workdir)), self._text("tier2", "cfy") or LocalTier2.cfy)
        if kind != MANAGER:
            self._fault("tier2.kind", f"is {MANAGER} or {LOCAL}, not {kind!r}")
        ca_cert = self._text("tier2", "ca_cert")
        if not ca_cert:
            self._fault("tier2.ca_cert", "is missing: the certificate that Tier 2's own is checked against")
        username, password = self._credentials()
        access = ManagerAccess(username, password, ca_cert, int(self._number("tier2", "port")))
        address = self._text("tier2", "address") or "localhost"
        if not is_host(address):
            self._fault("tier2.address", f"is no address or name of a machine: {shown(address)}")
        return ManagerTier2(address, access, self._tenants())

    def _tenants(self) -> tuple[str, ...]:
        given = self._sections.get("tier2", {}).get("tenants", list(ManagerTier2.tenants))
        if not isinstance(given, list) or not given or not all(isinstance(one, str) and one for one in given):
            self._fault("tier2.tenants", "must be a list of names")
            return ()
        for name in given:
            if problem := identifier_problem(name):
                self._fault("tier2.tenants", problem)
        return tuple(given)

    def _credentials(self) -> tuple[str, Secret]:
        username = self._environment.get(USERNAME_VARIABLE, "")
        password = self._environment.get(PASSWORD_VARIABLE, "")
        path = self._text("tier2", "credentials_file")
        if path and not (username and password):
            try:
                content = read_secret_mapping(Path(path))
            except ActionRequired as error:
                self._fault("tier2.credentials_file", str(error))
                return "", Secret("")
            username = username or str(content.get("username") or "")
            password = password or str(content.get("password") or "")
        if not username or not password:
            self._fault(
                "tier2.credentials_file",
                f"no user name and password: give a file with both, or {USERNAME_VARIABLE} and "
                f"{PASSWORD_VARIABLE} in the environment",
            )
        return username, Secret(password)

    def _check_keys(self, name: str, section: Mapping[str, Any]) -> None:
        for key in section:
            if key in _SECRET_KEYS:
                self._fault(f"{name}.{key}", "belongs into credentials_file, which only its owner can read")
            elif (name, key) not in _NUMBERS and (name, key) not in _OTHER_KEYS:
                self._fault(f"{name}.{key}", "there is no such setting")

    def _number(self, section: str, key: str) -> float:
        least, default = _NUMBERS[section, key]
        given = self._sections.get(section, {}).get(key, default)
        if isinstance(given, bool) or not isinstance(given, (int, float)):
            return self._bad(f"{section}.{key}", f"must be a number, not {shown(given)[1:-1]}", default)
        if not given >= least:  # also what is not a number at all
            return self._bad(f"{section}.{key}", f"must be at least {least:g}", default)
        most = _MOST.get((section, key), _MOST_BY_DEFAULT)
        if given > most:
            return self._bad(f"{section}.{key}", f"must be at most {most}", default)
        if (section, key) in _WHOLE and given != int(given):
            return self._bad(f"{section}.{key}", "must be a whole number", default)
        return given

    def _text(self, section: str, key: str) -> str:
        given = self._sections.get(section, {}).get(key)
        if given is None:
            return ""
        if not isinstance(given, str):
            self._fault(f"{section}.{key}", "must be text")
            return ""
        return given

    def _bad(self, place: str, problem: str, instead: float) -> float:
        self._fault(place, problem)
        return instead

    def _fault(self, place: str, problem: str) -> None:
        self._faults.append(Fault(place, problem))
