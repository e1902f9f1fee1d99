"""The wagon of the meta plugin is whole: it runs where there is nothing but cloudify-common."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import yaml

from lab.local_profile import PROJECT
from tests.scenarios.test_wagon import COMMON, PIP_SECONDS, RUN_SECONDS, call

NAME = "cloudify-meta-manager"


IMPORT_THESE = """
import importlib, sys
for mapping in sys.argv[1:]:
    module, _, function = mapping.partition(".")[2].rpartition(".")
    assert callable(getattr(importlib.import_module(module), function)), mapping
print(importlib.import_module("cmom_meta").__file__)
"""


def test_the_meta_wagon_is_whole_and_imports_where_there_is_nothing_else(tmp_path: Path) -> None:
    python = install(make_wagon(tmp_path / "wagon"), tmp_path / "empty")
    found = mappings()
    assert len(found) == 9
    where = call([str(python), "-W", "ignore", "-c", IMPORT_THESE, *found], RUN_SECONDS).strip()
    assert Path(where).is_relative_to(python.parent.parent)
    alone = subprocess.run([str(python), "-c", "import cmom"], cwd="/", capture_output=True, check=False)
    assert alone.returncode != 0, "cmom is there, so this shows nothing"


def mappings() -> list[str]:
    """Return every operation and workflow that plugin.yaml maps to code."""
    contract = yaml.safe_load((PROJECT / "plugins" / "meta" / "plugin.yaml").read_text(encoding="utf-8"))
    interfaces = contract["node_types"]["cloudify.nodes.MetaManager"]["interfaces"].values()
    operations = [one["implementation"] for interface in interfaces for one in interface.values()]
    return [*operations, *(one["mapping"] for one in contract["workflows"].values())]


def make_wagon(folder: Path) -> Path:
    """Make the wagon out of nothing but the plugin's own folder."""
    plugin = folder / "meta"
    source = PROJECT / "plugins" / "meta"
    shutil.copytree(source, plugin, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    pip_options = f"--constraint {PROJECT / 'constraints.txt'} --quiet"
    wagon = str(Path(sys.executable).with_name("wagon"))
    call([wagon, "create", "-f", str(plugin), "-o", str(folder), "--wheel-args", pip_options], PIP_SECONDS)
    (found,) = folder.glob("cloudify_meta_manager-*.wgn")
    with zipfile.ZipFile(found) as archive:
        (wheel,) = [name for name in archive.namelist() if "cloudify_meta_manager-" in Path(name).name]
        with archive.open(wheel) as stream, zipfile.ZipFile(stream) as inner:
            modules = {name for name in inner.namelist() if ".dist-info/" not in name}
    assert modules == {
        str(path.relative_to(source))
        for path in (source / "cmom_meta").rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    return found


def install(wagon: Path, folder: Path) -> Path:
    """Install it as a management worker does; return the Python there."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    with zipfile.ZipFile(wagon) as archive:
        archive.extractall(folder / "wagon")
    (wheels,) = (folder / "wagon").glob("*/wheels")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    call([*pip, COMMON], PIP_SECONDS)
    call([*pip, "--no-index", "--find-links", str(wheels), NAME], PIP_SECONDS)
    return python
