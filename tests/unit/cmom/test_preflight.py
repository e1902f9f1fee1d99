"""The preflight: everything that can be known to be wrong is said at once, before any machine is touched."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmom.errors import ActionRequired, InvalidInputs, TryAgainLater
from cmom.models import Package, Version
from cmom.services.inputs import INSTALL_INPUTS
from cmom.services.preflight import check, refusal_of
from lab.rpm_builder import build_rpm
from tests.unit.cmom.given_ca import DAY, NOW, key_of, key_pem, make_ca
from tests.unit.cmom.given_inputs import ADMIN_PASSWORD, good_inputs


@pytest.fixture
def good(tmp_path) -> dict[str, Any]:
    return good_inputs(tmp_path)


def problems_of(raw: Any, **options: Any) -> dict[str, str]:
    with pytest.raises(InvalidInputs) as error:
        check(raw, **options)
    assert ADMIN_PASSWORD not in str(error.value)
    return {fault.place: fault.problem for fault in error.value.faults}


def test_good_inputs_tell_version_generation_and_ca(good):
    report = check(good, now=NOW)
    assert (str(report.version), report.generation, report.warnings) == ("4.6.0", 4, ())
    assert report.ca_fingerprint.startswith("certificate=")


def test_faults_of_every_kind_are_said_at_once(good, tmp_path):
    build_rpm(tmp_path / "install.rpm", name="nginx", version="1.0")
    (tmp_path / "ca_key.pem").write_bytes(key_pem(key_of("rsa2048", 5)))
    del good["ssh_user"]
    good |= {
        "hosts": [{"ip": "10.0.0.1"}],
        "additional_config": {"manager": "x"},
        "plugins": [{"wagon": "/no/such.wgn"}],
        "colour": "red",
    }
    assert list(problems_of(good, now=NOW)) == [
        "colour",
        "hosts",
        "ssh_user",
        "plugins[0].wagon",
        "plugins[0].yaml",
        "additional_config.manager",
        "ca_key",
        "install_rpm_path",
    ]


def test_the_ca_of_an_earlier_preflight_is_accepted_again(good):
    first = check(good, now=NOW)
    assert check(good, now=NOW, earlier_ca_fingerprint=first.ca_fingerprint) == first


def test_a_ca_that_was_replaced_since_is_refused(good, tmp_path):
    first = check(good, now=NOW)
    make_ca(tmp_path, number=3)
    problems = problems_of(good, now=NOW, earlier_ca_fingerprint=first.ca_fingerprint)
    assert list(problems) == ["ca_cert"]
    assert "is another CA than the one" in problems["ca_cert"]


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("5.0.5", "neither those of 4.x nor those of 5.1 and later"),
        ("4.2.0", "managers from 4.3 on can be installed"),
    ],
)
def test_a_version_that_cannot_be_installed_is_refused_with_the_reason(good, tmp_path, version, said):
    build_rpm(tmp_path / "install.rpm", version=version)
    assert said in problems_of(good, now=NOW)["install_rpm_path"]


@pytest.mark.parametrize("version", ["4.3.0", "4.4.0", "4.5.5", "4.6.0", "5.1.0", "6.4.2", "7.0.5"])
def test_every_other_version_can_be_installed(version):
    assert refusal_of(Package("cloudify-manager-install", Version.parse(version), "ga", "x86_64")) is None


def test_warnings_come_with_the_report(good, tmp_path):
    make_ca(tmp_path, not_after=NOW + 20 * DAY)
    (tmp_path / "ssh_key").chmod(0o644)
    good["additional_config"] = {"restservise": {}}
    places = [warning.split(":")[0] for warning in check(good, now=NOW).warnings]
    assert places == ["ssh_private_key_path", "additional_config.restservise", "ca_cert"]


def test_a_silent_server_of_the_rpm_is_for_time_to_mend(good):
    def silent(source: str, *, timeout_seconds: float) -> Package:
        raise TryAgainLater("The server did not answer.")

    good["install_rpm_path"] = "https://files.example.org/x.rpm"
    with pytest.raises(TryAgainLater, match="did not answer"):
        check(good, now=NOW, read_package=silent)


def test_faults_are_said_even_while_the_server_of_the_rpm_is_silent(good):
    def silent(source: str, *, timeout_seconds: float) -> Package:
        raise TryAgainLater("The server did not answer.")

    good |= {"install_rpm_path": "https://files.example.org/x.rpm", "num_of_instances": 0}
    assert list(problems_of(good, now=NOW, read_package=silent)) == ["num_of_instances"]


def test_the_faults_are_for_a_person(good):
    with pytest.raises(ActionRequired, match="1 fault in the inputs:\n  - ca_key: there is no file"):
        check({**good, "ca_key": "/no/such.pem"}, now=NOW)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("a1./:{}\x00", max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2),
    max_leaves=4,
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    max_examples=50,
)
@given(raw=st.dictionaries(st.sampled_from(INSTALL_INPUTS), JSON, max_size=8) | JSON)
def test_whatever_is_given_there_is_no_other_error(raw):
    with pytest.raises(InvalidInputs):
        check(raw, now=NOW)
