"""Maintenance mode: the manager finishes what runs and then does nothing more."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Maintenance:
    """Whether it is on; `activating` until the running executions have ended."""

    status: str = "deactivated"
    requested_by: str | None = None
    requested_at: float | None = None
    activated_at: float | None = None

    def settle(self, running: bool, now: float, after_seconds: float) -> None:
        """Complete an activation when nothing runs any more."""
        if self.status != "activating" or running or self.requested_at is None:
            return
        if now - self.requested_at >= after_seconds:
            self.status, self.activated_at = "activated", now
