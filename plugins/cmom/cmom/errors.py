"""The error tree.

Every failure the product can name is one of two kinds: a person must act (`ActionRequired`), or time may
help (`TryAgainLater`). The operations layer turns the first into Cloudify's ``NonRecoverableError`` and the
second into ``RecoverableError``; nothing below it needs to know those.

A message says what was being done, to which machine, what came back, and what to do next.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

DEFAULT_RETRY_AFTER_SECONDS = 15.0
# Whoever has more than these has one mistake many times over.
_MOST_FAULTS_SHOWN = 200


class CmomError(Exception):
    """Anything the product reports on purpose; its text is fit for an operator's eyes."""


class ActionRequired(CmomError):  # noqa: N818 - named for what the reader has to do
    """Repeating will not help: a person must change something first."""


class TryAgainLater(CmomError):  # noqa: N818
    """Time may help: no answer yet, a leader election, a cluster settling.

    Args:
        message: What was being done, where, and what came back.
        retry_after_seconds: How long to wait before the next try.
    """

    def __init__(self, message: str, retry_after_seconds: float = DEFAULT_RETRY_AFTER_SECONDS) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True)
class Fault:
    """One thing wrong with what the user gave.

    Attributes:
        place: Where, in the user's own words: ``plugins[1].yaml``.
        problem: What is wrong there, and what would be right.
    """

    place: str
    problem: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}"


class InvalidInputs(ActionRequired):
    """All faults found in the inputs, in one message, so that they are mended in one go."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        count = len(self.faults)
        head = "1 fault in the inputs" if count == 1 else f"{count} faults in the inputs"
        lines = [f"{head}:", *(f"  - {fault}" for fault in self.faults[:_MOST_FAULTS_SHOWN])]
        if count > _MOST_FAULTS_SHOWN:
            lines.append(f"  ... and {count - _MOST_FAULTS_SHOWN} more")
        super().__init__("\n".join(lines))


class DeadlinePassed(TryAgainLater):
    """A bounded wait ended before what it waited for came true."""


class MachineUnreachable(TryAgainLater):
    """No SSH connection to a machine could be made, or it broke."""


class AccessRefused(ActionRequired):
    """A machine or a manager answered and refused our key or password."""


class UnexpectedHostKey(ActionRequired):
    """A machine shows another SSH host key than the one recorded for it."""


class CommandFailed(ActionRequired):
    """A command on a machine ended with an exit code other than 0.

    Attributes:
        exit_code: As the shell reports it.
        output: The last lines of its output, secrets masked.
    """

    def __init__(self, message: str, exit_code: int, output: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.output = output


class ManagerUnreachable(TryAgainLater):
    """The REST service of a Tier 1 manager gave no answer (refused, timed out, cut, 5xx)."""


class ManagerBusy(ManagerUnreachable):
    """A manager answered that it has too much to do (503): later, and not somebody else instead.

    nginx in front of generation 5 says so to a client that asks more often than it may.
    """


class NotClusterMaster(TryAgainLater):
    """A replica of a generation 4 cluster was asked; the leader is elsewhere."""


class CameBack(TryAgainLater):
    """A member that was to be removed because it is dead works again; nothing of it was removed."""


class RemovedFromCluster(TryAgainLater):
    """A member that was removed from its generation 4 cluster was asked."""


class ManagerRefused(ActionRequired):
    """A Tier 1 manager answered with an error that repeating will not change.

    Attributes:
        status_code: The HTTP status.
        error_code: The manager's own word, such as ``conflict_error``; empty when it gave none.
    """

    def __init__(self, message: str, status_code: int, error_code: str = "") -> None:
        super().__init__(message)
        self.status_code = status_code
        self.error_code = error_code


class UnexpectedAnswer(ManagerUnreachable):
    """Something answered at a manager's address, but not as its REST service does (broken or odd JSON).

    It counts as no answer: typically a service in the middle of its start, or an answer that was cut.
    """


class NoRoute(ManagerUnreachable):
    """Our own machine has no network route to a manager: this says nothing about the manager."""


class UntrustedCertificate(ActionRequired):
    """A manager's certificate does not verify: signed by another CA, expired, or for another address."""
