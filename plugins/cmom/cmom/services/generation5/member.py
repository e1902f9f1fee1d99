"""What is done on the machine of one member: its services installed, and asked about the cluster's state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cmom.errors import ActionRequired
from cmom.models import Host
from cmom.services import certificates
from cmom.services.generation5.configs import service_config, single_config
from cmom.services.generation5.credentials import derive
from cmom.services.generation5.layout import Layout, Service, layout_of
from cmom.services.generation5.plan import Plan
from cmom.services.generations.interface import Site
from cmom.services.installation import Installation
from cmom.services.manager_install import RemoteFiles
from cmom.services.wanted import InstallInputs

# Whom the databases' client certificates speak of: their users (`_validate_postgres_client_certs`).
CLIENT_USER, SUPERUSER = "cloudify", "postgres"


def layout_for(inputs: InstallInputs) -> Layout:
    """Return what each member has, by the inputs."""
    return layout_of(
        inputs.num_of_instances,
        external_database=inputs.external_database is not None,
        external_brokers=inputs.external_brokers is not None,
    )


def plan_for(site: Site, members: Sequence[Host]) -> Plan:
    """Return what the members of a cluster are configured with.

    Args:
        site: Of any of them.
        members: All of them, the first one first.
    """
    inputs = site.inputs
    return Plan(
        version=site.version,
        layout=layout_for(inputs),
        members=tuple(members),
        admin_username=inputs.admin_username,
        admin_password=inputs.admin_password,
        credentials=derive(site.authority, site.deployment_id),
        ldap=inputs.ldap,
        additional_config=inputs.additional_config,
        licensed=inputs.manager_license_path is not None,
        database=inputs.external_database,
        brokers=inputs.external_brokers,
    )


class MemberMachine:
    """The services of one member, on its machine.

    Args:
        site: The machine.
        members: All members of the cluster, or of the one that is to be.
    """

    def __init__(self, site: Site, members: Sequence[Host]) -> None:
        self.site = site
        self.plan = plan_for(site, members)
        site.installer.machine.ssh.keep_secret(self.plan.secrets().values())

    @property
    def layout(self) -> Layout:
        """Which services it has."""
        return self.plan.layout

    def has(self, service: Service) -> bool:
        """Whether a service is known to be installed."""
        note = self._installation(service).note()
        return note is not None and note.finished

    def is_begun(self, service: Service) -> bool:
        """Whether its installation was ever begun on this disk."""
        return self._installation(service).note() is not None

    def ensure_files(self) -> bool:
        """Have certificates, licence and CAs there; those of a member that has services already stay.

        Returns:
            Whether anything was changed.
        """
        note = self.site.installer.installation(self.layout.single_run).note()
        if (note is not None and note.finished) or any(self.has(service) for service in self.layout.services):
            return False
        site, files = self.site, self.plan.files
        users = {files.certificate(files.client): CLIENT_USER, files.certificate(files.superuser): SUPERUSER}

        def fits(path: str, there: bytes) -> bool:
            return certificates.fits(there, site.host, site.authority, site.now, users.get(path, ""))

        return site.installer.ensure_certificates(self._remote_files(), fits)

    def ensure_installed(self, service: Service, *, join: Host | None = None, first: bool = False) -> bool:
        """Have one service installed; see `service_config`."""
        config = service_config(self.plan, self.site.host, service, join=join, first=first)
        if service is Service.MANAGER:
            self._ensure_given_files(self._installation(service))
        return self._installation(service).ensure_installed(config.text, config.identity)

    def ensure_all_installed(self) -> bool:
        """Have everything installed in a single run."""
        config = single_config(self.plan, self.site.host)
        installation = self.site.installer.installation(self.layout.single_run)
        self._ensure_given_files(installation)
        return installation.ensure_installed(config.text, config.identity)

    def ensure_removed(self, service: Service) -> bool:
        """Have one service gone from the machine."""
        return self._installation(service).ensure_removed()

    def _installation(self, service: Service) -> Installation:
        return self.site.installer.installation(service.run)

    def _ensure_given_files(self, installation: Installation) -> None:
        """Have what the user gave there as it is now: after a refusal of the installer it was mended."""
        note = installation.note()
        if note is not None and note.finished:
            return
        for path, (content, mode) in self._given_files().items():
            self.site.installer.machine.ensure_file(path, content, mode)

    def _given_files(self) -> dict[str, tuple[str, int]]:
        """The licence, and the CAs of services elsewhere."""
        plan, files = self.plan, self.plan.files
        local = {
            files.licence: self.site.inputs.manager_license_path,
            files.database_ca: plan.database.ca_path if plan.database else None,
            files.broker_ca: plan.brokers.ca_path if plan.brokers else None,
        }
        return {
            path: (_content(source), 0o600 if path == files.licence else 0o644)
            for path, source in local.items()
            if source is not None
        }

    def _remote_files(self) -> RemoteFiles:
        """Say which certificate and key goes where; keys for root's eyes only."""
        site, plan, files = self.site, self.plan, self.plan.files
        pairs = {files.of(service): "" for service in plan.layout.services}
        if plan.has_external_pair:
            pairs[files.external] = ""
        if plan.clustered_database:
            pairs[files.client] = CLIENT_USER
            if plan.has_superuser_pair:
                pairs[files.superuser] = SUPERUSER
        remote: dict[str, tuple[str, int]] = {files.ca: (site.authority.chain_pem, 0o644)}
        for place, common_name in pairs.items():
            pair = site.authority.pair(site.host, site.now, common_name)
            remote[files.certificate(place)] = (pair.certificate_pem, 0o644)
            remote[files.key(place)] = (pair.key_pem, 0o600)
        return {**remote, **self._given_files()}


def _content(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ActionRequired(f"{path} on Tier 2 cannot be read: {error}.") from error
