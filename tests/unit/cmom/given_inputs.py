"""Inputs of an installation that have nothing wrong with them, and the files they name."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

from lab.rpm_builder import build_rpm
from tests.unit.cmom.given_ca import key_of, key_pem, make_ca

ADMIN_PASSWORD = "canary-admin-password"


def good_inputs(folder: Path, version: str = "4.6.0") -> dict[str, Any]:
    """Write all files into a folder, and return inputs that name them."""
    ca = make_ca(folder)
    ssh_key = folder / "ssh_key"
    ssh_key.write_bytes(key_pem(key_of("p256")))
    ssh_key.chmod(0o600)
    build_rpm(folder / "install.rpm", version=version)
    return {
        "install_rpm_path": str(folder / "install.rpm"),
        "ca_cert": str(ca.certificate_path),
        "ca_key": str(ca.key_path),
        "ssh_user": "centos",
        "ssh_private_key_path": str(ssh_key),
        "manager_admin_password": ADMIN_PASSWORD,
    }


def text_file(folder: Path, name: str, content: str = "content\n") -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return str(path)


def tar_file(folder: Path, name: str, members: dict[str, bytes], mode: str = "w:gz") -> str:
    path = folder / name
    with tarfile.open(path, mode) as tar:
        for member, content in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return str(path)


def wagon_file(folder: Path, name: str = "p.wgn") -> str:
    metadata = {"package_name": "cloudify-x-plugin", "package_version": "1.0"}
    return tar_file(
        folder, name, {"x/package.json": json.dumps(metadata).encode(), "x/wheels/x.whl": b"a wheel" * 100}
    )


def plugin_yaml(folder: Path, name: str = "plugin.yaml") -> str:
    return text_file(folder, name, "plugins:\n  x:\n    executor: central_deployment_agent\n")


def blueprint_yaml(folder: Path, name: str = "nodecellar/blueprint.yaml") -> str:
    return text_file(folder, name, "tosca_definitions_version: cloudify_dsl_1_3\n")
