"""The local profile as a Tier 2: what its files say."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from cloudify.workflows.local import JSONEncoderWithDatetime

from cmom.monitor.config import LocalTier2
from cmom.monitor.tier2 import DEFAULT_TENANT, ClusterKey
from cmom.monitor.tier2_local import LocalProfile

KEY = ClusterKey(DEFAULT_TENANT, "tier1")


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Kolkata"])
def anywhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine, in another time zone."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def profile_with(folder: Path, executions: Any) -> LocalProfile:
    deployment = folder / ".cloudify/profiles/local/deployments" / KEY.deployment_id
    deployment.mkdir(parents=True)
    (deployment / "executions.json").write_text(json.dumps(executions, cls=JSONEncoderWithDatetime))
    return LocalProfile(LocalTier2(folder))


@pytest.mark.usefixtures("anywhere")
def test_when_an_execution_began_is_known_in_every_time_zone(tmp_path: Path) -> None:
    # `cfy` takes datetime.utcnow(), which has no time zone.
    began = datetime(2026, 1, 15, 12, 30, 5)
    stored = {"id": "1", "workflow_id": "heal_tier1_manager", "parameters": {"a": 1}, "created_at": began}
    (found,) = profile_with(tmp_path, [stored]).executions(KEY)
    assert found.created_at == began.replace(tzinfo=timezone.utc)
    assert (found.workflow_id, found.parameters) == ("heal_tier1_manager", {"a": 1})


@pytest.mark.parametrize("created", [None, "yesterday", {"__datetime__": "x"}, {"__datetime__": 1e300}, {}])
def test_an_execution_without_a_time_is_listed_all_the_same(tmp_path: Path, created: Any) -> None:
    (found,) = profile_with(tmp_path, [{"id": "1", "created_at": created}]).executions(KEY)
    assert found.created_at is None


def test_a_deployment_without_executions_has_none(tmp_path: Path) -> None:
    profile = profile_with(tmp_path, [])
    assert profile.executions(KEY) == ()
    assert profile.executions(ClusterKey(DEFAULT_TENANT, "other")) == ()
