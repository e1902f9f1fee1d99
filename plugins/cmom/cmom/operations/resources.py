"""What the cluster holds: made true at the end of an installation, and by the workflows for resources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudify.manager import get_rest_client

from cmom import runtime
from cmom.errors import ActionRequired
from cmom.operations.connections import tier1_of
from cmom.operations.glue import change_properties, operation, runs_in_local_profile
from cmom.services.inputs import parse_resources
from cmom.services.relay import Relay
from cmom.services.resources.filler import ResourceFiller
from cmom.services.resources.report import Report
from cmom.services.validation.resources import KINDS

_GET_SECRET = "get_secret"  # noqa: S105 - the name of a function of the DSL


@operation
def fill(ctx: Any, **_: Any) -> None:
    """Make true what the inputs say that the cluster holds; it runs when all members have joined."""
    properties = ctx.source.node.properties
    _fill(ctx, ctx.target, {kind: properties.get(kind) for kind in KINDS})


@operation
def add_resources(ctx: Any, **inputs: Any) -> None:
    """Make true what the lists of a workflow say that the cluster holds."""
    _fill(ctx, ctx, {kind: inputs.get(kind) for kind in KINDS})


def _fill(ctx: Any, subject: Any, lists: Mapping[str, Any]) -> None:
    """Do it for the cluster whose node is `subject`, and leave the report in its runtime properties."""
    wanted = parse_resources(_with_tier2_secrets(ctx, lists))
    if not any(vars(wanted).values()):
        return
    relay = Relay(ctx.logger)
    with tier1_of(subject, relay) as tier1:
        report = ResourceFiller(tier1, relay).fill(wanted)
    change_properties(subject.instance, lambda properties: _store(properties, report))
    failure = report.failure()
    if failure is not None:
        raise failure
    ctx.logger.info("Resources: %s\n%s", report.summary(), report.table())


def _store(properties: runtime.Properties, report: Report) -> None:
    properties[runtime.RESOURCES] = report.as_plain_data()


def _with_tier2_secrets(ctx: Any, lists: Mapping[str, Any]) -> dict[str, Any]:
    """Put in the values of secrets that are given as ``{get_secret: NAME}`` of Tier 2.

    In a node's properties the manager does it; in a workflow's parameters nobody does. The local profile has
    no secrets: there what is given stays as it is, and is refused when it is checked.
    """
    found = dict(lists)
    secrets = found.get("secrets")
    if isinstance(secrets, list) and not runs_in_local_profile(ctx):
        found["secrets"] = [_with_value(entry) for entry in secrets]
    return found


def _with_value(entry: Any) -> Any:
    value = entry.get("string") if isinstance(entry, Mapping) else None
    if not (
        isinstance(value, Mapping) and list(value) == [_GET_SECRET] and isinstance(value[_GET_SECRET], str)
    ):
        return entry
    try:
        return {**entry, "string": get_rest_client().secrets.get(value[_GET_SECRET]).value}
    except Exception as error:
        raise ActionRequired(
            f"Secret {value[_GET_SECRET]!r} of Tier 2 cannot be read: {type(error).__name__}. "
            "It must be in the deployment's tenant, or global."
        ) from error
