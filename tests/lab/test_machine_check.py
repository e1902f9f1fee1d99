"""What stands against an installation is said of all machines at once, before any of them is changed."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from cmom.clients.rpm import read_package
from cmom.clients.ssh import SshClient
from cmom.commands import command
from cmom.errors import InvalidInputs, TryAgainLater
from cmom.models import Host, Package, SshAccess
from cmom.services.machine_check import check_machines
from lab.rpm_builder import build_rpm
from lab.testing import LabThread

LOGGER = logging.getLogger("test")


def hosts_of(lab: LabThread) -> list[Host]:
    return [Host(machine.ip, machine.public_ip, machine.hostname) for machine in lab.machines]


def access_to(lab: LabThread) -> SshAccess:
    machine = lab.machine("m1")
    return SshAccess(machine.ssh_user, str(lab.ssh_key), machine.ssh_port)


def package_of(lab: LabThread) -> Package:
    return read_package(lab.inputs()["install_rpm_path"])


def test_machines_that_can_be_installed_on_are_left_as_they_are(lab_thread: LabThread) -> None:
    check_machines(hosts_of(lab_thread), access_to(lab_thread), package_of(lab_thread), LOGGER)

    for machine in lab_thread.machines:
        assert not any("install" in line.split()[0] for line in machine.arguments_seen if line.split())


def test_faults_of_several_machines_come_in_one_message(lab_thread: LabThread, tmp_path: Path) -> None:
    build_rpm(tmp_path / "other.rpm", version="4.3.0")
    for name in ("m1", "m3"):
        machine = lab_thread.machine(name)
        shutil.copyfile(tmp_path / "other.rpm", machine.path("/tmp/other.rpm"))
        with SshClient(machine.ip, access_to(lab_thread)) as ssh:
            ssh.run(command("rpm", "-i", "/tmp/other.rpm", sudo=True))

    with pytest.raises(InvalidInputs) as refused:
        check_machines(hosts_of(lab_thread), access_to(lab_thread), package_of(lab_thread), LOGGER)

    assert [fault.place for fault in refused.value.faults] == ["hosts[0]", "hosts[2]"]
    assert "4.3.0" in str(refused.value)


def test_a_machine_that_is_off_is_waited_for_and_named(lab_thread: LabThread) -> None:
    lab_thread.kill("m2")

    with pytest.raises(TryAgainLater) as silent:
        check_machines(
            hosts_of(lab_thread), access_to(lab_thread), package_of(lab_thread), LOGGER, wait_seconds=1
        )

    assert lab_thread.machine("m2").ip in str(silent.value)
