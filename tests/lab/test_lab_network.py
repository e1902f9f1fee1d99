"""Power, partitions and SSH faults, as clients see them."""

from __future__ import annotations

import io
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from lab.clock import RealClock
from lab.core import LabConfig, LabError
from lab.settings import LabSettings
from lab.testing import LabThread
from tests.lab.test_lab_ssh import Client


@pytest.fixture(params=["namespace", "interpreter"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LabThread]:
    try:
        with LabThread(tmp_path / "lab", machines=2, sandbox=request.param) as made:
            yield made
    except LabError as error:
        pytest.skip(str(error))


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[LabThread]:
    """For what does not depend on the sandbox."""
    with LabThread(tmp_path / "lab", machines=2, sandbox="interpreter") as made:
        yield made


def address(lab: LabThread, name: str = "m1") -> tuple[str, int]:
    machine = lab.machine(name)
    return machine.ip, machine.ssh_port


def banner(lab: LabThread, name: str = "m1") -> bytes:
    with socket.create_connection(address(lab, name), timeout=30) as client:
        return client.recv(100)


def is_silent(lab: LabThread, name: str = "m1") -> bool:
    """Whether a new connection gets no answer at all for a while."""
    with socket.socket() as client:
        client.settimeout(0.5)
        try:
            client.connect(address(lab, name))
        except TimeoutError:
            return True
    return False


def host_key(lab: LabThread, name: str = "m1") -> str:
    with socket.create_connection(address(lab, name), timeout=30) as raw:
        transport = paramiko.Transport(raw)
        transport.start_client(timeout=30)
        key = transport.get_remote_server_key().get_base64()
        transport.close()
        return key


def test_a_killed_machine_refuses_and_loses_what_ran_but_not_its_disk(lab: LabThread) -> None:
    client = Client(lab)
    client.run("echo kept > kept; sudo systemd-run --unit=work sleep 600")
    channel = client.start("sleep 600")
    lab.kill("m1")
    assert channel.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        banner(lab)
    assert lab.status()[0].power == "off"
    lab.start("m1")
    again = Client(lab)
    assert again.run("cat kept; systemctl is-active work") == (3, "kept\nunknown\n", "")
    assert "No entries" in again.run("journalctl -u work").out
    again.close()
    client.close()


def test_a_machine_comes_back_after_a_reboot_from_within(lab: LabThread) -> None:
    client = Client(lab)
    client.start("sudo systemctl reboot; sleep 600")
    while client.ssh.get_transport().is_active():  # type: ignore[union-attr]
        time.sleep(0.01)
    client.close()
    deadline = time.monotonic() + 30
    while lab.status()[0].power != "on" and time.monotonic() < deadline:
        time.sleep(0.01)
    again = Client(lab)
    assert again.run("true").code == 0
    again.close()


def test_a_rebuilt_machine_is_empty_and_has_another_host_key(lab: LabThread) -> None:
    client = Client(lab)
    client.run("touch left; sudo touch /etc/left")
    client.close()
    before, other = host_key(lab), host_key(lab, "m2")
    lab.rebuild("m1")
    assert host_key(lab) not in (before, other)
    assert host_key(lab, "m2") == other
    again = Client(lab)
    assert again.run("ls; ls /etc/left").out == ""
    again.close()


def test_a_host_key_survives_a_power_cut(quick: LabThread) -> None:
    before = host_key(quick)
    quick.kill("m1")
    quick.start("m1")
    assert host_key(quick) == before


def test_booting_takes_its_time(tmp_path: Path) -> None:
    settings = LabSettings(boot_seconds=60)
    with LabThread(tmp_path, machines=1, settings=settings, sandbox="interpreter") as lab:
        assert banner(lab).startswith(b"SSH-2.0-")
        lab.kill("m1")
        lab.start("m1")
        assert lab.status()[0].power == "booting"
        with pytest.raises(ConnectionRefusedError):
            banner(lab)
        lab.advance(59)
        assert lab.status()[0].power == "booting"
        lab.advance(1)
        assert banner(lab).startswith(b"SSH-2.0-OpenSSH_7.4")


def test_a_partition_swallows_new_connections_and_stalls_the_others(lab: LabThread) -> None:
    client = Client(lab)
    lab.partition("m1")
    assert is_silent(lab)
    channel = client.ssh.get_transport().open_session  # type: ignore[union-attr]
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(channel(timeout=60).get_id()))
    asking.start()
    asking.join(0.5)
    assert asking.is_alive()
    assert banner(lab, "m2")
    lab.heal_partition("m1")
    asking.join(30)
    assert len(answers) == 1
    assert client.run("echo back").out == "back\n"
    assert banner(lab)
    client.close()


def test_a_partition_can_be_put_up_again_and_survives_a_reboot(quick: LabThread) -> None:
    for _ in range(2):
        quick.partition("m1")
        assert is_silent(quick)
        quick.heal_partition("m1")
        assert banner(quick)
    quick.partition("m1", "all")
    quick.kill("m1")
    quick.start("m1")
    assert is_silent(quick)
    quick.heal_partition("m1")
    assert banner(quick)


def test_a_connection_that_waited_out_the_partition_is_served(quick: LabThread) -> None:
    quick.partition("m1")
    with socket.socket() as client:
        client.setblocking(False)
        client.connect_ex(address(quick))
        assert not select.select([], [client], [], 0.3)[1]
        quick.heal_partition("m1")
        # The kernel tries again after 1, 3 and 7 seconds.
        assert select.select([], [client], [], 30)[1]
        assert select.select([client], [], [], 30)[0]
        assert client.recv(100).startswith(b"SSH-2.0-")


def test_a_partition_from_peers_leaves_clients_alone(quick: LabThread) -> None:
    one, two = quick.machine("m1"), quick.machine("m2")
    assert two.reachable_by_peer(one)
    quick.partition("m1", "peers")
    assert banner(quick)
    assert not two.reachable_by_peer(one)
    assert not one.reachable_by_peer(two)
    quick.partition("m1", "tier2")
    assert one.reachable_by_peer(two)
    quick.kill("m1")
    assert not one.reachable_by_peer(two)


def test_refused_for_good_the_port_is_closed(quick: LabThread) -> None:
    quick.fault("m1", "ssh-refuse")
    with pytest.raises(ConnectionRefusedError):
        banner(quick)
    quick.fault("m1", "clear")
    assert banner(quick)


def test_refused_once_the_next_connection_passes(quick: LabThread) -> None:
    quick.fault("m1", "ssh-refuse", nth=2)
    assert banner(quick)
    with pytest.raises(ConnectionResetError):
        banner(quick)
    assert banner(quick)


def test_hanging_a_connection_is_accepted_and_nothing_comes(quick: LabThread) -> None:
    quick.fault("m1", "ssh-hang")
    with socket.create_connection(address(quick), timeout=30) as client:
        assert not select.select([client], [], [], 0.3)[0]
    quick.fault("m1", "clear")
    assert banner(quick)


def test_slow_every_answer_takes_its_time(quick: LabThread) -> None:
    quick.fault("m1", "ssh-slow", seconds=5)
    with socket.create_connection(address(quick), timeout=30) as client:
        assert not select.select([client], [], [], 0.3)[0]
        quick.advance(5)
        assert client.recv(100).startswith(b"SSH-2.0-")


def test_a_connection_is_cut_after_so_many_bytes(lab: LabThread) -> None:
    lab.fault("m1", "ssh-cut", after_bytes=200_000, times=1)
    client = Client(lab)
    sftp = client.ssh.open_sftp()
    with pytest.raises((OSError, EOFError, paramiko.SSHException)):
        sftp.putfo(io.BytesIO(b"x" * 3_000_000), "/tmp/big")
    client.close()
    assert 0 < lab.machine("m1").path("/tmp/big").stat().st_size < 200_000
    again = Client(lab)
    assert again.run("echo in again").out == "in again\n"
    again.close()


def test_an_upload_is_cut_at_a_chosen_byte_of_a_chosen_file(lab: LabThread) -> None:
    lab.fault("m1", "ssh-cut", path=r"sftp .*\.rpm", after_bytes=70_000, times=1)
    client = Client(lab)
    sftp = client.ssh.open_sftp()
    with sftp.open("/tmp/other", "wb") as file:
        file.write(b"x" * 100_000)
    with pytest.raises((OSError, EOFError, paramiko.SSHException)), sftp.open("/tmp/a.rpm", "wb") as file:
        file.write(b"x" * 100_000)
    client.close()
    assert lab.machine("m1").path("/tmp/a.rpm").stat().st_size == 70_000


def test_a_command_is_cut_off_in_the_middle_of_its_output(lab: LabThread) -> None:
    lab.fault("m1", "ssh-cut", path="exec .*seq", after_bytes=100, times=1)
    client = Client(lab)
    assert client.run("echo not hit").out == "not hit\n"
    result = client.run("seq 1 1000; echo end")
    assert result.code == -1
    assert len(result.out) <= 100
    client.close()


def test_an_unknown_fault_or_machine_is_refused_in_a_sentence(quick: LabThread) -> None:
    with pytest.raises(LabError, match="unknown fault 'flood'"):
        quick.fault("m1", "flood")
    with pytest.raises(LabError, match="no machine 'm9'; there are: m1, m2"):
        quick.kill("m9")


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.3.3.11", 0))
        taken.listen()
        port = taken.getsockname()[1]
        lab = LabThread(tmp_path, machines=1, subnet="127.3.3", rest_port=port, sandbox="interpreter")
        with pytest.raises(
            Exception, match=rf"cannot listen on 127\.3\.3\.11 port {port}: Address already in use"
        ):
            lab.__enter__()


@pytest.mark.parametrize(
    "options",
    [{"machines": -1}, {"subnet": "10.0.0"}, {"subnet": "127.0"}, {"ssh_port": 22}, {"sandbox": "docker"}],
)
def test_a_lab_that_makes_no_sense_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(LabError):
        LabConfig(**options)  # type: ignore[arg-type]


def test_public_addresses_are_served_as_well(tmp_path: Path) -> None:
    with LabThread(tmp_path, machines=1, public_subnet="127.4.4", sandbox="interpreter") as lab:
        machine = lab.machine("m1")
        assert machine.public_ip == "127.4.4.11"
        for ip in machine.addresses:
            with socket.create_connection((ip, machine.ssh_port), timeout=30) as client:
                assert client.recv(100).startswith(b"SSH-2.0-")
        assert lab.inputs()["hosts"] == [
            {"ip": machine.ip, "hostname": "manager-1", "public_ip": "127.4.4.11"}
        ]
        assert lab.machine("127.4.4.11") is machine


def test_machines_come_and_go_while_the_lab_runs(quick: LabThread) -> None:
    ip = quick.machine("m1").ip.rpartition(".")[0] + ".99"
    quick.run(lambda: quick.lab.add_machine("extra", "extra-1", ip, ip))
    assert banner(quick, "extra")
    with pytest.raises(LabError, match="already"):
        quick.run(lambda: quick.lab.add_machine("extra2", "extra-2", ip, ip))
    quick.run(lambda: quick.lab.remove_machine("extra"))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((ip, 2222), timeout=30)


def test_a_lab_leaves_nothing_but_its_key(tmp_path: Path) -> None:
    with LabThread(tmp_path, machines=1, clock=RealClock()) as lab:
        client = Client(lab)
        client.run("sudo mkdir -m 0 /opt/closed; mkdir -m 0 closed")
        client.close()
    assert [path.name for path in tmp_path.iterdir()] == ["ssh_key"]


def test_a_reset_client_does_no_harm(quick: LabThread) -> None:
    for _ in range(5):
        client = socket.create_connection(address(quick), timeout=30)
        client.sendall(b"SSH-2.0-nothing\r\n")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    assert banner(quick)
