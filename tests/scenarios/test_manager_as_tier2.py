"""The README's commands for a Tier 2 manager, by the real `cfy` against a manager of the lab.

That manager parses blueprints, resolves their `plugin:` imports from what was uploaded, and judges inputs.
Workflows of plugins it only pretends to run: what they do is shown by the other scenarios.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cmom.version import __version__
from lab.local_profile import PROJECT, LocalProfile
from lab.manager.samples import make_wagon
from lab.manager.standalone import StandaloneManager
from tests.lab.rest import shared_ca

OPENSTACK = PROJECT / "lab" / "openstack" / "plugin" / "plugin.yaml"


class Cli:
    """`cfy` that uses a manager."""

    def __init__(self, folder: Path, manager: StandaloneManager) -> None:
        self._folder = folder
        self.blueprints = LocalProfile.create(folder / "staged").blueprint_folder
        self.good(
            *("profiles", "use", manager.ip, "-u", "admin", "-p", manager.password),
            *("-t", "default_tenant", "--rest-port", str(manager.port), "--ssl", "-c", str(manager.ca_cert)),
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).with_name("cfy")), *words],
            cwd=self.blueprints,
            env={
                **os.environ,
                "CFY_WORKDIR": str(self._folder),
                "HOME": str(self._folder),
                "PYTHONWARNINGS": "ignore::DeprecationWarning",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )

    def good(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def bad(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode != 0, done.stdout
        assert "Traceback" not in done.stdout
        return done.stdout


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    """`cfy` and a manager of 7.0 in real time."""
    with StandaloneManager(tmp_path / "manager", version="7.0.5", ca=shared_ca()) as manager:
        (tmp_path / "cli").mkdir()
        yield Cli(tmp_path / "cli", manager)


def test_the_plugins_are_uploaded_and_the_blueprints_are_taken(cli: Cli, tmp_path: Path) -> None:
    # Without its plugin no blueprint is taken; the message names the plugin.
    refused = cli.bad("blueprints", "upload", "hosts_blueprint.yaml", "-b", "hosts")
    assert "cmom" in refused

    for name, version, contract in (
        ("cmom", __version__, PROJECT / "plugins" / "cmom" / "plugin.yaml"),
        ("cloudify-openstack-plugin", "3.3.9", OPENSTACK),
    ):
        wagon = make_wagon(tmp_path, name, version)
        assert "Plugin uploaded" in cli.good("plugins", "upload", str(wagon), "-y", str(contract))
    listed = cli.good("plugins", "list")
    assert "cmom" in listed
    assert "1 managers" in listed

    cli.good("blueprints", "upload", "hosts_blueprint.yaml", "-b", "hosts")
    missing = cli.bad("deployments", "create", "hosts", "-b", "hosts")
    assert "install_rpm_path" in missing
    text = cli.bad("deployments", "create", "hosts", "-b", "hosts", "-i", "num_of_instances=three")
    assert "num_of_instances" in text or "install_rpm_path" in text

    inputs = tmp_path / "inputs.yaml"
    cli.good("secrets", "create", "tier1_admin_password", "-s", "canary-tier2-secret")
    given = yaml.safe_load((PROJECT / "sample_inputs.yaml").read_text())
    given["manager_admin_password"] = {"get_secret": "tier1_admin_password"}
    inputs.write_text(yaml.safe_dump(given))
    said = cli.good("install", "blueprint.yaml", "-b", "tier1", "-d", "tier1", "-i", str(inputs))
    assert "canary-tier2-secret" not in said
    assert "cluster_ips" in cli.good("deployments", "outputs", "tier1")
    cli.good("executions", "start", "get_status", "-d", "tier1")
    assert "no_such_workflow" in cli.bad("executions", "start", "no_such_workflow", "-d", "tier1")
    unknown = cli.bad("executions", "start", "backup", "-d", "tier1", "-p", "no_such_parameter=1")
    assert "no_such_parameter" in unknown
