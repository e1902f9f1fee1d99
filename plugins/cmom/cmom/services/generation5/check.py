"""What is wrong with the inputs for a cluster of generation 5, as strictly as its installer sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from cmom.models import Host, Secret, Version
from cmom.services.generation5 import rules
from cmom.services.generation5.configs import ServiceConfig, service_config, single_config
from cmom.services.generation5.credentials import CREDENTIALS
from cmom.services.generation5.layout import Layout, layout_of, member_name, size_problem, size_remark
from cmom.services.generation5.licence import judge
from cmom.services.generation5.plan import (
    SECTIONS,
    Plan,
    knows_external_brokers,
    split_additional_config,
)
from cmom.services.manager_config import check_sections, has_path
from cmom.services.pool import host_of
from cmom.services.validation.external import (
    read_brokers,
    read_database,
    read_license,
    read_license_path,
)
from cmom.services.validation.fields import Fields
from cmom.services.validation.findings import Findings, nearest, shown
from cmom.services.validation.machines import read_hosts, read_num_of_instances, read_resource_pool
from cmom.services.validation.manager import read_additional_config, read_ldap
from cmom.services.wanted import DEFAULT_NUM_OF_INSTANCES

# From here on the installer takes nothing of LDAP any more (no ldap in its config.yaml).
_LDAP_UNTIL = (6, 3)
# Ours, and overlaid with something else they break the link between the tiers.
_OURS = (
    ("manager", "private_ip"),
    ("manager", "public_ip"),
    ("manager", "hostname"),
    ("manager", "security", "admin_username"),
    ("manager", "security", "admin_password"),
    ("manager", "security", "ssl_enabled"),
    ("services_to_install",),
    ("ssl_inputs",),
)


def check(version: Version, fields: Fields, findings: Findings) -> None:
    """Judge the inputs; see `Generation.check`."""
    number = read_num_of_instances(fields) or DEFAULT_NUM_OF_INSTANCES
    database, brokers = read_database(fields), read_brokers(fields)
    layout = layout_of(
        number,
        external_database=bool(fields.raw("external_database")),  # {} is the input's default
        external_brokers=bool(fields.raw("external_brokers")),
    )
    problem, remark = size_problem(number, layout), size_remark(number, layout)
    if problem:
        findings.fault("num_of_instances", problem)
    elif remark:
        findings.warn("num_of_instances", remark)
    if not layout.single and not fields.given("manager_license_path"):
        findings.fault("manager_license_path", "missing: a cluster of generation 5 needs a licence")
    licence_path = read_license_path(fields)
    if licence_path is not None:
        _check_licence(licence_path, version, findings)
    ldap = read_ldap(fields)
    if ldap is not None and version.numbers >= _LDAP_UNTIL:
        findings.fault(
            "ldap_config",
            f"is not known to the installer of {version} (it is until 6.2), so nobody would be authenticated "
            "by it; leave it out, and set LDAP up on the cluster",
        )
        ldap = None
    if brokers is not None and not knows_external_brokers(version):
        findings.warn(
            "external_brokers",
            f"managers of {version} take every broker for one that Cloudify installed (until 6.2), and call "
            "one without Cloudify's monitoring service failed",
        )
    members = _members(fields, number)
    _check_names(members, layout, findings)
    additional = read_additional_config(fields)
    _check_words(additional, findings)
    plan = Plan(
        version=version,
        layout=layout,
        members=members,
        admin_username="admin",
        admin_password=Secret("not looked at"),
        credentials={name: Secret(name) for name in CREDENTIALS},
        ldap=ldap,
        additional_config=additional,
        licensed=licence_path is not None,
        database=database,
        brokers=brokers,
    )
    unknown = (database is None and fields.given("external_database")) or (
        brokers is None and fields.given("external_brokers")
    )
    if not problem and not unknown:
        _check_rules(plan, findings)


def _check_licence(path: str, version: Version, findings: Findings) -> None:
    verdict = judge(read_license(path), version, datetime.now(timezone.utc).date())
    if verdict.fault:
        findings.fault("manager_license_path", f"{path} {verdict.fault}")
    elif verdict.warning:
        findings.warn("manager_license_path", f"{path} {verdict.warning}")


def _members(fields: Fields, number: int) -> tuple[Host, ...]:
    """Return those that will be members, as far as that can be known before machines are made."""
    hosts = read_hosts(fields, number)
    pool = tuple(host_of(entry) for entry in read_resource_pool(fields, number))
    known = (hosts or pool)[:number]
    invented = [
        Host(f"192.0.2.{one}", f"192.0.2.{one}", f"member-{one}") for one in range(len(known) + 1, number + 1)
    ]
    return (*known, *invented)


def _check_names(members: Sequence[Host], layout: Layout, findings: Findings) -> None:
    if layout.single:
        return
    names: dict[str, Host] = {}
    for member in members:
        other = names.setdefault(member_name(member), member)
        if other is not member:
            findings.fault(
                "hosts",
                f"{other.ip} and {member.ip} would both be called {member_name(member)} in the cluster (the "
                "host name up to its first dot); give them other host names",
            )


def _check_words(additional: Mapping[str, Any], findings: Findings) -> None:
    common, own = split_additional_config(additional)
    for section in common:
        if section not in SECTIONS:
            place = f"additional_config.{shown(section)[1:-1]}"
            findings.warn(place, f"no section of generation 5's config.yaml{nearest(section, SECTIONS)}")
    for prefix, overlay in (("", common), *((f"{service.word}.", own[service]) for service in own)):
        for path in _OURS:
            if has_path(overlay, path):
                place = f"additional_config.{prefix}{'.'.join(path)}"
                findings.warn(place, "overlays what Tier 2 itself sets and relies on; it must mean the same")


def _check_rules(plan: Plan, findings: Findings) -> None:
    plain = replace(plan, additional_config={})
    found: dict[tuple[str, str], None] = {}  # in order, and each once: it holds for all members
    for service, config in zip(plan.layout.services, _configs(plain, plan.members[0]), strict=False):
        shapes = Findings()
        check_sections(config.content, plan.overlay(service), "additional_config", shapes)
        found.update(dict.fromkeys((fault.place, fault.problem) for fault in shapes.faults))
    if not found:
        for member in plan.members:
            for config in _configs(plan, member):
                problems = rules.problems(config.content, plan.version.numbers)
                found.update(
                    dict.fromkeys((f"additional_config.{place}", problem) for place, problem in problems)
                )
    for place, problem in found:
        findings.fault(place, problem)


def _configs(plan: Plan, member: Host) -> Iterator[ServiceConfig]:
    if plan.layout.single:
        yield single_config(plan, member)
        return
    first = plan.members[0]
    for service in plan.layout.services:
        join = None if member == first else first
        yield service_config(plan, member, service, join=join, first=member == first)
