"""Deployments: created once; one that is there is compared, since creating cannot change it."""

from __future__ import annotations

from cmom.clients.dialects import makes_environment_first
from cmom.clients.executions import ENVIRONMENT_WORKFLOW, Execution
from cmom.clients.resources import HeldDeployment
from cmom.errors import DeadlinePassed, TryAgainLater
from cmom.services.resources.facts import Facts
from cmom.services.resources.making import CREATED, Made, NotAsWanted, compare_visibility, create
from cmom.services.tier1 import Tier1
from cmom.services.waiting import Clock, wait_for
from cmom.services.wanted import DeploymentEntry

_ENVIRONMENT_SECONDS = 900.0
_POLL_SECONDS = 1.0
_COMPLETED = "terminated"


class DeploymentMaker:
    """Creates deployments that are not there.

    Args:
        tier1: The cluster.
        facts: What it holds.
        clock: For waiting.
    """

    def __init__(self, tier1: Tier1, facts: Facts, clock: Clock) -> None:
        self._tier1 = tier1
        self._facts = facts
        self._clock = clock

    def ensure_deployment(self, entry: DeploymentEntry) -> Made:
        """Make sure that a deployment of the right blueprint is there, ready for workflows.

        Raises:
            NotAsWanted: One of this id is there, of another blueprint or with other inputs; or its
                environment cannot be created.
            ManagerRefused: No such blueprint, inputs that are missing or unknown, and so on.
            TryAgainLater: The environment was not ready in time.
            CmomError: See `Tier1.call`.
        """
        held = self._facts.deployments(entry.tenant).get(entry.id)
        if held is None:
            made = create(
                self._tier1,
                lambda api: api.create_deployment(
                    entry.tenant, entry.id, entry.blueprint_id, entry.inputs, entry.visibility
                ),
                f"creating deployment {entry.id}",
            )
            self._wait_for_environment(entry)
            if made:
                return CREATED
            held = self._find(entry)
        else:
            self._wait_for_environment(entry)
        self._compare(entry, held)
        return compare_visibility(self._tier1, "deployments", entry.tenant, held, entry.visibility)

    def _find(self, entry: DeploymentEntry) -> HeldDeployment:
        listed = self._tier1.call(
            lambda api: api.list_deployments(entry.tenant), f"looking at deployment {entry.id}"
        )
        if entry.id not in listed:
            raise NotAsWanted(
                "The manager says that it is there, but does not list it: it may be another user's own."
            )
        return listed[entry.id]

    def _compare(self, entry: DeploymentEntry, held: HeldDeployment) -> None:
        if held.blueprint_id != entry.blueprint_id:
            raise NotAsWanted(
                f"One of this id is there, of blueprint {held.blueprint_id}, not {entry.blueprint_id}. "
                "Delete it on the cluster, or choose another deployment_id."
            )
        if not entry.inputs:
            return
        inputs = self._tier1.call(
            lambda api: api.get_deployment_inputs(entry.tenant, entry.id),
            f"looking at deployment {entry.id}",
        )
        other = sorted(name for name, value in entry.inputs.items() if inputs.get(name) != value)
        if other:
            raise NotAsWanted(
                f"One of this id is there with other inputs ({', '.join(other)}); creating cannot change "
                "them. Update the deployment on the cluster, or choose another deployment_id."
            )

    def _wait_for_environment(self, entry: DeploymentEntry) -> None:
        """Until 6.0 a manager answers before the deployment's environment is there; from then on after it."""
        if makes_environment_first(self._tier1.version):
            return

        def look() -> Execution | bool | None:
            found = self._tier1.call(
                lambda api: api.list_executions(entry.tenant, entry.id, ENVIRONMENT_WORKFLOW, system=True),
                f"looking at the environment of deployment {entry.id}",
            )
            if not found:
                return True  # made so long ago that the execution was cleaned up
            return next((execution for execution in found if execution.ended), None)

        try:
            ended = wait_for(
                look,
                f"the environment of deployment {entry.id}",
                wait_seconds=_ENVIRONMENT_SECONDS,
                interval_seconds=_POLL_SECONDS,
                clock=self._clock,
            )
        except DeadlinePassed as error:
            raise TryAgainLater(str(error)) from error
        if isinstance(ended, Execution) and ended.status != _COMPLETED:
            raise NotAsWanted(
                f"Its environment could not be created ({ended.status}): {ended.error or 'no reason given'} "
                "Delete it on the cluster, mend the cause, and run this again."
            )
