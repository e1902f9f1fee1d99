"""What is seen of a member and of its cluster before it is decided whether it may be healed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from cmom.clients.probes import rest_answer, ssh_greeting
from cmom.errors import ActionRequired, TryAgainLater
from cmom.models import Host, Member
from cmom.services.parallel import ask_in_parallel

_PROBE_SECONDS = 5.0
_SLACK_SECONDS = 4.0


class Membership(Protocol):
    """Whoever can tell the members of a cluster by its leader's word: a `Generation`."""

    def members(self) -> tuple[Member, ...]:
        """List the members."""


@dataclass(frozen=True)
class Signs:
    """What signs of life a machine shows.

    Attributes:
        ssh: Its SSH server's greeting; empty for none.
        rest: The HTTP status that its REST service answers with; None for no answer.
    """

    ssh: str = ""
    rest: int | None = None

    @property
    def alive(self) -> bool:
        """Whether there is any."""
        return bool(self.ssh) or self.rest is not None


@dataclass(frozen=True)
class Testimony:
    """What the cluster says of itself.

    Attributes:
        members: The leader's list; None when nobody leads, or tells.
        silence: Why not, when time may help.
        refusal: Why not, when a person must act.
    """

    members: tuple[Member, ...] | None = None
    silence: str = ""
    refusal: str = ""


def signs_of_life(
    host: Host, ssh_port: int, rest_port: int, timeout_seconds: float = _PROBE_SECONDS
) -> Signs:
    """Look for signs of life of a machine, at both of its services at the same time."""
    probes: dict[str, Callable[[], Any]] = {
        "ssh": lambda: ssh_greeting(host.public_ip, ssh_port, timeout_seconds),
        "rest": lambda: rest_answer(host.public_ip, rest_port, timeout_seconds),
    }
    told = ask_in_parallel(probes, wait_seconds=timeout_seconds + _SLACK_SECONDS)
    ssh, rest = told.get("ssh"), told.get("rest")
    return Signs(ssh if isinstance(ssh, str) else "", rest if isinstance(rest, int) else None)


def ask_cluster(cluster: Membership) -> Testimony:
    """Ask the cluster for its members."""
    try:
        return Testimony(cluster.members())
    except TryAgainLater as error:
        return Testimony(silence=str(error))
    except ActionRequired as error:
        return Testimony(refusal=str(error))


def as_plain_data(signs: Signs, testimony: Testimony) -> dict[str, Any]:
    """Return what was seen, for the history."""
    return {
        "ssh": signs.ssh or "no answer",
        "rest": "no answer" if signs.rest is None else f"HTTP {signs.rest}",
        "members": None
        if testimony.members is None
        else {member.name: member.state for member in testimony.members},
    }
