"""The workflow that heals one member, and those that hold heals up and let them go on.

The workflow itself knows the way, and nothing else: what was done last stands in the journal on the cluster's
node instance, so one that was killed anywhere is simply started again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cloudify.decorators import workflow
from cloudify.exceptions import NonRecoverableError
from cloudify.plugins import lifecycle
from cloudify.workflows import api
from cloudify.workflows.tasks_graph import TaskDependencyGraph

from cmom.errors import ActionRequired
from cmom.services import activity
from cmom.services.healing.plan import HealStep, Phase, Renewal, Step, next_step
from cmom.services.healing.record import Journal, journal_of
from cmom.workflows.graphs import run_on_clusters
from cmom.workflows.machines import HealTarget, find_target

_INTERFACE = "cmom.interfaces.healing"
_DELETE = "cloudify.interfaces.lifecycle.delete"


@workflow(resumable=True)  # type: ignore[untyped-decorator]
def heal_tier1_manager(ctx: Any, node_instance_id: str, diagnose_value: str = "", **_: Any) -> None:
    """Replace a member that is out of reach: it leaves the cluster, is made anew, and joins again."""
    try:
        target = find_target(ctx, node_instance_id)
    except ActionRequired as error:
        raise NonRecoverableError(str(error)) from error
    with _one_at_a_time(ctx) as other_heal:
        _Heal(ctx, target, diagnose_value).run(other_heal)


@workflow(resumable=True)  # type: ignore[untyped-decorator]
def pause_healing(ctx: Any, duration_seconds: int, reason: str = "", **_: Any) -> None:
    """Hold all heals of this deployment for some time."""
    run_on_clusters(ctx, f"{_INTERFACE}.pause", {"duration_seconds": duration_seconds, "reason": reason})


@workflow(resumable=True)  # type: ignore[untyped-decorator]
def resume_healing(ctx: Any, **_: Any) -> None:
    """Let this deployment be healed again."""
    run_on_clusters(ctx, f"{_INTERFACE}.resume")


@contextmanager
def _one_at_a_time(ctx: Any) -> Iterator[str]:
    """In the local profile: hold the lock of heals. Yields which other heal holds it; empty for none."""
    if not ctx.local:
        yield ""
        return
    folder = Path(ctx.internal.handler.storage.get_workdir())
    activity.release(folder)
    try:
        lock = activity.healing(folder)
        lock.__enter__()
    except activity.AnotherHeal as error:
        yield str(error).rstrip(".")
        return
    try:
        yield ""
    finally:
        lock.__exit__(None, None, None)


class _Graph(TaskDependencyGraph):  # type: ignore[misc]
    """A graph that remembers why it failed; what the engine makes of it lacks that in the local profile."""

    reason = ""

    def _task_error(self, result: Any, task: Any) -> Any:
        error = getattr(task.async_result, "result", None)
        if isinstance(error, Exception) and str(error):
            self.reason = f"{task.name}: {error}"
        return super()._task_error(result, task)


class _Heal:
    """One run of the heal of one member."""

    def __init__(self, ctx: Any, target: HealTarget, diagnosis: str) -> None:
        self._ctx = ctx
        self._target = target
        self._diagnosis = diagnosis
        ctx.graph_mode()
        self._graph_of_now = self._graph()

    def run(self, other_heal: str) -> None:
        """Decide, then do one step after the other."""
        self._find(other_heal)
        try:
            while self._step():
                pass
        except (api.ExecutionCancelled, KeyboardInterrupt):
            raise  # as if it was killed: the next one goes on
        except Exception as error:
            self._on_cluster("fail", error=self._graph_of_now.reason or _in_short(error))
            raise

    def _find(self, other_heal: str = "") -> None:
        self._on_cluster(
            "find",
            diagnose_value=self._diagnosis,
            renewal=self._target.renewal.value,
            can_reboot=self._target.server is not None,
            other_heal=other_heal,
        )

    def _step(self) -> bool:
        """Do what comes next; tell whether there is more to do."""
        journal = self._journal()
        gentle = [step for step in journal.steps if step not in (*journal.tried, HealStep.REBUILD.value)]
        if journal.phase is Phase.FOUND and gentle:
            self._try_gently(HealStep(gentle[0]))
            return True
        if journal.phase is Phase.FOUND and HealStep.REBUILD.value not in journal.steps:
            raise NonRecoverableError(
                f"{journal.name} did not come back after {', '.join(journal.tried)}, and is not rebuilt: it "
                "answers, or heal_steps does not name rebuild."
            )
        if journal.phase is Phase.FOUND and journal.tried:
            self._find()  # that took its time: look again before anything is destroyed
        step = next_step(journal.phase)
        doing: dict[Step, Callable[[], None]] = {
            Step.REMOVE: lambda: self._on_cluster("remove"),
            Step.BACK_UP: lambda: self._on_cluster("backup"),
            Step.UNINSTALL: self._uninstall,
            Step.REINSTALL: lambda: self._reinstall(journal),
            Step.REJOIN: lambda: self._on_cluster("rejoin"),
            Step.FINISH: lambda: self._on_cluster("finish"),
        }
        doing[step]()
        return step is not Step.FINISH

    def _try_gently(self, step: HealStep) -> None:
        if step is HealStep.RESTART_SERVICES:
            self._on_manager("restart")
        elif step is HealStep.REBOOT:
            server = self._target.server
            if server is not None:
                self._run(server.execute_operation(f"{_INTERFACE}.reboot"))
            else:
                self._on_manager("reboot")
        self._on_cluster("settle", step=step.value)

    def _uninstall(self) -> None:
        """Undo the member's machine and what is on it. That much of it fails is to be expected."""
        lifecycle.uninstall_node_instances(
            graph=self._graph(),
            node_instances=set(self._target.machine),
            ignore_failure=True,
            related_nodes=set(),
            name_prefix="heal-",
        )
        self._refresh()
        if self._target.server is not None:
            # Its failure is not to be ignored: a server that is still there would be taken for the new one.
            self._run(self._target.server.execute_operation(_DELETE))
        self._note(phase=Phase.UNINSTALLED.value)

    def _reinstall(self, journal: Journal) -> None:
        if not journal.machine_ip:
            self._renew(journal)
        self._refresh()
        lifecycle.install_node_instances(
            graph=self._graph(),
            node_instances=set(self._target.machine),
            related_nodes=set(),
            name_prefix="heal-",
        )
        self._note(phase=Phase.REINSTALLED.value)

    def _renew(self, journal: Journal) -> None:
        """Have a machine to install on, where it is not made by the installation."""
        target = self._target
        if target.renewal is Renewal.CLOUD:
            self._note(machine="made anew")
            return
        dead = _as_plain_data(journal.host)
        if target.renewal is Renewal.REBUILD_COMMAND and not journal.spare_ip:
            self._on_manager(
                "rebuild",
                host=dead,
                rebuild_command=target.rebuild_command,
                rebuild_timeout_seconds=target.rebuild_timeout_seconds,
            )
            self._note(machine="brought back by rebuild_command", machine_ip=journal.ip)
            return
        assert target.pool is not None
        self._run(
            target.pool.execute_source_operation(
                f"{_INTERFACE}.replace", kwargs={"dead": dead, "ssh_port": target.ssh_port}
            )
        )
        self._refresh()
        spare = self._target.held_host()
        if journal.spare_ip == spare.ip or spare.ip in self._target.retired:
            # An earlier try has failed on it, or it was a member that died.
            self._on_manager("clear", host=_as_plain_data(spare))
        self._note(
            machine=f"{spare.public_ip}, a spare, instead of {journal.public_ip}",
            machine_ip=spare.ip,
            spare_ip=spare.ip,
        )

    def _journal(self) -> Journal:
        self._refresh()
        found = journal_of(self._target.cluster.runtime_properties, self._target.manager.id)
        if found is None:
            raise NonRecoverableError(f"The journal of the heal of {self._target.manager.id} is gone.")
        return found

    def _refresh(self) -> None:
        self._ctx.refresh_node_instances()
        self._target = find_target(self._ctx, self._target.manager.id)

    def _note(self, **changes: Any) -> None:
        self._on_cluster("note", changes=changes)

    def _on_cluster(self, operation: str, **inputs: Any) -> None:
        kwargs = {"node_instance_id": self._target.manager.id, **inputs}
        self._run(self._target.cluster.execute_operation(f"{_INTERFACE}.{operation}", kwargs=kwargs))

    def _on_manager(self, operation: str, **inputs: Any) -> None:
        self._run(self._target.manager.execute_operation(f"{_INTERFACE}.{operation}", kwargs=inputs))

    def _run(self, task: Any) -> None:
        graph = self._graph()
        graph.add_task(task)
        graph.execute()

    def _graph(self) -> _Graph:
        """Make an empty graph: what is left of one that failed is in nobody's way."""
        configuration = self._ctx.internal.get_subgraph_task_configuration()
        self._graph_of_now = _Graph(self._ctx, default_subgraph_task_config=configuration)
        return self._graph_of_now


def _as_plain_data(host: Any) -> Mapping[str, str]:
    return {"ip": host.ip, "public_ip": host.public_ip, "hostname": host.hostname}


def _in_short(error: Exception) -> str:
    """Return what failed, without the traceback that the engine puts below it."""
    return str(error).partition("\nTraceback")[0].strip()
