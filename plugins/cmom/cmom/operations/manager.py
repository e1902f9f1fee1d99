"""One Tier 1 manager on its machine: installed, configured, finished, and removed again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from typing import Any

from cmom import runtime
from cmom.clients import rpm
from cmom.clients.manager import ManagerClient
from cmom.clients.ssh import SshClient
from cmom.errors import ActionRequired
from cmom.models import Host, Package
from cmom.operations.connections import manager_access, ssh_access
from cmom.operations.glue import change_properties, operation
from cmom.runtime import ManagerRecord
from cmom.services import certificates
from cmom.services.authority import load_authority
from cmom.services.healing import HEAL_WORKFLOW
from cmom.services.inputs import INSTALL_INPUTS, parse_install_inputs
from cmom.services.installation import Watching
from cmom.services.manager_config import ManagerSettings, configuration
from cmom.services.manager_install import ManagerInstaller, Patience, RemoteFiles
from cmom.services.serving import wait_until_serving
from cmom.services.wanted import InstallInputs

INSTALLED_ON = "cloudify.relationships.cmom.installed_on"

_RPM_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class _Work:
    """What the steps of one manager share."""

    inputs: InstallInputs
    record: ManagerRecord
    installer: ManagerInstaller

    @property
    def host(self) -> Host:
        return self.record.host


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
    with _work(ctx) as work:
        work.installer.prepare(work.inputs.install_rpm_path, package)


@operation
def configure(ctx: Any, **_: Any) -> None:
    """Issue certificates, write the configuration, and run ``cfy_manager install``."""
    with _work(ctx) as work:
        inputs = work.inputs
        authority = load_authority(inputs.ca_cert, inputs.ca_key, inputs.ca_key_password)
        settings = ManagerSettings(
            admin_username=inputs.admin_username,
            admin_password=inputs.admin_password,
            ldap=inputs.ldap,
            additional_config=inputs.additional_config,
        )
        (config,) = configuration(_package(ctx).version.generation, work.host, settings)
        now = datetime.now(timezone.utc)
        work.installer.configure(
            config.content,
            _remote_files(certificates.issue(work.host, authority, now), settings),
            lambda there: certificates.fits(there, work.host, authority, now),
        )


@operation
def start(ctx: Any, **_: Any) -> None:
    """Wait for the REST service, then copy files and run scripts."""
    properties = ctx.node.properties
    with _work(ctx) as work:
        with ManagerClient(work.host.public_ip, manager_access(properties)) as manager:
            interval_seconds = float(properties["poll_interval_seconds"])
            wait_until_serving(manager, ctx.logger, interval_seconds=interval_seconds)
        files = [(copy.source, copy.destination) for copy in work.inputs.files]
        outcomes = work.installer.finish(files, work.inputs.scripts)

    def remember(stored: runtime.Properties) -> None:
        stored[runtime.SCRIPTS] = [asdict(outcome) for outcome in outcomes]

    change_properties(ctx.instance, remember)


@operation
def delete(ctx: Any, **_: Any) -> None:
    """Remove the manager from its machine, where the machine stays; then forget it.

    It takes no more than SSH: the RPM or the CA may be gone from Tier 2 by then. In a heal the machine is
    dead, and what is on it is dealt with when it has been brought back.
    """
    installed = ManagerRecord.load(ctx.instance.runtime_properties) is not None
    healed = ctx.workflow_id == HEAL_WORKFLOW
    if installed and not healed and ctx.node.properties["remove_software"]:
        with _installer(ctx) as (_record, installer):
            installer.remove()
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
def _work(ctx: Any) -> Iterator[_Work]:
    """Connect to the machine; the inputs are checked again, for it may be long after the preflight."""
    properties = ctx.node.properties
    inputs = parse_install_inputs({name: properties[name] for name in INSTALL_INPUTS if name in properties})
    with _installer(ctx) as (record, installer):
        yield _Work(inputs, record, installer)


@contextmanager
def _installer(ctx: Any) -> Iterator[tuple[ManagerRecord, ManagerInstaller]]:
    """Connect to the machine, with nothing but what reaching it takes."""
    properties = ctx.node.properties
    record = ManagerRecord.load(ctx.instance.runtime_properties)
    if record is None:
        raise AssertionError("create comes before every other operation and stores the machine's address")
    ldap_password = (properties["ldap_config"] or {}).get("password")
    secrets = (properties["manager_admin_password"], properties["ca_key_password"], ldap_password)
    ssh = SshClient(
        record.host.public_ip,
        ssh_access(properties),
        host_key=record.ssh_host_key,
        secrets=[secret for secret in secrets if secret],
    )
    watching = Watching(
        timeout_seconds=float(properties["install_timeout_seconds"]),
        interval_seconds=float(properties["poll_interval_seconds"]),
    )
    patience = Patience(ssh_seconds=float(properties["ssh_timeout_seconds"]), watching=watching)
    with ssh:
        installer = ManagerInstaller(record.host, ssh, ctx.logger, patience=patience)
        installer.reach(lambda host_key: _remember_host_key(ctx, host_key))
        yield record, installer


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


def _remote_files(issued: certificates.MachineCertificates, settings: ManagerSettings) -> RemoteFiles:
    """Say which certificate and key goes where; keys for root's eyes only."""
    paths = settings.certificates
    return {
        paths.external_certificate: (issued.external.certificate_pem, 0o644),
        paths.external_key: (issued.external.key_pem, 0o600),
        paths.internal_certificate: (issued.internal.certificate_pem, 0o644),
        paths.internal_key: (issued.internal.key_pem, 0o600),
        paths.ca_certificate: (issued.ca_certificate_pem, 0o644),
    }
