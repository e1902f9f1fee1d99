"""Facts and operations on a machine of the lab: acts, does nothing, fails clearly."""

from __future__ import annotations

import hashlib
import logging
import shlex
import stat
import time
from dataclasses import replace

import pytest

from cmom.commands import command
from cmom.errors import AccessRefused, ActionRequired, CommandFailed, DeadlinePassed, MachineUnreachable
from cmom.models import INSTALL_PACKAGE, Package, Version
from cmom.services.machine import STAGING_DIRECTORY, STATE_DIRECTORY
from cmom.services.small_file import write_command
from lab.rpm_builder import build_rpm
from lab.testing import LabThread
from tests.lab.given_machine import CANARY, IMPATIENT, machine_of, ssh_to


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with LabThread(tmp_path_factory.mktemp("lab"), machines=1) as lab:
        yield lab


@pytest.fixture
def machine(lab):
    with ssh_to(lab) as ssh:
        yield machine_of(ssh, lab)
    lab.fault("m1", "clear")


def inside(lab, path):
    return lab.machine("m1").path(path)


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def wait_for(condition):
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.02)


# --- waiting for SSH


def test_a_machine_that_boots_is_waited_for(tmp_path):
    with LabThread(tmp_path, machines=1) as lab, ssh_to(lab) as ssh:
        lab.fault("m1", "ssh-refuse", times=3)
        assert machine_of(ssh, lab).wait_for_ssh(60.0).startswith("ssh-ed25519 ")


def test_a_machine_that_never_answers_ends_the_wait_with_the_reason(tmp_path):
    with LabThread(tmp_path, machines=1) as lab, ssh_to(lab) as ssh:
        lab.kill("m1")
        with pytest.raises(DeadlinePassed, match="refused"):
            machine_of(ssh, lab).wait_for_ssh(30.0)


def test_a_wrong_key_ends_the_wait_at_once(lab, tmp_path):
    with ssh_to(lab, key=tmp_path / "none") as ssh, pytest.raises(AccessRefused):
        machine_of(ssh, lab).wait_for_ssh(1e9)


def test_a_key_that_a_new_machine_does_not_know_yet_may_be_borne(lab):
    authorized = inside(lab, "/home/centos/.ssh/authorized_keys")
    known = authorized.read_bytes()
    authorized.write_text("")

    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

        def sleep(self, seconds):
            self.now += seconds
            if self.now > 20:
                authorized.write_bytes(known)

    with ssh_to(lab) as ssh:
        machine = machine_of(ssh, lab)
        machine.clock = Clock()
        assert machine.wait_for_ssh(600.0, key_grace_seconds=60.0)


# --- facts


def test_a_package_that_is_not_installed_is_none(machine):
    assert machine.installed_package(INSTALL_PACKAGE) is None


def test_a_broken_rpm_database_is_not_taken_for_an_empty_one(lab, machine):
    with pytest.raises(CommandFailed, match="cannot be read"):
        # A name that rpm takes for an option: it says so on the other stream, as with all its troubles.
        machine.installed_package("--no-such-option")


def test_an_rpm_on_the_machine_tells_its_version(lab, machine, tmp_path):
    rpm = build_rpm(tmp_path / "x.rpm", version="4.5.5")
    machine.ssh.put(str(rpm), "/home/centos/x.rpm")
    assert machine.package_in_file("/home/centos/x.rpm") == Package(
        INSTALL_PACKAGE, Version.parse("4.5.5"), "ga", "x86_64"
    )


def test_a_checksum_is_that_of_the_file_whatever_its_name(machine):
    machine.ssh.put_content("abc", "/home/centos/odd \\ name")
    assert machine.sha256("/home/centos/odd \\ name") == hashlib.sha256(b"abc").hexdigest()


def test_free_space_is_told_with_its_mount_point(machine):
    space = machine.free_space("/home/centos")
    assert space.free_bytes > 0
    assert space.mount in ("/", "/home", "/home/centos")


def test_the_machine_tells_its_own_name(lab, machine):
    assert machine.hostname() == lab.machine("m1").hostname


def test_a_file_that_only_root_sees_is_read_and_masked(lab, machine):
    machine.ensure_file("/root/leak", f"password: {CANARY}\n")
    assert machine.read_file("/root/leak") == "password: ***\n"


def test_a_file_that_is_not_there_is_none(machine):
    assert machine.find_file("/nothing/here") is None
    assert machine.read_file("/nothing/here") is None


# --- files


def test_a_file_is_made_with_its_folder(lab, machine):
    assert machine.ensure_file("/etc/new folder/file", "content\n", 0o640)
    target = inside(lab, "/etc/new folder/file")
    assert target.read_text() == "content\n"
    assert mode_of(target) == 0o640
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_a_file_that_is_right_is_left_alone(lab, machine):
    machine.ensure_file("/etc/same", "content")
    before = inside(lab, "/etc/same").stat()
    assert not machine.ensure_file("/etc/same", "content")
    after = inside(lab, "/etc/same").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.parametrize(("content", "mode"), [("changed", 0o600), ("content", 0o644)])
def test_a_file_with_another_content_or_mode_is_put_right(lab, machine, content, mode):
    machine.ensure_file("/etc/other", "content", 0o600)
    assert machine.ensure_file("/etc/other", content, mode)
    assert inside(lab, "/etc/other").read_text() == content
    assert mode_of(inside(lab, "/etc/other")) == mode


def test_a_directory_in_the_place_of_a_file_is_refused(machine):
    machine.ensure_directory("/etc/folder")
    with pytest.raises(ActionRequired, match="is a directory"):
        machine.ensure_file("/etc/folder", "content")


def test_a_secret_is_never_an_argument_and_never_readable_by_others(lab, machine):
    seen = []
    run = machine.ssh.run

    def watching(wanted, check=True):
        seen.append(wanted.shell())
        return run(wanted, check=check)

    machine.ssh.run = watching
    machine.ensure_file("/etc/secret", CANARY)
    assert inside(lab, "/etc/secret").read_text() == CANARY
    assert mode_of(inside(lab, "/etc/secret")) == 0o600
    assert len(seen) == 2
    assert not [line for line in seen if CANARY in line]


def test_what_lies_beside_a_file_already_is_not_written_into(lab, machine):
    planted = inside(lab, "/etc/.secret.cmom-part.AAAAAAAA")
    planted.write_text("planted")
    planted.chmod(0o666)
    kept = inside(lab, "/etc/kept")
    kept.hardlink_to(planted)
    machine.write_file("/etc/secret", CANARY)
    assert (kept.read_text(), planted.exists()) == ("planted", False)
    assert (inside(lab, "/etc/secret").read_text(), mode_of(inside(lab, "/etc/secret"))) == (CANARY, 0o600)


def test_a_file_that_cannot_be_written_says_which_and_why_and_its_content_stays_private(lab, machine):
    machine.ensure_directory("/etc/full")
    with pytest.raises(CommandFailed, match=r"/etc/full on .* cannot be written:\n.*directory") as raised:
        machine.write_file("/etc/full", CANARY)
    assert "sh -c" not in str(raised.value)
    (left,) = inside(lab, "/etc").glob(".full.cmom-part.*")
    assert mode_of(left) == 0o600


def test_content_that_arrives_otherwise_does_not_take_the_place_of_the_file(lab, machine):
    machine.write_file("/etc/precious", "old")
    run = machine.ssh.run
    machine.ssh.run = lambda wanted, check=True: run(replace(wanted, stdin="half of"), check=check)
    with pytest.raises(MachineUnreachable, match="is not what was sent"):
        machine.write_file("/etc/precious", "half of it")
    assert inside(lab, "/etc/precious").read_text() == "old"
    assert not list(inside(lab, "/etc").glob(".precious*"))


def test_a_connection_that_breaks_leaves_the_old_file_or_the_new_one(lab, machine):
    machine.ensure_file("/etc/precious", "old")
    lab.fault("m1", "ssh-cut", path="exec .* dd of=", times=1)
    with pytest.raises(MachineUnreachable):
        machine.ensure_file("/etc/precious", "new")
    assert inside(lab, "/etc/precious").read_text() in ("old", "new")
    machine.ensure_file("/etc/precious", "new")
    assert inside(lab, "/etc/precious").read_text() == "new"


def test_one_that_still_waits_for_its_content_does_not_disturb_the_next(lab, machine):
    waiting = write_command("/etc/busy", "of the first", 0o600, "root", "root").shell()
    line = f"nohup sh -c {shlex.quote(f'sleep 1 | {waiting}; echo $? > ended')} >/dev/null 2>&1 &"
    machine.run(command("bash", "-c", line))
    wait_for(lambda: list(inside(lab, "/etc").glob(".busy.cmom-part.*")))
    machine.write_file("/etc/busy", "of the second")
    wait_for(lambda: inside(lab, "/home/centos/ended").exists())
    assert inside(lab, "/home/centos/ended").read_text() != "0\n"
    assert inside(lab, "/etc/busy").read_text() == "of the second"
    assert not list(inside(lab, "/etc").glob(".busy*"))


# --- directories and removal


def test_a_directory_is_made_once(lab, machine):
    assert machine.ensure_directory(STATE_DIRECTORY, 0o700)
    assert mode_of(inside(lab, STATE_DIRECTORY)) == 0o700
    assert not machine.ensure_directory(STATE_DIRECTORY, 0o700)


def test_a_file_in_the_place_of_a_directory_is_refused(machine):
    machine.ensure_file("/etc/plain", "x")
    with pytest.raises(ActionRequired, match="not a directory"):
        machine.ensure_directory("/etc/plain")


def test_what_is_removed_is_gone_and_what_is_gone_is_removed(lab, machine):
    machine.ensure_file("/opt/ours/file", "x")
    machine.remove(["/opt/ours"])
    machine.remove(["/opt/ours"])
    assert not inside(lab, "/opt/ours").exists()


def test_staging_is_private_and_empty_and_goes(lab, machine):
    path = machine.staging("things")
    machine.ssh.put_content("left behind", f"{path}/old")
    assert machine.staging("things") == path
    folder = inside(lab, path)
    assert list(folder.iterdir()) == []
    assert (mode_of(folder), mode_of(folder.parent)) == (0o700, 0o700)
    assert folder.parent.name == STAGING_DIRECTORY
    machine.discard(path)
    assert not folder.exists()


def test_staging_is_discarded_without_complaint_when_the_machine_is_gone(tmp_path):
    with LabThread(tmp_path, machines=1) as lab, ssh_to(lab, deadlines=IMPATIENT) as ssh:
        machine = machine_of(ssh, lab)
        path = machine.staging("things")
        lab.kill("m1")
        machine.discard(path)


# --- the log


def test_the_log_names_the_machine_and_shows_no_secret(lab, machine, caplog):
    caplog.set_level(logging.INFO)
    machine.log(f"it is {CANARY}")
    assert caplog.messages == ["manager-1: it is ***"]
