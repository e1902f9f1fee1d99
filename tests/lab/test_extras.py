"""Files and scripts of the user's on a machine of the lab."""

from __future__ import annotations

import logging
import stat

import pytest

from cmom.errors import ActionRequired, MachineUnreachable
from cmom.services.extras import Extras
from cmom.services.machine import STAGING_DIRECTORY, STATE_DIRECTORY
from lab.testing import LabThread
from tests.lab.given_machine import CANARY, machine_of, ssh_to


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with LabThread(tmp_path_factory.mktemp("lab"), machines=1) as lab:
        yield lab


@pytest.fixture
def machine(lab):
    with ssh_to(lab) as ssh:
        yield machine_of(ssh, lab)
    lab.fault("m1", "clear")


@pytest.fixture
def extras(machine):
    return Extras(machine)


@pytest.fixture
def write(tmp_path):
    def write(content, name="source", mode=0o640):
        path = tmp_path / name
        path.write_text(content)
        path.chmod(mode)
        return str(path)

    return write


def inside(lab, path):
    return lab.machine("m1").path(path)


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


# --- files


@pytest.mark.parametrize("folder", ["/home/centos/new/folder", "/opt/new/folder"])
def test_a_file_is_copied_with_its_mode_and_the_folders_above_it(lab, extras, write, folder):
    assert extras.ensure_file(write("content"), f"{folder}/target")
    target = inside(lab, f"{folder}/target")
    assert target.read_text() == "content"
    assert mode_of(target) == 0o640
    assert [path.name for path in target.parent.iterdir()] == ["target"]


@pytest.mark.parametrize("destination", ["/home/centos/same", "/opt/same"])
def test_a_file_that_is_there_is_left_alone(lab, extras, write, destination):
    source = write("content")
    extras.ensure_file(source, destination)
    before = inside(lab, destination).stat()
    assert not extras.ensure_file(source, destination)
    assert inside(lab, destination).stat().st_ino == before.st_ino


@pytest.mark.parametrize("destination", ["/home/centos/other", "/opt/other"])
def test_a_file_that_was_changed_is_copied_again(lab, extras, write, destination):
    extras.ensure_file(write("one"), destination)
    assert extras.ensure_file(write("two"), destination)
    assert inside(lab, destination).read_text() == "two"


def test_a_mode_that_was_changed_is_put_right(lab, extras, write):
    extras.ensure_file(write("x", mode=0o600), "/opt/key")
    assert extras.ensure_file(write("x", mode=0o400), "/opt/key")
    assert mode_of(inside(lab, "/opt/key")) == 0o400


@pytest.mark.parametrize(
    ("destination", "target"),
    [
        ("below/home", "/home/centos/below/home"),
        ("~/tilde", "/home/centos/tilde"),
        ("/opt/folder/", "/opt/folder/source"),
        ("/usr/../opt/odd", "/opt/odd"),
    ],
)
def test_destinations_mean_what_people_mean(lab, extras, write, destination, target):
    extras.ensure_file(write("content"), destination)
    assert inside(lab, target).read_text() == "content"


def test_a_folder_that_is_there_receives_the_file(lab, extras, machine, write):
    machine.ensure_directory("/opt/folder2")
    extras.ensure_file(write("content"), "/opt/folder2")
    assert inside(lab, "/opt/folder2/source").read_text() == "content"


def test_nothing_is_left_of_a_copy_that_went_through_staging(lab, extras, write):
    extras.ensure_file(write("secret"), "/opt/secret")
    assert list(inside(lab, f"/home/centos/{STAGING_DIRECTORY}").iterdir()) == []


@pytest.mark.parametrize("source", ["none", "."])
def test_a_source_that_cannot_be_copied_is_refused(extras, tmp_path, source):
    with pytest.raises(ActionRequired, match=r"cannot be read|is not a file"):
        extras.ensure_file(str(tmp_path / source), "/opt/x")


def test_a_destination_below_a_file_is_refused(extras, write):
    extras.ensure_file(write("x"), "/opt/plain")
    with pytest.raises(ActionRequired, match="/opt/plain"):
        extras.ensure_file(write("x"), "/opt/plain/below")


# --- scripts


def test_a_script_runs_as_the_ssh_user_and_may_use_sudo(extras, write):
    (outcome,) = extras.run_scripts([write("id -un\nsudo id -un\n")])
    assert outcome.ok
    assert outcome.output_tail == "centos\nroot"


def test_a_failing_script_is_a_warning_and_the_next_one_runs(extras, write, caplog):
    caplog.set_level(logging.INFO)
    bad = write("echo trouble >&2; exit 3", "bad.sh")
    good = write("echo fine", "good.sh")
    outcomes = extras.run_scripts([bad, good])
    assert [(outcome.path, outcome.exit_code) for outcome in outcomes] == [(bad, 3), (good, 0)]
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "trouble" in warning.getMessage()
    assert "exit code 3" in warning.getMessage()


def test_a_script_runs_once_and_its_outcome_is_remembered(lab, extras, machine, write):
    script = write("echo again >> runs; exit 5", "once.sh")
    first = extras.run_scripts([script])
    assert Extras(machine).run_scripts([script]) == first
    assert inside(lab, "/home/centos/runs").read_text() == "again\n"
    assert first[0].exit_code == 5


def test_a_script_that_was_changed_runs_again(lab, extras, write):
    extras.run_scripts([write("echo one >> changed", "changing.sh")])
    extras.run_scripts([write("echo two >> changed", "changing.sh")])
    assert inside(lab, "/home/centos/changed").read_text() == "one\ntwo\n"


def test_the_same_script_twice_in_the_list_runs_twice(lab, extras, write):
    script = write("echo run >> twice", "twice.sh")
    assert len(extras.run_scripts([script, script])) == 2
    assert inside(lab, "/home/centos/twice").read_text() == "run\nrun\n"


def test_a_script_that_takes_too_long_is_ended_on_the_machine(lab, machine, write):
    script = write("echo before; sleep 30; echo after >> late", "slow.sh")
    (outcome,) = Extras(machine, script_timeout_seconds=0.5).run_scripts([script])
    assert outcome.exit_code == 124
    assert outcome.output_tail.startswith("before\n")
    assert "0.5 s" in outcome.output_tail
    assert not inside(lab, "/home/centos/late").exists()


def test_a_script_whose_connection_broke_runs_again(lab, extras, write):
    script = write("echo run >> broken", "broken.sh")
    lab.fault("m1", "ssh-cut", path="exec timeout", times=1)
    with pytest.raises(MachineUnreachable):
        extras.run_scripts([script])
    assert extras.run_scripts([script])[0].ok


def test_a_script_that_leaves_a_process_behind_does_not_hold_us_up(extras, write):
    (outcome,) = extras.run_scripts([write("sleep 60 > /dev/null 2>&1 & echo done", "daemon.sh")])
    assert outcome.ok


def test_the_outcome_of_a_script_holds_no_secret_and_is_for_root_only(lab, extras, write):
    (outcome,) = extras.run_scripts([write(f"echo 'it is {CANARY}'", "leak.sh")])
    assert outcome.output_tail == "it is ***"
    notes = list(inside(lab, f"{STATE_DIRECTORY}/scripts").iterdir())
    assert notes
    for note in notes:
        assert CANARY not in note.read_text()
        assert mode_of(note) == 0o600


def test_a_script_that_cannot_be_read_is_refused(extras, tmp_path):
    with pytest.raises(ActionRequired, match="cannot be read"):
        extras.run_scripts([str(tmp_path / "none.sh")])


def test_nothing_is_left_of_a_script(lab, extras, write):
    extras.run_scripts([write("echo here", "gone.sh")])
    assert list(inside(lab, f"/home/centos/{STAGING_DIRECTORY}").iterdir()) == []
