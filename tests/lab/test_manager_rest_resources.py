"""The lab's managers as the real REST client sees them: tenants, secrets, plugins, blueprints."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cloudify_rest_client.exceptions import (
    ForbiddenError,
    PluginInUseError,
    UserUnauthorizedError,
)

from lab.manager import samples
from lab.manager.host import Settings
from lab.manager.standalone import StandaloneManager
from tests.lab.rest import connect, manager_of, refused, served, upload_blueprint

# The real client forgets to close the archives it uploads.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

VERSIONS = ("4.3.0", "4.6.0", "7.0.5")


@pytest.fixture(params=VERSIONS)
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StandaloneManager]:
    with manager_of(tmp_path / "m", request.param) as running:
        yield running


@pytest.fixture(params=VERSIONS[:2])
def manager4(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StandaloneManager]:
    with manager_of(tmp_path / "m", request.param) as running:
        yield running


def test_anonymous_calls_are_refused_also_for_the_version(manager: StandaloneManager) -> None:
    with pytest.raises(UserUnauthorizedError):
        connect(manager, username=None, password=None).manager.get_version()


def test_a_wrong_password_is_refused(manager: StandaloneManager) -> None:
    with pytest.raises(UserUnauthorizedError):
        connect(manager, password="wrong").manager.get_version()


def test_an_unknown_or_absent_tenant_is_forbidden(manager: StandaloneManager) -> None:
    for tenant in ("nobody", None):
        with pytest.raises(ForbiddenError):
            connect(manager, tenant=tenant).secrets.list()


def test_an_unknown_url_is_a_404_in_html(manager: StandaloneManager) -> None:
    with refused(404, None, "<h1>Not Found</h1>"):
        connect(manager).secrets.api.get("/no-such-thing")


def test_tenants_are_created_listed_and_deleted(manager: StandaloneManager) -> None:
    client = connect(manager)
    client.tenants.create("red")
    with refused(409, "conflict_error"):
        client.tenants.create("red")
    assert [tenant["name"] for tenant in client.tenants.list()] == ["default_tenant", "red"]
    connect(manager, tenant="red").secrets.create("key", "value")
    with refused(400, "illegal_action_error"):
        client.tenants.delete("red")
    connect(manager, tenant="red").secrets.delete("key")
    client.tenants.delete("red")
    with pytest.raises(ForbiddenError):
        connect(manager, tenant="red").secrets.list()


def test_tenants_are_premium(tmp_path: Path) -> None:
    with manager_of(tmp_path / "m", "4.6.0", Settings(edition="community")) as manager:
        with refused(404, "missing_premium_package_error"):
            connect(manager).tenants.create("red")
        with refused(404, "missing_premium_package_error"):
            connect(manager).tenants.api.get("/cluster")


def test_secrets_are_created_refused_updated_read_and_deleted(manager: StandaloneManager) -> None:
    secrets = connect(manager).secrets
    created = secrets.create("key", "one", visibility="private")
    assert "value" not in created
    with refused(409, "conflict_error"):
        secrets.create("key", "two")
    secrets.create("key", "two", update_if_exists=True, visibility="private")
    assert secrets.get("key").value == "two"
    assert secrets.get("key").visibility == "private"
    assert "value" not in secrets.list()[0]
    with refused(400, "bad_parameters_error"):
        secrets.create("other", {"a": 1})
    secrets.set_visibility("key", "global")
    with refused(400, "illegal_action_error"):
        secrets.set_visibility("key", "tenant")
    secrets.delete("key")
    with refused(404, "not_found_error"):
        secrets.get("key")


def test_a_global_secret_is_seen_by_and_in_the_way_of_other_tenants(
    manager: StandaloneManager,
) -> None:
    client = connect(manager)
    client.tenants.create("red")
    client.secrets.create("key", "value", visibility="global")
    red = connect(manager, tenant="red")
    assert red.secrets.get("key").value == "value"
    with refused(409, "conflict_error"):
        red.secrets.create("key", "mine")


def test_lists_are_paged_and_projected(manager: StandaloneManager) -> None:
    secrets = connect(manager).secrets
    for number in range(5):
        secrets.create(f"key{number}", "value")
    page = secrets.list(_offset=1, _size=2, sort="key", is_descending=True)
    assert [item.key for item in page] == ["key3", "key2"]
    assert page.metadata.pagination.total == 5
    assert secrets.api.get("/secrets", params={"_include": "key", "key": "key4"})["items"] == [
        {"key": "key4"}
    ]


def test_a_page_of_more_than_1000_is_refused_but_on_4_3(manager: StandaloneManager) -> None:
    secrets = connect(manager).secrets
    if manager.version == "4.3.0":
        assert len(secrets.list(_size=5000)) == 0
        return
    with refused(400, "bad_parameters_error"):
        secrets.list(_size=5000)


def test_a_plugin_goes_up_once_comes_down_and_goes_away(manager: StandaloneManager, tmp_path: Path) -> None:
    plugins = connect(manager).plugins
    archive = samples.make_plugin(tmp_path)
    plugin = plugins.upload(str(archive), visibility="global", plugin_title="Sample")
    assert (plugin.package_name, plugin.package_version) == ("cloudify-sample-plugin", "1.0.0")
    assert plugin["visibility"] == "global"
    assert plugin.yaml_url_path.startswith("plugin:cloudify-sample-plugin?version=1.0.0")
    with refused(409, "conflict_error", "already exists"):
        plugins.upload(str(archive))
    assert [item.id for item in plugins.list(package_name="cloudify-sample-plugin")] == [plugin.id]
    wagon = Path(plugins.download(plugin.id, str(tmp_path / "down.wgn")))
    assert zipfile.is_zipfile(wagon)
    plugins.delete(plugin.id)
    assert len(plugins.list()) == 0


def test_a_bare_wagon_has_no_yaml(manager: StandaloneManager, tmp_path: Path) -> None:
    plugin = connect(manager).plugins.upload(str(samples.make_wagon(tmp_path)))
    assert plugin.yaml_url_path == ""


def test_a_plugin_zip_with_its_files_in_a_folder_is_refused(
    manager: StandaloneManager, tmp_path: Path
) -> None:
    wagon = samples.make_wagon(tmp_path)
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.write(wagon, f"inner/{wagon.name}")
        archive.writestr("inner/plugin.yaml", samples.plugin_yaml())
    with refused(400, "invalid_plugin_error"):
        connect(manager).plugins.upload(str(tmp_path / "p.zip"))
    (tmp_path / "junk").write_bytes(b"no archive")
    with refused(400, "invalid_plugin_error"):
        connect(manager).plugins.upload(str(tmp_path / "junk"))


def test_a_plugin_in_use_is_deleted_only_by_force(manager: StandaloneManager, tmp_path: Path) -> None:
    client = connect(manager)
    plugin = client.plugins.upload(str(samples.make_plugin(tmp_path)))
    content = samples.BLUEPRINT.replace("inputs:", "  - plugin:cloudify-sample-plugin\ninputs:")
    upload_blueprint(client, samples.make_blueprint(tmp_path, content=content), "uses")
    client.deployments.create("uses", "using")
    with pytest.raises(PluginInUseError) as caught:
        client.plugins.delete(plugin.id)
    assert caught.value.status_code == 405
    client.plugins.delete(plugin.id, force=True)


def test_a_plugin_that_is_imported_must_be_there(manager: StandaloneManager, tmp_path: Path) -> None:
    content = samples.BLUEPRINT.replace("inputs:", "  - plugin:nowhere\ninputs:")
    with refused(400, "invalid_blueprint_error", "nowhere"):
        upload_blueprint(connect(manager), samples.make_blueprint(tmp_path, content=content), "bad")


def test_an_upload_of_4_3_waits_for_the_installation(tmp_path: Path) -> None:
    archive = samples.make_plugin(tmp_path)
    settings = Settings(plugin_install_seconds=100)
    with manager_of(tmp_path / "a", "4.3.0", settings) as manager:
        done = threading.Event()

        def upload() -> None:
            connect(manager).plugins.upload(str(archive))
            done.set()

        thread = threading.Thread(target=upload)
        thread.start()
        while not manager.machine.clock.sleepers:
            assert not done.wait(0.02)
        manager.advance(101)
        assert done.wait(60)
        thread.join()
    with manager_of(tmp_path / "b", "4.6.0", settings) as manager:
        connect(manager).plugins.upload(str(archive))


def test_a_blueprint_goes_up_with_its_main_file_and_visibility(
    manager: StandaloneManager, tmp_path: Path
) -> None:
    client = connect(manager)
    main = samples.make_blueprint(tmp_path, file_name="other name.yaml")
    samples.make_blueprint(tmp_path, content="not: the one")
    blueprint = upload_blueprint(client, main, "sample", visibility="global")
    assert blueprint.main_file_name == "other name.yaml"
    assert blueprint["visibility"] == "global"
    assert "install" in blueprint.plan["workflows"]
    with refused(409, "conflict_error"):
        upload_blueprint(client, main, "sample")
    client.blueprints.download("sample", str(tmp_path / "down.tar.gz"))
    client.blueprints.delete("sample")
    with refused(404, "not_found_error"):
        client.blueprints.get("sample")


def test_modern_multipart_reaches_generation_4_without_its_parameters(
    manager4: StandaloneManager, tmp_path: Path
) -> None:
    client = connect(manager4)
    main = samples.make_blueprint(tmp_path, "alone", file_name="main.yaml")
    with refused(400, "bad_parameters_error", "blueprint.yaml does not exist"):
        client.blueprints.upload(str(main), "alone")
    main = samples.make_blueprint(tmp_path, "both", file_name="main.yaml")
    samples.make_blueprint(tmp_path, "both")
    silently_wrong = client.blueprints.upload(str(main), "both", visibility="private")
    assert silently_wrong["main_file_name"] == "blueprint.yaml"
    assert silently_wrong["visibility"] == "tenant"


def test_a_url_in_multipart_breaks_generation_4(manager4: StandaloneManager) -> None:
    with refused(500, "internal_server_error"):
        connect(manager4).blueprints.publish_archive("http://127.0.0.1:1/x.zip", "sample")


def test_generation_4_has_no_state(manager4: StandaloneManager, tmp_path: Path) -> None:
    client = connect(manager4)
    upload_blueprint(client, samples.make_blueprint(tmp_path), "sample")
    assert "state" not in client.blueprints.get("sample")
    with refused(400, "no_such_include_field_error"):
        client.blueprints.get("sample", _include=["state"])


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.bz2"])
def test_each_kind_of_archive_is_taken_from_a_url(
    manager4: StandaloneManager, tmp_path: Path, kind: str
) -> None:
    client = connect(manager4)
    samples.pack(samples.make_blueprint(tmp_path, file_name="main.yaml"), tmp_path / f"b.{kind}")
    with served(tmp_path) as url:
        params = {"blueprint_archive_url": f"{url}/b.{kind}", "application_file_name": "main.yaml"}
        client.blueprints.api.put("/blueprints/b", params=params, expected_status_code=201)
        with refused(404, "not_found_error", "URL"):
            client.blueprints.api.put(
                "/blueprints/c",
                params={"blueprint_archive_url": f"{url}/none.zip"},
                expected_status_code=201,
            )
    assert client.blueprints.get("b").main_file_name == "main.yaml"


BAD_BLUEPRINTS = {
    "no yaml": "a: [",
    "a list": "[1, 2]",
    "no version": "node_templates: {a: {type: b}}",
    "no nodes": "tosca_definitions_version: cloudify_dsl_1_3",
    "no type": "tosca_definitions_version: cloudify_dsl_1_3\nnode_templates: {a: {}}",
    "no such file": "tosca_definitions_version: cloudify_dsl_1_3\nimports: [x.yaml]",
}


@pytest.mark.parametrize("name", BAD_BLUEPRINTS)
def test_a_bad_blueprint_is_refused(manager4: StandaloneManager, tmp_path: Path, name: str) -> None:
    client = connect(manager4)
    path = samples.make_blueprint(tmp_path, content=BAD_BLUEPRINTS[name])
    with refused(400, "invalid_blueprint_error", "Invalid blueprint"):
        upload_blueprint(client, path, "bad")
    assert len(client.blueprints.list()) == 0


def test_a_blueprint_in_use_is_not_deleted(manager: StandaloneManager, tmp_path: Path) -> None:
    client = connect(manager)
    upload_blueprint(client, samples.make_blueprint(tmp_path), "sample")
    client.deployments.create("sample", "used")
    with refused(400, "dependent_exists_error"):
        client.blueprints.delete("sample")


def test_bodies_that_were_cut_leave_nothing(manager: StandaloneManager, tmp_path: Path) -> None:
    archive = samples.make_plugin(tmp_path, padding_bytes=1_000_000)
    manager.fault("cut", path="/plugins", method="POST", nth=1, after_bytes=500_000)
    with pytest.raises(Exception, match=r"onnection|EOF|Broken pipe"):
        connect(manager).plugins.upload(str(archive))
    assert len(connect(manager).plugins.list()) == 0
    connect(manager).plugins.upload(str(archive))
    incoming = manager.machine.path("/opt/manager/resources/.incoming")
    assert list(incoming.iterdir()) == []
