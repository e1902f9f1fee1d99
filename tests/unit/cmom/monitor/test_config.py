"""What the monitor is told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from cmom.errors import ActionRequired, InvalidInputs
from cmom.monitor.config import Config, LocalTier2, ManagerTier2, load_config, parse_config

PROJECT = Path(__file__).resolve().parents[4]
CREDENTIALS = {"CMOM_TIER2_USERNAME": "watcher", "CMOM_TIER2_PASSWORD": "canary-7c1f"}
MANAGER = {"tier2": {"kind": "manager", "ca_cert": "/etc/ca.pem"}}
LOCAL = {"tier2": {"kind": "local", "workdir": "/somewhere"}}


def problems(content: Any, environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(InvalidInputs) as caught:
        parse_config(content, CREDENTIALS if environment is None else environment)
    return [str(fault) for fault in caught.value.faults]


def credentials_file(folder: Path, mode: int = 0o600, **content: str) -> Path:
    path = folder / "credentials.yaml"
    path.write_text(yaml.safe_dump(content or {"username": "watcher", "password": "canary-7c1f"}))
    path.chmod(mode)
    return path


def with_file(path: Path) -> dict[str, Any]:
    return {"tier2": {**MANAGER["tier2"], "credentials_file": str(path)}}


def test_the_defaults_are_those_of_the_product() -> None:
    config = parse_config(MANAGER, CREDENTIALS)
    assert config == Config(tier2=config.tier2)
    times = config.times
    assert (times.interval_seconds, times.suspect_seconds, times.failed_seconds) == (10.0, 30.0, 60.0)
    assert (config.rest_interval_seconds, times.timeout_seconds) == (60.0, 5.0)
    assert (config.web.address, config.web.port) == ("127.0.0.1", 9188)


def test_a_manager_is_reached_at_its_internal_rest_service_unless_told_otherwise() -> None:
    tier2 = parse_config(MANAGER, CREDENTIALS).tier2
    assert isinstance(tier2, ManagerTier2)
    assert (tier2.address, tier2.access.port, tier2.tenants) == ("localhost", 53333, ("default_tenant",))
    assert (tier2.access.username, tier2.access.password.reveal()) == ("watcher", "canary-7c1f")


def test_the_local_profile_is_where_cfy_looks_for_it() -> None:
    given = parse_config({"tier2": {"kind": "local"}}, {"CFY_WORKDIR": "/state"}).tier2
    assert given == LocalTier2(Path("/state"))
    home = parse_config({"tier2": {"kind": "local"}}, {}).tier2
    assert home == LocalTier2(Path(os.path.expanduser("~")))
    assert parse_config(LOCAL, {"CFY_WORKDIR": "/state"}).tier2 == LocalTier2(Path("/somewhere"))


def test_credentials_come_from_a_file_that_only_its_owner_can_read(tmp_path: Path) -> None:
    tier2 = parse_config(with_file(credentials_file(tmp_path)), {}).tier2
    assert isinstance(tier2, ManagerTier2)
    assert tier2.access.password.reveal() == "canary-7c1f"
    assert "canary" not in repr(tier2)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o660])
def test_a_file_that_others_can_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    (problem,) = problems(with_file(credentials_file(tmp_path, mode)), {})
    assert f"{mode:04o}" in problem
    assert "chmod 600" in problem
    assert "canary" not in problem


def test_a_file_without_a_password_or_that_is_no_yaml_is_refused_without_showing_it(tmp_path: Path) -> None:
    (problem,) = problems(with_file(credentials_file(tmp_path, username="watcher")), {})
    assert "no user name and password" in problem
    path = credentials_file(tmp_path)
    path.write_text("password: [canary-7c1f")
    problem = problems(with_file(path), {})[0]
    assert "is not valid YAML" in problem
    assert "canary" not in problem
    problem = problems(with_file(tmp_path / "none"), {})[0]
    assert "cannot be read: No such file" in problem


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    path = credentials_file(tmp_path, username="other", password="other-password")
    tier2 = parse_config(with_file(path), CREDENTIALS).tier2
    assert isinstance(tier2, ManagerTier2)
    assert tier2.access.username == "watcher"


def test_secrets_do_not_belong_into_the_configuration() -> None:
    content = {"tier2": {**MANAGER["tier2"], "password": "canary-7c1f"}}
    (problem,) = problems(content)
    assert problem.startswith("tier2.password: belongs into credentials_file")
    assert "canary" not in problem


def test_all_faults_come_in_one_message_each_with_its_place() -> None:
    found = problems(
        {
            "tier2": {"kind": "cloud", "tenants": [], "adress": "x", "ca_cert": 5},
            "heartbeat": {"interval_seconds": "often", "timeout_seconds": 0},
            "verdict": {"suspect_seconds": 90, "failed_seconds": float("nan")},
            "breaker": {"share": 1.5, "least_clusters": 1.5},
            "web": {"port": True},
            "colour": {},
            "healing": 5,
        },
        {},
    )
    places = [problem.partition(":")[0] for problem in found]
    assert sorted(set(places)) == [
        "breaker.least_clusters",
        "breaker.share",
        "colour",
        "healing",
        "heartbeat.interval_seconds",
        "heartbeat.timeout_seconds",
        "tier2.adress",
        "tier2.ca_cert",
        "tier2.credentials_file",
        "tier2.kind",
        "tier2.tenants",
        "verdict.failed_seconds",
        "verdict.suspect_seconds",
        "web.port",
    ]


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "monitor.yaml"
    path.write_text(
        "tier2: {kind: local, workdir: /state, refresh_seconds: 5}\nweb: {address: '::', port: 0}\n"
    )
    config = load_config(path, {})
    assert (config.refresh_seconds, config.web.address, config.web.port) == (5, "::", 0)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tier2: [", "is not valid YAML"),
        ("- a\n", "must hold a mapping"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_file_that_is_none_is_said(tmp_path: Path, text: str | None, problem: str) -> None:
    path = tmp_path / "monitor.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ActionRequired, match=problem):
        load_config(path, {})


def test_the_sample_says_what_is_the_default_anyway(tmp_path: Path) -> None:
    sample = (PROJECT / "options" / "cmom-monitor.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(sample)
    content["tier2"].pop("credentials_file")
    config = parse_config(content, CREDENTIALS)
    assert config == Config(tier2=config.tier2)
