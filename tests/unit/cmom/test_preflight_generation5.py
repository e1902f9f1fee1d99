"""What is said of the inputs for generation 5 before any machine is touched."""

from __future__ import annotations

import pytest

from cmom.errors import InvalidInputs
from cmom.services.preflight import check
from lab.rpm_builder import build_rpm
from tests.unit.cmom.given_ca import NOW
from tests.unit.cmom.given_inputs import good_inputs, text_file


@pytest.fixture
def good(tmp_path):
    licence = text_file(tmp_path, "licence.yaml", "license: {customer_id: us}\nsignature: x\n")
    return {**good_inputs(tmp_path, "7.0.5"), "num_of_instances": 3, "manager_license_path": licence}


def problems_of(inputs):
    with pytest.raises(InvalidInputs) as refused:
        check(inputs, now=NOW)
    return {fault.place: fault.problem for fault in refused.value.faults}


def elsewhere(tmp_path):
    ca = text_file(tmp_path, "their_ca.pem", "-----BEGIN CERTIFICATE-----")
    return {
        "external_database": {
            "host": "db.example:5432",
            "ca_path": ca,
            "server_password": "canary-server",
            "cloudify_password": "canary-cloudify",
        },
        "external_brokers": {
            "username": "cloudify",
            "password": "canary-broker",
            "ca_path": ca,
            "members": [{"name": "b1", "address": "10.0.1.1"}],
        },
    }


def test_three_members_with_a_licence_are_in_order(good):
    report = check(good, now=NOW)
    assert (report.generation, report.warnings) == (5, ())


@pytest.mark.parametrize("elsewhere", [{}, {"external_database": {}, "external_brokers": {}}])
def test_two_members_are_refused_with_the_reason_and_the_choice(good, elsewhere):
    del good["num_of_instances"]  # two is the default
    good |= elsewhere  # nothing: the blueprint's own defaults
    problem = problems_of(good)["num_of_instances"]
    assert "the other is no majority" in problem
    assert "Choose 1" in problem
    assert "3 or more" in problem
    assert "external_database and external_brokers" in problem


def test_a_cluster_needs_a_licence_and_a_single_manager_does_not(good):
    good["manager_license_path"] = ""
    assert "needs a licence" in problems_of(good)["manager_license_path"]
    assert check({**good, "num_of_instances": 1}, now=NOW).generation == 5


def test_a_licence_that_is_none_is_a_fault(good, tmp_path):
    good["manager_license_path"] = text_file(tmp_path, "x.yaml", "key: value\n")
    assert "is no licence of Cloudify" in problems_of(good)["manager_license_path"]


@pytest.mark.parametrize(
    ("licence", "said"),
    [
        ("{trial: true, expiration_date: 11/24/2018}", "has expired on 2018-11-24; managers do nothing"),
        ("{cloudify_version: 4.5.5}", "is a licence for managers up to '4.5.5', and these are of 7.0.5"),
        ("[]", "is no licence of Cloudify"),
        ("{", "manager_license"),
    ],
)
def test_a_licence_that_managers_would_refuse_is_a_fault(good, tmp_path, licence, said):
    path = good["manager_license_path"] = text_file(tmp_path, "manager_license.yaml", f"license: {licence}\n")
    problem = problems_of(good)["manager_license_path"]
    assert said in problem
    assert path in problem
    (tmp_path / "manager_license.yaml").unlink()
    assert "manager_license.yaml" in problems_of(good)["manager_license_path"]


@pytest.mark.parametrize(
    ("licence", "said"),
    [
        ("{trial: false, expiration_date: 11/24/2018}", "has expired on 2018-11-24; managers say so"),
        ("{trial: true, expiration_date: 60 days}", None),
        ("{trial: true, expiration_date: null, cloudify_version: '7.0.0'}", None),
        ("{trial: true, expiration_date: 2999-01-01}", None),
    ],
)
def test_what_a_licence_says_that_stops_nobody_is_a_word_at_most(good, tmp_path, licence, said):
    good["manager_license_path"] = text_file(tmp_path, "licence2.yaml", f"license: {licence}\n")
    warnings = check(good, now=NOW).warnings
    assert len(warnings) == (said is not None)
    assert said is None or said in warnings[0]


def test_an_even_size_deserves_a_word(good):
    [warning] = check({**good, "num_of_instances": 4}, now=NOW).warnings
    assert warning.startswith("num_of_instances: 4 members bear no more deaths than 3 do")


def test_over_services_elsewhere_any_number_is_right(good, tmp_path):
    for number in (1, 2, 4):
        inputs = {**good, **elsewhere(tmp_path), "num_of_instances": number}
        assert check(inputs, now=NOW).warnings == ()


def test_what_is_wrong_with_services_elsewhere_is_said_at_its_place(good, tmp_path):
    given = elsewhere(tmp_path)
    given["external_database"] |= {"host": "db example", "server_password": "", "ca_path": "/nowhere.pem"}
    given["external_brokers"]["members"] = [{"name": "b.1", "address": "10.0.1.1"}, {"name": "b2"}]
    problems = problems_of({**good, **given})
    assert set(problems) == {
        "external_database.host",
        "external_database.server_password",
        "external_database.ca_path",
        "external_brokers.members[0].name",
        "external_brokers.members[1].address",
    }
    assert "canary" not in str(problems)


def test_ldap_that_the_installer_does_not_know_is_refused(good, tmp_path):
    good["ldap_config"] = {"server": "ldap://10.0.0.5", "domain": "example.org"}
    assert "is not known to the installer of 7.0.5" in problems_of(good)["ldap_config"]
    build_rpm(tmp_path / "install.rpm", version="6.3.0")
    assert "is not known to the installer of 6.3.0" in problems_of(good)["ldap_config"]
    build_rpm(tmp_path / "install.rpm", version="6.2.1")
    assert check(good, now=NOW).warnings == ()


@pytest.mark.parametrize(("version", "warned"), [("5.1.4", True), ("6.1.0", True), ("6.2.0", False)])
def test_managers_that_do_not_know_brokers_of_others_deserve_a_word(good, tmp_path, version, warned):
    build_rpm(tmp_path / "install.rpm", version=version)
    warnings = check({**good, **elsewhere(tmp_path)}, now=NOW).warnings
    assert [warning.partition(":")[0] for warning in warnings] == ["external_brokers"] * warned


def test_a_version_newer_than_all_that_are_known_deserves_a_word(good, tmp_path):
    build_rpm(tmp_path / "install.rpm", version="7.1.0")
    [warning] = check(good, now=NOW).warnings
    assert warning.startswith("install_rpm_path: is of version 7.1.0, newer than any")


def test_members_that_would_have_one_name_are_refused(good):
    good["hosts"] = [
        {"ip": "10.0.0.1", "hostname": "a.one"},
        {"ip": "10.0.0.2", "hostname": "a.two"},
        {"ip": "10.0.0.3"},
    ]
    assert "would both be called a in the cluster" in problems_of(good)["hosts"]


@pytest.mark.parametrize(
    ("additional", "place", "said"),
    [
        (
            {"postgresql_server": {"ssl_only_connections": False}},
            "postgresql_server.ssl_client_verification",
            "needs",
        ),
        ({"postgresql": {"postgresql_server": "x"}}, "postgresql_server", "must be a mapping"),
        (
            {"postgresql_client": {"cloudify_username": "postgres"}},
            "postgresql_client.cloudify_username",
            "another",
        ),
        ({"rabbitmq": {"nodename": ""}}, "rabbitmq.nodename", "must not be empty"),
    ],
)
def test_what_the_installer_would_refuse_is_said_once_for_all_members(good, additional, place, said):
    problems = problems_of({**good, "additional_config": additional})
    assert list(problems) == [f"additional_config.{place}"]
    assert said in problems[f"additional_config.{place}"]


def test_an_unknown_section_and_what_tier_2_relies_on_deserve_a_word(good):
    additional = {
        "restservise": {},
        "manager": {"manager": {"security": {"admin_password": "canary-x"}}},
        "postgresql": {"foo": 1},
    }
    warnings = check({**good, "additional_config": additional}, now=NOW).warnings
    assert [warning.partition(": ")[0] for warning in warnings] == [
        "additional_config.restservise",
        "additional_config.postgresql",
        "additional_config.manager.manager.security.admin_password",
    ]
    assert "canary" not in str(warnings)


def test_what_only_generation_5_knows_means_nothing_to_generation_4(good, tmp_path):
    build_rpm(tmp_path / "install.rpm", version="4.6.0")
    warnings = check({**good, **elsewhere(tmp_path)}, now=NOW).warnings
    assert [warning.partition(":")[0] for warning in warnings] == [
        *("manager_license_path", "external_database", "external_brokers")
    ]
