"""How long things take in a lab, and how its machines look."""

from __future__ import annotations

from dataclasses import dataclass

from lab.manager.host import Settings


@dataclass(frozen=True)
class LabSettings(Settings):
    """Durations of what a real machine takes its time for, beside those of its manager.

    All are in the lab's clock, and zero unless set.

    Attributes:
        boot_seconds: from power on until SSH answers.
        service_start_seconds: from then until the manager's REST answers again.
    """

    boot_seconds: float = 0.0
    service_start_seconds: float = 0.0

    @classmethod
    def instant(cls) -> LabSettings:
        """Nothing takes any time: for unit tests."""
        return cls()

    @classmethod
    def demo(cls) -> LabSettings:
        """Short enough to watch, long enough to see something: what `lab up` starts with."""
        return cls(
            boot_seconds=1.0,
            install_seconds=4.0,
            remove_seconds=1.0,
            service_start_seconds=1.0,
            initialise_seconds=2.0,
            join_seconds=2.0,
            replicate_seconds=1.0,
            election_seconds=3.0,
            offline_seconds=2.0,
            removed_replica_seconds=2.0,
            plugin_install_seconds=1.0,
            environment_pending_seconds=0.3,
            environment_seconds=0.7,
            execution_pending_seconds=0.3,
            execution_seconds=1.0,
            cancel_seconds=0.5,
            snapshot_seconds=2.0,
            restore_seconds=2.0,
            maintenance_seconds=1.0,
            service_install_seconds=2.0,
            database_form_seconds=1.0,
            database_failover_seconds=3.0,
            database_wait_seconds=10.0,
            broker_linger_seconds=2.0,
            status_settle_seconds=2.0,
            status_lag_seconds=1.0,
        )
