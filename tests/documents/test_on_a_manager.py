"""The documents' commands for a Tier 2 manager, by the real `cfy` against a manager of the lab.

That manager parses blueprints, resolves their `plugin:` imports from what was uploaded, and judges inputs and
parameters. Workflows of plugins it only pretends to run: what they do is shown by the scenarios.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
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
from tests.documents import stories
from tests.documents.commands import README
from tests.documents.quick_cfy import SECONDS, QuickCfy
from tests.lab.rest import shared_ca

CANARY = "canary-tier2-secret"
OPENSTACK = PROJECT / "lab" / "openstack" / "plugin" / "plugin.yaml"


class Reader:
    """Somebody who types what the documents say, beside the blueprints, with `cfy` that uses a manager."""

    def __init__(self, cfy: QuickCfy, folder: Path, scratch: Path) -> None:
        self._cfy = cfy
        self.folder = folder
        self.put_in = self._files(scratch)

    def _files(self, scratch: Path) -> dict[str, str]:
        """What stands for a word of the documents."""

        def file(name: str, content: object) -> str:
            path = scratch / name
            path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
            return str(path)

        return {
            "WAGON_URL": str(make_wagon(scratch, "cloudify-openstack-plugin", "3.3.9")),
            "YAML_URL": str(OPENSTACK),
            "dist/cmom-*.wgn": str(make_wagon(scratch, "cmom", __version__)),
            "plugins/cmom/plugin.yaml": str(PROJECT / "plugins" / "cmom" / "plugin.yaml"),
            "resources.yaml": file("resources.yaml", {"tenants": ["blue"]}),
            "parameters.yaml": file("parameters.yaml", {"snapshot_id": "mine", "backup_params": []}),
            "changes.yaml": file("changes.yaml", {"keep_snapshots": 3}),
            "FILE": file("password", CANARY),
        }

    def type(self, text: str) -> subprocess.CompletedProcess[str]:
        """Type a command of the documents."""
        words = [self.put_in.get(word, word) for word in shlex.split(text)]
        if words[0] == "cfy":
            return self._cfy.run(*words[1:])
        return subprocess.run(
            words, cwd=self.folder, capture_output=True, text=True, timeout=SECONDS, check=False
        )

    def good(self, text: str) -> str:
        done = self.type(text)
        assert done.returncode == 0, (text, done.stdout)
        assert CANARY not in done.stdout
        return done.stdout

    def bad(self, text: str) -> str:
        done = self.type(text)
        assert done.returncode != 0, (text, done.stdout)
        assert "Traceback" not in done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Somebody with a manager of 7.0 in real time."""
    folder = tmp_path_factory.mktemp("tier2")
    staged = LocalProfile.create(folder / "staged").blueprint_folder
    shutil.copy(PROJECT / "sample_inputs.yaml", staged)
    with StandaloneManager(folder / "manager", version="7.0.5", ca=shared_ca()) as manager:
        home = folder / "home"
        home.mkdir()
        environment = {
            "CFY_WORKDIR": str(home),
            "HOME": str(home),
            "PYTHONWARNINGS": "ignore::DeprecationWarning",
        }
        subprocess.run(
            [
                *(Path(sys.executable).with_name("cfy"), "profiles", "use", manager.ip, "-u", "admin"),
                *("-p", manager.password, "-t", "default_tenant", "--rest-port", str(manager.port)),
                *("--ssl", "-c", str(manager.ca_cert)),
            ],
            cwd=staged,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=SECONDS,
            check=True,
        )
        with QuickCfy(staged, environment, folder) as cfy:
            yield Reader(cfy, staged, folder)


def test_all_that_the_documents_have_typed_on_a_manager_is_taken(reader: Reader) -> None:
    # Without its plugin no blueprint is taken; the message names the plugin.
    assert "cmom" in reader.bad("cfy blueprints upload hosts_blueprint.yaml -b hosts")
    reader.good(f"cfy secrets create tier1_admin_password -s {CANARY}")

    for text in stories.ON_A_MANAGER:
        if "hosts_blueprint.yaml" in text:
            (reader.folder / "inputs.yaml").write_text(inputs_of_the_readme())
        said = reader.good(text)
        if text.startswith("cp "):
            edit_as_described(reader.folder / "inputs.yaml")
        remember_ids(reader, said)
        if text == "cfy deployments outputs tier1":
            assert "cluster_ips" in said
        if text == "cfy executions list -d tier1":
            assert "heal_tier1_manager" in said
    assert {"ID", "manager_abc123"} <= set(reader.put_in)

    del reader.put_in["ID"]  # of an execution that there is; what is refused leaves no trace
    for text in stories.TAKEN_BY_CFY:
        said = reader.bad(text)
        assert not re.search(r"(?i)usage:|invalid|mutually exclusive|no such|legal", said), said
        # The manager was asked, or what it had told before was.
        assert re.search(r"404|is not a manager in the cluster", said), said


def edit_as_described(inputs: Path) -> None:
    """Change the copy of the sample as the documents say: the password is a secret."""
    given = yaml.safe_load(inputs.read_text())
    given["manager_admin_password"] = {"get_secret": "tier1_admin_password"}
    inputs.write_text(yaml.safe_dump(given))


def remember_ids(reader: Reader, said: str) -> None:
    """Take the IDs that the next commands are about from what the last ones said."""
    for word, pattern in (("manager_abc123", r"\| +(manager_\w{6}) "), ("ID", r"'cfy events list (\S+)'")):
        found = re.search(pattern, said)
        if found:
            reader.put_in[word] = found.group(1)


def inputs_of_the_readme() -> str:
    """The inputs that the README shows for machines that exist."""
    (block,) = re.findall(r"^### Inputs\n\n```yaml\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    return str(block)


def test_what_is_wrong_is_named(reader: Reader) -> None:
    for name in ("cmom", "cloudify-openstack-plugin"):
        if name not in reader.good("cfy plugins list"):
            wagon = (
                "dist/cmom-*.wgn -y plugins/cmom/plugin.yaml" if name == "cmom" else "WAGON_URL -y YAML_URL"
            )
            reader.good(f"cfy plugins upload {wagon}")
    reader.good("cfy blueprints upload hosts_blueprint.yaml -b hosts")
    assert "install_rpm_path" in reader.bad("cfy deployments create hosts -b hosts")
    said = reader.bad("cfy deployments create hosts -b hosts -i num_of_instances=three")
    assert "num_of_instances" in said or "install_rpm_path" in said
    (reader.folder / "hosts.yaml").write_text(inputs_of_the_readme())
    reader.type("cfy secrets create tier1_admin_password -s x")
    reader.good("cfy deployments create hosts -b hosts -i hosts.yaml")
    assert "no_such_workflow" in reader.bad("cfy executions start no_such_workflow -d hosts")
    unknown = reader.bad("cfy executions start backup -d hosts -p no_such_parameter=1")
    assert "no_such_parameter" in unknown
