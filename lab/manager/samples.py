"""Things to send to a manager: wagons, plugin zips and blueprints, made on the spot.

Small and valid by default; `padding_bytes` makes them as large as a test or a benchmark wants.
"""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

BLUEPRINT = """\
tosca_definitions_version: cloudify_dsl_1_3
imports:
  - http://www.getcloudify.org/spec/cloudify/4.6/types.yaml
inputs:
  size: {type: integer, default: 1}
node_templates:
  host:
    type: cloudify.nodes.Compute
  app:
    type: cloudify.nodes.SoftwareComponent
    relationships:
      - {type: cloudify.relationships.contained_in, target: host}
outputs:
  size: {value: {get_input: size}}
"""

_PIECE = bytes(1 << 20)


def make_wagon(
    folder: Path,
    name: str = "cloudify-sample-plugin",
    version: str = "1.0.0",
    *,
    padding_bytes: int = 0,
) -> Path:
    """A wagon with its `package.json`; returns its path."""
    module = name.replace("-", "_")
    archive_name = f"{module}-{version}-py36-none-linux_x86_64.wgn"
    path = folder / archive_name
    metadata = {
        "archive_name": archive_name,
        "package_name": name,
        "package_version": version,
        "package_source": f"{name}=={version}",
        "supported_platform": "linux_x86_64",
        "supported_python_versions": ["py36"],
        "wheels": [f"{module}-{version}-py3-none-any.whl"],
        "build_server_os_properties": {
            "distribution": "centos",
            "distribution_version": "7.6",
            "distribution_release": "core",
        },
    }
    with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
        archive.writestr(f"{name}/package.json", json.dumps(metadata))
        with archive.open(f"{name}/wheels/{module}.whl", "w", force_zip64=True) as member:
            for start in range(0, padding_bytes, len(_PIECE)):
                member.write(_PIECE[: padding_bytes - start])
    return path


def plugin_yaml(name: str = "cloudify-sample-plugin", version: str = "1.0.0") -> str:
    """The plugin.yaml that goes with `make_wagon`."""
    return (
        f"plugins:\n  sample:\n    executor: central_deployment_agent\n"
        f"    package_name: {name}\n    package_version: '{version}'\n"
        f"node_types:\n  sample.nodes.Thing:\n    derived_from: cloudify.nodes.Root\n"
    )


def make_plugin(
    folder: Path,
    name: str = "cloudify-sample-plugin",
    version: str = "1.0.0",
    *,
    padding_bytes: int = 0,
) -> Path:
    """A zip with wagon and plugin.yaml at its root, as a manager takes it."""
    wagon = make_wagon(folder, name, version, padding_bytes=padding_bytes)
    path = folder / f"{name}-{version}.zip"
    with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
        archive.write(wagon, wagon.name)
        archive.writestr("plugin.yaml", plugin_yaml(name, version))
    wagon.unlink()
    return path


def make_blueprint(
    folder: Path,
    name: str = "sample",
    content: str = BLUEPRINT,
    file_name: str = "blueprint.yaml",
) -> Path:
    """A folder with a blueprint in it; returns the main file."""
    path = folder / name / file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def pack(main_file: Path, target: Path) -> Path:
    """Pack a blueprint's folder; the kind of archive follows from the target's name."""
    top = main_file.parent
    if target.suffix == ".zip":
        with zipfile.ZipFile(target, "w") as archive:
            for path in sorted(top.rglob("*")):
                archive.write(path, f"{top.name}/{path.relative_to(top)}")
        return target
    mode: Any = {".gz": "w:gz", ".bz2": "w:bz2"}.get(target.suffix, "w")
    with tarfile.open(target, mode) as tar:
        tar.add(top, arcname=top.name)
    return target
