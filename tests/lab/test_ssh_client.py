"""The SSH client against the lab's machines: logins, commands, files, and how each of them goes wrong."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import time

import asyncssh
import pytest

from cmom.commands import command
from cmom.errors import (
    AccessRefused,
    ActionRequired,
    CommandFailed,
    DeadlinePassed,
    MachineUnreachable,
    UnexpectedHostKey,
)
from lab.testing import LabThread
from tests.lab.given_machine import CANARY, IMPATIENT, ssh_to

OTHER_HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA9hFT8zQQ+PAb9rPYHSh6VYfTg+Ba/jJV9aVk6+evzX"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with LabThread(tmp_path_factory.mktemp("lab"), machines=1) as lab:
        yield lab


@pytest.fixture(autouse=True)
def without_faults(lab):
    yield
    lab.fault("m1", "clear")
    lab.heal_partition("m1")


@pytest.fixture
def ssh(lab):
    with ssh_to(lab) as ssh:
        yield ssh


def inside(lab, path):
    return lab.machine("m1").path(path)


# --- logging in


def test_the_first_connection_tells_the_host_key(lab, ssh):
    ssh.connect()
    kind, _, content = ssh.host_key.partition(" ")
    assert kind == "ssh-ed25519"
    assert content.startswith("AAAA")


def test_a_machine_with_the_recorded_host_key_is_accepted(lab, ssh):
    ssh.connect()
    with ssh_to(lab, host_key=ssh.host_key) as again:
        assert again.run(command("id", "-un")).stdout == "centos\n"


def test_another_host_key_is_refused_with_both_fingerprints_and_advice(lab):
    with ssh_to(lab, host_key=OTHER_HOST_KEY) as ssh, pytest.raises(UnexpectedHostKey) as caught:
        ssh.connect()
    message = str(caught.value)
    assert message.count("SHA256:") == 2
    assert "SHA256:6+bfHLpOiVv2iG5aosUPS/1oUHlDTOdP7oE+fB5NHaQ" in message
    assert ssh.address in message
    assert "rebuilt" in message


def test_a_machine_that_was_rebuilt_in_between_is_refused(tmp_path):
    with LabThread(tmp_path, machines=1) as lab, ssh_to(lab) as ssh:
        ssh.connect()
        lab.rebuild("m1")
        with pytest.raises((UnexpectedHostKey, MachineUnreachable)):
            ssh.run(command("true"))
        with pytest.raises(UnexpectedHostKey):
            ssh.run(command("true"))


def test_a_damaged_record_of_a_host_key_is_refused(lab):
    with ssh_to(lab, host_key="ssh-ed25519 AAAA") as ssh, pytest.raises(ActionRequired, match="recorded"):
        ssh.connect()


def test_another_key_is_refused_by_name(lab, tmp_path):
    key = tmp_path / "other"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(key)
    with ssh_to(lab, key=key) as ssh, pytest.raises(AccessRefused) as caught:
        ssh.connect()
    assert str(key) in str(caught.value)
    assert ssh.address in str(caught.value)


def test_a_missing_key_file_is_refused_before_any_connection(lab, tmp_path):
    with ssh_to(lab, key=tmp_path / "none") as ssh, pytest.raises(AccessRefused, match="cannot be read"):
        ssh.connect()


def test_the_users_own_ssh_configuration_takes_no_part(lab, monkeypatch, tmp_path):
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "config").write_text("Host *\n  HostName 127.0.0.2\n  Port 1\n  ForwardAgent yes\n")
    (home / ".ssh" / "known_hosts").write_text(f"[{lab.machine('m1').ip}]:2222 {OTHER_HOST_KEY}\n")
    (home / ".fabric.yaml").write_text("port: 1\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("FABRIC_PORT", "1")
    before = sorted(home.rglob("*"))
    with ssh_to(lab) as ssh:
        assert ssh.run(command("true")).ok
    assert sorted(home.rglob("*")) == before


# --- machines that do not answer


def test_a_machine_that_is_off_is_unreachable(tmp_path):
    with LabThread(tmp_path, machines=1) as lab, ssh_to(lab) as ssh:
        lab.kill("m1")
        with pytest.raises(MachineUnreachable, match="refused"):
            ssh.connect()


def test_a_machine_that_swallows_everything_is_unreachable_in_time(lab):
    lab.partition("m1")
    began = time.monotonic()
    with ssh_to(lab, deadlines=IMPATIENT) as ssh, pytest.raises(MachineUnreachable, match="no answer"):
        ssh.connect()
    assert time.monotonic() - began < 20


def test_a_machine_that_hangs_after_accepting_is_unreachable_in_time(lab):
    lab.fault("m1", "ssh-hang")
    began = time.monotonic()
    with ssh_to(lab, deadlines=IMPATIENT) as ssh, pytest.raises(MachineUnreachable):
        ssh.connect()
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("after_bytes", [0, 20, 700, 1500])
def test_a_login_that_breaks_off_is_unreachable_and_no_refusal(lab, after_bytes):
    lab.fault("m1", "ssh-cut", after_bytes=after_bytes, times=1)
    with ssh_to(lab) as ssh:
        with pytest.raises(MachineUnreachable):
            ssh.connect()
        assert ssh.run(command("true")).ok


def test_a_connection_that_goes_silent_ends_with_the_commands_deadline(lab, ssh):
    ssh.connect()
    lab.partition("m1")
    began = time.monotonic()
    with pytest.raises(DeadlinePassed):
        ssh.run(command("true", timeout_seconds=1.0))
    assert time.monotonic() - began < 20


def test_no_thread_is_left_behind_by_failed_logins(lab):
    lab.fault("m1", "ssh-hang")
    before = threading.active_count()
    for _ in range(3):
        with ssh_to(lab, deadlines=IMPATIENT) as ssh, pytest.raises(MachineUnreachable):
            ssh.connect()
    ends = time.monotonic() + 20
    while threading.active_count() > before and time.monotonic() < ends:
        time.sleep(0.05)
    assert threading.active_count() <= before


# --- commands


def test_a_command_gives_its_output_and_exit_code(ssh):
    result = ssh.run(command("bash", "-c", "echo out; echo err >&2; exit 3"), check=False)
    assert (result.exit_code, result.stdout, result.stderr) == (3, "out\n", "err\n")


def test_a_failed_command_says_what_where_and_what_came_back(ssh):
    with pytest.raises(CommandFailed) as caught:
        ssh.run(command("ls", "/no such place"))
    assert caught.value.exit_code == 2
    message = str(caught.value)
    for part in (ssh.address, "ls '/no such place'", "exit code 2", "No such file or directory"):
        assert part in message


def test_odd_arguments_arrive_as_they_are(ssh):
    odd = "a b'c\"d$HOME`id`\\;|&\n*ü"
    assert ssh.run(command("printf", "%s", odd)).stdout == odd


def test_sudo_makes_root(ssh):
    assert ssh.run(command("id", "-u", sudo=True)).stdout == "0\n"


def test_standard_input_reaches_the_command(ssh):
    assert ssh.run(command("cat", stdin="one\ntwo")).stdout == "one\ntwo"


def test_a_command_that_does_not_read_its_input_is_no_failure(ssh):
    assert ssh.run(command("true", stdin="x" * 500_000)).ok


def test_a_command_that_is_killed_by_a_signal_is_a_failure(ssh):
    result = ssh.run(command("bash", "-c", "kill -9 $$"), check=False)
    assert not result.ok


def test_a_command_that_closes_its_output_early_is_waited_for(ssh):
    result = ssh.run(command("bash", "-c", "exec >&- 2>&-; sleep 0.5; exit 7"), check=False)
    assert result.exit_code == 7


def test_secrets_are_masked_in_output_and_in_errors(ssh):
    assert ssh.run(command("cat", stdin=f"it is {CANARY}")).stdout == "it is ***"
    with pytest.raises(CommandFailed) as caught:
        ssh.run(command("bash", "-c", "cat >&2; exit 1", stdin=CANARY))
    assert CANARY not in str(caught.value)
    assert "***" in caught.value.output


def test_endless_output_is_kept_within_bounds(ssh):
    result = ssh.run(command("bash", "-c", "yes 'a line of some length' | head -c 5000000; echo the end"))
    assert len(result.stdout) < 600_000
    assert result.stdout.startswith("[the first ")
    assert result.stdout.endswith("the end\n")


def test_a_command_that_takes_too_long_ends_for_us_and_the_next_one_runs(ssh):
    began = time.monotonic()
    with pytest.raises(DeadlinePassed, match=r"`sleep 30` on .* within 0\.5 s"):
        ssh.run(command("sleep", "30", timeout_seconds=0.5))
    assert time.monotonic() - began < 15
    assert ssh.run(command("echo", "here")).stdout == "here\n"


def test_a_command_whose_connection_breaks_is_reported_so_and_the_next_one_runs(lab, ssh):
    lab.fault("m1", "ssh-cut", path="exec sleep", times=1)
    with pytest.raises(MachineUnreachable, match="sleep 20"):
        ssh.run(command("sleep", "20"))
    assert ssh.run(command("true")).ok


def test_a_machine_that_dies_under_a_command_is_unreachable(tmp_path):
    with LabThread(tmp_path, machines=1) as lab, ssh_to(lab) as ssh:
        ssh.connect()
        timer = threading.Timer(0.5, lab.kill, ["m1"])
        timer.start()
        with pytest.raises(MachineUnreachable):
            ssh.run(command("sleep", "30"))
        timer.join()


# --- files


def test_a_file_arrives_whole_with_its_mode_and_its_checksum(lab, ssh, tmp_path):
    content = os.urandom(1_500_000)
    source = tmp_path / "source"
    source.write_bytes(content)
    seen = []
    sent = ssh.put(
        str(source), "/home/centos/a file", mode=0o640, progress=lambda done, size: seen.append((done, size))
    )
    target = inside(lab, "/home/centos/a file")
    assert target.read_bytes() == content
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert sent == hashlib.sha256(content).hexdigest()
    assert seen[-1] == (1_500_000, 1_500_000)


def test_a_copy_that_breaks_leaves_the_old_file_and_can_be_repeated(lab, ssh, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"x" * 2_000_000)
    target = inside(lab, "/home/centos/target")
    target.write_text("old")
    lab.fault("m1", "ssh-cut", path="sftp .*target", after_bytes=500_000, times=1)
    with pytest.raises(MachineUnreachable, match="broke while copying"):
        ssh.put(str(source), "/home/centos/target")
    assert target.read_text() == "old"
    ssh.put(str(source), "/home/centos/target")
    assert target.stat().st_size == 2_000_000


def test_a_copy_that_stands_still_ends_in_time(lab, tmp_path):
    source = tmp_path / "source"
    with open(source, "wb") as file:
        file.truncate(50_000_000)

    def stop(done, size):
        if done > 1_000_000 and not stopped:
            stopped.append(done)
            lab.partition("m1")

    stopped = []
    began = time.monotonic()
    with ssh_to(lab, deadlines=IMPATIENT) as ssh, pytest.raises(MachineUnreachable):
        ssh.put(str(source), "/home/centos/big", progress=stop)
    assert stopped
    assert time.monotonic() - began < 30
    lab.heal_partition("m1")


def test_content_is_for_its_owner_only(lab, ssh):
    ssh.put_content("secret", "/home/centos/secret")
    assert stat.S_IMODE(inside(lab, "/home/centos/secret").stat().st_mode) == 0o600
    assert ssh.read_text("/home/centos/secret") == "secret"


def test_a_file_that_is_not_there_reads_as_none(ssh):
    assert ssh.read_text("/home/centos/nothing") is None


def test_what_is_read_is_masked(ssh):
    ssh.put_content(f"password: {CANARY}", "/home/centos/leak")
    assert ssh.read_text("/home/centos/leak") == "password: ***"


@pytest.mark.parametrize("target", ["/etc/forbidden", "/no/such/folder/file"])
def test_a_place_that_cannot_be_written_is_refused_and_the_connection_lives(ssh, target):
    with pytest.raises(ActionRequired, match=target.rpartition("/")[0]):
        ssh.put_content("x", target)
    assert ssh.run(command("true")).ok


def test_a_local_file_that_cannot_be_read_is_refused(ssh, tmp_path):
    with pytest.raises(ActionRequired, match="cannot be read"):
        ssh.put(str(tmp_path / "none"), "/home/centos/x")
