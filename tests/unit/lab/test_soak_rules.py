"""Each rule of the soak is broken here once, and found."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from lab.soak.figures import Figures
from lab.soak.invariants import (
    RACE_SECONDS,
    ClusterRules,
    archive_fault,
    files_with,
    growth,
    ledger_faults,
    slope_per_hour,
    whole,
)
from lab.soak.observer import Look, Seen
from lab.soak.watchers import Samples

NAMES = ("m1", "m2", "m3")
IPS = ("10.0.0.1", "10.0.0.2", "10.0.0.3")


def member(number: int, **changes: object) -> Seen:
    """Return a healthy member of the cluster."""
    usual = Seen(
        NAMES[number - 1], IPS[number - 1], installation=number, cluster="c", leads=number == 1, healthy=True
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def look(at: float, *machines: Seen, listed: tuple[str, ...] = IPS) -> Look:
    """Return a look at a cluster of three; those not given are healthy."""
    usual = {number: member(number) for number in (1, 2, 3)}
    seen = {one.name: one for one in (*usual.values(), *machines)}
    return Look(at, seen, {"c": listed})


def broken(*looks: Look) -> list[str]:
    """Return the rules that are broken by these looks, one after the other."""
    rules = ClusterRules({"tier1": NAMES})
    return [violation.rule for one in looks for violation in rules.look(one)]


def test_a_cluster_that_goes_on_breaks_no_rule() -> None:
    assert broken(look(0.0), look(0.1), look(60.0)) == []


def test_two_leaders_are_found() -> None:
    assert broken(look(0.0), look(0.1, member(2, leads=True))) == ["two_leaders"]


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(look(9.0, listed=IPS[:2]), id="removed"),
        pytest.param(look(9.0, member(3, installation=7)), id="made anew"),
        pytest.param(look(9.0, Seen("m3", IPS[2])), id="its manager wiped"),
    ],
)
def test_a_healthy_member_that_is_destroyed_is_found(after: Look) -> None:
    assert broken(look(0.0), look(8.9), after) == ["healthy_destroyed"]


def test_a_dead_member_may_be_removed_and_made_anew() -> None:
    dead = member(3, healthy=False, power="off")

    assert (
        broken(look(0.0), look(1.0, dead), look(9.0, dead, listed=IPS[:2]), look(9.1, Seen("m3", IPS[2])))
        == []
    )


def test_one_that_came_back_in_the_moment_of_its_removal_is_counted_and_no_fault() -> None:
    rules = ClusterRules({"tier1": NAMES})
    dead = member(3, healthy=False)

    for one in (look(0.0, dead), look(1.0), look(RACE_SECONDS / 2 + 1, listed=IPS[:2])):
        assert list(rules.look(one)) == []

    assert (rules.removals, rules.races) == (1, 1)


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(look(0.0, member(2, healthy=False)), id="one is not healthy"),
        pytest.param(look(0.0, listed=IPS[:2]), id="one is not listed"),
        pytest.param(look(0.0, member(1, leads=False)), id="nobody leads"),
        pytest.param(look(0.0, member(3, cluster="d")), id="one is in another cluster"),
    ],
)
def test_what_a_cluster_lacks_is_said(seen: Look) -> None:
    assert whole(look(0.0), NAMES, 3) == ""
    assert "of 3 members are healthy" in whole(seen, NAMES, 3)


def snapshot(folder: Path, content: bytes = b"content", told: bytes = b"content") -> Path:
    """Return a snapshot whose manifest tells of some content."""
    path = folder / "snap.zip"
    path.write_bytes(content)
    manifest = {"bytes": len(told), "sha256": hashlib.sha256(told).hexdigest()}
    path.with_suffix(".json").write_text(json.dumps(manifest))
    return path


def test_a_rotten_snapshot_is_found(tmp_path: Path) -> None:
    assert archive_fault(snapshot(tmp_path)) == ""
    assert "its manifest says" in archive_fault(snapshot(tmp_path, told=b"another"))
    snapshot(tmp_path).with_suffix(".json").write_text("{")
    assert "cannot be read" in archive_fault(tmp_path / "snap.zip")
    (tmp_path / "snap.json").unlink()
    assert "has no manifest" in archive_fault(tmp_path / "snap.zip")
    (tmp_path / "snap.zip").unlink()
    assert archive_fault(tmp_path / "snap.zip") == ""


LEDGER = {"host_a": {"ip": IPS[0]}, "host_b": {"ip": IPS[1]}}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({}, None, id="whole"),
        pytest.param(
            {"ledger": {"host_a": {"ip": IPS[0]}, "host_b": {"ip": IPS[0]}}}, "held twice", id="twice"
        ),
        pytest.param({"hosts": IPS[:1]}, "none of the pool", id="of no pool"),
        pytest.param({"holders": ("host_a",)}, "node instances are", id="held by nobody"),
        pytest.param({"members": IPS[:1]}, "members are", id="leaked"),
    ],
)
def test_a_leaked_entry_of_the_pool_is_found(changes: dict[str, object], fault: str | None) -> None:
    given: dict[str, object] = {
        "ledger": LEDGER,
        "hosts": IPS,
        "members": IPS[:2],
        "holders": ("host_a", "host_b"),
        **changes,
    }

    found = ledger_faults(**given)  # type: ignore[arg-type]

    assert [fault in one for one in found].count(True) == 1 if fault else found == []


def test_growth_leaves_out_the_beginning() -> None:
    filling = [(float(at), 10.0 + min(at, 25)) for at in range(100)]
    leaking = [(float(at), at / 10) for at in range(100)]

    assert growth(filling) == 0
    assert growth(leaking) == pytest.approx(5.0)
    assert slope_per_hour(leaking) == pytest.approx(360.0)
    assert (growth([]), slope_per_hour([(1.0, 2.0)])) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("kilobytes", "descriptors", "rules"), [(0, 0, []), (10, 0, ["memory"]), (0, 1, ["descriptors"])]
)
def test_a_monitor_that_grows_is_found(kilobytes: float, descriptors: float, rules: list[str]) -> None:
    samples = Samples(
        {7: [(float(at), 60_000 + kilobytes * at * 10) for at in range(0, 600, 2)]},
        {7: [(float(at), 9 + descriptors * at / 10) for at in range(0, 600, 2)]},
    )
    figures = Figures(1)

    assert [one.rule for one in figures.take_samples(samples)] == rules
    assert figures.monitor["lived_seconds"] == 598


def test_a_secret_in_a_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "clean.log").write_text("all is well")
    (tmp_path / "dirty.log").write_text("password=hunter2!")

    found = files_with(["hunter2!"], [tmp_path / "clean.log", tmp_path / "dirty.log", tmp_path / "gone.log"])

    assert found == [tmp_path / "dirty.log"]
