"""What is asked for: a backup, or a restore, in the words that users know from ``cfy snapshots``."""

from __future__ import annotations

from dataclasses import dataclass

from cmom.clients.snapshots import RestoreOptions, SnapshotOptions

INCLUDE_METRICS = "--include-metrics"
EXCLUDE_CREDENTIALS = "--exclude-credentials"
EXCLUDE_LOGS = "--exclude-logs"
EXCLUDE_EVENTS = "--exclude-events"
BACKUP_WORDS = (INCLUDE_METRICS, EXCLUDE_CREDENTIALS, EXCLUDE_LOGS, EXCLUDE_EVENTS)

WITHOUT_DEPLOYMENT_ENVS = "--without-deployment-envs"
FORCE = "--force"
RESTORE_CERTIFICATES = "--restore-certificates"
NO_REBOOT = "--no-reboot"
RESTORE_WORDS = (WITHOUT_DEPLOYMENT_ENVS, FORCE, RESTORE_CERTIFICATES, NO_REBOOT)

# What generation 4 had, and nobody has any more.
_MEANINGLESS = {
    INCLUDE_METRICS: "its managers keep no metrics of their own",
    WITHOUT_DEPLOYMENT_ENVS: "its managers make the environments of deployments when they are needed",
}


@dataclass(frozen=True)
class BackupRequest:
    """A backup that is to be taken.

    Attributes:
        snapshot_id: What it is to be called; None for the time.
        parameters: Of `BACKUP_WORDS`.
    """

    snapshot_id: str | None = None
    parameters: tuple[str, ...] = ()

    @property
    def options(self) -> SnapshotOptions:
        """What goes into it."""
        return SnapshotOptions(
            include_metrics=INCLUDE_METRICS in self.parameters,
            include_credentials=EXCLUDE_CREDENTIALS not in self.parameters,
            include_logs=EXCLUDE_LOGS not in self.parameters,
            include_events=EXCLUDE_EVENTS not in self.parameters,
        )


@dataclass(frozen=True)
class RestoreRequest:
    """A restore that is to be part of an installation. Exactly one of three says from where.

    Attributes:
        snapshot_path: A file on Tier 2.
        old_deployment_id: Of the cluster whose snapshot it is, on Tier 2.
        snapshot_id: Of that deployment's snapshots; None to take a new one of its cluster first.
        parameters: Of `RESTORE_WORDS`.
        transfer_agents: Whether the agents are moved to the new cluster afterwards.
    """

    snapshot_path: str | None = None
    old_deployment_id: str | None = None
    snapshot_id: str | None = None
    parameters: tuple[str, ...] = ()
    transfer_agents: bool = True

    @property
    def takes_backup(self) -> bool:
        """Whether a snapshot is taken of the old cluster first."""
        return self.snapshot_path is None and self.snapshot_id is None

    @property
    def options(self) -> RestoreOptions:
        """How it is restored."""
        return RestoreOptions(
            deployment_environments=WITHOUT_DEPLOYMENT_ENVS not in self.parameters,
            force=FORCE in self.parameters,
            certificates=RESTORE_CERTIFICATES in self.parameters,
            reboot=NO_REBOOT not in self.parameters,
        )


def meaningless(parameters: tuple[str, ...], generation: int) -> tuple[str, ...]:
    """Return what is to be said of words that a generation of managers does nothing with."""
    if generation < 5:
        return ()
    return tuple(
        f"{word} means nothing to generation {generation}: {_MEANINGLESS[word]}. It is ignored."
        for word in parameters
        if word in _MEANINGLESS
    )
