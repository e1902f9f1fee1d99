"""What is done with an installation that somebody began: every combination of traces on the machine."""

from __future__ import annotations

import itertools

import pytest

from cmom.errors import ActionRequired
from cmom.models import Secret
from cmom.services.installation_state import Evidence, Note, Step, config_fingerprint, decide
from cmom.services.units import UnitState

GONE = UnitState()
RUNNING = UnitState("loaded", "active", "running")
SUCCEEDED = UnitState("loaded", "active", "exited")
FAILED = UnitState("loaded", "failed", "failed", "exit-code", 1)
UNITS = (GONE, RUNNING, SUCCEEDED, FAILED)

OURS, OTHER = "ours", "other"
NOTES = (None, *(Note(which, finished) for which in (OURS, OTHER) for finished in (False, True)))
STEPS = [
    (unit, note, complete, starts)
    for unit, note, complete, starts in itertools.product(UNITS, NOTES, (False, True), (0, 1, 2))
]


def step(unit, note, complete=False, starts=0):
    return decide(Evidence(unit, note, complete), OURS, starts, most_starts=2)


def test_an_empty_machine_is_started():
    assert step(GONE, None) is Step.START


def test_a_running_installation_of_ours_is_watched():
    assert step(RUNNING, Note(OURS, False)) is Step.WATCH


def test_an_installation_that_ended_unseen_is_taken_over():
    assert step(SUCCEEDED, Note(OURS, False)) is Step.ADOPT


def test_an_installation_that_ended_unseen_before_a_reboot_is_taken_over():
    assert step(GONE, Note(OURS, False), complete=True) is Step.ADOPT


def test_an_installation_that_a_reboot_broke_off_is_started_again():
    assert step(GONE, Note(OURS, False)) is Step.START
    assert step(GONE, Note(OURS, False), starts=1) is Step.START


def test_a_machine_that_reboots_again_and_again_is_given_up():
    assert step(GONE, Note(OURS, False), starts=2) is Step.FAIL


def test_an_earlier_failure_is_tried_once_more():
    assert step(FAILED, Note(OURS, False)) is Step.START


def test_an_earlier_failure_is_tried_with_a_mended_configuration():
    assert step(FAILED, Note(OTHER, False)) is Step.START


def test_a_failure_that_was_seen_is_not_tried_again():
    assert step(FAILED, Note(OURS, False), starts=1) is Step.FAIL


@pytest.mark.parametrize("unit", [GONE, SUCCEEDED, FAILED])
def test_a_finished_installation_is_left_alone(unit):
    assert step(unit, Note(OURS, True)) is Step.NOTHING


@pytest.mark.parametrize("unit", [GONE, SUCCEEDED, FAILED])
def test_a_finished_installation_of_another_configuration_is_refused(unit):
    assert step(unit, Note(OTHER, True)) is Step.REFUSE_OTHER


def test_an_unseen_end_with_another_configuration_is_refused():
    assert step(SUCCEEDED, Note(OTHER, False)) is Step.REFUSE_OTHER
    assert step(GONE, Note(OTHER, False), complete=True) is Step.REFUSE_OTHER


@pytest.mark.parametrize("note", [None, Note(OTHER, False), Note(OTHER, True)])
def test_a_running_installation_of_another_configuration_is_not_disturbed(note):
    assert step(RUNNING, note) is Step.REFUSE_RUNNING


def test_a_manager_that_is_not_ours_is_refused():
    assert step(GONE, None, complete=True) is Step.REFUSE_FOREIGN


@pytest.mark.parametrize(("unit", "note", "complete", "starts"), STEPS)
def test_nothing_is_ever_started_over_a_running_or_a_finished_manager(unit, note, complete, starts):
    if step(unit, note, complete, starts) is Step.START:
        assert not unit.running
        assert not unit.succeeded
        assert not (note is not None and note.finished)
        assert starts < 2


@pytest.mark.parametrize(("unit", "note", "complete", "starts"), STEPS)
def test_only_our_configuration_is_ever_taken_for_installed(unit, note, complete, starts):
    if step(unit, note, complete, starts) in (Step.NOTHING, Step.ADOPT, Step.WATCH):
        assert note is not None
        assert note.fingerprint == OURS


def test_a_note_survives_being_written():
    note = Note("abc", True)
    assert Note.parse(note.text(), "there") == note


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"config_sha256": 1}', "garbage"])
def test_a_damaged_note_names_its_place(text):
    with pytest.raises(ActionRequired, match=r"/var/lib/cmom/install\.json on 10\.0\.0\.21"):
        Note.parse(text, "/var/lib/cmom/install.json on 10.0.0.21")


def test_layout_and_order_do_not_make_another_configuration():
    one = config_fingerprint(Secret("a: 1\nb: {c: x, d: y}\n"))
    assert one == config_fingerprint(Secret("b:\n  d: y\n  c: 'x'\na: 1\n"))


def test_another_value_makes_another_configuration():
    assert config_fingerprint(Secret("a: 1\n")) != config_fingerprint(Secret("a: 2\n"))
