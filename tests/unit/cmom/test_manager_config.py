"""config.yaml, as generation 4's installer reads it."""

from __future__ import annotations

import copy
import io

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmom.models import Host, Secret
from cmom.services.config_text import deep_merge, to_yaml
from cmom.services.manager_config import (
    ManagerSettings,
    check_additional_config,
    generation_4_config,
    generation_4_identity,
)
from cmom.services.validation.findings import Findings
from cmom.services.wanted import Ldap

HOST = Host("10.0.0.21", "192.0.2.21", "manager-1")
CANARY = "canary-admin-password"

# Characters that YAML treats specially, and some from far away; all of Unicode would take a second to set up.
TEXT = st.text("abe01.:-#&*!|>%@`'\"\\{}[],~= \n\t\x07\x85\u00e9\ufeff\U0001f600", max_size=8)
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
)
MAPPINGS = st.dictionaries(
    st.sampled_from("abcd"), PLAIN | st.dictionaries(st.sampled_from("abcd"), PLAIN), max_size=4
)


def config_of(**changes: object) -> dict[str, object]:
    given_settings = {"admin_username": "admin", "admin_password": Secret(CANARY)} | changes
    content = generation_4_config(HOST, ManagerSettings(**given_settings))
    loaded = yaml.safe_load(content.reveal())
    assert isinstance(loaded, dict)
    return loaded


def test_the_configuration_of_generation_4_has_the_installers_keys():
    assert config_of() == {
        "manager": {
            "private_ip": "10.0.0.21",
            "public_ip": "192.0.2.21",
            "security": {"ssl_enabled": True, "admin_username": "admin", "admin_password": CANARY},
        },
        "ssl_inputs": {
            "external_cert_path": "/etc/cloudify/cmom-certificates/external_cert.pem",
            "external_key_path": "/etc/cloudify/cmom-certificates/external_key.pem",
            "internal_cert_path": "/etc/cloudify/cmom-certificates/internal_cert.pem",
            "internal_key_path": "/etc/cloudify/cmom-certificates/internal_key.pem",
            "ca_cert_path": "/etc/cloudify/cmom-certificates/ca_cert.pem",
        },
    }


def test_a_manager_is_the_same_one_after_its_password_was_changed_and_after_nothing_else():
    def identity(**changes):
        given_settings = {"admin_username": "admin", "admin_password": Secret(CANARY)} | changes
        return generation_4_identity(HOST, ManagerSettings(**given_settings)).reveal()

    assert identity() == identity(admin_password=Secret("changed"))
    assert CANARY not in identity()
    assert identity() != identity(admin_username="root")
    assert identity() != identity(additional_config={"sanity": {"skip_sanity": True}})


def test_no_certificate_lies_where_the_installer_empties_the_folder_first():
    assert not [path for path in config_of()["ssl_inputs"].values() if path.startswith("/etc/cloudify/ssl/")]


def test_the_cas_key_is_not_mentioned():
    assert "ca_key_path" not in config_of()["ssl_inputs"]


def test_ldap_arrives_with_what_was_given_of_it():
    ldap = Ldap("ldap://10.0.0.5", "cn=admin", Secret("ldap-pass"), "example.org", is_active_directory=False)
    assert config_of(ldap=ldap)["restservice"] == {
        "ldap": {
            "server": "ldap://10.0.0.5",
            "username": "cn=admin",
            "password": "ldap-pass",
            "domain": "example.org",
            "is_active_directory": False,
        }
    }


def test_without_an_ldap_server_there_is_nothing_of_ldap():
    assert "restservice" not in config_of()


def test_additional_config_wins_key_by_key():
    config = config_of(
        ldap=Ldap("ldap://10.0.0.5"),
        additional_config={
            "sanity": {"skip_sanity": True},
            "restservice": {"log": {"level": "DEBUG"}, "ldap": {"server": "ldap://10.0.0.6"}},
            "manager": {"public_ip": "198.51.100.1"},
        },
    )
    assert config["sanity"] == {"skip_sanity": True}
    assert config["restservice"] == {"log": {"level": "DEBUG"}, "ldap": {"server": "ldap://10.0.0.6"}}
    assert config["manager"]["public_ip"] == "198.51.100.1"
    assert config["manager"]["private_ip"] == "10.0.0.21"


def test_the_same_data_gives_the_same_text_whatever_its_order():
    one = {"b": {"x": 1, "y": 2}, "a": [1]}
    other = {"a": [1], "b": {"y": 2, "x": 1}}
    settings = [ManagerSettings("admin", Secret(CANARY), additional_config=config) for config in (one, other)]
    first, second = (generation_4_config(HOST, setting) for setting in settings)
    assert first.reveal() == second.reveal()


def test_the_content_is_a_secret():
    settings = ManagerSettings("admin", Secret(CANARY), additional_config={"x": {"password": CANARY}})
    content = generation_4_config(HOST, settings)
    assert CANARY in content.reveal()
    assert CANARY not in f"{content} {content!r} {settings}"


@pytest.mark.parametrize(
    "password",
    [
        "1e3",
        "0o17",
        "12345",
        "1_000",
        "yes",
        "null",
        "~",
        "a: b",
        "#x",
        "'\"\\",
        "{a}",
        "2024-01-01",
        "1:30",
        "=",
        " x ",
    ],
)
def test_a_password_stays_text_in_every_version_of_yaml(password):
    text = to_yaml({"password": Secret(password)}).reveal()
    assert yaml.safe_load(text) == {"password": password}
    # Quoted: then YAML 1.2, which has other rules for what is a number, reads text as well.
    assert text.startswith(('password: "', "password: '"))


@UNHURRIED
@given(base=MAPPINGS, overlay=MAPPINGS)
def test_a_merge_has_every_key_of_both_and_the_overlays_values(base, overlay):
    before = copy.deepcopy((base, overlay))
    merged = deep_merge(base, overlay)
    assert set(merged) == set(base) | set(overlay)
    for key, value in merged.items():
        if key not in overlay:
            assert value == base[key]
        elif isinstance(value, dict) and isinstance(overlay[key], dict) and isinstance(base.get(key), dict):
            assert value == deep_merge(base[key], overlay[key])
        else:
            assert value == overlay[key]
    assert (base, overlay) == before


@UNHURRIED
@given(base=MAPPINGS, overlay=MAPPINGS)
def test_merging_the_same_overlay_again_changes_nothing(base, overlay):
    merged = deep_merge(base, overlay)
    assert deep_merge(merged, overlay) == merged
    assert deep_merge(base, {}) == base


@UNHURRIED
@given(content=st.dictionaries(TEXT, PLAIN, max_size=4))
def test_what_is_written_reads_back_the_same(content):
    text = to_yaml(content).reveal()
    assert yaml.safe_load(io.StringIO(text)) == content


def findings_of(additional: dict[str, object]) -> Findings:
    findings = Findings()
    check_additional_config(additional, findings)
    return findings


@pytest.mark.parametrize(
    ("additional", "place"),
    [
        ({"manager": "x"}, "additional_config.manager"),
        ({"manager": {"security": None}}, "additional_config.manager.security"),
        ({"ssl_inputs": []}, "additional_config.ssl_inputs"),
        ({"restservice": {"ldap": CANARY}}, "additional_config.restservice.ldap"),
    ],
)
def test_a_section_that_is_no_mapping_is_a_fault(additional, place):
    [fault] = findings_of(additional).faults
    assert fault.place == place
    assert fault.problem.startswith("must be a mapping, as in config.yaml, not ")
    assert CANARY not in fault.problem


def test_an_unknown_section_deserves_a_word():
    [warning] = findings_of({"restservise": {}}).warnings
    assert warning == (
        "additional_config.restservise: no section of generation 4's config.yaml; did you mean 'restservice'?"
    )


def test_overlaying_what_tier_2_relies_on_deserves_a_word_without_the_value():
    findings = findings_of({"manager": {"security": {"admin_password": CANARY}}})
    assert findings.warnings == (
        "additional_config.manager.security.admin_password: overlays what Tier 2 itself sets and relies on; "
        "it must mean the same",
    )


def test_the_seeds_example_is_neither_a_fault_nor_worth_a_word():
    findings = findings_of(
        {
            "sanity": {"skip_sanity": True},
            "restservice": {"log": {"level": "DEBUG"}},
            "mgmtworker": {"log_level": "DEBUG"},
        }
    )
    assert (findings.faults, findings.warnings) == ((), ())
