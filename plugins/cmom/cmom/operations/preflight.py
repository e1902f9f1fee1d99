"""The preflight node: everything the user gave is checked before any machine is touched."""

from __future__ import annotations

from typing import Any

from cmom import runtime
from cmom.operations.glue import change_properties, operation
from cmom.services import preflight
from cmom.services.inputs import parse_install_inputs
from cmom.services.machine_check import check_machines


@operation
def create(ctx: Any, **_: Any) -> None:
    """Check all inputs, then the machines; remember which CA and version this deployment is made with."""
    earlier = ctx.instance.runtime_properties.get(runtime.CA_FINGERPRINT)
    properties = ctx.node.properties
    unused = {"hosts", "resource_pool"} - {properties["entries_from"]}
    given = {name: value for name, value in properties["inputs"].items() if name not in unused}
    report = preflight.check(given, earlier_ca_fingerprint=earlier)
    for warning in report.warnings:
        ctx.logger.warning("%s", warning)

    def remember(properties: runtime.Properties) -> None:
        properties[runtime.CA_FINGERPRINT] = report.ca_fingerprint
        properties[runtime.MANAGER_VERSION] = str(report.version)
        properties[runtime.GENERATION] = report.generation

    change_properties(ctx.instance, remember)
    inputs = parse_install_inputs(given)
    # Spares are looked at when they are needed.
    hosts = inputs.hosts[: inputs.num_of_instances]
    if hosts:
        check_machines(hosts, inputs.ssh, report.package, ctx.logger)
    ctx.logger.info(
        "The inputs are in order; Cloudify Manager %s (generation %d) will be installed.",
        report.version,
        report.generation,
    )


@operation
def delete(ctx: Any, **_: Any) -> None:
    """Forget what was remembered: the next installation may come with another CA."""
    change_properties(ctx.instance, lambda properties: properties.clear())
