"""Every workflow of the plugin on clusters of both generations, one after the other, as a day brings them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.local_profile import PROJECT
from lab.manager.samples import make_blueprint, make_wagon, plugin_yaml
from tests.lab.given_cluster import VERSIONS, Cluster, cluster_of

# They begin with a restore of another deployment: tests/scenarios/test_upgrade.py runs it for both.
ELSEWHERE = {"transfer_agents"}


class Day:
    """A cluster, and what was run on it.

    Args:
        cluster: Of three members.
        folder: For what is uploaded.
    """

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.ran: set[str] = set()

    def run(self, workflow: str, **parameters: Any) -> None:
        """Run a workflow to its end."""
        self.cluster.engine.run(workflow, **parameters)
        self.ran.add(workflow)

    def properties(self) -> dict[str, Any]:
        """What the deployment knows of its cluster."""
        (found,) = self.cluster.engine.properties("cloudify_cluster")
        return dict(found)

    def fill(self) -> None:
        """Make it hold something of each kind, each by its own workflow and then all at once."""
        wagon, description = make_wagon(self.folder), self.folder / "plugin.yaml"
        description.write_text(plugin_yaml())
        shop = make_blueprint(self.folder, "shop")
        lists: dict[str, list[Any]] = {
            "tenants": ["blue"],
            "secrets": [{"key": "one", "string": "1"}],
            "plugins": [{"wagon": str(wagon), "yaml": str(description)}],
            "blueprints": [{"path": str(shop), "id": "shop"}],
            "deployments": [{"blueprint_id": "shop"}],
        }
        made_by = {
            "create_tenants": "tenants",
            "create_secrets": "secrets",
            "upload_plugins": "plugins",
            "upload_blueprints": "blueprints",
            "create_deployments": "deployments",
        }
        for workflow, kind in made_by.items():
            self.run(workflow, **{kind: lists[kind]})
            assert self.outcomes() == ["created"], workflow
        self.run("add_resources", **lists)
        assert self.outcomes() == ["already so"] * len(lists)
        self.run("execute_workflow", workflow_id="install", deployment_id="shop")
        with self.cluster.client(self.cluster.names()[0]) as client:
            executed = [(one.workflow_id, one.status) for one in client.executions.list(deployment_id="shop")]
        assert ("install", "terminated") in executed

    def outcomes(self) -> list[str]:
        """What became of each entry of the last lists."""
        return [str(row["outcome"]) for row in self.properties()["resources"]]

    def back_up(self) -> None:
        """Take two backups, look at them, and find one that has rotted."""
        for name in ("first", "second"):
            self.run("backup", snapshot_id=name)
        self.run("list_backups")
        assert {row["id"] for row in self.properties()["backups"]} == {"first", "second"}
        self.run("verify_backups")
        (rotten,) = Path(self.cluster.inputs["snapshots_path"]).rglob("first.zip")
        rotten.write_bytes(rotten.read_bytes()[:-1] + b"x")
        with pytest.raises(RuntimeError):
            self.run("verify_backups")

    def heal(self) -> None:
        """Lose a member, while healing is paused and then not."""
        dead = self.cluster.names()[-1]
        self.cluster.lab.kill(dead)
        self.run("pause_healing", duration_seconds=600, reason="new switches")
        assert self.cluster.refusal(dead)["reasons"] == ["paused"]
        self.run("resume_healing")
        self.cluster.heal(dead)
        self.ran.add("heal_tier1_manager")
        assert self.cluster.history()[-1]["outcome"] == "healed"


@pytest.mark.parametrize("version", VERSIONS)
def test_every_workflow_runs_on_a_cluster_of_each_generation(tmp_path: Path, version: str) -> None:
    with cluster_of(tmp_path, 3, version) as (cluster, _):
        day = Day(cluster, tmp_path)
        day.fill()
        day.back_up()
        day.heal()
        day.run("get_status")
        assert day.properties()["status"]["condition"] == "ready"

    described = yaml.safe_load((PROJECT / "plugins/cmom/plugin.yaml").read_text(encoding="utf-8"))
    assert set(described["workflows"]) == day.ran | ELSEWHERE
