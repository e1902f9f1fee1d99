"""Before any machine is touched: everything that can be known to be wrong is said, at once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

from cmom.clients import rpm
from cmom.clients.tier2 import Deployments, LocalDeployments
from cmom.errors import ActionRequired, InvalidInputs, TryAgainLater
from cmom.models import Package, Version
from cmom.services.authority import expiry_warning, load_authority, replaced_authority
from cmom.services.certificates import Authority
from cmom.services.deployed import DeployedCluster
from cmom.services.generations import generation_of
from cmom.services.inputs import INSTALL_INPUTS, read_install_inputs
from cmom.services.snapshots.precheck import check_folder, check_restore
from cmom.services.tier1 import connect
from cmom.services.validation.fields import Fields
from cmom.services.validation.findings import Findings
from cmom.services.validation.manager import read_install_rpm_path
from cmom.services.validation.snapshots import read_restore

RPM_TIMEOUT_SECONDS = 60.0
OLD_CLUSTER_SECONDS = 30.0

_OLDEST = Version.parse("4.3")
_NEWEST = (7, 0)


@dataclass(frozen=True)
class PreflightReport:
    """What a preflight that found no fault has to say.

    Attributes:
        package: The install RPM.
        ca_fingerprint: Which CA it is; to be given to the next preflight of this deployment.
        warnings: What is allowed and still worth a word, each with its place.
    """

    package: Package
    ca_fingerprint: str
    warnings: tuple[str, ...] = ()

    @property
    def version(self) -> Version:
        """The version of the managers."""
        return self.package.version

    @property
    def generation(self) -> int:
        """Their generation."""
        return self.package.version.generation


def check(
    raw: object,
    *,
    earlier_ca_fingerprint: str | None = None,
    now: datetime | None = None,
    rpm_timeout_seconds: float = RPM_TIMEOUT_SECONDS,
    read_package: Callable[..., Package] = rpm.read_package,
    deployment_id: str = "",
    deployments: Callable[[], Deployments] = LocalDeployments,
) -> PreflightReport:
    """Check the inputs of an installation, the install RPM and the CA.

    Args:
        raw: Input names and values; see `inputs.INSTALL_INPUTS`.
        earlier_ca_fingerprint: From the report of this deployment's first preflight; None at the first.
        now: The time, with a time zone.
        rpm_timeout_seconds: The deadline for reading the RPM's header.
        read_package: For whoever knows another source of packages.
        deployment_id: Of the new cluster.
        deployments: Gives what Tier 2 knows of others, one of which may be the source of a restore.

    Raises:
        InvalidInputs: With every fault and its place.
        TryAgainLater: All that could be checked is right, but the server of the RPM, or the cluster that a
            backup is to be taken of, does not answer.
    """
    findings = Findings()
    moment = now or datetime.now(timezone.utc)
    read_install_inputs(raw, findings)
    # What was found above is not found again: these look further at single inputs, whatever is wrong with
    # others.
    fields = Fields(raw, "", Findings(), INSTALL_INPUTS)
    of_package = Findings()
    later: TryAgainLater | None = None
    package: Package | None = None
    try:
        package = _package(fields, rpm_timeout_seconds, read_package, of_package)
    except TryAgainLater as error:
        later = error
    # Of an RPM that nobody can read, the oldest rules: what they find is wrong for every version.
    version = _OLDEST if package is None else package.version
    generation_of(version).check(version, fields, findings)
    if version.numbers[:2] > _NEWEST:
        findings.warn(
            "install_rpm_path",
            f"is of version {version}, newer than any that this was made for, and is taken for a 7.0",
        )
    authority = _authority(fields, earlier_ca_fingerprint, moment, findings)
    findings.take(of_package.faults)
    try:
        _snapshots(fields, package, deployment_id, deployments, findings)
    except TryAgainLater as error:
        later = later or error
    findings.raise_faults()
    if later is not None:
        raise later
    if authority is None or package is None:
        raise AssertionError("inputs without a fault were not read")
    soon = expiry_warning(authority, moment)
    return PreflightReport(
        package=package,
        ca_fingerprint=str(authority.fingerprint),
        warnings=(*findings.warnings, *([soon] if soon else [])),
    )


def _snapshots(
    fields: Fields,
    package: Package | None,
    deployment_id: str,
    deployments: Callable[[], Deployments],
    findings: Findings,
) -> None:
    base = fields.line("snapshots_path")
    check_folder(base, findings)
    request = read_restore(fields)
    if request is None or package is None:
        return
    check_restore(
        request,
        base,
        package.version,
        findings,
        deployment_id=deployment_id,
        deployments=deployments,
        ask=_answers,
    )


def _answers(cluster: DeployedCluster) -> None:
    """Ask a cluster whether it answers."""
    addresses = [host.public_ip for host in cluster.hosts]
    logger = logging.getLogger(__name__)
    with connect(addresses, cluster.access, cluster.version, logger) as tier1:
        tier1.call(
            lambda api: api.count_contents(), "asking the old cluster", wait_seconds=OLD_CLUSTER_SECONDS
        )


def refusal_of(package: Package) -> str | None:
    """Say why managers of this package cannot be installed; None when they can."""
    if package.version.numbers < (4, 3):
        return f"is of version {package.version}; managers from 4.3 on can be installed"
    if (5, 0) <= package.version.numbers < (5, 1):
        return (
            f"is of version {package.version}, whose clusters are neither those of 4.x nor those of 5.1 and "
            "later; use an RPM of 4.3 to 4.6, or of 5.1 to 7.0"
        )
    return None


def _authority(fields: Fields, earlier: str | None, now: datetime, findings: Findings) -> Authority | None:
    certificate, key = fields.text("ca_cert"), fields.text("ca_key")
    if certificate is None or key is None:
        return None
    try:
        authority = load_authority(certificate, key, fields.secret("ca_key_password"), now=now)
    except InvalidInputs as error:
        findings.take(error.faults)
        return None
    replaced = replaced_authority(earlier, authority)
    if replaced is not None:
        findings.take([replaced])
    return authority


def _package(
    fields: Fields, timeout_seconds: float, read_package: Callable[..., Package], findings: Findings
) -> Package | None:
    path = read_install_rpm_path(fields)
    if path is None:
        return None
    try:
        package = read_package(path, timeout_seconds=timeout_seconds)
    except ActionRequired as error:
        findings.fault("install_rpm_path", str(error))
        return None
    refusal = refusal_of(package)
    if refusal:
        findings.fault("install_rpm_path", refusal)
    return package
