"""The inputs of watching and healing: all that is wrong with them, at once."""

from __future__ import annotations

from typing import Any

import pytest

from cmom.errors import InvalidInputs
from cmom.services.validation.fields import Fields
from cmom.services.validation.findings import Findings
from cmom.services.validation.healing import HEAL_INPUTS, read_healing


def check(**given: Any) -> None:
    findings = Findings()
    read_healing(Fields(given, "", findings, HEAL_INPUTS))
    findings.raise_faults()


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"heal_steps": ["rebuild"]},
        {"heal_steps": ["wait", "restart_services", "reboot", "rebuild"]},
        {"heal_retries": 0, "heal_retry_interval_seconds": 0.5, "heartbeat_interval": 10},
    ],
)
def test_what_makes_sense_is_accepted(given: dict[str, Any]) -> None:
    check(**given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"heal_steps": ["rebuidl"]}, r"heal_steps\[0\]: cannot be 'rebuidl'; did you mean 'rebuild'\?"),
        ({"heal_steps": []}, "heal_steps: is empty"),
        ({"heal_steps": "rebuild"}, "heal_steps: must be a list, not text"),
        ({"heartbeat_interval": 0.1}, "heartbeat_interval: must be 1 or more"),
        ({"heal_retries": "60"}, "heal_retries: must be a number, not text"),
        ({"heal_wait_seconds": True}, "heal_wait_seconds: must be a number, not true/false"),
        ({"heal_backup_timeout_seconds": float("nan")}, "heal_backup_timeout_seconds: must be 1 or more"),
        ({"heal_retry_delay_seconds": float("inf")}, "heal_retry_delay_seconds: must be 0 or more"),
    ],
)
def test_what_makes_none_is_told_with_its_place(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInputs, match=said):
        check(**given)


def test_all_faults_come_in_one_message() -> None:
    with pytest.raises(InvalidInputs) as told:
        check(heal_steps=["pray"], heal_retries=-1)

    assert len(told.value.faults) == 2


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("heartbeat_interval", 1),
        ("heal_wait_seconds", 0),
        ("heal_retries", 0),
        ("heal_retry_interval_seconds", 0),
        ("heal_backup_timeout_seconds", 1),
        ("heal_rebuild_timeout_seconds", 1),
        ("heal_retry_delay_seconds", 0),
    ],
)
def test_each_number_has_a_least_and_the_fault_names_what_was_given(name: str, least: int) -> None:
    def faults(value: float) -> list[str]:
        findings = Findings()
        read_healing(Fields({name: value}, "", findings, HEAL_INPUTS))
        return [str(fault) for fault in findings.faults]

    assert faults(least) == faults(least + 0.5) == []
    assert faults(least - 0.5) == [f"{name}: must be {least} or more, not {least - 0.5}"]
    assert faults(float("inf")) == [f"{name}: must be {least} or more, not inf"]
