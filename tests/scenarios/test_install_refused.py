"""What the user got wrong is said before any machine is touched, all at once, and nothing is left running."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cmom.clients.ssh import SshClient
from cmom.commands import command
from cmom.models import SshAccess
from lab.rpm_builder import build_rpm
from lab.testing import LabThread
from tests.scenarios.tier2 import Tier2


def write_key(path: Path) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(path)


def assert_refused(result: Any, machines: LabThread, *words: str, touched: bool = False) -> None:
    assert result.returncode != 0
    # The engine shows the message of the operation's error, and tries no NonRecoverableError again.
    _, failed, message = result.stdout.partition("Task failed")
    assert failed, result.stdout
    assert "Task rescheduled" not in result.stdout, result.stdout
    for word in words:
        assert word in message, result.stdout
    assert "Traceback" not in message
    for name in ("m1", "m2", "m3"):
        assert machines.machine(name).manager is None
        if not touched:
            assert not machines.machine(name).arguments_seen


def test_all_faults_in_the_inputs_are_named_in_one_message(
    machines: LabThread, tier2: Tier2, tmp_path: Path
) -> None:
    result = tier2.install(
        hosts=[{"ip": "127.0.0.9", "hostnme": "a"}, {"ip": "nonsense"}],
        install_rpm_path="/nowhere/manager.rpm",
        ca_key=write_key(tmp_path / "other_key.pem"),
        files=[{"src": "/nowhere/motd"}],
        scripts=["/nowhere/script.sh"],
        ldap_config={"server": "ldap://192.0.2.1"},
    )

    assert_refused(
        result,
        machines,
        "hosts",
        "hostnme",
        "nonsense",
        "install_rpm_path",
        "ca_key",
        "files[0].dst",
        "scripts[0]",
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param(
            {"install_rpm_path": "/nowhere/x.rpm"}, ["install_rpm_path", "/nowhere/x.rpm"], id="no RPM"
        ),
        pytest.param({"num_of_instances": 5}, ["hosts", "num_of_instances"], id="too few hosts"),
        pytest.param({"rebuild_command": "wipe {name}"}, ["rebuild_command", "{name}"], id="placeholder"),
    ],
)
def test_a_fault_is_named_with_its_place(
    machines: LabThread, tier2: Tier2, changes: dict[str, Any], words: list[str]
) -> None:
    assert_refused(tier2.install(**changes), machines, *words)


def test_a_ca_key_of_another_certificate_is_refused(
    machines: LabThread, tier2: Tier2, tmp_path: Path
) -> None:
    result = tier2.install(ca_key=write_key(tmp_path / "other.pem"))

    assert_refused(result, machines, "ca_key")


def test_a_wrong_ssh_key_is_refused(machines: LabThread, tier2: Tier2, tmp_path: Path) -> None:
    result = tier2.install(ssh_private_key_path=write_key(tmp_path / "other_ssh_key"))

    assert_refused(result, machines, "ssh_private_key_path", touched=False)


def test_an_additional_config_that_is_no_mapping_is_refused_with_its_name(
    machines: LabThread, tier2: Tier2
) -> None:
    result = tier2.install(additional_config=["sanity"])

    assert result.returncode != 0
    assert "additional_config" in result.stdout
    assert "Traceback" not in result.stdout
    assert not machines.machine("m1").arguments_seen


def test_an_unknown_input_is_refused_with_its_name(machines: LabThread, tier2: Tier2) -> None:
    result = tier2.install(num_of_instnces=3)

    assert result.returncode != 0
    assert "num_of_instnces" in result.stdout
    assert "Traceback" not in result.stdout
    assert not machines.machine("m1").arguments_seen


def test_another_version_on_one_machine_is_refused(machines: LabThread, tier2: Tier2, tmp_path: Path) -> None:
    other = tmp_path / "cloudify-manager-install-4.3.rpm"
    build_rpm(other, version="4.3.0")
    shutil.copyfile(other, machines.machine("m2").path("/tmp/other.rpm"))
    m2 = machines.machine("m2")
    with SshClient(m2.ip, SshAccess(m2.ssh_user, str(machines.ssh_key), m2.ssh_port)) as ssh:
        ssh.run(command("rpm", "-i", "/tmp/other.rpm", sudo=True))

    result = tier2.install()

    assert_refused(result, machines, "4.3.0", machines.machine("m2").ip, touched=True)


def test_a_machine_with_another_host_key_than_before_is_refused(machines: LabThread, tier2: Tier2) -> None:
    tier2.install_and_kill(lambda: killed_log(tier2).count("host key") >= 3)
    machines.rebuild("m1")
    seen = len(machines.machine("m1").arguments_seen)  # one of the killed installation may have come late

    result = tier2.start("install")

    assert result.returncode != 0
    message = result.stdout.partition("Task failed")[2]
    assert "host key" in message
    assert machines.machine("m1").ip in message
    assert "Task rescheduled" not in result.stdout
    assert machines.machine("m1").manager is None
    assert not machines.machine("m1").arguments_seen[seen:]


def killed_log(tier2: Tier2) -> str:
    return (tier2.profile.folder / "killed.log").read_text(errors="replace")
