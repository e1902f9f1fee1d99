"""`python -m lab`: up, status, faults, down, and what is left in every case."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest
import yaml

from lab.__main__ import main
from lab.control import LabControl, NotRunningError
from lab.core import LabError
from lab.folder import LabFolder
from lab.rpm_file import read_rpm
from lab.subnets import any_subnet


@pytest.fixture
def subnet() -> Iterator[str]:
    chosen, lock = any_subnet((2222, 4443), 4)
    with lock:
        yield chosen


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    # Deeper than the path of a unix socket may be long.
    made = tmp_path / ("deep" * 20) / ("deeper" * 10) / "lab"
    yield made
    LabFolder(made).stop()


class Lines:
    """Runs the command line and keeps what it printed."""

    def __init__(self, folder: Path, subnet: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.subnet = subnet
        self._capsys = capsys

    def __call__(self, *words: str) -> tuple[int, str, str]:
        code = main([*words, "--folder", str(self.folder)])
        captured = self._capsys.readouterr()
        return code, captured.out, captured.err

    def up(self, *words: str) -> tuple[int, str, str]:
        return self("up", "--machines", "1", "--subnet", self.subnet, *words)


@pytest.fixture
def lab(folder: Path, subnet: str, capsys: pytest.CaptureFixture[str]) -> Lines:
    return Lines(folder, subnet, capsys)


def processes_of(folder: Path) -> list[int]:
    """Every process with something of the folder open, as its directory or as its root."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            links = [entry / "cwd", entry / "root"]
            try:
                links += (entry / "fd").iterdir()
                if any(os.readlink(link).startswith(str(folder)) for link in links if link.is_symlink()):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def children_of(pid: int) -> list[int]:
    text = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in text.splitlines()]
    direct = [child for child, parent in pairs if parent == pid]
    return direct + [one for child in direct for one in children_of(child)]


def wait_for(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not check():
        assert time.monotonic() < deadline, "it did not happen within 30 s"
        time.sleep(0.05)


def run_on(inputs: dict[str, object], line: str) -> str:
    hosts = inputs["hosts"]
    assert isinstance(hosts, list)
    with paramiko.SSHClient() as ssh:
        ssh.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        ssh.connect(
            hosts[0]["ip"], int(str(inputs["ssh_port"])), "centos",
            key_filename=str(inputs["ssh_private_key_path"]), allow_agent=False, look_for_keys=False,
        )  # fmt: skip
        return ssh.exec_command(line, timeout=30)[1].read().decode()


def test_up_leaves_all_that_an_installation_needs(lab: Lines) -> None:
    code, out, _ = lab.up("--spare", "1", "--version", "4.5.5")
    assert code == 0
    assert "manager-2" in out
    inputs = yaml.safe_load((lab.folder / "inputs.yaml").read_text())
    assert [host["hostname"] for host in inputs["hosts"]] == ["manager-1", "manager-2"]
    assert inputs["num_of_instances"] == 1
    assert set(inputs) == {
        "hosts", "num_of_instances", "ssh_user", "ssh_port", "rest_port", "ssh_private_key_path",
        "install_rpm_path", "ca_cert", "ca_key", "manager_admin_password", "snapshots_path",
        "rebuild_command",
    }  # fmt: skip
    for name in ("inputs.yaml", "ssh_key", "ca_key.pem", "control.sock"):
        assert stat.S_IMODE((lab.folder / name).stat().st_mode) == 0o600, name
    assert read_rpm(Path(inputs["install_rpm_path"])).package.version == "4.5.5"
    assert run_on(inputs, "hostname") == "manager-1\n"


def test_a_lab_is_controlled_from_the_command_line(lab: Lines) -> None:
    lab.up("--boot-seconds", "0", "--clock", "manual")
    for words, said in [
        (("kill", "m1"), "m1 is off."),
        (("start", "m1"), "m1 is switched on."),
        (("partition", "m1", "--from", "peers"), "m1 is cut off from the other machines."),
        (("heal-partition", "m1"), "m1 is reachable again."),
        (("fault", "m1", "500", "--path", "/cluster", "--nth", "2"), "m1 has the fault 500."),
        (("fault", "m1", "clear"), "m1 has no faults any more."),
        (("rebuild", "m1"), "m1 has an empty disk"),
        (("advance", "5"), "The clock has moved by 5 s."),
    ]:
        code, out, _ = lab(*words)
        assert (code, out[: len(said)]) == (0, said)
    rows = json.loads(lab("status", "--json")[1])
    assert (rows[0]["name"], rows[0]["power"], rows[0]["partition"]) == ("m1", "on", "none")
    assert lab("status")[1].splitlines()[0].split()[:3] == ["name", "ip", "hostname"]


def test_what_goes_wrong_is_said_in_a_sentence(lab: Lines) -> None:
    assert lab("status")[2].startswith("lab: no lab runs in ")
    assert lab("kill", "m1")[0] == 1
    assert lab("down") == (0, f"No lab was in {lab.folder}.\n", "")
    assert lab.up()[0] == 0
    assert lab.up()[2] == f"lab: a lab already runs in {lab.folder}; `down` ends it\n"
    assert lab("kill", "m7")[2] == "lab: no machine 'm7'; there are: m1\n"
    assert "start it with --clock manual" in lab("advance", "1")[2]
    assert lab("fault", "m1", "slow", "--path", "(")[0] == 1


def test_a_second_lab_on_the_same_addresses_says_which_is_taken(lab: Lines, tmp_path: Path) -> None:
    lab.up()
    other = Lines(tmp_path / "other", lab.subnet, lab._capsys)
    code, _, err = other.up()
    assert code == 1
    reason = f"cannot listen on {lab.subnet}.11 port 2222: Address already in use"
    assert err == f"lab: the lab did not start: {reason}\n"
    assert not other.folder.exists()
    with socket.socket() as taken:
        taken.bind((f"{lab.subnet}.11", 0))
        taken.listen()
        port = taken.getsockname()[1]
        lab("down")
        assert f"{lab.subnet}.11 port {port}" in lab.up("--rest-port", str(port))[2]


@pytest.mark.parametrize(
    "words", [("--subnet", "10.0.0"), ("--ssh-port", "22"), ("--machines", "0"), ("--machines", "500")]
)
def test_impossible_wishes_are_refused(lab: Lines, words: tuple[str, str]) -> None:
    code, _, err = lab("up", *words)
    assert code == 1
    assert err.startswith("lab: ")
    assert not lab.folder.exists()


def test_down_ends_every_process_and_removes_everything(lab: Lines) -> None:
    lab.up()
    inputs = yaml.safe_load((lab.folder / "inputs.yaml").read_text())
    run_on(inputs, "sudo mkdir -m 0 /opt/x; nohup sleep 600 >/dev/null 2>&1 & sudo systemd-run sleep 600")
    pid = LabFolder(lab.folder).process()
    assert pid is not None
    family = children_of(pid)
    assert lab("down") == (0, f"The lab in {lab.folder} is down.\n", "")
    assert not lab.folder.exists()
    wait_for(lambda: not any(Path(f"/proc/{one}").exists() for one in family))
    assert processes_of(lab.folder) == []


def test_a_lab_killed_hard_leaves_no_process_and_goes_with_down(lab: Lines) -> None:
    lab.up()
    inputs = yaml.safe_load((lab.folder / "inputs.yaml").read_text())
    run_on(
        inputs,
        "nohup sleep 600 >/dev/null 2>&1 & sudo systemd-run sleep 600; setsid sleep 600 >/dev/null 2>&1 &",
    )
    pid = LabFolder(lab.folder).process()
    assert pid is not None
    family = children_of(pid)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not any(Path(f"/proc/{one}").exists() for one in family))
    assert lab("status")[2].startswith("lab: no lab runs in ")
    with pytest.raises(NotRunningError):
        LabControl(lab.folder).status()
    assert lab("down")[0] == 0
    assert not lab.folder.exists()


def test_up_takes_over_where_a_lab_was_killed(lab: Lines) -> None:
    lab.up()
    pid = LabFolder(lab.folder).process()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: LabFolder(lab.folder).process() is None)
    assert lab.up()[0] == 0
    assert lab("status")[0] == 0


def test_down_ends_a_lab_that_does_not_listen_any_more(lab: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.up()
    pid = LabFolder(lab.folder).process()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr("lab.folder.STOP_SECONDS", 1.0)
    assert lab("down")[0] == 0
    assert not lab.folder.exists()


def test_files_of_others_are_neither_overwritten_nor_removed(lab: Lines) -> None:
    lab.folder.mkdir(parents=True)
    (lab.folder / "inputs.yaml").write_text("mine")
    assert "was not made by a lab" in lab.up()[2]
    assert (lab.folder / "inputs.yaml").read_text() == "mine"
    (lab.folder / "inputs.yaml").rename(lab.folder / "notes")
    lab.up()
    lab("down")
    assert [path.name for path in lab.folder.iterdir()] == ["notes"]


def test_a_stale_pid_file_does_not_get_a_stranger_killed(lab: Lines) -> None:
    lab.folder.mkdir(parents=True)
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        (lab.folder / "daemon.pid").write_text(f"{stranger.pid} 1\n")
        (lab.folder / ".lab-folder").touch()
        assert lab("down")[0] == 0
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_the_module_runs_as_a_program(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "lab", "status", "--folder", str(tmp_path / "none")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("lab: no lab runs in ")
    assert "Traceback" not in done.stderr


def test_an_unknown_command_on_the_socket_is_refused(lab: Lines) -> None:
    lab.up()
    with pytest.raises(LabError, match="knows no command 'dance'"):
        LabControl(lab.folder).call("dance")
