"""The machine of one manager, logged in to, with all that it takes to install one there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from cmom.clients.ssh import SshClient
from cmom.models import Version
from cmom.operations.access import manager_access, ssh_access
from cmom.runtime import ManagerRecord
from cmom.services.authority import load_authority
from cmom.services.generations import Site
from cmom.services.inputs import INSTALL_INPUTS, parse_install_inputs
from cmom.services.installation import Watching
from cmom.services.manager_install import ManagerInstaller, Patience


def secrets_of(properties: Mapping[str, Any]) -> list[str]:
    """Return what is masked in everything that comes back from a machine."""
    ldap_password = (properties["ldap_config"] or {}).get("password")
    given = (properties["manager_admin_password"], properties["ca_key_password"], ldap_password)
    return [secret for secret in given if secret]


@contextmanager
def installer_on(
    properties: Mapping[str, Any],
    record: ManagerRecord,
    logger: logging.Logger,
    *,
    on_host_key: Callable[[str], None],
) -> Iterator[ManagerInstaller]:
    """Connect to a machine, with nothing but what reaching it takes.

    Args:
        properties: Of the manager's node.
        record: What is known of the manager.
        logger: Gets the progress.
        on_host_key: Is told the machine's host key, known before or not.
    """
    ssh = SshClient(
        record.host.public_ip,
        ssh_access(properties),
        host_key=record.ssh_host_key,
        secrets=secrets_of(properties),
    )
    watching = Watching(
        timeout_seconds=float(properties["install_timeout_seconds"]),
        interval_seconds=float(properties["poll_interval_seconds"]),
    )
    patience = Patience(ssh_seconds=float(properties["ssh_timeout_seconds"]), watching=watching)
    with ssh:
        installer = ManagerInstaller(record.host, ssh, logger, patience=patience)
        installer.reach(on_host_key)
        yield installer


@contextmanager
def site_on(
    properties: Mapping[str, Any],
    record: ManagerRecord,
    logger: logging.Logger,
    deployment_id: str,
    *,
    on_host_key: Callable[[str], None],
) -> Iterator[Site]:
    """Connect to a machine; the inputs are checked again, for it may be long after the preflight.

    Args:
        properties: Of the manager's node.
        record: What is known of the manager; its version is.
        logger: Gets the progress.
        deployment_id: Of the deployment on Tier 2.
        on_host_key: See `installer_on`.
    """
    inputs = parse_install_inputs({name: properties[name] for name in INSTALL_INPUTS if name in properties})
    authority = load_authority(inputs.ca_cert, inputs.ca_key, inputs.ca_key_password)
    with installer_on(properties, record, logger, on_host_key=on_host_key) as installer:
        yield Site(
            host=record.host,
            version=Version.parse(record.manager_version),
            inputs=inputs,
            authority=authority,
            now=datetime.now(timezone.utc),
            installer=installer,
            deployment_id=deployment_id,
            access=manager_access(properties),
            poll_seconds=float(properties["poll_interval_seconds"]),
            logger=logger,
        )
