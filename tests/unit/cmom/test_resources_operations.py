"""The glue of the operations: secrets of Tier 2, its cancellations, and being told to end."""

from __future__ import annotations

import os
import signal
from types import SimpleNamespace
from typing import Any

import pytest
from cloudify.workflows import api
from cloudify_rest_client.exceptions import CloudifyClientError

from cmom.errors import ActionRequired
from cmom.operations import executions, resources
from cmom.runtime import ExecutionRecord

ON_MANAGER = SimpleNamespace(execution_id="tier2-execution")
IN_LOCAL_PROFILE = SimpleNamespace(execution_id="tier2-execution", _local=True)


class Tier2:
    """The REST service of Tier 2, as far as it is asked."""

    def __init__(self) -> None:
        self.status: str | None = "started"
        self.secrets = SimpleNamespace(get=self._secret)
        self.executions = SimpleNamespace(get=self._execution)

    @staticmethod
    def _secret(name: str) -> Any:
        if name != "known":
            raise CloudifyClientError("no such secret", status_code=404)
        return SimpleNamespace(value="from tier 2")

    def _execution(self, execution_id: str, _include: list[str]) -> Any:
        assert execution_id == "tier2-execution"
        if self.status is None:
            raise CloudifyClientError("busy", status_code=503)
        return SimpleNamespace(status=self.status)


@pytest.fixture
def tier2(monkeypatch: pytest.MonkeyPatch) -> Tier2:
    found = Tier2()
    for module in (executions, resources):
        monkeypatch.setattr(module, "get_rest_client", lambda: found)
    return found


def test_a_secret_of_tier_2_is_put_in_on_a_manager(tier2: Tier2) -> None:
    entries = [{"key": "a", "string": {"get_secret": "known"}}, {"key": "b", "string": "plain"}, "odd"]
    found = resources._with_tier2_secrets(ON_MANAGER, {"secrets": entries, "tenants": ["x"]})
    assert found == {
        "secrets": [{"key": "a", "string": "from tier 2"}, {"key": "b", "string": "plain"}, "odd"],
        "tenants": ["x"],
    }
    assert entries[0] == {"key": "a", "string": {"get_secret": "known"}}


def test_one_that_cannot_be_read_is_said_by_name(tier2: Tier2) -> None:
    entries = [{"key": "a", "string": {"get_secret": "unknown"}}]
    with pytest.raises(ActionRequired, match="Secret 'unknown' of Tier 2 cannot be read"):
        resources._with_tier2_secrets(ON_MANAGER, {"secrets": entries})


def test_the_local_profile_has_no_secrets(tier2: Tier2) -> None:
    lists = {"secrets": [{"key": "a", "string": {"get_secret": "known"}}]}
    assert resources._with_tier2_secrets(IN_LOCAL_PROFILE, lists) == lists


@pytest.mark.parametrize("status", ["cancelling", "force_cancelling", "kill_cancelling", "cancelled"])
def test_on_a_manager_the_database_tells_that_we_are_cancelled(
    tier2: Tier2, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("cmom.operations.executions.time.monotonic", lambda: now)
    cancelled = executions._cancellation(ON_MANAGER)
    tier2.status = status
    assert not cancelled(), "it is asked too often"
    now += 10
    assert cancelled()


def test_a_tier_2_that_does_not_answer_cancels_nothing(tier2: Tier2, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executions, "_ASK_EVERY_SECONDS", 0.0)
    cancelled = executions._cancellation(ON_MANAGER)
    tier2.status = None
    assert not cancelled()
    tier2.status = "started"
    assert not cancelled()


def test_in_the_local_profile_the_workflow_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled = executions._cancellation(IN_LOCAL_PROFILE)
    assert not cancelled()
    monkeypatch.setattr(api, "cancel_request", True)
    assert cancelled()


def test_sigterm_is_heard_and_left_as_it_was() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def end() -> None:
        with executions._told_to_end():
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()

    with pytest.raises(executions._Ended):
        end()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_record_of_an_execution_is_what_was_stored() -> None:
    record = ExecutionRecord("id", "failed", "why", "install", "shop", "blue", "tier2-execution")
    properties: dict[str, Any] = {"status": {"condition": "ready"}}
    record.store(properties)
    assert ExecutionRecord.load(properties) == record
    assert properties["status"] == {"condition": "ready"}
    assert ExecutionRecord.load({}) is None
