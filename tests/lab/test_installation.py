"""``cfy_manager install`` on a machine of the lab, whatever happens in between."""

from __future__ import annotations

import logging
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from cmom.commands import command
from cmom.errors import ActionRequired, CommandFailed, MachineUnreachable
from cmom.models import Secret
from cmom.services.installation import INSTALL_UNIT, NOTE_PATH, Installation, Watching
from cmom.services.manager_config import CONFIG_PATH
from cmom.services.units import TransientUnit
from lab.rpm_builder import build_rpm
from lab.settings import LabSettings
from lab.testing import LabThread
from tests.lab.given_machine import CANARY, IMPATIENT, machine_of, ssh_to

INSTALL_SECONDS = 600.0
FINISHED = ("/etc/cloudify/.install", "/etc/cloudify/.installed")


@pytest.fixture(scope="module")
def rpm(tmp_path_factory):
    return build_rpm(tmp_path_factory.mktemp("rpm") / "install.rpm")


@pytest.fixture
def make_lab(tmp_path, rpm):
    """Make a lab with one machine that has the install package."""
    made = []

    def make(install_seconds=0.0):
        settings = LabSettings(install_seconds=install_seconds)
        lab = LabThread(tmp_path, machines=1, settings=settings, sandbox="interpreter").__enter__()
        made.append(lab)
        with ssh_to(lab) as ssh:
            ssh.put(str(rpm), "/home/centos/install.rpm")
            ssh.run(command("rpm", "-U", "/home/centos/install.rpm", sudo=True))
        return lab

    yield make
    for lab in made:
        lab.__exit__(None, None, None)


@pytest.fixture
def lab(make_lab):
    return make_lab()


@pytest.fixture
def slow_lab(make_lab):
    """A lab in which an installation lasts until somebody moves the clock."""
    return make_lab(INSTALL_SECONDS)


def config_of(lab, **more):
    ip = lab.machine("m1").ip
    lines = [f"private_ip: {ip}", f"public_ip: {ip}", f"security: {{admin_password: '{CANARY}'}}"]
    lines += [f"{key}: {value}" for key, value in more.items()]
    return Secret("manager:\n" + "".join(f"  {line}\n" for line in lines))


def installation(ssh, lab, **watching):
    return Installation(machine_of(ssh, lab), Watching(**{"interval_seconds": 2.0, **watching}))


def install(lab):
    with ssh_to(lab) as ssh:
        return installation(ssh, lab).ensure_installed(config_of(lab))


def is_running(lab):
    with ssh_to(lab) as ssh:
        return TransientUnit(machine_of(ssh, lab), INSTALL_UNIT).state().running


def wait_until(condition, what):
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends, what
        time.sleep(0.05)


class InThread(threading.Thread):
    """Runs something aside and keeps how it ended."""

    def __init__(self, function):
        super().__init__(daemon=True)
        self.function, self.outcome, self.error = function, None, None
        self.start()

    def run(self):
        try:
            self.outcome = self.function()
        except Exception as error:
            self.error = error

    def finish(self, lab):
        """Let the lab's time pass until it has ended."""
        ends = time.monotonic() + 90
        while self.is_alive():
            assert time.monotonic() < ends, "it does not end"
            lab.advance(INSTALL_SECONDS / 10)
            self.join(0.1)
        if self.error is not None:
            raise self.error
        return self.outcome


def out_of_reach(lab):
    """Refuse new connections, and cut the one that is there at its next command."""
    lab.fault("m1", "ssh-refuse")
    lab.fault("m1", "ssh-cut", path="exec ")


def inside(lab, path):
    return lab.machine("m1").path(path)


def is_installed(lab):
    return lab.machine("m1").manager is not None and any(inside(lab, path).exists() for path in FINISHED)


# --- the ordinary ways


def test_a_manager_is_installed_with_its_progress_in_the_log(lab, caplog):
    caplog.set_level(logging.INFO)
    with ssh_to(lab) as ssh:
        assert installation(ssh, lab).ensure_installed(config_of(lab))
    assert is_installed(lab)
    assert any("manager-1: " in line and "Installing nginx" in line for line in caplog.messages)
    assert caplog.messages[-1] == "manager-1: the manager is installed"


def test_an_installed_manager_is_left_alone(lab):
    with ssh_to(lab) as ssh:
        installation(ssh, lab).ensure_installed(config_of(lab))
        manager = lab.machine("m1").manager
        written = inside(lab, CONFIG_PATH).stat().st_mtime_ns
        assert not installation(ssh, lab).ensure_installed(config_of(lab))
        assert installation(ssh, lab).is_installed_with(config_of(lab))
    assert lab.machine("m1").manager is manager
    assert inside(lab, CONFIG_PATH).stat().st_mtime_ns == written


def test_an_installed_manager_with_another_configuration_is_refused_and_not_touched(lab):
    with ssh_to(lab) as ssh:
        installation(ssh, lab).ensure_installed(config_of(lab))
        before = inside(lab, CONFIG_PATH).read_text()
        with pytest.raises(ActionRequired, match="another configuration"):
            installation(ssh, lab).ensure_installed(config_of(lab, set_manager_ip_on_boot="true"))
        assert not installation(ssh, lab).is_installed_with(config_of(lab, set_manager_ip_on_boot="true"))
    assert inside(lab, CONFIG_PATH).read_text() == before


def test_a_manager_that_somebody_else_installed_is_refused(lab):
    with ssh_to(lab) as ssh:
        machine = machine_of(ssh, lab)
        machine.ensure_file(CONFIG_PATH, config_of(lab).reveal())
        ssh.run(command("cfy_manager", "install", sudo=True))
        before = inside(lab, CONFIG_PATH).read_text()
        with pytest.raises(ActionRequired, match="not installed from here"):
            installation(ssh, lab).ensure_installed(config_of(lab, set_manager_ip_on_boot="true"))
    assert inside(lab, CONFIG_PATH).read_text() == before


def test_a_failure_names_machine_reason_and_log(lab):
    lab.fault("m1", "install-fail")
    with ssh_to(lab) as ssh, pytest.raises(CommandFailed) as caught:
        installation(ssh, lab).ensure_installed(config_of(lab))
    message = str(caught.value)
    for part in ("manager-1", lab.machine("m1").ip, "exit code 1", "BootstrapError", "cfy_manager.log"):
        assert part in message
    assert not is_running(lab)


def test_a_configuration_that_the_installer_refuses_is_reported(lab):
    with ssh_to(lab) as ssh, pytest.raises(CommandFailed, match="private_ip"):
        installation(ssh, lab).ensure_installed(Secret("manager: {}\n"))


def test_after_a_failure_the_next_call_starts_it_once_more(lab):
    lab.fault("m1", "install-fail", times=1)
    with ssh_to(lab) as ssh:
        with pytest.raises(CommandFailed):
            installation(ssh, lab).ensure_installed(config_of(lab))
        assert installation(ssh, lab).ensure_installed(config_of(lab))
    assert is_installed(lab)


def test_after_a_failure_a_mended_configuration_is_taken(lab):
    with ssh_to(lab) as ssh:
        with pytest.raises(CommandFailed):
            installation(ssh, lab).ensure_installed(Secret("manager: {}\n"))
        assert installation(ssh, lab).ensure_installed(config_of(lab))
    assert is_installed(lab)


def test_an_installation_that_hangs_is_stopped_at_its_deadline(lab):
    lab.fault("m1", "install-hang")
    with ssh_to(lab) as ssh, pytest.raises(CommandFailed, match="did not end within 60 s and was stopped"):
        installation(ssh, lab, timeout_seconds=60.0).ensure_installed(config_of(lab))
    assert not is_running(lab)


# --- interruptions


def test_a_connection_that_breaks_in_the_middle_loses_nothing(slow_lab):
    lab = slow_lab
    with ssh_to(lab) as ssh:
        running = InThread(lambda: installation(ssh, lab).ensure_installed(config_of(lab)))
        wait_until(lambda: is_running(lab), "the installation never began")
        lab.fault("m1", "ssh-cut", path="exec .*(systemctl|journalctl)", times=3)
        assert running.finish(lab)
    assert is_installed(lab)


def test_a_machine_out_of_reach_for_a_while_loses_nothing(slow_lab):
    lab = slow_lab
    with ssh_to(lab, deadlines=IMPATIENT) as ssh:
        running = InThread(
            lambda: installation(ssh, lab, contact_seconds=1e9, timeout_seconds=1e9).ensure_installed(
                config_of(lab)
            )
        )
        wait_until(lambda: is_running(lab), "the installation never began")
        out_of_reach(lab)
        time.sleep(0.5)
        assert running.is_alive()
        lab.fault("m1", "clear")
        assert running.finish(lab)
    assert is_installed(lab)


def test_a_machine_that_stays_out_of_reach_is_left_for_later(slow_lab):
    lab = slow_lab
    with ssh_to(lab, deadlines=IMPATIENT) as ssh:
        running = InThread(
            lambda: installation(ssh, lab, contact_seconds=20.0).ensure_installed(config_of(lab))
        )
        wait_until(lambda: is_running(lab), "the installation never began")
        out_of_reach(lab)
        running.join(60)
        assert isinstance(running.error, MachineUnreachable)
        assert "lost in the middle of" in str(running.error)
    lab.fault("m1", "clear")
    # Nobody watched, and it went on all the same.
    assert is_running(lab)


def test_an_installer_of_ours_that_is_killed_is_followed_by_one_that_goes_on(slow_lab):
    lab = slow_lab
    machine = lab.machine("m1")
    script = textwrap.dedent(f"""
        import logging
        from cmom.clients.ssh import SshClient
        from cmom.models import Host, Secret, SshAccess
        from cmom.services.installation import Installation
        from cmom.services.machine import Machine
        ssh = SshClient({machine.ip!r}, SshAccess("centos", {str(lab.ssh_key)!r}, {machine.ssh_port}))
        host = Host({machine.ip!r}, {machine.ip!r}, "manager-1")
        Installation(Machine(host, ssh, logging.getLogger())).ensure_installed(
            Secret({config_of(lab).reveal()!r})
        )
    """)
    process = subprocess.Popen([sys.executable, "-c", script])
    try:
        wait_until(lambda: is_running(lab), "the installation never began")
    finally:
        process.kill()
        process.wait()
    with ssh_to(lab) as ssh:
        unit = TransientUnit(machine_of(ssh, lab), INSTALL_UNIT)
        began = ssh.run(command("systemctl", "show", "-p", "ExecMainPID", INSTALL_UNIT, sudo=True)).stdout
        running = InThread(lambda: install(lab))
        assert running.finish(lab)
        assert unit.state().succeeded
        assert (
            ssh.run(command("systemctl", "show", "-p", "ExecMainPID", INSTALL_UNIT, sudo=True)).stdout
            == began
        )
    assert is_installed(lab)


def test_an_installation_that_ended_while_nobody_watched_is_taken_over(slow_lab, caplog):
    lab = slow_lab
    with ssh_to(lab) as ssh:
        abandoned = installation(ssh, lab, contact_seconds=0.0)
        lab.fault("m1", "ssh-cut", path="exec .*journalctl.* -u ", times=1)
        with pytest.raises(MachineUnreachable):
            abandoned.ensure_installed(config_of(lab))
        lab.advance(INSTALL_SECONDS * 2)
        wait_until(lambda: not is_running(lab), "the installation never ended")
        manager = lab.machine("m1").manager
        assert manager is not None
        assert installation(ssh, lab).ensure_installed(config_of(lab))
        assert lab.machine("m1").manager is manager


def test_an_installation_with_another_configuration_that_is_running_is_not_disturbed(slow_lab):
    lab = slow_lab
    with ssh_to(lab) as ssh:
        running = InThread(lambda: install(lab))
        wait_until(lambda: is_running(lab), "the installation never began")
        with pytest.raises(ActionRequired, match="is running on manager-1"):
            installation(ssh, lab).ensure_installed(config_of(lab, set_manager_ip_on_boot="true"))
        assert running.finish(lab)


def test_a_reboot_in_the_middle_starts_it_again(slow_lab):
    lab = slow_lab
    with ssh_to(lab) as ssh:
        running = InThread(
            lambda: installation(ssh, lab, contact_seconds=1e9, timeout_seconds=1e9).ensure_installed(
                config_of(lab)
            )
        )
        wait_until(lambda: is_running(lab), "the installation never began")
        lab.kill("m1")
        time.sleep(0.3)
        lab.start("m1")
        assert running.finish(lab)
    assert is_installed(lab)


def test_a_reboot_after_the_end_that_nobody_saw_does_not_start_it_again(slow_lab):
    lab = slow_lab
    with ssh_to(lab) as ssh:
        lab.fault("m1", "ssh-cut", path="exec .*journalctl.* -u ", times=1)
        with pytest.raises(MachineUnreachable):
            installation(ssh, lab, contact_seconds=0.0).ensure_installed(config_of(lab))
        lab.advance(INSTALL_SECONDS * 2)
        wait_until(lambda: not is_running(lab), "the installation never ended")
        lab.kill("m1")
        lab.start("m1")
        assert installation(ssh, lab).ensure_installed(config_of(lab))
        assert not is_running(lab)
    assert is_installed(lab)


# --- secrets


def test_the_password_is_in_no_log_no_journal_and_no_file_that_others_may_read(lab, caplog):
    caplog.set_level(logging.DEBUG)
    # A client that masks nothing: what counts is what the machine itself shows.
    with ssh_to(lab, secrets=()) as ssh:
        installation(ssh, lab).ensure_installed(config_of(lab))
        journal = ssh.run(command("journalctl", "--no-pager", "-o", "cat", sudo=True)).stdout
    assert "Admin password: ***" in journal
    assert CANARY not in journal
    assert CANARY not in caplog.text
    for path in lab.machine("m1").disk.rglob("*"):
        if path.is_file() and not path.is_symlink() and CANARY.encode() in path.read_bytes():
            assert path == inside(lab, CONFIG_PATH)
            assert path.stat().st_mode & 0o077 == 0


def test_what_was_noted_is_for_root_only(lab):
    with ssh_to(lab) as ssh:
        installation(ssh, lab).ensure_installed(config_of(lab))
    assert inside(lab, NOTE_PATH).stat().st_mode & 0o077 == 0
    assert inside(lab, "/var/log/cloudify/manager/cfy_manager.log").stat().st_mode & 0o077 == 0


# --- removal


def test_a_manager_is_removed_with_everything_secret_and_only_once(lab):
    with ssh_to(lab) as ssh:
        installation(ssh, lab).ensure_installed(config_of(lab))
        assert installation(ssh, lab).ensure_removed()
        ssh.run(command("rpm", "-e", "cloudify-manager-install", sudo=True))
        assert not installation(ssh, lab).ensure_removed()
    assert lab.machine("m1").manager is None
    for path in (CONFIG_PATH, f"{CONFIG_PATH}.rpmsave", NOTE_PATH, *FINISHED):
        assert not inside(lab, path).exists()


def test_an_installer_that_never_ran_is_not_asked_to_remove_anything(lab, caplog):
    caplog.set_level(logging.INFO)
    with ssh_to(lab) as ssh:
        assert not installation(ssh, lab).ensure_removed()
    assert not any("removing" in line for line in caplog.messages)


def test_a_half_installed_manager_is_removed(lab):
    lab.fault("m1", "install-fail")
    with ssh_to(lab) as ssh:
        with pytest.raises(CommandFailed):
            installation(ssh, lab).ensure_installed(config_of(lab))
        assert installation(ssh, lab).ensure_removed()
        assert not installation(ssh, lab).ensure_removed()
    assert not inside(lab, CONFIG_PATH).exists()


def test_a_removal_stops_an_installation_that_is_running(slow_lab):
    lab = slow_lab
    with ssh_to(lab) as ssh:
        lab.fault("m1", "ssh-cut", path="exec .*journalctl.* -u ", times=1)
        with pytest.raises(MachineUnreachable):
            installation(ssh, lab, contact_seconds=0.0).ensure_installed(config_of(lab))
        assert is_running(lab)
        assert installation(ssh, lab).ensure_removed()
    assert not is_running(lab)
    assert lab.machine("m1").manager is None


def test_after_a_removal_another_configuration_can_be_installed(lab, rpm):
    with ssh_to(lab) as ssh:
        installation(ssh, lab).ensure_installed(config_of(lab))
        installation(ssh, lab).ensure_removed()
        assert installation(ssh, lab).ensure_installed(config_of(lab, set_manager_ip_on_boot="true"))
    assert is_installed(lab)
