"""A machine of the lab is a machine: real SSH clients log in, run commands and copy files.

Everything here runs with both sandboxes, namespaces and the interpreter.
"""

from __future__ import annotations

import io
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import paramiko
import pytest
from fabric import Connection

from lab.core import LabError
from lab.testing import LabThread


class Result(NamedTuple):
    code: int
    out: str
    err: str


def read_all(receive: Callable[[int], bytes]) -> bytes:
    data = b""
    while chunk := receive(1 << 16):
        data += chunk
    return data


class Client:
    """One SSH connection to one machine."""

    def __init__(self, lab: LabThread, name: str = "m1") -> None:
        machine = lab.machine(name)
        self.ssh = paramiko.SSHClient()
        self.ssh.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        self.ssh.connect(
            machine.ip,
            machine.ssh_port,
            machine.ssh_user,
            key_filename=str(lab.ssh_key),
            allow_agent=False,
            look_for_keys=False,
            timeout=30,
        )

    def start(self, line: str) -> paramiko.Channel:
        """Start a command. Not with paramiko's file objects: they complain when a connection is cut."""
        transport = self.ssh.get_transport()
        assert transport is not None
        channel = transport.open_session(timeout=30)
        channel.settimeout(60)
        channel.exec_command(line)
        return channel

    def run(self, line: str, stdin: bytes = b"") -> Result:
        channel = self.start(line)
        channel.sendall(stdin)
        channel.shutdown_write()
        out, err = read_all(channel.recv), read_all(channel.recv_stderr)
        return Result(channel.recv_exit_status(), out.decode(errors="replace"), err.decode(errors="replace"))

    def close(self) -> None:
        self.ssh.close()


@pytest.fixture(scope="module", params=["namespace", "interpreter"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabThread]:
    """One machine that the tests of this module share."""
    try:
        with LabThread(tmp_path_factory.mktemp("lab"), machines=1, sandbox=request.param) as made:
            yield made
    except LabError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def client(lab: LabThread) -> Iterator[Client]:
    made = Client(lab)
    yield made
    made.close()


@pytest.fixture(scope="module")
def run(client: Client) -> Callable[..., Result]:
    return client.run


Run = Callable[..., Result]


def test_output_errors_and_exit_code_arrive_apart(run: Run) -> None:
    assert run("echo out; echo err >&2; exit 3") == (3, "out\n", "err\n")


def test_standard_input_reaches_the_command(run: Run) -> None:
    data = bytes(range(256)) * 4000
    result = run("wc -c", data)
    assert result.out.split() == [str(len(data))]


def test_large_output_arrives_whole(run: Run) -> None:
    assert run("seq 1 50000").out.splitlines()[-1] == "50000"


def test_the_user_is_who_it_is_on_a_cloud_image(run: Run) -> None:
    assert run("id -u; whoami; pwd; echo $HOME $USER $PATH").out.splitlines() == [
        "1000", "centos", "/home/centos", "/home/centos centos /usr/local/bin:/usr/bin",
    ]  # fmt: skip


def test_sudo_gives_root(run: Run) -> None:
    result = run("sudo -n -- id -u; sudo whoami; sudo bash -c 'echo $HOME $PATH $USER'")
    assert result.out.splitlines() == ["0", "root", "/root /sbin:/bin:/usr/sbin:/usr/bin root"]


def test_sudo_of_a_missing_command_says_so(run: Run) -> None:
    assert run("sudo cfy status") == (1, "", "sudo: cfy: command not found\n")


def test_sudo_passes_the_exit_code_and_standard_input(run: Run) -> None:
    assert run("sudo sh -c 'cat; exit 9'", b"through") == (9, "through", "")


def test_sudo_keeps_or_drops_the_environment(run: Run) -> None:
    assert run("X=1; export X; sudo printenv X; sudo -E printenv X; sudo X=2 printenv X").out == "1\n2\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [("-u nobodyhere id", "unknown user: nobodyhere"), ("-Z id", "invalid option"), ("", "usage: sudo")],
)
def test_sudo_refuses_what_it_refuses(run: Run, words: str, message: str) -> None:
    result = run(f"sudo {words}")
    assert result.code == 1
    assert message in result.err


@pytest.mark.parametrize("name", ["cfy", "cfy_manager", "apt-get", "dpkg", "python3", "unshare", "mount"])
def test_what_a_fresh_machine_lacks_is_not_found(run: Run, name: str) -> None:
    result = run(name)
    assert result.code == 127
    assert f"{name}: command not found" in result.err


@pytest.mark.parametrize(
    "line",
    [
        "echo x > /etc/x", "touch /opt/x", "mkdir /var/x", "cat /etc/shadow", "ls /root", "rm /etc/hosts",
        "echo x > /root/x", "mv /etc/hosts /tmp/",
    ],
)  # fmt: skip
def test_without_sudo_the_user_stays_in_its_own_places(run: Run, line: str) -> None:
    result = run(line)
    assert result.code != 0
    assert "denied" in result.err or "Read-only" in result.err


def test_with_sudo_everything_can_be_written(run: Run) -> None:
    result = run(
        "echo x | sudo tee /etc/made >/dev/null && sudo mkdir /root/d && cat /etc/made && sudo ls /root"
    )
    assert result == (0, "x\nd\n", "")


def test_what_root_closes_the_user_cannot_read_in_the_same_command(run: Run) -> None:
    result = run("echo s | sudo tee /etc/closed >/dev/null; sudo chmod 600 /etc/closed; cat /etc/closed")
    assert result.code == 1
    assert "Permission denied" in result.err
    assert run("sudo chmod 644 /etc/closed; cat /etc/closed").out == "s\n"
    assert run(
        "sudo install -m 600 /etc/closed /etc/other; sudo mv -f /etc/other /etc/closed; cat /etc/closed"
    ).code


def test_nothing_is_written_outside_the_disk(lab: LabThread, run: Run) -> None:
    root = Path(lab.machine("m1").disk).parent
    before = sorted(path.name for path in root.iterdir())
    run("cd /; mkdir -p ../../escaped; sudo mkdir -p /../escaped")
    assert sorted(path.name for path in root.iterdir()) == before
    assert lab.machine("m1").path("/escaped").is_dir()
    assert run(f"test -e {root}").code == 1


def test_a_shell_without_a_command_reads_its_input(client: Client) -> None:
    channel = client.ssh.get_transport().open_session()  # type: ignore[union-attr]
    channel.invoke_shell()
    channel.sendall(b"echo from the shell\nexit 4\n")
    channel.shutdown_write()
    assert channel.makefile().read() == b"from the shell\n"
    assert channel.recv_exit_status() == 4


def test_a_script_put_there_runs(client: Client, run: Run) -> None:
    sftp = client.ssh.open_sftp()
    sftp.putfo(io.BytesIO(b"#!/bin/bash\nset -e\nfor i in 1 2; do echo $i $1; done\nsudo id -u\n"), "s.sh")
    sftp.chmod("s.sh", 0o700)
    assert run("./s.sh x").out == "1 x\n2 x\n0\n"
    assert run("timeout -k 5 60 bash s.sh y").out == "1 y\n2 y\n0\n"


def test_fabric_drives_it_too(lab: LabThread) -> None:
    machine = lab.machine("m1")
    connection = Connection(
        machine.ip, machine.ssh_user, machine.ssh_port, connect_kwargs={"key_filename": str(lab.ssh_key)}
    )
    with connection:
        assert connection.run("hostname", hide=True, in_stream=False).stdout == "manager-1\n"
        connection.put(io.BytesIO(b"content"), "/tmp/put")
        target = io.BytesIO()
        connection.get("/tmp/put", target)
        assert target.getvalue() == b"content"


@pytest.fixture
def transport(lab: LabThread) -> Iterator[paramiko.Transport]:
    """A connection that has not logged in."""
    machine = lab.machine("m1")
    with socket.create_connection((machine.ip, machine.ssh_port), timeout=30) as raw:
        made = paramiko.Transport(raw)
        made.start_client(timeout=30)
        yield made
        made.close()


@pytest.mark.parametrize("user", ["centos", "root", "nobody"])
def test_another_key_is_refused(transport: paramiko.Transport, user: str) -> None:
    with pytest.raises(paramiko.AuthenticationException):
        transport.auth_publickey(user, paramiko.ECDSAKey.generate())


def test_root_does_not_log_in_with_the_users_key(lab: LabThread, transport: paramiko.Transport) -> None:
    with pytest.raises(paramiko.AuthenticationException):
        transport.auth_publickey("root", paramiko.Ed25519Key.from_private_key_file(str(lab.ssh_key)))


def test_nobody_logs_in_with_a_password(transport: paramiko.Transport) -> None:
    with pytest.raises(paramiko.BadAuthenticationType) as refused:
        transport.auth_password("centos", "centos")
    assert refused.value.allowed_types == ["publickey"]


def test_sftp_writes_reads_renames_and_removes(client: Client) -> None:
    sftp = client.ssh.open_sftp()
    with sftp.open("/tmp/a.part", "wb") as file:
        file.write(b"x" * 100_000)
    assert sftp.stat("/tmp/a.part").st_size == 100_000
    sftp.posix_rename("/tmp/a.part", "/tmp/a")
    sftp.symlink("/tmp/a", "/tmp/link")
    assert sftp.readlink("/tmp/link") == "/tmp/a"
    assert stat.S_ISLNK(sftp.lstat("/tmp/link").st_mode or 0)
    sftp.truncate("/tmp/link", 3)
    with sftp.open("/tmp/a") as file:
        assert file.read() == b"xxx"
    sftp.mkdir("/tmp/d")
    assert {"a", "d", "link"} <= set(sftp.listdir("/tmp"))
    sftp.rmdir("/tmp/d")
    sftp.remove("/tmp/a")
    with pytest.raises(FileNotFoundError):
        sftp.stat("/tmp/link")
    assert sftp.normalize(".") == "/home/centos"


@pytest.mark.parametrize("path", ["/etc/x", "/root/x", "/opt/x", "/usr/bin/x", "/run/lab/x"])
def test_sftp_may_not_write_where_the_user_may_not(client: Client, path: str) -> None:
    sftp = client.ssh.open_sftp()
    with pytest.raises(PermissionError):
        sftp.open(path, "wb")
    with pytest.raises(PermissionError):
        sftp.mkdir(path)


def test_sftp_may_not_read_what_the_user_may_not(client: Client) -> None:
    sftp = client.ssh.open_sftp()
    for path in ("/etc/shadow", "/root/x"):
        with pytest.raises(PermissionError):
            sftp.open(path)
    with pytest.raises(PermissionError):
        sftp.listdir("/root")
    assert sftp.stat("/etc/shadow").st_size


def test_sftp_links_do_not_lead_out(lab: LabThread, client: Client) -> None:
    outside = lab.lab.folder / "outside"
    outside.write_text("host")
    sftp = client.ssh.open_sftp()
    sftp.symlink(str(outside), "/tmp/outside")
    with pytest.raises(FileNotFoundError):
        sftp.open("/tmp/outside")
    sftp.symlink("/etc", "/tmp/etc")
    with pytest.raises(PermissionError):
        sftp.open("/tmp/etc/hosts", "wb")


def test_a_command_outlives_its_connection_until_it_writes(lab: LabThread) -> None:
    client = Client(lab)
    client.start("sleep 0.3; touch /tmp/went-on; echo x; touch /tmp/never")
    client.close()
    machine = lab.machine("m1")
    deadline = time.monotonic() + 30
    while not machine.path("/tmp/went-on").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert machine.path("/tmp/went-on").exists()
    again = Client(lab)
    assert again.run("sleep 0.2; test -e /tmp/never").code == 1
    again.close()
