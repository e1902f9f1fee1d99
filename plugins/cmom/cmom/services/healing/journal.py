"""How far the heal of one member has come, and how often it was tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from cmom.models import Host
from cmom.services.healing.situation import Phase


@dataclass(frozen=True)
class Journal:
    """How far the heal of one member has come.

    Attributes:
        instance_id: Of the manager.
        hostname: Of the machine that died; so are `ip` and `public_ip`.
        diagnosis: Why the heal was started, in the words of whoever started it.
        started_at: When it began, ISO 8601.
        execution_id: Which began it.
        reached: When each phase was reached.
        failed: Why it failed; empty while it has not.
        was_leader: Whether the member led the cluster when it was last looked at.
        backup: What became of the precaution: the snapshot's name, or why there is none.
        machine: What became of the machine, for people.
        machine_ip: On which machine the manager is made again, once that is ready; empty before.
        spare_ip: The spare that was taken for it; empty for none.
        steps: What is to be tried, in this order, in the words of ``heal_steps``.
        tried: What of it was tried in vain.
    """

    instance_id: str
    hostname: str
    ip: str
    public_ip: str
    diagnosis: str
    started_at: str
    execution_id: str
    phase: Phase = Phase.FOUND
    reached: Mapping[str, str] = field(default_factory=dict)
    failed: str = ""
    was_leader: bool = False
    backup: str = ""
    machine: str = ""
    machine_ip: str = ""
    spare_ip: str = ""
    steps: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()

    @property
    def host(self) -> Host:
        """The machine that died."""
        return Host(self.ip, self.public_ip, self.hostname)

    @property
    def name(self) -> str:
        """How the member is called in messages."""
        return name_of(self.host)

    def started_over(self, host: Host) -> Journal:
        """Return that of a heal from the beginning, now that the machine has died that it was made anew on.

        Args:
            host: That machine.
        """
        return replace(
            self,
            hostname=host.hostname,
            ip=host.ip,
            public_ip=host.public_ip,
            phase=Phase.FOUND,
            reached={Phase.FOUND.value: self.started_at},
            backup="",
            machine="",
            machine_ip="",
            tried=(),
        )

    @classmethod
    def parse(cls, stored: Mapping[str, Any]) -> Journal:
        """Read it back."""
        known = {one.name: stored[one.name] for one in fields(cls) if one.name in stored}
        lists = {name: tuple(stored.get(name) or ()) for name in ("steps", "tried")}
        return cls(**{**known, **lists, "phase": Phase(stored["phase"])})

    def as_plain_data(self) -> dict[str, Any]:
        """Return it as JSON knows it."""
        lists = {"steps": list(self.steps), "tried": list(self.tried)}
        return {**asdict(self), **lists, "phase": self.phase.value, "reached": dict(self.reached)}


@dataclass(frozen=True)
class Tries:
    """How often a member was healed in vain, in a row.

    Attributes:
        count: Heals that failed, or after which it died again at once.
        last_at: When the last heal ended.
        healed: Whether that one succeeded.
    """

    count: int
    last_at: str
    healed: bool


def name_of(host: Host) -> str:
    """Return how a machine is called in messages: its name and its address."""
    return host.public_ip if host.hostname in ("", host.public_ip) else f"{host.hostname} ({host.public_ip})"
