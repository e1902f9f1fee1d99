"""The configurations of generation 5: golden files, whose word wins, and what is the same for ever."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from cmom.models import Host, Secret
from cmom.services.generation5 import rules
from cmom.services.generation5.configs import service_config, single_config
from cmom.services.generation5.credentials import CREDENTIALS, derive
from cmom.services.generation5.layout import Service, layout_of, member_name, size_problem, size_remark
from cmom.services.generation5.plan import split_additional_config
from tests.unit.cmom.given_ca import make_ca
from tests.unit.cmom.given_golden5 import CASES, Case

THREE = Case("three", "7.0.5", 3, (1, 2, 3))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_written_is_what_the_golden_file_says(case):
    assert case.text() == case.path.read_text(encoding="utf-8")
    documents = list(yaml.safe_load_all(case.path.read_text(encoding="utf-8")))
    assert documents == [yaml.safe_load(config.text.reveal()) for _, config in case.configs()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_installer_would_refuse_none_of_them(case):
    for where, config in case.configs():
        assert list(rules.problems(config.content, case.plan().version.numbers)) == [], where


def test_the_key_of_the_ca_is_in_none_of_them():
    for case in CASES:
        assert "ca_key" not in case.text()


def test_a_password_is_the_same_on_both_sides_also_when_the_user_gives_it():
    given = {
        "postgresql": {"postgresql_server": {"postgres_password": "mine"}},
        "rabbitmq": {"password": "ours"},
    }
    plan = replace(THREE.plan(), additional_config=given)
    database, broker, manager = (service_config(plan, plan.members[0], one).content for one in Service)
    assert database["postgresql_server"]["postgres_password"] == "mine"
    assert manager["postgresql_client"]["server_password"] == "mine"
    assert broker["rabbitmq"]["password"] == manager["rabbitmq"]["password"] == "ours"


def test_a_word_for_one_service_alone_leaves_the_others_as_they_are():
    plan = replace(THREE.plan(), additional_config={"manager": {"manager": {"x": 1}, "mgmtworker": {"y": 2}}})
    contents = {one: service_config(plan, plan.members[0], one).content for one in Service}
    assert contents[Service.MANAGER]["manager"]["x"] == 1
    assert contents[Service.MANAGER]["mgmtworker"] == {"y": 2}
    assert "x" not in contents[Service.BROKER]["manager"]
    assert "mgmtworker" not in contents[Service.DATABASE]


def test_a_section_that_is_also_a_word_goes_where_its_keys_belong():
    common, own = split_additional_config(
        {"manager": {"security": {"a": 1}, "restservice": {"b": 2}}, "rabbitmq": {"fd_limit": 3}}
    )
    assert common == {"manager": {"security": {"a": 1}}, "rabbitmq": {"fd_limit": 3}}
    assert own[Service.MANAGER] == {"restservice": {"b": 2}}


def test_who_the_members_are_is_no_part_of_what_a_service_was_installed_with():
    plan = THREE.plan()
    grown = replace(plan, members=[*plan.members, Host("10.0.0.30", "10.0.0.30", "tier1-9")])
    first, second = plan.members[:2]
    for service in Service:
        before = service_config(plan, second, service, first=True)
        after = service_config(grown, second, service, join=first if service is Service.BROKER else None)
        assert before.identity.reveal() == after.identity.reveal()
        assert before.text.reveal() != after.text.reveal()


def test_another_password_inside_a_cluster_is_another_configuration():
    plan = THREE.plan()
    other = replace(plan, credentials=dict.fromkeys(plan.credentials, Secret("another")))
    for service in Service:
        configs = [service_config(one, plan.members[0], service) for one in (plan, other)]
        assert configs[0].identity.reveal() != configs[1].identity.reveal()


def test_another_password_of_the_administrator_is_none_for_people_change_it():
    plan = THREE.plan()
    other = replace(plan, admin_password=Secret("another"))
    configs = [service_config(one, plan.members[0], Service.MANAGER) for one in (plan, other)]
    assert configs[0].text.reveal() != configs[1].text.reveal()
    assert configs[0].identity.reveal() == configs[1].identity.reveal()


@pytest.mark.parametrize("kind", ["rsa2048", "p256"])
def test_credentials_follow_from_the_cas_key_the_deployment_and_their_name(tmp_path, kind):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    ours, renewed = (make_ca(tmp_path / folder, kind).load() for folder in "ab")
    derived = derive(ours, "tier1")
    assert derived == derive(renewed, "tier1")  # another certificate of the same key
    assert set(derived) == set(CREDENTIALS)
    assert all(secret == ours.derive(f"tier1/{name}") for name, secret in derived.items())  # for ever
    assert len(set(derived.values())) == len(CREDENTIALS)
    assert all(len(secret.reveal()) == 32 and secret.reveal().isalnum() for secret in derived.values())
    assert not set(derived.values()) & set(derive(ours, "tier2").values())
    assert {repr(secret) for secret in derived.values()} == {"'***'"}


def test_another_ca_key_gives_other_credentials(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = (
        derive(make_ca(tmp_path / name, "p256", number=number).load(), "tier1")
        for number, name in enumerate("ab")
    )
    assert not set(one.values()) & set(other.values())


@pytest.mark.parametrize(
    ("number", "database", "brokers", "problem", "remark"),
    [
        (1, False, False, False, False),
        (2, False, False, True, False),
        (2, True, False, True, False),
        (2, True, True, False, False),
        (3, False, False, False, False),
        (4, False, False, False, True),
        (4, True, True, False, False),
        (5, False, False, False, False),
    ],
)
def test_sizes(number, database, brokers, problem, remark):
    layout = layout_of(number, external_database=database, external_brokers=brokers)
    assert bool(size_problem(number, layout)) is problem
    assert bool(size_remark(number, layout)) is remark


def test_one_manager_over_services_elsewhere_can_have_more_beside_it():
    assert not layout_of(1, external_database=True, external_brokers=True).single
    assert layout_of(1, external_database=True, external_brokers=False).single
    assert layout_of(1, external_database=False, external_brokers=False).single


@pytest.mark.parametrize(
    ("hostname", "name"),
    [
        ("tier1-a", "tier1-a"),
        ("Tier1-A.example.org", "tier1-a"),
        ("10.0.0.21", "member-10-0-0-21"),
        ("", "member-10-0-0-21"),
    ],
)
def test_a_member_is_called_by_its_host_name_up_to_its_first_dot(hostname, name):
    assert member_name(Host("10.0.0.21", "10.0.0.21", hostname)) == name


def test_a_single_manager_has_all_services_in_one_run():
    case = CASES[0]
    content = single_config(case.plan(), case.plan().members[0]).content
    assert content["services_to_install"] == [
        *("database_service", "queue_service", "manager_service", "monitoring_service", "entropy_service")
    ]


@pytest.mark.parametrize(
    ("service", "additional", "place"),
    [
        (
            Service.DATABASE,
            {"postgresql_server": {"ssl_only_connections": False}},
            "postgresql_server.ssl_client_verification",
        ),
        (
            Service.DATABASE,
            {"postgresql_server": {"cluster": {"patroni": {"rest_user": ""}}}},
            "postgresql_server.cluster.patroni.rest_user",
        ),
        (
            Service.DATABASE,
            {"postgresql_server": {"cluster": {"nodes": {"x": {}}}}},
            "postgresql_server.cluster.nodes.x",
        ),
        (Service.DATABASE, {"postgresql_server": {"key_path": ""}}, "postgresql_server.key_path"),
        (Service.BROKER, {"rabbitmq": {"nodename": ""}}, "rabbitmq.nodename"),
        (Service.BROKER, {"rabbitmq": {"erlang_cookie": ""}}, "rabbitmq.erlang_cookie"),
        (Service.BROKER, {"rabbitmq": {"cert_path": ""}}, "rabbitmq.cert_path"),
        (
            Service.MANAGER,
            {"postgresql_client": {"cloudify_username": "postgres"}},
            "postgresql_client.cloudify_username",
        ),
        (
            Service.MANAGER,
            {"postgresql_client": {"cloudify_db_name": "postgres"}},
            "postgresql_client.cloudify_db_name",
        ),
        (
            Service.MANAGER,
            {"postgresql_client": {"server_username": "a@db"}},
            "postgresql_client.cloudify_username",
        ),
        (
            Service.MANAGER,
            {"postgresql_client": {"server_password": ""}},
            "postgresql_client.server_password",
        ),
        (
            Service.MANAGER,
            {
                "ssl_inputs": {
                    "external_cert_path": "/x",
                    "external_key_path": "/y",
                    "external_ca_cert_path": "/z",
                }
            },
            "ssl_inputs.external_cert_path",
        ),
        (
            Service.MANAGER,
            {"ssl_inputs": {"postgresql_client_cert_path": ""}},
            "ssl_inputs.postgresql_client_cert_path",
        ),
        (
            Service.MANAGER,
            {"ssl_inputs": {"ca_key_path": "/x", "ca_cert_path": ""}},
            "ssl_inputs.ca_key_path",
        ),
        (
            Service.MANAGER,
            {"services_to_install": ["manager_service", "magic_service"]},
            "services_to_install",
        ),
        (Service.MANAGER, {"manager": {"private_ip": ""}}, "manager.private_ip"),
        (
            Service.MANAGER,
            {"services_to_install": ["manager_service", "database_service"]},
            "postgresql_server.cluster.nodes",
        ),
    ],
)
def test_what_the_installer_would_refuse_is_found(service, additional, place):
    plan = replace(THREE.plan(), additional_config=additional)
    content = service_config(plan, plan.members[0], service).content
    assert place in [where for where, _ in rules.problems(content, plan.version.numbers)]
