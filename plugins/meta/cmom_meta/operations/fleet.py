"""Asking all clusters how they are, and running workflows on them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import requests
from cloudify_rest_client.exceptions import CloudifyClientError

from cmom_meta import runtime
from cmom_meta.clients.tier2 import Tier2
from cmom_meta.errors import ActionRequired, TryAgainLater
from cmom_meta.models import Order
from cmom_meta.operations.glue import cancellation, change_properties, operation, tier2_of
from cmom_meta.runtime import Properties
from cmom_meta.services import membership
from cmom_meta.services.fleet import FleetStatus
from cmom_meta.services.runner import Limits, Runner
from cmom_meta.services.waves import FleetRun, Plan, Waves


@operation
def get_status(ctx: Any, max_parallel: int, deployment_timeout: float, timeout: float, **_: Any) -> None:
    """Ask all attached clusters how they are."""
    with tier2_of(ctx) as tier2:
        attached = _attached(ctx, tier2)
        limits = Limits(max_parallel, deployment_timeout, timeout)
        runner = Runner(tier2, limits, cancelled=cancellation(ctx))
        try:
            status = FleetStatus(tier2, runner, lambda found: _publish(ctx, runtime.STATUS, found)).collect(
                attached
            )
        finally:
            runner.close()
    summary = status["summary"]
    ctx.logger.info(
        "%s of %s clusters answered: %s. Without an answer: %s. %s need somebody.",
        summary["fresh"],
        summary["clusters"],
        _in_words(summary["conditions"]),
        _in_words(summary["no_answer"]),
        len(summary["need_somebody"]),
    )


@operation
def execute(
    ctx: Any,
    workflow_id: str,
    parameters: Mapping[str, Any],
    allow_custom_parameters: bool,
    deployment_ids: Sequence[str],
    wave_size: int,
    stop_after_failures: int,
    deployment_timeout: float,
    timeout: float,
    **_: Any,
) -> None:
    """Run a workflow on attached clusters, in waves.

    Raises:
        ActionRequired: It did not succeed on some of them; the output tells on which.
    """
    order = Order(workflow_id, dict(parameters or {}), allow_custom_parameters)
    with tier2_of(ctx) as tier2:
        _attached(ctx, tier2)
        chosen = membership.chosen(ctx.instance.runtime_properties, list(deployment_ids or ()))
        ends_at, cancelled = time.monotonic() + timeout, cancellation(ctx)

        def new_runner() -> Runner:
            limits = Limits(wave_size, deployment_timeout, max(0.0, ends_at - time.monotonic()))
            return Runner(tier2, limits, cancelled=cancelled)

        waves = Waves(
            tier2,
            new_runner,
            lambda run: _publish(ctx, runtime.FLEET_RUN, run.as_plain_data()),
            cancelled=cancelled,
        )
        run = waves.run(Plan(chosen, wave_size, stop_after_failures), order)
    ctx.logger.info("%s: %s.", workflow_id, _in_words(run.as_plain_data()["summary"]["outcomes"]))
    _raise_failures(run)


def _attached(ctx: Any, tier2: Tier2) -> dict[str, str]:
    """Return which deployments are attached, after a look at the labels."""
    rules = list(ctx.node.properties.get("label_selector") or ())
    labelled = [name for name in tier2.labelled(rules) if name != ctx.deployment.id] if rules else []

    def put_down(properties: Properties) -> dict[str, str]:
        membership.replace_labelled(properties, labelled)
        return runtime.attached(properties)

    return change_properties(ctx.instance, put_down)


def _publish(ctx: Any, key: str, content: Mapping[str, Any]) -> None:
    try:
        change_properties(ctx.instance, lambda properties: properties.update({key: content}))
    except (CloudifyClientError, requests.RequestException, TryAgainLater) as error:
        if content["summary"]["complete"]:
            raise
        # What is on its way is not given up because it could not be shown for a moment.
        ctx.logger.warning("The output %s could not be brought up to date: %s", key, type(error).__name__)


def _raise_failures(run: FleetRun) -> None:
    failures = run.failures
    if failures:
        lines = [f"  - {one.deployment_id}: {one.outcome.value}. {one.detail}".rstrip() for one in failures]
        raise ActionRequired(
            "\n".join(
                [
                    f"{run.order.workflow_id} did not succeed on {len(failures)} of {len(run.rows)} "
                    "deployments; the output fleet_run has a row for each:",
                    *lines,
                ]
            )
        )


def _in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in counts.items()) or "none"
