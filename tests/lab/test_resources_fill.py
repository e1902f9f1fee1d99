"""Each kind of resource on each version: made, there already, changed, refused, failed; from file and URL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.manager.host import Settings
from lab.manager.samples import make_blueprint, make_wagon, pack, plugin_yaml
from tests.lab.filled import VERSIONS, Filled
from tests.lab.rest import served

MakeFilled = Callable[..., Filled]


# Managers of 5.1 speak much as those of 4.6 do; those of 6.x as neither.
@pytest.fixture(params=(*VERSIONS, "5.1.4", "6.3.2"))
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Filled]:
    """A manager of each version in turn."""
    with Filled(tmp_path, request.param) as found:
        yield found


@pytest.fixture
def plugin(tmp_path: Path) -> dict[str, str]:
    """The entry of a plugin whose files are there."""
    wagon = make_wagon(tmp_path)
    yaml = tmp_path / "plugin.yaml"
    yaml.write_text(plugin_yaml())
    return {"wagon": str(wagon), "yaml": str(yaml)}


def test_a_tenant_is_created_once(filled: Filled) -> None:
    assert filled.outcomes({"tenants": ["blue", "green"]}) == ["created", "created"]
    assert filled.outcomes({"tenants": ["blue", "red"]}) == ["already so", "created"]
    assert {tenant.name for tenant in filled.client.tenants.list()} == {
        "default_tenant",
        "blue",
        "green",
        "red",
    }


def test_a_community_manager_refuses_a_tenant_and_the_rest_is_done(tmp_path: Path) -> None:
    with Filled(tmp_path, "7.0.5", Settings(edition="community")) as filled:
        report = filled.fill({"tenants": ["blue"], "secrets": [{"key": "a", "string": "1"}]})
    assert [row.outcome.value for row in report.rows] == ["refused", "created"]
    assert "missing_premium_package_error" in report.rows[0].reason


def test_a_secret_is_created_left_alone_and_updated(filled: Filled, tmp_path: Path) -> None:
    file = tmp_path / "value.txt"
    file.write_text("from a file\n")
    wanted = {"secrets": [{"key": "a", "string": "1"}, {"key": "b", "file": str(file)}]}
    assert filled.outcomes(wanted) == ["created", "created"]
    assert filled.client.secrets.get("b").value == "from a file\n"
    assert filled.outcomes(wanted) == ["already so", "already so"]
    assert filled.outcomes({"secrets": [{"key": "a", "string": "2"}]}) == ["updated"]
    assert filled.client.secrets.get("a").value == "2"


def test_a_secret_goes_into_its_tenant_with_its_visibility(filled: Filled) -> None:
    report = filled.fill(
        {
            "tenants": ["blue"],
            "secrets": [{"key": "a", "string": "1", "tenant": "blue", "visibility": "private"}],
        }
    )
    assert report.good
    held = filled.client_for("blue").secrets.get("a")
    assert (held.tenant_name, held.visibility) == ("blue", "private")
    assert len(filled.client.secrets.list()) == 0


def test_visibility_is_widened_and_never_narrowed(filled: Filled) -> None:
    def wanted(visibility: str) -> dict[str, Any]:
        return {"secrets": [{"key": "a", "string": "1", "visibility": visibility}]}

    assert filled.outcomes(wanted("private")) == ["created"]
    widened = filled.fill(wanted("global")).rows[0]
    assert (widened.outcome.value, widened.reason) == ("updated", "visibility private is now global")
    left = filled.fill(wanted("tenant")).rows[0]
    assert left.outcome.value == "already so"
    assert "global" in left.reason
    assert filled.client.secrets.get("a").visibility == "global"


def test_a_global_secret_of_another_tenant_is_not_overwritten(filled: Filled) -> None:
    filled.fill({"tenants": ["blue"]})
    filled.client_for("blue").secrets.create("a", "theirs", visibility="global")
    assert filled.outcomes({"secrets": [{"key": "a", "string": "theirs"}]}) == ["already so"]
    row = filled.fill({"secrets": [{"key": "a", "string": "ours"}]}).rows[0]
    assert row.outcome.value == "refused"
    assert "Tenant blue" in row.reason
    assert "ours" not in row.reason
    assert "theirs" not in row.reason


def test_a_plugin_is_uploaded_once_with_its_yaml(filled: Filled, plugin: dict[str, str]) -> None:
    assert filled.outcomes({"plugins": [plugin]}) == ["created"]
    (held,) = filled.client.plugins.list()
    assert (held.package_name, held.package_version) == ("cloudify-sample-plugin", "1.0.0")
    assert held.yaml_url_path
    assert filled.outcomes({"plugins": [plugin]}) == ["already so"]
    assert len(filled.client.plugins.list()) == 1
    assert filled.outcomes({"plugins": [{**plugin, "visibility": "global"}]}) == ["updated"]


def test_a_plugin_comes_from_urls(filled: Filled, plugin: dict[str, str], tmp_path: Path) -> None:
    with served(tmp_path) as url:
        entry = {
            "wagon": f"{url}/{Path(plugin['wagon']).name}",
            "yaml": f"{url}/plugin.yaml",
            "visibility": "private",
        }
        assert filled.outcomes({"plugins": [entry]}) == ["created"]
        (held,) = filled.client.plugins.list()
        assert (held.archive_name, held["visibility"]) == (Path(plugin["wagon"]).name, "private")
        assert filled.outcomes({"plugins": [entry]}) == ["already so"]


def test_a_wagon_that_is_there_is_not_fetched(filled: Filled, plugin: dict[str, str], tmp_path: Path) -> None:
    filled.fill({"plugins": [plugin]})
    with served(tmp_path) as url:
        entry = {"wagon": f"{url}/{Path(plugin['wagon']).name}", "yaml": f"{url}/plugin.yaml"}
        Path(plugin["wagon"]).unlink()
        assert filled.outcomes({"plugins": [entry]}) == ["already so"]


def test_what_cannot_be_fetched_fails_alone(filled: Filled, plugin: dict[str, str], tmp_path: Path) -> None:
    with served(tmp_path) as url:
        entry = {"wagon": f"{url}/nothing.wgn", "yaml": f"{url}/plugin.yaml"}
        (tmp_path / "odd.wgn").write_text("not a wagon")
        odd = {"wagon": f"{url}/odd.wgn", "yaml": f"{url}/plugin.yaml"}
        report = filled.fill({"plugins": [entry, odd, plugin]})
    assert [row.outcome.value for row in report.rows] == ["failed", "failed", "created"]
    assert "404" in report.rows[0].reason
    assert "not a wagon" in report.rows[1].reason
    assert report.rows[1].reason.startswith("Http")


def test_a_blueprint_goes_with_its_folder_under_the_folders_name(filled: Filled, tmp_path: Path) -> None:
    path = make_blueprint(tmp_path, "shop", file_name="main.yaml")
    make_blueprint(tmp_path, "shop")  # the blueprint.yaml that generation 4 would take if it could
    (path.parent / "scripts").mkdir()
    (path.parent / "scripts" / "run.sh").write_text("#!/bin/sh\n")
    wanted = {"blueprints": [{"path": str(path), "visibility": "private"}]}
    assert filled.outcomes(wanted) == ["created"]
    held = filled.client.blueprints.get("shop")
    assert (held.main_file_name, held["visibility"]) == ("main.yaml", "private")
    assert filled.outcomes(wanted) == ["already so"]


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tar.bz2"])
def test_a_blueprint_comes_as_an_archive(filled: Filled, tmp_path: Path, suffix: str) -> None:
    main = make_blueprint(tmp_path, "shop", file_name="a b.yaml")
    make_blueprint(tmp_path, "shop")
    archive = pack(main, tmp_path / f"store.{suffix}")
    entry = {"path": str(archive), "filename": "a b.yaml"}
    assert filled.outcomes({"blueprints": [entry, {**entry, "id": "other"}]}) == ["created", "created"]
    assert filled.client.blueprints.get("store").main_file_name == "a b.yaml"
    assert filled.client.blueprints.get("other").main_file_name == "a b.yaml"


def test_a_blueprint_comes_from_a_url(filled: Filled, tmp_path: Path) -> None:
    pack(make_blueprint(tmp_path, "shop"), tmp_path / "store.tar.gz")
    with served(tmp_path) as url:
        wanted = {"blueprints": [{"path": f"{url}/store.tar.gz"}]}
        assert filled.outcomes(wanted) == ["created"]
        assert filled.outcomes(wanted) == ["already so"]
        bad = filled.fill({"blueprints": [{"path": f"{url}/store.tar.gz", "id": "b", "filename": "no.yaml"}]})
    assert bad.rows[0].outcome.value == "failed"
    assert "no no.yaml" in bad.rows[0].reason


def test_another_main_file_under_the_same_id_is_refused(filled: Filled, tmp_path: Path) -> None:
    first = make_blueprint(tmp_path, "shop")
    second = make_blueprint(tmp_path, "shop", file_name="other.yaml")
    assert filled.outcomes({"blueprints": [{"path": str(first)}]}) == ["created"]
    row = filled.fill({"blueprints": [{"path": str(second)}]}).rows[0]
    assert row.outcome.value == "refused"
    assert "blueprint.yaml, not other.yaml" in row.reason


def test_a_blueprint_the_manager_cannot_parse_is_refused_and_can_be_mended(
    filled: Filled, tmp_path: Path
) -> None:
    good = make_blueprint(tmp_path, "shop")
    text = good.read_text()
    good.write_text(text.replace("cloudify.nodes.Compute", ""))
    wanted = {"blueprints": [{"path": str(good)}], "deployments": [{"blueprint_id": "shop"}]}
    report = filled.fill(wanted)
    assert [row.outcome.value for row in report.rows] == ["refused", "skipped"]
    assert "required field of node template 'host'" in report.rows[0].reason
    assert report.rows[1].reason == "blueprint shop refused"
    good.write_text(text)
    assert filled.outcomes(wanted) == ["created", "created"]


def test_what_needs_another_comes_after_it(filled: Filled, plugin: dict[str, str], tmp_path: Path) -> None:
    path = make_blueprint(tmp_path, "shop")
    path.write_text(path.read_text().replace("imports:", "imports:\n  - plugin:cloudify-sample-plugin"))
    wanted = {
        "deployments": [{"blueprint_id": "shop", "tenant": "blue"}],
        "blueprints": [{"path": str(path), "tenant": "blue"}],
        "plugins": [{**plugin, "tenant": "blue"}],
        "secrets": [{"key": "a", "string": "1", "tenant": "blue"}],
        "tenants": ["blue"],
    }
    report = filled.fill(wanted)
    assert [row.kind for row in report.rows] == ["tenant", "secret", "plugin", "blueprint", "deployment"]
    assert report.good, report.table()
    assert filled.client_for("blue").deployments.get("shop").blueprint_id == "shop"


def test_a_deployment_is_created_with_its_inputs(filled: Filled, tmp_path: Path) -> None:
    path = make_blueprint(tmp_path, "shop")
    inputs = tmp_path / "inputs.yaml"
    inputs.write_text("size: 3\n")
    wanted = {
        "blueprints": [{"path": str(path)}],
        "deployments": [
            {"blueprint_id": "shop", "inputs": {"size": 2}},
            {"blueprint_id": "shop", "deployment_id": "large", "inputs": str(inputs)},
        ],
    }
    assert filled.outcomes(wanted) == ["created", "created", "created"]
    assert filled.client.deployments.get("shop").inputs == {"size": 2}
    assert filled.client.deployments.get("large").inputs == {"size": 3}
    assert filled.outcomes(wanted) == ["already so", "already so", "already so"]


def test_a_deployment_that_is_there_and_other_is_refused(filled: Filled, tmp_path: Path) -> None:
    path = make_blueprint(tmp_path, "shop")
    make_blueprint(tmp_path, "store")
    filled.fill(
        {
            "blueprints": [{"path": str(path)}, {"path": str(tmp_path / "store" / "blueprint.yaml")}],
            "deployments": [{"blueprint_id": "shop", "inputs": {"size": 2}}],
        }
    )
    rows = filled.fill(
        {
            "deployments": [
                {"blueprint_id": "store", "deployment_id": "shop"},
            ]
        }
    ).rows
    assert rows[0].outcome.value == "refused"
    assert "of blueprint shop, not store" in rows[0].reason
    other = filled.fill({"deployments": [{"blueprint_id": "shop", "inputs": {"size": 77712}}]}).rows[0]
    assert other.outcome.value == "refused"
    assert "(size)" in other.reason
    assert "77712" not in other.reason


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"blueprint_id": "missing"}, "not_found_error"),
        ({"blueprint_id": "shop", "inputs": {"colour": 1}}, "unknown_deployment_input_error"),
        ({"blueprint_id": "needy"}, "missing_required_deployment_input_error"),
    ],
)
def test_what_the_manager_says_of_a_deployment_is_the_reason(
    filled: Filled, tmp_path: Path, entry: dict[str, Any], code: str
) -> None:
    shop = make_blueprint(tmp_path, "shop")
    text = shop.read_text().replace("size: {type: integer, default: 1}", "size: {type: integer}")
    needy = make_blueprint(tmp_path, "needy", text)
    filled.fill({"blueprints": [{"path": str(shop)}, {"path": str(needy)}]})
    row = filled.fill({"deployments": [entry]}).rows[0]
    assert row.outcome.value == "refused"
    assert code in row.reason


def test_a_value_that_the_manager_quotes_is_not_told(filled: Filled, tmp_path: Path) -> None:
    filled.fill({"blueprints": [{"path": str(make_blueprint(tmp_path, "shop"))}]})
    deployment = {"blueprint_id": "shop", "inputs": {"size": "canary-77b2"}}
    row = filled.fill({"deployments": [deployment]}).rows[0]
    assert row.outcome.value == "refused"
    assert "deployment_creation_error" in row.reason
    assert "canary-77b2" not in row.reason
    assert "canary-77b2" not in "\n".join(filled.log.lines)


def test_what_needs_a_tenant_that_is_not_there_is_refused_by_name(filled: Filled) -> None:
    row = filled.fill({"secrets": [{"key": "a", "string": "1", "tenant": "nowhere"}]}).rows[0]
    assert (row.outcome.value, row.reason) == (
        "refused",
        "there is no tenant nowhere; name it in `tenants`",
    )


def test_what_needs_a_tenant_that_failed_is_skipped(tmp_path: Path) -> None:
    with Filled(tmp_path, "4.6.0") as filled:
        filled.manager.fault("500", path="/tenants/blue$", method="POST", times=100)
        report = filled.fill(
            {
                "tenants": ["blue", "green"],
                "secrets": [
                    {"key": "a", "string": "1", "tenant": "blue"},
                    {"key": "a", "string": "1", "tenant": "green"},
                ],
            }
        )
    outcomes = {(row.kind, row.tenant, row.name): row.outcome.value for row in report.rows}
    assert outcomes[("tenant", "", "blue")] == "failed"
    assert outcomes[("secret", "blue", "a")] == "skipped"


def test_the_environment_of_a_deployment_is_waited_for(tmp_path: Path) -> None:
    settings = Settings(environment_pending_seconds=5.0, environment_seconds=20.0)
    with Filled(tmp_path, "4.6.0", settings) as filled:
        path = make_blueprint(tmp_path, "shop")
        began = filled.clock.monotonic()
        filled.fill({"blueprints": [{"path": str(path)}], "deployments": [{"blueprint_id": "shop"}]})
        assert filled.clock.monotonic() - began >= 25.0
        filled.client.executions.start("shop", "install")


def test_an_environment_that_fails_is_refused_with_its_error(filled: Filled, tmp_path: Path) -> None:
    if filled.version.numbers >= (6, 0):
        pytest.skip("from 6.0 on a manager tells it in its answer")
    text = make_blueprint(tmp_path, "shop").read_text()
    scripted = text + "dsl_definitions: {lab: {create_deployment_environment: {error: no room left}}}\n"
    path = make_blueprint(tmp_path, "shop", scripted)
    row = filled.fill({"blueprints": [{"path": str(path)}], "deployments": [{"blueprint_id": "shop"}]}).rows[
        1
    ]
    assert row.outcome.value == "refused"
    assert "no room left" in row.reason
