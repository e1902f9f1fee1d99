"""Snapshots of one Tier 1 manager: made, looked at, sent to it, restored. Both generations.

Downloading one is in `cmom.clients.snapshot_archive`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudify_rest_client.client import CloudifyClient

from cmom.clients.dialects import makes_environment_first
from cmom.clients.executions import Execution
from cmom.clients.resource_bodies import Progress, file_pieces, nothing_to_tell
from cmom.clients.tenant_api import TenantApi, is_missing, quoted
from cmom.errors import ActionRequired, ManagerRefused, UnexpectedAnswer

CREATE_WORKFLOW = "create_snapshot"
RESTORE_WORKFLOW = "restore_snapshot"
EXISTING_RUNNING_EXECUTION = "existing_running_execution_error"

CREATED, FAILED = "created", "failed"

# What `count_contents` counts.
CONTENTS = ("tenants", "plugins", "secrets", "blueprints", "deployments")

_UPLOAD_SECONDS = 12 * 3600.0
_ANSWER_SECONDS = 600.0
_BYTES = "application/octet-stream"
_KILL_SINCE = (4, 4)
# What an environment of a deployment may take to be made in a restore; the default of the CLI of 4.x.
_ENVIRONMENT_SECONDS = 300


@dataclass(frozen=True)
class Snapshot:
    """A snapshot on a manager.

    Attributes:
        status: ``creating``, ``created``, ``failed``; one that was sent to the manager is ``uploaded``.
        error: Why it failed.
    """

    id: str
    status: str
    error: str = ""


@dataclass(frozen=True)
class SnapshotOptions:
    """What goes into a snapshot.

    Attributes:
        include_metrics: Those of InfluxDB; generation 5 has none.
        include_credentials: The agents' private keys.
        include_logs: Of executions.
        include_events: Of executions.
    """

    include_metrics: bool = False
    include_credentials: bool = True
    include_logs: bool = True
    include_events: bool = True


@dataclass(frozen=True)
class RestoreOptions:
    """How a snapshot is restored.

    Attributes:
        deployment_environments: Make the environments of the deployments anew; generation 5 always does.
        force: Also onto a manager that is not empty.
        certificates: Bring back the certificates that are in the snapshot; the manager then reboots.
        reboot: Unless this is False.
    """

    deployment_environments: bool = True
    force: bool = False
    certificates: bool = False
    reboot: bool = True


class SnapshotApi(TenantApi):
    """The snapshots of one manager. All methods raise what `rest_errors` raises."""

    def create_snapshot(self, snapshot_id: str, options: SnapshotOptions) -> Execution:
        """Tell the manager to make a snapshot; returns before it is made.

        Returns:
            The execution that makes it.
        """
        doing = f"creating snapshot {snapshot_id}"
        if self.version.generation >= 5:
            answer = self.ask(
                "",
                lambda rest: rest.snapshots.create(
                    quoted(snapshot_id),
                    include_credentials=options.include_credentials,
                    include_logs=options.include_logs,
                    include_events=options.include_events,
                ),
                doing,
            )
            return self._execution(answer)
        # The client of 7.0 does not know of metrics any more.
        body = {
            "include_metrics": options.include_metrics,
            "include_credentials": options.include_credentials,
            "include_logs": options.include_logs,
            "include_events": options.include_events,
            "queue": False,
        }
        return self._execution(self._request("PUT", f"/snapshots/{quoted(snapshot_id)}", doing, body))

    def find_snapshot(self, snapshot_id: str) -> Snapshot | None:
        """Look at a snapshot; None when there is none of this name."""
        doing = f"looking at snapshot {snapshot_id}"
        try:
            answer = self.ask("", lambda rest: rest.snapshots.get(quoted(snapshot_id)), doing)
        except ManagerRefused as error:
            if is_missing(error):
                return None
            raise
        with self.reading(doing):
            return Snapshot(
                str(answer.get("id") or ""), str(answer.get("status") or ""), str(answer.get("error") or "")
            )

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Delete a snapshot."""
        self.ask(
            "",
            lambda rest: rest.snapshots.delete(quoted(snapshot_id)),
            f"deleting snapshot {snapshot_id}",
        )

    def upload_snapshot(
        self, snapshot_id: str, archive: Path, *, progress: Progress = nothing_to_tell
    ) -> None:
        """Send a snapshot to the manager, in chunks: without them it would hold all of it in its memory.

        Args:
            snapshot_id: What it is to be called there.
            archive: The file.
            progress: Is told how many more bytes have gone.

        Raises:
            ActionRequired: The file cannot be read.
            ManagerRefused: There is one of this name.
        """
        client = self.in_tenant("")
        doing = f"uploading snapshot {snapshot_id}"
        answer = self.pacer.run(
            lambda: client.request(
                "PUT",
                f"/snapshots/{quoted(snapshot_id)}/archive",
                doing,
                content=_readable_pieces(archive, progress),
                content_type=_BYTES,
                total_seconds=_UPLOAD_SECONDS,
                silence_seconds=_ANSWER_SECONDS,
            )
        )
        # One of this name is answered with 201, and with nothing in it.
        if not isinstance(answer, dict) or answer.get("id") != snapshot_id:
            raise ManagerRefused(
                f"Manager {self.address} has a snapshot {snapshot_id} already and took no notice of this "
                "one.",
                409,
                "conflict_error",
            )

    def restore_snapshot(self, snapshot_id: str, options: RestoreOptions) -> Execution:
        """Tell the manager to restore a snapshot; returns before that is done.

        Returns:
            The execution that does it.
        """
        body: dict[str, Any] = {
            "force": options.force,
            "restore_certificates": options.certificates,
            "no_reboot": not options.reboot,
            "ignore_plugin_failure": False,
        }
        if not makes_environment_first(self.version):
            always = self.version.generation >= 5
            body["recreate_deployments_envs"] = always or options.deployment_environments
            body["timeout"] = _ENVIRONMENT_SECONDS
        doing = f"restoring snapshot {snapshot_id}"
        return self._execution(
            self._request("POST", f"/snapshots/{quoted(snapshot_id)}/restore", doing, body)
        )

    def list_active_executions(self) -> tuple[Execution, ...]:
        """List what keeps a snapshot from being made or restored: all that runs, in every tenant."""
        active = ["pending", "started", "cancelling", "force_cancelling"]
        if self.version.numbers >= _KILL_SINCE:  # a manager that does not know a state fails with 500
            active.append("kill_cancelling")
        return self._list_executions("listing the executions that run", status=active)

    def list_snapshot_executions(
        self, workflow_id: str, snapshot_id: str | None = None
    ) -> tuple[Execution, ...]:
        """List the executions that have made or restored snapshots, or are about to.

        Args:
            workflow_id: `CREATE_WORKFLOW` or `RESTORE_WORKFLOW`.
            snapshot_id: Only those of this snapshot.
        """
        return self._list_executions(
            f"listing the executions of {workflow_id}", snapshot_id, workflow_id=workflow_id
        )

    def count_contents(self) -> dict[str, int]:
        """Count what the manager holds in all its tenants, by the names in `CONTENTS`."""
        return {kind: self._count(kind) for kind in CONTENTS}

    def _count(self, kind: str) -> int:
        field = {"tenants": "name", "secrets": "key"}.get(kind, "id")
        everywhere = {} if kind == "tenants" else {"_all_tenants": True}

        def first_page(rest: CloudifyClient) -> Any:
            included = field if kind == "secrets" else [field]
            return getattr(rest, kind).list(_include=included, _size=1, **everywhere)

        doing = f"counting the {kind}"
        page = self.ask("", first_page, doing)
        with self.reading(doing):
            return int(page.metadata.pagination.total)

    def _list_executions(
        self, doing: str, snapshot_id: str | None = None, **filters: Any
    ) -> tuple[Execution, ...]:
        items = self.pages(
            "",
            "executions",
            doing,
            ["id", "deployment_id", "workflow_id", "status", "error", "parameters"],
            include_system_workflows=True,
            _all_tenants=True,
            **filters,
        )
        with self.reading(doing):
            return tuple(
                self._execution(item)
                for item in items
                if snapshot_id is None or (item.get("parameters") or {}).get("snapshot_id") == snapshot_id
            )

    def _request(self, method: str, path: str, doing: str, body: Mapping[str, Any]) -> Any:
        client = self.in_tenant("")
        return self.pacer.run(lambda: client.request(method, path, doing, body=body))

    def _execution(self, item: Any) -> Execution:
        if not isinstance(item, Mapping) or not item.get("id"):
            raise UnexpectedAnswer(f"Manager {self.address} named no execution for what it was told to do.")
        return Execution(
            id=str(item["id"]),
            deployment_id=str(item.get("deployment_id") or ""),
            workflow_id=str(item.get("workflow_id") or ""),
            status=str(item.get("status") or ""),
            error=str(item.get("error") or ""),
        )


def _readable_pieces(archive: Path, progress: Progress) -> Iterator[bytes]:
    """Yield a file; that our own disk fails must not be taken for an error of the wire."""
    try:
        yield from file_pieces(archive, progress)
    except OSError as error:
        raise ActionRequired(f"{archive} cannot be read: {error.strerror}") from error
