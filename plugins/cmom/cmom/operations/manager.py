"""One Tier 1 manager on its machine: installed, configured, finished, and removed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from typing import Any

from cmom import runtime
from cmom.clients import rpm
from cmom.errors import ActionRequired, TryAgainLater
from cmom.models import Host, Package, Version
from cmom.operations.connections import WHOLE_UNINSTALL
from cmom.operations.glue import change_properties, operation
from cmom.operations.sites import installer_on, site_on
from cmom.runtime import ManagerRecord
from cmom.services.finishing import finish
from cmom.services.generations import Site, generation_of
from cmom.services.healing import HEAL_WORKFLOW

INSTALLED_ON = "cloudify.relationships.cmom.installed_on"

_RPM_TIMEOUT_SECONDS = 60.0


@operation
def create(ctx: Any, **_: Any) -> None:
    """Reach the machine, record its host key, and bring and install the RPM."""
    package = _package(ctx)
    host = _machine_of(ctx)
    version = str(package.version)

    def remember(properties: runtime.Properties) -> None:
        runtime.store_host(properties, host)
        properties[runtime.MANAGER_VERSION] = version

    change_properties(ctx.instance, remember)
    with _site(ctx) as site:
        site.installer.prepare(site.inputs.install_rpm_path, package)


@operation
def configure(ctx: Any, **_: Any) -> None:
    """Issue certificates, and install what the manager can be given before there is a cluster."""
    with _site(ctx) as site:
        generation_of(site.version).install(site)


@operation
def start(ctx: Any, **_: Any) -> None:
    """Wait for the REST service, then copy files and run scripts; or leave both to the cluster."""
    version = Version.parse(ctx.instance.runtime_properties[runtime.MANAGER_VERSION])
    if not generation_of(version).serves_when_installed(ctx.node.properties):
        return
    with _site(ctx) as site:
        outcomes = finish(site)

    def remember(stored: runtime.Properties) -> None:
        stored[runtime.SCRIPTS] = [asdict(outcome) for outcome in outcomes]

    change_properties(ctx.instance, remember)


@operation
def stop(ctx: Any, **_: Any) -> None:
    """Let go of a manager only when it has left its cluster.

    The engine goes on to delete a machine also when the operation failed that should have taken its manager
    out of the cluster. Here it stops, and nothing is lost.

    Raises:
        ActionRequired: The manager was asked to leave, and is a member still.
    """
    reason = ctx.instance.runtime_properties.get(runtime.LEAVING)
    if reason and ctx.workflow_id not in (WHOLE_UNINSTALL, HEAL_WORKFLOW):
        raise ActionRequired(
            f"{ctx.instance.id} is a member of its cluster still, so its machine stays as it is: {reason}"
        )


@operation
def delete(ctx: Any, **_: Any) -> None:
    """Remove the manager from its machine, where the machine stays; then forget it.

    It takes no more than SSH: the RPM or the CA may be gone from Tier 2 by then. In a heal the machine is
    dead, and what is on it is dealt with when it has been brought back.
    """
    record = ManagerRecord.load(ctx.instance.runtime_properties)
    healed = ctx.workflow_id == HEAL_WORKFLOW
    if record is not None and not healed and ctx.node.properties["remove_software"]:
        version = Version.parse(record.manager_version)
        recorder = _recorder(ctx)
        with installer_on(ctx.node.properties, record, ctx.logger, on_host_key=recorder) as installer:
            generation_of(version).uninstall(installer)
    change_properties(ctx.instance, lambda properties: properties.clear())


def _machine_of(ctx: Any) -> Host:
    """Read the machine's addresses and name from the node that the manager is installed on.

    Not with get_attribute: in the local profile that reads the files of all instances of the node, one of
    which another thread may just be writing.
    """
    for relationship in ctx.instance.relationships:
        if INSTALLED_ON in relationship.type_hierarchy:
            host = runtime.load_host(relationship.target.instance.runtime_properties)
            if host is None:
                raise ActionRequired(
                    f"{relationship.target.instance.id}, the machine of {ctx.instance.id}, has no address: "
                    "the node template `host` must have the attributes ip, public_ip and hostname."
                )
            return replace(host, hostname=host.hostname or host.ip)
    raise ActionRequired(f"{ctx.instance.id} has no relationship {INSTALLED_ON} to a machine.")


@contextmanager
def _site(ctx: Any) -> Iterator[Site]:
    """Connect to the machine."""
    record = ManagerRecord.load(ctx.instance.runtime_properties)
    if record is None:
        raise AssertionError("create comes before every other operation and stores the machine's address")
    deployment_id, recorder = str(ctx.deployment.id), _recorder(ctx)
    opening = site_on(ctx.node.properties, record, ctx.logger, deployment_id, on_host_key=recorder)
    with ExitStack() as stack:
        try:
            site = stack.enter_context(opening)
        except TryAgainLater as error:
            if ctx.workflow_id == HEAL_WORKFLOW and record.ssh_host_key:
                # The next heal looks whether it is dead, and begins with it anew.
                raise ActionRequired(f"It was logged in to in this heal, and is lost. {error}") from error
            raise
        yield site


def _recorder(ctx: Any) -> Callable[[str], None]:
    return lambda host_key: _remember_host_key(ctx, host_key)


def _remember_host_key(ctx: Any, host_key: str) -> None:
    """Store the machine's host key the first time it is seen, before anything is done on the machine."""
    if ctx.instance.runtime_properties.get(runtime.SSH_HOST_KEY):
        return

    def remember(properties: runtime.Properties) -> None:
        properties[runtime.SSH_HOST_KEY] = host_key

    change_properties(ctx.instance, remember)
    ctx.logger.info("The host key of %s is recorded.", ctx.instance.runtime_properties[runtime.PUBLIC_IP])


def _package(ctx: Any) -> Package:
    return rpm.read_package(ctx.node.properties["install_rpm_path"], timeout_seconds=_RPM_TIMEOUT_SECONDS)
