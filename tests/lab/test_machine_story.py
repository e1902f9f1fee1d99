"""A machine of the lab from its first login to an installed manager, and back to an empty machine."""

from __future__ import annotations

import logging
import stat
from datetime import datetime, timedelta, timezone

import pytest

from cmom.errors import ActionRequired, CommandFailed, MachineUnreachable
from cmom.models import INSTALL_PACKAGE, Host, Package, Secret, Version
from cmom.services import certificates
from cmom.services.generations import uninstall_any
from cmom.services.installation import Watching
from cmom.services.machine import STAGING_DIRECTORY, STATE_DIRECTORY
from cmom.services.manager_config import (
    CERTIFICATES_FOLDER,
    CONFIG_PATH,
    CertificatePaths,
    ManagerSettings,
    generation_4_config,
)
from cmom.services.manager_install import ManagerInstaller, Patience
from lab.rpm_builder import build_rpm
from lab.testing import LabThread
from tests.lab.given_machine import CANARY, QuickClock, ssh_to
from tests.unit.cmom.given_ca import make_ca

PACKAGE = Package(INSTALL_PACKAGE, Version.parse("4.6.0"), "ga", "x86_64")
PATHS = CertificatePaths()


# With a real shell as well, where the system allows it; the other tests take the one that is quick.
in_both_sandboxes = pytest.mark.parametrize("story", ["auto", "interpreter"], indirect=True)


class Story:
    """One machine and what is to be installed on it."""

    def __init__(self, lab, rpm, authority):
        self.lab, self.rpm, self.authority = lab, str(rpm), authority
        one = lab.machine("m1")
        self.host = Host(one.ip, one.public_ip, one.hostname)
        self.host_keys = []
        self.now = datetime.now(timezone.utc)

    def installer(self, ssh):
        patience = Patience(watching=Watching(interval_seconds=2.0))
        return ManagerInstaller(self.host, ssh, logging.getLogger("tests.installer"), QuickClock(), patience)

    def certificates(self):
        issued = certificates.issue(self.host, self.authority, self.now)
        return {
            PATHS.external_certificate: (issued.external.certificate_pem, 0o644),
            PATHS.external_key: (issued.external.key_pem, 0o600),
            PATHS.internal_certificate: (issued.internal.certificate_pem, 0o644),
            PATHS.internal_key: (issued.internal.key_pem, 0o600),
            PATHS.ca_certificate: (issued.ca_certificate_pem, 0o644),
        }

    def fits(self, pem):
        return certificates.fits(pem, self.host, self.authority, self.now)

    def config(self):
        settings = ManagerSettings("admin", Secret(CANARY))
        return generation_4_config(self.host, settings)

    def configure(self, installer):
        return installer.configure(self.config(), self.certificates(), lambda _path, pem: self.fits(pem))

    def install(self, ssh):
        installer = self.installer(ssh)
        installer.reach(self.host_keys.append)
        prepared = installer.prepare(self.rpm, PACKAGE)
        return self.configure(installer) or prepared

    def disk(self, path):
        return self.lab.machine("m1").path(path)


@pytest.fixture(scope="module")
def rpm(tmp_path_factory):
    return build_rpm(tmp_path_factory.mktemp("rpm") / "install.rpm", padding_bytes=200_000)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return make_ca(tmp_path_factory.mktemp("ca")).load()


@pytest.fixture
def story(request, tmp_path, rpm, authority):
    sandbox = getattr(request, "param", "interpreter")
    with LabThread(tmp_path, machines=1, sandbox=sandbox) as lab:
        yield Story(lab, rpm, authority)


@pytest.fixture
def ssh(story):
    with ssh_to(story.lab) as ssh:
        yield ssh


@in_both_sandboxes
def test_a_machine_becomes_a_manager_with_our_certificate(story, ssh):
    assert story.install(ssh)
    manager = story.lab.machine("m1").manager
    assert manager is not None
    assert manager.version == "4.6.0"
    served = story.disk("/etc/cloudify/ssl/cloudify_external_cert.pem").read_text()
    assert served == story.disk(PATHS.external_certificate).read_text()
    assert story.fits(served.encode())
    assert story.host_keys == [ssh.host_key]


def test_the_same_again_changes_nothing(story, ssh):
    story.install(ssh)
    before = {path: path.stat().st_mtime_ns for path in story.disk("/etc/cloudify").rglob("*")}
    assert not story.install(ssh)
    assert {path: path.stat().st_mtime_ns for path in story.disk("/etc/cloudify").rglob("*")} == before


@in_both_sandboxes
def test_what_is_secret_is_for_root_only(story, ssh):
    story.install(ssh)
    folder = story.disk(CERTIFICATES_FOLDER)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in (PATHS.external_key, PATHS.internal_key, CONFIG_PATH):
        assert stat.S_IMODE(story.disk(path).stat().st_mode) == 0o600


def test_certificates_of_an_interrupted_installation_stay_when_they_fit(story, ssh):
    story.lab.fault("m1", "install-fail", times=1)
    with pytest.raises(CommandFailed):
        story.install(ssh)
    before = story.disk(PATHS.external_key).read_text()
    assert story.install(ssh)
    assert story.disk(PATHS.external_key).read_text() == before


def test_certificates_that_do_not_fit_any_more_are_replaced_all_together(story, ssh):
    story.lab.fault("m1", "install-fail", times=1)
    with pytest.raises(CommandFailed):
        story.install(ssh)
    before = {path: story.disk(path).read_text() for path in story.certificates()}
    story.now += certificates.VALIDITY - timedelta(days=1)
    story.install(ssh)
    for path in (PATHS.external_key, PATHS.external_certificate, PATHS.internal_key):
        assert story.disk(path).read_text() != before[path]


def test_a_connection_that_breaks_between_key_and_certificate_leaves_no_pair_that_does_not_match(story, ssh):
    installer = story.installer(ssh)
    installer.reach(story.host_keys.append)
    installer.prepare(story.rpm, PACKAGE)
    story.lab.fault("m1", "ssh-cut", path="exec .* dd of=.*cert", times=1)
    with pytest.raises(MachineUnreachable):
        story.configure(installer)
    assert not story.disk(PATHS.external_certificate).exists()
    assert story.configure(installer)
    assert story.lab.machine("m1").manager is not None


def test_another_configuration_is_refused_on_an_installed_manager(story, ssh):
    story.install(ssh)
    installer = story.installer(ssh)
    other = Secret(story.config().reveal().replace("admin_username: admin", "admin_username: root"))
    with pytest.raises(ActionRequired, match="another configuration"):
        installer.configure(other, story.certificates(), story.fits)


@in_both_sandboxes
def test_files_and_scripts_come_last(story, ssh, tmp_path):
    story.install(ssh)
    patch = tmp_path / "patch"
    patch.write_text("patched")
    script = tmp_path / "patch.sh"
    script.write_text("sudo cp patch.txt /opt/manager/patch.txt && cat patch.txt")
    (outcome,) = story.installer(ssh).finish([(str(patch), "patch.txt")], [str(script)])
    assert outcome.ok
    assert outcome.output_tail == "patched"
    assert story.disk("/opt/manager/patch.txt").read_text() == "patched"


@in_both_sandboxes
def test_a_manager_is_removed_with_all_that_is_ours_and_can_be_installed_anew(story, ssh):
    story.install(ssh)
    assert uninstall_any(story.installer(ssh))
    lab = story.lab
    assert lab.machine("m1").manager is None
    for path in (
        *(
            CERTIFICATES_FOLDER,
            CONFIG_PATH,
            f"{CONFIG_PATH}.rpmsave",
            STATE_DIRECTORY,
            "/usr/bin/cfy_manager",
        ),
        f"/home/centos/{STAGING_DIRECTORY}",
    ):
        assert not story.disk(path).exists()
    left = [
        path
        for path in lab.machine("m1").disk.rglob("*")
        if path.is_file() and CANARY.encode() in path.read_bytes()
    ]
    assert left == []
    assert not uninstall_any(story.installer(ssh))
    assert story.install(ssh)


def test_an_empty_machine_has_nothing_to_remove(story, ssh):
    assert not uninstall_any(story.installer(ssh))


# An installation takes 44 commands.
@pytest.mark.parametrize("call", range(1, 45, 3))
def test_an_installation_whose_connection_breaks_anywhere_completes_when_it_is_repeated(story, ssh, call):
    story.lab.fault("m1", "ssh-cut", path="exec ", nth=call)
    for _ in range(3):
        try:
            story.install(ssh)
            break
        except MachineUnreachable:
            continue
    else:
        pytest.fail("it never completed")
    assert story.lab.machine("m1").manager is not None
    assert not story.install(ssh)
