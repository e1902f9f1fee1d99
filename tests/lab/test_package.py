"""The install RPM on a machine of the lab: brought, installed, left alone, refused, removed."""

from __future__ import annotations

import hashlib
import http.server
import logging
import threading

import pytest

from cmom.commands import command
from cmom.errors import ActionRequired, CommandFailed, TryAgainLater
from cmom.models import INSTALL_PACKAGE, Package, Version
from cmom.services.machine import STAGING_DIRECTORY
from cmom.services.package import InstallPackage, Transfer
from lab.rpm_builder import build_rpm
from lab.testing import LabThread
from tests.lab.given_machine import machine_of, ssh_to

PACKAGE = Package(INSTALL_PACKAGE, Version.parse("4.6.0"), "ga", "x86_64")
PADDING_BYTES = 3_000_000


@pytest.fixture
def lab(tmp_path):
    with LabThread(tmp_path, machines=1) as lab:
        yield lab


@pytest.fixture
def ssh(lab):
    with ssh_to(lab) as ssh:
        yield ssh


@pytest.fixture
def machine(ssh, lab):
    return machine_of(ssh, lab)


@pytest.fixture
def package(machine):
    return InstallPackage(machine, Transfer(attempts=3))


@pytest.fixture(scope="module")
def rpm(tmp_path_factory):
    return build_rpm(tmp_path_factory.mktemp("rpm") / "install.rpm", padding_bytes=PADDING_BYTES)


@pytest.fixture
def served(rpm):
    """A web server on this machine that wants a password, and a log of what it was asked."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            # user:hunter2
            if self.headers.get("Authorization") != "Basic dXNlcjpodW50ZXIy":
                self.send_error(401)
            elif not self.path.startswith("/install.rpm"):
                self.send_error(404)
            else:
                content = rpm.read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        server.asked = asked
        server.url = f"http://user:hunter2@127.0.0.1:{server.server_port}/install.rpm?signature=topsecret"
        yield server
        server.shutdown()
        thread.join()


def inside(lab, path):
    return lab.machine("m1").path(path)


def staged(lab):
    return inside(lab, f"/home/centos/{STAGING_DIRECTORY}/rpm")


def test_the_rpm_is_brought_and_installed_and_its_copy_goes(lab, machine, package, rpm, caplog):
    caplog.set_level(logging.INFO)
    assert package.ensure_installed(str(rpm), PACKAGE)
    assert machine.installed_package(INSTALL_PACKAGE) == PACKAGE
    assert not staged(lab).exists()
    assert f"manager-1: RPM to {machine.ssh.address}: 40 % of 3.0 MB" in caplog.messages


def test_an_installed_package_is_left_alone_and_nothing_is_copied(machine, package, rpm, tmp_path):
    package.ensure_installed(str(rpm), PACKAGE)
    assert not package.ensure_installed(str(tmp_path / "not even there"), PACKAGE)


def test_another_version_is_refused_with_machine_both_versions_and_advice(machine, package, rpm, tmp_path):
    package.ensure_installed(str(rpm), PACKAGE)
    newer = Package(INSTALL_PACKAGE, Version.parse("4.6.1"), "ga", "x86_64")
    with pytest.raises(ActionRequired) as caught:
        package.ensure_installed(str(build_rpm(tmp_path / "new.rpm", version="4.6.1")), newer)
    for part in ("4.6.0", "4.6.1", "manager-1", machine.ssh.address, "uninstall"):
        assert part in str(caught.value)
    assert machine.installed_package(INSTALL_PACKAGE) == PACKAGE


def test_a_copy_that_breaks_in_the_middle_is_begun_again(lab, machine, package, rpm, caplog):
    lab.fault("m1", "ssh-cut", path="sftp .*rpm", after_bytes=PADDING_BYTES // 2, times=1)
    caplog.set_level(logging.INFO)
    assert package.ensure_installed(str(rpm), PACKAGE)
    assert machine.installed_package(INSTALL_PACKAGE) == PACKAGE
    assert any("attempt 1 of 3 to bring the RPM failed" in line for line in caplog.messages)


def test_a_copy_that_always_breaks_is_given_up_for_now(lab, machine, package, rpm):
    lab.fault("m1", "ssh-cut", path="sftp .*rpm", after_bytes=PADDING_BYTES // 2)
    with pytest.raises(TryAgainLater, match="in 3 attempts"):
        package.ensure_installed(str(rpm), PACKAGE)
    lab.fault("m1", "clear")
    assert package.ensure_installed(str(rpm), PACKAGE)


def test_a_copy_that_is_there_already_is_not_made_again(lab, machine, package, rpm, caplog):
    staged_path = f"{package._folder()}/cloudify-manager-install-4.6.0-ga.x86_64.rpm"
    machine.ssh.put(str(rpm), staged_path)
    caplog.set_level(logging.INFO)
    assert package.ensure_installed(str(rpm), PACKAGE)
    assert "manager-1: the RPM is there already" in caplog.messages
    assert not any("RPM to" in line for line in caplog.messages)


def test_a_copy_of_the_same_size_with_another_content_is_replaced(lab, machine, package, rpm):
    staged_path = f"{package._folder()}/cloudify-manager-install-4.6.0-ga.x86_64.rpm"
    machine.ssh.put_content(b"\0" * rpm.stat().st_size, staged_path)
    assert package.ensure_installed(str(rpm), PACKAGE)


def test_an_rpm_that_is_not_there_is_refused(package, tmp_path):
    with pytest.raises(ActionRequired, match=r"none\.rpm cannot be read"):
        package.ensure_installed(str(tmp_path / "none.rpm"), PACKAGE)


def test_a_file_that_is_no_rpm_is_refused_with_what_rpm_says(package, tmp_path):
    broken = tmp_path / "broken.rpm"
    broken.write_bytes(b"not an rpm" * 1000)
    with pytest.raises(CommandFailed, match="rpm -U"):
        package.ensure_installed(str(broken), PACKAGE)


def test_too_little_disk_is_said_before_anything_is_copied(lab, package, tmp_path):
    huge = tmp_path / "huge.rpm"
    with open(huge, "wb") as file:
        file.truncate(1 << 43)
    with pytest.raises(ActionRequired, match=r"free on .* are needed for the RPM"):
        package.ensure_installed(str(huge), PACKAGE)
    assert list(staged(lab).iterdir()) == []


# --- from a URL


def test_the_machine_fetches_a_url_itself_and_its_secrets_are_nowhere(
    lab, machine, package, rpm, served, caplog
):
    caplog.set_level(logging.DEBUG)
    seen = []
    run = machine.ssh.run

    def watching(wanted, check=True):
        seen.append(wanted.shell())
        return run(wanted, check=check)

    machine.ssh.run = watching
    assert package.ensure_installed(served.url, PACKAGE)
    assert machine.installed_package(INSTALL_PACKAGE) == PACKAGE
    assert served.asked == ["/install.rpm?signature=topsecret"]
    for line in (*seen, *caplog.messages):
        assert "hunter2" not in line
        assert "topsecret" not in line
    assert any(
        f"fetching http://127.0.0.1:{served.server_port}/install.rpm" in line for line in caplog.messages
    )


def test_a_url_that_is_not_there_is_refused_without_its_secrets(package, served):
    with pytest.raises(CommandFailed) as caught:
        package.ensure_installed(served.url.replace("install.rpm", "other.rpm"), PACKAGE)
    assert "exit code 22" in str(caught.value)
    assert "404" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "topsecret" not in str(caught.value)


def test_a_server_that_does_not_answer_is_tried_again_later(package, served):
    served.shutdown()
    served.server_close()
    with pytest.raises(TryAgainLater, match="curl ended with exit code 7"):
        package.ensure_installed(served.url, PACKAGE)


def test_a_url_with_another_version_than_announced_is_refused(machine, package, served):
    newer = Package(INSTALL_PACKAGE, Version.parse("4.6.1"), "ga", "x86_64")
    with pytest.raises(ActionRequired, match=r"gave .*4\.6\.0.* instead of .*4\.6\.1"):
        package.ensure_installed(served.url, newer)
    assert machine.installed_package(INSTALL_PACKAGE) is None


# --- removal


def test_the_package_is_removed_once(lab, machine, package, rpm):
    package.ensure_installed(str(rpm), PACKAGE)
    assert package.ensure_removed()
    assert machine.installed_package(INSTALL_PACKAGE) is None
    assert not package.ensure_removed()
    assert not inside(lab, f"/home/centos/{STAGING_DIRECTORY}").exists()


def test_the_checksum_after_the_copy_is_that_of_the_source(machine, rpm):
    machine.run(command("mkdir", "-p", "there"))
    sent = machine.ssh.put(str(rpm), "/home/centos/there/x.rpm")
    assert sent == hashlib.sha256(rpm.read_bytes()).hexdigest() == machine.sha256("/home/centos/there/x.rpm")
