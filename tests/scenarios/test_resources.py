"""What the cluster holds, from ``cfy`` on Tier 2: at install, by workflows, and workflows run on Tier 1."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from cloudify_rest_client import CloudifyClient

from lab.clock import RealClock
from lab.manager.samples import BLUEPRINT, make_blueprint, make_wagon, pack, plugin_yaml
from lab.settings import LabSettings
from lab.testing import LabThread
from tests.scenarios.tier2 import SETTINGS, Tier2

CANARY = "canary-5e1c-secret"
WORKFLOWS = """\
dsl_definitions:
  lab:
    install: {events: [the first step, the second step], logs: [a line of a log]}
    start: {error: the cable is not plugged in}
    restart: {seconds: 3600}
"""


class Installed:
    """A cluster that was installed with everything in it."""

    def __init__(self, folder: Path, lab: LabThread) -> None:
        self.folder = folder
        self.lab = lab
        self.tier2 = Tier2.create(folder / "tier2", lab.inputs())
        self.output = ""
        self._clients: list[Any] = []

    def lists(self) -> dict[str, Any]:
        """Everything once, from files."""
        (self.folder / "value.txt").write_text(CANARY)
        (self.folder / "plugin.yaml").write_text(plugin_yaml())
        blueprint = make_blueprint(self.folder, "shop", BLUEPRINT + WORKFLOWS)
        return {
            "tenants": ["blue"],
            "secrets": [
                {"key": "one", "string": CANARY, "tenant": "blue"},
                {"key": "two", "file": str(self.folder / "value.txt"), "visibility": "global"},
            ],
            "plugins": [
                {
                    "wagon": str(make_wagon(self.folder)),
                    "yaml": str(self.folder / "plugin.yaml"),
                    "tenant": "blue",
                }
            ],
            "blueprints": [{"path": str(blueprint), "tenant": "blue"}],
            "deployments": [{"blueprint_id": "shop", "inputs": {"size": 3}, "tenant": "blue"}],
        }

    def start(self, workflow: str, parameters: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
        """Run a workflow with parameters, as a person would: from a file."""
        return self.tier2.start(workflow, "-p", str(self.write(parameters)))

    def write(self, parameters: Mapping[str, Any]) -> Path:
        """Write parameters to a file."""
        path = self.folder / "parameters.yaml"
        path.write_text(yaml.safe_dump(dict(parameters)))
        return path

    def rows(self) -> dict[str, str]:
        """What the cluster's runtime properties say of the resources of the last run."""
        return {f"{row['kind']} {row['name']}": row["outcome"] for row in self.properties()["resources"]}

    def properties(self) -> dict[str, Any]:
        """The cluster's runtime properties."""
        return self.tier2.properties()

    def client(self, tenant: str = "blue") -> Any:
        """The real client, on the leader."""
        client = CloudifyClient(
            host=self.properties()["cluster_ips"]["Master"],
            port=self.tier2.inputs["rest_port"],
            protocol="https",
            username="admin",
            password=self.tier2.inputs["manager_admin_password"],
            tenant=tenant,
            cert=self.tier2.inputs["ca_cert"],
        )
        self._clients.append(client)
        return client

    def close(self) -> None:
        """Let go of what was opened."""
        for client in self._clients:
            client._client._session.close()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """Installed once for all tests here, each of which adds to it."""
    folder = tmp_path_factory.mktemp("resources")
    settings = LabSettings.instant()
    with LabThread(folder / "lab", machines=2, settings=settings, clock=RealClock()) as lab:
        found = Installed(folder, lab)
        done = found.tier2.install(num_of_instances=2, **found.lists())
        assert done.returncode == 0, done.stdout
        found.output = done.stdout
        yield found
        found.close()


def test_everything_is_there_after_the_installation(installed: Installed) -> None:
    assert set(installed.rows().values()) == {"created"}
    assert len(installed.rows()) == 6
    client = installed.client()
    assert client.secrets.get("one").value == CANARY
    assert client.secrets.get("two").value == CANARY
    assert len(client.plugins.list()) == 1
    assert client.deployments.get("shop").inputs == {"size": 3}


def test_no_secret_is_told_anywhere(installed: Installed) -> None:
    assert CANARY not in installed.output
    for instance in installed.tier2.profile.node_instances(installed.tier2.deployment):
        assert CANARY not in str(instance["runtime_properties"])
    log = installed.tier2.profile.folder / "state" / "cli.log"
    assert CANARY not in log.read_text()


def test_run_again_nothing_is_done_twice(installed: Installed) -> None:
    done = installed.start("add_resources", installed.lists())
    assert done.returncode == 0, done.stdout
    assert set(installed.rows().values()) == {"already so"}


@pytest.mark.parametrize(
    ("workflow", "lists", "row"),
    [
        ("create_tenants", {"tenants": ["green"]}, "tenant green"),
        ("create_secrets", {"secrets": [{"key": "three", "string": "3"}]}, "secret three"),
        (
            "create_deployments",
            {"deployments": [{"blueprint_id": "shop", "tenant": "blue", "deployment_id": "branch"}]},
            "deployment branch",
        ),
    ],
)
def test_each_kind_has_a_workflow(
    installed: Installed, workflow: str, lists: dict[str, Any], row: str
) -> None:
    done = installed.start(workflow, lists)
    assert done.returncode == 0, done.stdout
    assert installed.rows() == {row: "created"}


def test_plugins_and_blueprints_have_one_as_well(installed: Installed) -> None:
    yaml_path = installed.folder / "other.yaml"
    yaml_path.write_text(plugin_yaml("other-plugin"))
    wagon = make_wagon(installed.folder, "other-plugin")
    done = installed.start("upload_plugins", {"plugins": [{"wagon": str(wagon), "yaml": str(yaml_path)}]})
    assert done.returncode == 0, done.stdout
    assert installed.rows() == {f"plugin {wagon.name}": "created"}

    archive = pack(make_blueprint(installed.folder, "stall"), installed.folder / "stall.zip")
    done = installed.start("upload_blueprints", {"blueprints": [{"path": str(archive)}]})
    assert done.returncode == 0, done.stdout
    assert installed.rows() == {"blueprint stall": "created"}


def test_one_entry_failing_leaves_a_table_and_the_others_are_done(installed: Installed) -> None:
    wanted = {
        "secrets": [{"key": "four", "string": "4"}, {"key": "five", "string": "5", "tenant": "nowhere"}],
        "deployments": [{"blueprint_id": "missing"}],
    }
    done = installed.start("add_resources", wanted)
    assert done.returncode != 0
    assert "2 of 3 resources are not as wanted" in done.stdout
    assert "there is no tenant nowhere" in done.stdout
    assert installed.rows() == {
        "secret four": "created",
        "secret five": "refused",
        "deployment missing": "refused",
    }


def test_twenty_malformed_entries_are_twenty_places_in_one_message(installed: Installed) -> None:
    before = installed.properties()["resources"]
    bad = {
        "tenants": ["1st", "", 7],
        "secrets": [{"key": "a"}, {"string": "x"}, {"key": "b", "string": "x", "file": "/no"}, {"keey": "c"}],
        "plugins": [
            {"wagon": "/no.wgn"},
            {"yaml": "/no.yaml"},
            {"wagon": "ftp://192.0.2.1/x.wgn", "yaml": "/no"},
        ],
        "blueprints": [{"id": "a"}, {"path": "/no.yaml", "visibility": "everyone"}, "shop"],
        "deployments": [
            {"deployment_id": "a"},
            {"blueprint_id": "b", "inputs": "/no.yaml"},
            {"blueprint_id": "c", "tenant": "not a name"},
        ],
    }
    done = installed.start("add_resources", bad)
    assert done.returncode != 0
    places = [line for line in done.stdout.splitlines() if line.strip().startswith("- ")]
    assert len(set(places)) >= 20, done.stdout
    assert installed.properties()["resources"] == before


def test_a_workflow_runs_on_tier_1_with_its_events_in_our_log(installed: Installed) -> None:
    done = installed.start("execute_workflow", run_of("install"))
    assert done.returncode == 0, done.stdout
    for line in ("the first step", "the second step", "a line of a log"):
        assert line in done.stdout
    record = installed.properties()["execution"]
    assert (record["status"], record["error"], record["deployment_id"]) == ("terminated", "", "shop")
    assert installed.client().executions.get(record["execution_id"]).workflow_id == "install"
    # The status of the cluster has its own place.
    assert installed.properties()["status"]["condition"]


def test_a_workflow_that_fails_on_tier_1_fails_here_with_its_error(installed: Installed) -> None:
    done = installed.start("execute_workflow", run_of("start"))
    assert done.returncode != 0
    assert "the cable is not plugged in" in done.stdout
    record = installed.properties()["execution"]
    assert (record["status"], record["error"]) == ("failed", "the cable is not plugged in")


def test_nonsense_is_refused_before_anything_runs(installed: Installed) -> None:
    done = installed.start("execute_workflow", {**run_of("install"), "timeout": "soon"})
    assert done.returncode != 0
    done = installed.start("execute_workflow", {**run_of("install"), "parameters": "/no/such.yaml"})
    assert done.returncode != 0
    assert "parameters: there is no file /no/such.yaml on Tier 2" in done.stdout


def test_cancelled_on_tier_2_it_is_cancelled_on_tier_1(installed: Installed) -> None:
    log = installed.folder / "cancelled.log"
    parameters = installed.write(run_of("restart"))
    with log.open("wb") as stream:
        process = installed.tier2.profile.start(
            *("executions", "start", "execute_workflow", "-b", installed.tier2.deployment),
            *("-p", str(parameters), *SETTINGS),
            stdout=stream,
        )
    try:
        wait_for_text(log, "Execution .* on Tier 1: started")
        os.killpg(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=120)
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGABRT)
            process.wait()
            pytest.fail(f"it did not end: {log.read_text()}")
    record = installed.properties()["execution"]
    assert record["status"] == "cancelled", log.read_text()
    assert installed.client().executions.get(record["execution_id"]).status == "cancelled"


def test_an_installation_with_malformed_lists_touches_no_machine(machines: LabThread, tier2: Tier2) -> None:
    done = tier2.install(plugins=[{"wagon": "/no.wgn"}], secrets=[{"key": "a", "string": CANARY, "x": 1}])
    assert done.returncode != 0
    assert "plugins[0].yaml: missing" in done.stdout
    assert "secrets[0].x: unknown" in done.stdout
    assert CANARY not in done.stdout
    for machine in machines.machines:
        assert machine.manager is None


def run_of(workflow: str) -> dict[str, Any]:
    return {"workflow_id": workflow, "deployment_id": "shop", "tenant_name": "blue", "timeout": 300}


def wait_for_text(path: Path, pattern: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while re.search(pattern, path.read_text(errors="replace")) is None:
        assert time.monotonic() < deadline, path.read_text(errors="replace")
        time.sleep(0.05)
