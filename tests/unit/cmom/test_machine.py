"""What a machine is never asked to do; the rest of it is tested against the lab."""

from __future__ import annotations

import logging

import pytest

from cmom.clients.ssh import SshClient
from cmom.errors import ActionRequired
from cmom.models import Host, Package, SshAccess, Version
from cmom.services.machine import Machine
from cmom.services.package import curl_config, describe


@pytest.fixture
def machine():
    # Nothing listens there: a command that got as far as the network would fail in another way.
    ssh = SshClient("127.0.0.1", SshAccess("centos", "/nonexistent", 1))
    return Machine(Host("10.0.0.21", "10.0.0.21", "manager-1"), ssh, logging.getLogger("test"))


@pytest.mark.parametrize(
    "path", ["/", "//", "/etc", "/etc/", "/usr/./bin", "/var/lib/", "relative", "", "/etc/x/../..", "/home"]
)
def test_what_a_machine_needs_is_never_removed(machine, path):
    with pytest.raises(ValueError, match="not removed from any machine"):
        machine.remove(["/var/lib/cmom", path])


def test_a_url_becomes_a_line_of_curls_configuration():
    assert curl_config("https://u:p@host/a?b=c") == 'url = "https://u:p@host/a?b=c"\n'


def test_quotes_and_backslashes_stay_inside_the_line():
    assert curl_config('https://host/"\\') == 'url = "https://host/\\"\\\\"\n'


def test_a_second_line_in_a_url_is_refused_without_its_secrets():
    with pytest.raises(ActionRequired) as caught:
        curl_config("https://user:hunter2@host/a\noutput = /etc/passwd")
    assert "hunter2" not in str(caught.value)


def test_a_package_is_described_by_its_full_name():
    package = Package("cloudify-manager-install", Version.parse("4.6.0"), "ga", "x86_64")
    assert describe(package) == "cloudify-manager-install-4.6.0-ga.x86_64"
