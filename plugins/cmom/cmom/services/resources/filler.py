"""Fills a cluster with what it should hold: kind after kind, and within a kind side by side."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from cmom.errors import (
    AccessRefused,
    CmomError,
    DeadlinePassed,
    ManagerRefused,
    ManagerUnreachable,
    TryAgainLater,
    UntrustedCertificate,
)
from cmom.services.relay import Relay
from cmom.services.resources.blueprints import BlueprintMaker
from cmom.services.resources.deployments import DeploymentMaker
from cmom.services.resources.facts import Facts
from cmom.services.resources.making import Made, NotAsWanted
from cmom.services.resources.plugins import PluginMaker
from cmom.services.resources.report import Outcome, Report, Row, short
from cmom.services.resources.secrets import ensure_secret
from cmom.services.resources.sources import Sources
from cmom.services.resources.tenants import ensure_tenant
from cmom.services.tier1 import Tier1
from cmom.services.waiting import Clock, SystemClock
from cmom.services.wanted import Resources

DEFAULT_WORKERS = 8

# After one of these, asking for the next entry would only cost more time, or lock the account.
_HOPELESS = (ManagerUnreachable, DeadlinePassed, AccessRefused, UntrustedCertificate)


@dataclass(frozen=True)
class _Task:
    """One entry, and how it is made true.

    Attributes:
        needs: What must not have failed: kind, tenant, name.
    """

    kind: str
    name: str
    tenant: str
    ensure: Callable[[], Made]
    needs: tuple[tuple[str, str, str], ...] = ()


class ResourceFiller:
    """Makes true what a cluster should hold.

    Args:
        tier1: The cluster.
        relay: The logger; the cluster's own connection should log to it, too.
        clock: For tests.
        workers: How many entries at the same time.
    """

    def __init__(
        self, tier1: Tier1, relay: Relay, *, clock: Clock | None = None, workers: int = DEFAULT_WORKERS
    ) -> None:
        self._tier1 = tier1
        self._relay = relay
        self._clock = clock or SystemClock()
        self._workers = workers
        self._rows: dict[tuple[str, str, str], Row] = {}
        self._tenants: set[str] = set()
        self._lost: CmomError | None = None

    def fill(self, wanted: Resources) -> Report:
        """Make it true; what is so already is left as it is.

        Returns:
            What happened to each entry; nothing is raised for those that failed.

        Raises:
            CmomError: The cluster does not let us in, or did not answer at all; nothing was done.
        """
        facts = Facts(self._tier1, self._clock)
        rows: list[Row] = []
        # Alone and first: eight wrong passwords at a time would lock the account.
        self._tenants = set(facts.tenants())
        with Sources(self._relay.info, self._clock) as sources:
            for tasks in self._phases(wanted, facts, sources):
                rows += self._run(tasks)
        return Report(tuple(rows))

    def _phases(self, wanted: Resources, facts: Facts, sources: Sources) -> Iterator[list[_Task]]:
        """Yield the entries kind by kind: what needs another comes after it."""
        tier1, say, clock = self._tier1, self._relay.info, self._clock
        plugins = PluginMaker(tier1, facts, sources, say, clock)
        blueprints = BlueprintMaker(tier1, facts, sources, say, clock)
        deployments = DeploymentMaker(tier1, facts, clock)
        yield [
            _Task("tenant", name, "", partial(ensure_tenant, tier1, facts, name)) for name in wanted.tenants
        ]
        yield [
            _Task("secret", entry.key, entry.tenant, partial(ensure_secret, tier1, facts, entry))
            for entry in wanted.secrets
        ]
        yield [
            _Task("plugin", sources.name(entry.wagon), entry.tenant, partial(plugins.ensure_plugin, entry))
            for entry in wanted.plugins
        ]
        yield [
            _Task("blueprint", entry.id, entry.tenant, partial(blueprints.ensure_blueprint, entry))
            for entry in wanted.blueprints
        ]
        yield [
            _Task(
                "deployment",
                entry.id,
                entry.tenant,
                partial(deployments.ensure_deployment, entry),
                needs=(("blueprint", entry.tenant, entry.blueprint_id),),
            )
            for entry in wanted.deployments
        ]

    def _run(self, tasks: Sequence[_Task]) -> list[Row]:
        rows: dict[int, Row] = {}
        for number, row in self._relay.run(
            [partial(self._attempt, task) for task in tasks], workers=self._workers
        ):
            rows[number] = row
            self._rows[row.kind, row.tenant, row.name] = row
            if row.kind == "tenant" and row.outcome.good:
                self._tenants.add(row.name)
            self._tell(row, len(rows), len(tasks))
        return [rows[number] for number in sorted(rows)]

    def _tell(self, row: Row, count: int, total: int) -> None:
        level = logging.INFO if row.outcome.good else logging.WARNING
        where = f" in tenant {row.tenant}" if row.tenant else ""
        why = f": {row.reason}" if row.reason else ""
        self._relay.log(
            level, "%s %s%s: %s%s (%d of %d)", row.kind, row.name, where, row.outcome.value, why, count, total
        )

    def _attempt(self, task: _Task) -> Row:
        began = self._clock.monotonic()
        outcome, reason, time_may_help = self._outcome(task)
        seconds = self._clock.monotonic() - began
        return Row(task.kind, task.name, task.tenant, outcome, short(reason), seconds, time_may_help)

    def _outcome(self, task: _Task) -> tuple[Outcome, str, bool]:
        blocked = self._blocked(task)
        if blocked is not None:
            return Outcome.SKIPPED, blocked, False
        if task.tenant and task.tenant not in self._tenants:
            return Outcome.REFUSED, f"there is no tenant {task.tenant}; name it in `tenants`", False
        if self._lost is not None:
            return Outcome.SKIPPED, "the cluster did not answer before", isinstance(self._lost, TryAgainLater)
        try:
            made = task.ensure()
        except (ManagerRefused, NotAsWanted) as error:
            return Outcome.REFUSED, str(error), False
        except CmomError as error:
            if isinstance(error, _HOPELESS):
                self._lost = error
            return Outcome.FAILED, str(error), isinstance(error, TryAgainLater)
        except OSError as error:
            return Outcome.FAILED, f"{error.filename or 'a file'}: {error.strerror}", False
        except Exception as error:
            # A mistake of ours must not cost the other entries. Its text may hold anything, so the log gets
            # the place only.
            place = "".join(traceback.format_tb(error.__traceback__))
            self._relay.error("%s %s: unexpected %s\n%s", task.kind, task.name, type(error).__name__, place)
            return Outcome.FAILED, f"unexpected {type(error).__name__}; see the log", False
        return made.outcome, made.remark, False

    def _blocked(self, task: _Task) -> str | None:
        """Say what keeps an entry from being tried: something it needs is not there, by this very run."""
        tenant = ("tenant", "", task.tenant)
        for kind, where, name in (tenant, *task.needs):
            row = self._rows.get((kind, where, name))
            if row is not None and not row.outcome.good:
                return f"{kind} {name} {row.outcome.value}"
        return None
