"""The way in for everything a user gives: parsed into frozen data, or refused with all that is wrong at once.

The names are those of the blueprints' inputs (`inputs/*.yaml`). Which of `hosts` and `resource_pool` is
among them depends on the infrastructure; what is not given is not checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmom.services.validation import external, healing, machines, manager, resources, snapshots
from cmom.services.validation.fields import Fields
from cmom.services.validation.findings import Findings
from cmom.services.wanted import InstallInputs, RebuildCommand, Resources

INSTALL_INPUTS = (
    "install_rpm_path",
    "ca_cert",
    "ca_key",
    "ca_key_password",
    "ssh_user",
    "ssh_private_key_path",
    "ssh_port",
    "rest_port",
    "num_of_instances",
    "hosts",
    "resource_pool",
    "rebuild_command",
    "manager_admin_username",
    "manager_admin_password",
    "ldap_config",
    "additional_config",
    *external.EXTERNAL_INPUTS,
    "files",
    "scripts",
    *resources.KINDS,
    *snapshots.STORE_INPUTS,
    *snapshots.RESTORE_INPUTS,
    *healing.HEAL_INPUTS,
)


def parse_install_inputs(raw: object) -> InstallInputs:
    """Check the inputs of an installation.

    Args:
        raw: Input names and values, as the blueprint hands them over; the names are `INSTALL_INPUTS`.

    Raises:
        InvalidInputs: With every fault and its place, such as ``plugins[1].yaml``.
    """
    findings = Findings()
    inputs = read_install_inputs(raw, findings)
    findings.raise_faults()
    if inputs is None:
        raise AssertionError("inputs without a fault were not read")
    return inputs


def read_install_inputs(raw: object, findings: Findings) -> InstallInputs | None:
    """Read the inputs of an installation; None when what is missing or wrong leaves nothing to work with."""
    fields = Fields(raw, "", findings, INSTALL_INPUTS)
    number = machines.read_num_of_instances(fields)
    hosts = machines.read_hosts(fields, number)
    resource_pool = machines.read_resource_pool(fields, number)
    ssh = machines.read_ssh(fields)
    rest_port = machines.read_rest_port(fields)
    rebuild_command = machines.read_rebuild_command(fields)
    rpm_path = manager.read_install_rpm_path(fields)
    ca_cert = fields.text("ca_cert", required=True)
    ca_key = fields.text("ca_key", required=True)
    ca_key_password = fields.secret("ca_key_password")
    username, password = manager.read_admin(fields)
    ldap = manager.read_ldap(fields)
    additional_config = manager.read_additional_config(fields)
    licence = external.read_license_path(fields)
    external_database = external.read_database(fields)
    external_brokers = external.read_brokers(fields)
    files = manager.read_files(fields)
    scripts = manager.read_scripts(fields)
    wanted = resources.read_resources(fields)
    snapshots.read_store(fields)
    snapshots.read_restore(fields)
    healing.read_healing(fields)
    if number is None or ssh is None or rest_port is None or rpm_path is None:
        return None
    if ca_cert is None or ca_key is None or username is None or password is None:
        return None
    return InstallInputs(
        install_rpm_path=rpm_path,
        ca_cert=ca_cert,
        ca_key=ca_key,
        ca_key_password=ca_key_password,
        ssh=ssh,
        admin_username=username,
        admin_password=password,
        num_of_instances=number,
        rest_port=rest_port,
        hosts=hosts,
        resource_pool=resource_pool,
        ldap=ldap,
        additional_config=additional_config,
        manager_license_path=licence,
        external_database=external_database,
        external_brokers=external_brokers,
        files=files,
        scripts=scripts,
        rebuild_command=rebuild_command,
        resources=wanted,
        warnings=findings.warnings,
    )


def parse_rebuild_command(value: object) -> RebuildCommand | None:
    """Check the command that rebuilds a machine; None when there is none.

    Raises:
        InvalidInputs: It cannot be run.
    """
    findings = Findings()
    found = machines.read_rebuild_command(
        Fields({"rebuild_command": value}, "", findings, ("rebuild_command",))
    )
    findings.raise_faults()
    return found


def parse_resources(raw: Mapping[str, Any]) -> Resources:
    """Check the lists that the workflows for resources take: any of `resources.KINDS`.

    Raises:
        InvalidInputs: With every fault and its place.
    """
    findings = Findings()
    found = resources.read_resources(Fields(raw, "", findings, resources.KINDS))
    findings.raise_faults()
    return found


def parse_parameters(value: object, place: str = "parameters") -> dict[str, Any]:
    """Check the parameters of a workflow on Tier 1: a mapping, or the path of a YAML file with one.

    Raises:
        InvalidInputs: It is neither.
    """
    findings = Findings()
    found = resources.read_parameters(Fields({place: value}, "", findings, (place,)), place)
    findings.raise_faults()
    return found or {}
