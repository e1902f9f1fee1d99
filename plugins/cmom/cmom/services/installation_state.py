"""What the traces of an installation on a machine mean, and what to do next: no I/O, no clock."""

from __future__ import annotations

import enum
import hashlib
import json
from dataclasses import dataclass

import yaml

from cmom.errors import ActionRequired
from cmom.models import Secret
from cmom.services.units import UnitState


@dataclass(frozen=True)
class Note:
    """What is written on the machine about its installation.

    Attributes:
        fingerprint: Of the configuration that it was started with, see `config_fingerprint`.
        finished: Whether it is known to have ended well.
    """

    fingerprint: str
    finished: bool

    def text(self) -> str:
        """Return it as it is written."""
        return json.dumps({"config_sha256": self.fingerprint, "finished": self.finished}) + "\n"

    @classmethod
    def parse(cls, text: str, place: str) -> Note:
        """Read it.

        Raises:
            ActionRequired: It is not ours, or damaged.
        """
        try:
            data = json.loads(text)
            return cls(str(data["config_sha256"]), bool(data["finished"]))
        except (ValueError, TypeError, KeyError):
            raise ActionRequired(
                f"{place} cannot be understood. If the machine has no manager of ours, remove that file"
            ) from None


@dataclass(frozen=True)
class Evidence:
    """What a look at the machine gave.

    Attributes:
        unit: The installer's unit.
        note: What was noted; None when nothing was.
        complete: Whether a finished manager is there, by the installer's own marker.
    """

    unit: UnitState
    note: Note | None
    complete: bool


class Step(enum.Enum):
    """What to do next."""

    NOTHING = "it is installed with this configuration"
    ADOPT = "it ended well; note that"
    WATCH = "it is running"
    START = "start it, or start it again"
    FAIL = "it failed, and was started from here"
    REFUSE_FOREIGN = "there is a manager that is not ours"
    REFUSE_OTHER = "there is a manager of ours with another configuration"
    REFUSE_RUNNING = "another configuration is being installed"


def decide(evidence: Evidence, fingerprint: str, starts: int, most_starts: int) -> Step:
    """Tell what to do next.

    Args:
        evidence: What was found.
        fingerprint: Of the configuration that is wanted.
        starts: How often it was started by this caller already.
        most_starts: How often it may be.
    """
    unit, note = evidence.unit, evidence.note
    same = note is not None and note.fingerprint == fingerprint
    if unit.running:
        return Step.WATCH if same else Step.REFUSE_RUNNING
    if note is not None and note.finished:
        return Step.NOTHING if same else Step.REFUSE_OTHER
    if unit.succeeded or (unit.gone and evidence.complete):
        if note is None:
            return Step.REFUSE_FOREIGN
        return Step.ADOPT if same else Step.REFUSE_OTHER
    if unit.failed and starts > 0:
        # This caller saw it fail; an earlier caller's failure may have had a cause that is mended by now.
        return Step.FAIL
    return Step.START if starts < most_starts else Step.FAIL


def config_fingerprint(config: Secret) -> str:
    """Return what identifies a configuration, whatever the order of its keys and its layout.

    It is as secret as the configuration's weakest password, so it is kept where only root can read it.
    """
    content = yaml.safe_load(config.reveal())
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
