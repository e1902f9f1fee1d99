"""blueprint.yaml: the three modes parse, every input is there, and the wiring is what OpenStack wants."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from dsl_parser.exceptions import ConstraintException, DSLParsingException, UnknownInputError

from lab.local_profile import PROJECT
from lab.openstack.testing import MODES, switched
from tests.blueprints.plans import nodes, parsed, planned, sample

# fmt: off
SEED_INPUTS = (
    "os_image", "os_flavor", "os_network", "os_subnet", "os_keypair", "os_security_group",
    "os_server_group_policy", "os_username", "os_password", "os_tenant", "os_auth_url",
    "os_floating_network", "resource_pool", "os_region", "os_project", "os_project_domain",
    "os_user_domain", "os_device_mapping", "install_rpm_path", "ca_cert", "ca_key",
    "manager_admin_password", "manager_admin_username", "num_of_instances", "ssh_user",
    "ssh_private_key_path", "additional_config", "ldap_config", "tenants", "plugins", "secrets",
    "blueprints", "deployments", "scripts", "files", "restore", "snapshot_path",
    "old_deployment_id", "snapshot_id", "transfer_agents", "restore_params",
)
# fmt: on
LDAP_FIELDS = {"server", "username", "password", "domain", "dn_extra", "is_active_directory"}
DEFAULTS = {
    "num_of_instances": 2,
    "manager_admin_username": "admin",
    "os_server_group_policy": "soft-anti-affinity",
    "os_user_domain": "Default",
    "os_project_domain": "Default",
}
# Checked by preflight, together with everything else.
UNTYPED = {"additional_config"}


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The parsed blueprint by mode, and the one for machines that exist already."""
    folder = tmp_path_factory.mktemp("plans")
    found = {mode: parsed(folder / mode, "blueprint.yaml", mode) for mode in MODES}
    return {**found, "hosts": parsed(folder / "hosts", "hosts_blueprint.yaml")}


def related(node: dict[str, Any]) -> dict[str, str]:
    """The targets of a node's relationships and their types."""
    return {one["target_id"]: one["type"] for one in node["relationships"]}


def test_the_shipped_mode_is_private_fixed_ip_and_one_line_away_from_the_others() -> None:
    text = (PROJECT / "infra" / "infra.yaml").read_text(encoding="utf-8")

    assert yaml.safe_load(text)["imports"] == ["private_fixed_ip.yaml"]
    lines = [line.strip() for line in text.splitlines() if re.match(r" +(# )?- \w+\.yaml$", line)]
    assert sorted(line.lstrip("# ") for line in lines) == sorted(f"- {mode}.yaml" for mode in MODES)
    assert switched(text, "private_fixed_ip") == text


@pytest.mark.parametrize("mode", MODES)
def test_every_input_of_the_description_is_in_the_plan(plans: dict[str, Any], mode: str) -> None:
    inputs = plans[mode]["inputs"]

    assert [name for name in SEED_INPUTS if name not in inputs] == []
    faults = [
        name
        for name, declared in inputs.items()
        if not declared.get("description") or ("type" not in declared and name not in UNTYPED)
    ]
    assert faults == []
    for name, default in DEFAULTS.items():
        assert inputs[name]["default"] == default


def test_every_field_of_ldap_is_in_its_data_type(plans: dict[str, Any]) -> None:
    contract = yaml.safe_load((PROJECT / "plugins" / "cmom" / "plugin.yaml").read_text(encoding="utf-8"))

    assert set(contract["data_types"]["cloudify.datatypes.LDAP"]["properties"]) >= LDAP_FIELDS


def test_the_inputs_do_not_differ_from_mode_to_mode(plans: dict[str, Any]) -> None:
    assert len({tuple(sorted(plans[mode]["inputs"])) for mode in MODES}) == 1


@pytest.mark.parametrize("mode", MODES)
def test_the_sample_inputs_fit_each_mode(plans: dict[str, Any], mode: str) -> None:
    plan = planned(plans[mode], sample())

    assert plan["scaling_groups"]["manager_group"]["properties"]["default_instances"] == 2
    instances = [one["name"] for one in plan["node_instances"]]
    assert instances.count("server") == instances.count("host") == instances.count("manager") == 2
    assert instances.count("network") == instances.count("cloudify_cluster") == 1


@pytest.mark.parametrize("mode", MODES)
def test_what_the_sample_comments_out_fits_as_well(plans: dict[str, Any], mode: str) -> None:
    inputs = plans[mode]["inputs"]
    uncommented = tuple(name for name in inputs if name not in sample())

    given = sample(*uncommented)

    assert sorted(given) == sorted(inputs)
    planned(plans[mode], given)


def test_the_sample_inputs_fit_machines_that_exist_already(plans: dict[str, Any]) -> None:
    inputs = plans["hosts"]["inputs"]
    active = sample(without=("os_", "resource_pool"))
    uncommented = tuple(name for name in inputs if name not in active)

    given = sample(*uncommented, without=("os_", "resource_pool"))

    assert sorted(given) == sorted(inputs)
    planned(plans["hosts"], given)


@pytest.mark.parametrize("mode", MODES)
def test_the_contract_with_the_topology_is_kept(plans: dict[str, Any], mode: str) -> None:
    plan = planned(plans[mode], sample())
    found = nodes(plan)

    assert "cloudify.nodes.cmom.Infrastructure" in found["infrastructure"]["type_hierarchy"]
    assert "preflight" in related(found["host"])
    assert set(plan["scaling_groups"]["manager_group"]["members"]) >= {"address", "port", "server"}
    assert found["preflight"]["properties"]["entries_from"] == (
        "resource_pool" if mode == "private_fixed_ip" else ""
    )
    # Nothing on OpenStack is asked for or made before the inputs were found good.
    waiting = {name for name, node in found.items() if "infrastructure" in related(node)}
    assert related(found["infrastructure"]) == {"preflight": "cloudify.relationships.depends_on"}
    made = {name for name, node in found.items() if node["type"].startswith("cloudify.nodes.openstack.")}
    assert made <= waiting


@pytest.mark.parametrize("mode", MODES)
def test_what_a_heal_makes_again_is_the_server_and_what_is_on_it(plans: dict[str, Any], mode: str) -> None:
    plan = planned(plans[mode], sample())
    hosted = {one["name"] for one in plan["node_instances"] if one.get("host_id", "").startswith("server")}

    assert hosted == {"server", "host", "manager"}


@pytest.mark.parametrize("mode", MODES)
def test_the_security_group_is_the_ports_and_not_the_servers_too(plans: dict[str, Any], mode: str) -> None:
    found = nodes(planned(plans[mode], sample()))

    assert "security_group" in related(found["port"])
    assert "security_group" not in related(found["server"])
    assert "network" not in related(found["server"])  # together with a port, it is refused
    assert related(found["server"])["port"].endswith("server_connected_to_port")


@pytest.mark.parametrize("mode", MODES)
def test_what_is_made_can_be_found_again_and_each_member_sees_its_own(
    plans: dict[str, Any], mode: str
) -> None:
    found = nodes(planned(plans[mode], sample()))
    made = {"server_group", "port", "server", *(["floating_ip"] if mode == "floating_ip" else [])}

    for name in made:
        operations = found[name]["operations"]
        for step in ("create", "delete"):
            assert operations[f"cloudify.interfaces.lifecycle.{step}"]["plugin"] == "cmom", name
    # What differs from member to member comes through relationships: as properties it is not evaluated at
    # run time, and get_attribute reads the files of all instances in the local profile.
    for name in made | {"host"}:
        assert "get_attribute" not in str(found[name]["properties"]), name
        assert "get_attribute" not in str(found[name]["operations"]), name
        assert "infrastructure" in related(found[name]) or name == "host"
    for name in (made | {"host"}) - {"server_group"}:
        assert "address" in related(found[name]), name
    assert ("floating_ip" in related(found["host"])) == (mode == "floating_ip")


@pytest.mark.parametrize("mode", MODES)
def test_no_agent_is_installed_on_the_servers(plans: dict[str, Any], mode: str) -> None:
    found = nodes(planned(plans[mode], sample()))

    assert found["server"]["properties"]["agent_config"]["install_method"] == "none"


@pytest.mark.parametrize(
    ("given", "project"),
    [({"os_tenant": "old"}, "old"), ({"os_project": "new", "os_tenant": "old"}, "new")],
    ids=["tenant", "both"],
)
def test_a_tenant_will_do_for_a_project(plans: dict[str, Any], given: dict[str, str], project: str) -> None:
    inputs = {**sample(without=("os_project",)), **given}
    found = nodes(planned(plans["floating_ip"], inputs))

    for name in ("network", "port", "server", "floating_ip", "infrastructure"):
        assert found[name]["properties"]["client_config"]["project_name"] == project
    assert found["network"]["properties"]["client_config"]["user_domain_name"] == "Default"


def test_both_blueprints_are_the_same_cluster(plans: dict[str, Any]) -> None:
    cluster = ("preflight", "manager", "cloudify_cluster")
    hosts = nodes(planned(plans["hosts"], sample("hosts", without=("os_", "resource_pool"))))
    for mode in MODES:
        openstack = nodes(planned(plans[mode], sample()))
        for name in cluster:
            assert openstack[name]["type"] == hosts[name]["type"]
        assert plans[mode]["outputs"] == plans["hosts"]["outputs"]
        assert set(plans[mode]["workflows"]) == set(plans["hosts"]["workflows"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_of_instances": "3"},
        {"os_server_group_policy": "together"},
        {"resource_pool": "10.0.0.1"},
        {"os_insecure": "maybe"},
        {"os_flavour": "m1"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_a_manager_can_refuse_by_itself_it_refuses(
    plans: dict[str, Any], wrong: dict[str, object]
) -> None:
    with pytest.raises(
        (DSLParsingException, ConstraintException, UnknownInputError), match=next(iter(wrong))
    ):
        planned(plans["private_fixed_ip"], {**sample(), **wrong})


def test_the_blueprints_name_no_workplace_and_import_what_a_manager_resolves() -> None:
    for name in ("blueprint.yaml", "hosts_blueprint.yaml"):
        imports = yaml.safe_load((PROJECT / name).read_text(encoding="utf-8"))["imports"]
        for one in imports:
            known = one.startswith(("plugin:", "http://www.getcloudify.org/spec/cloudify/6.3.1/"))
            assert known or (PROJECT / one).is_file(), one
