"""What a user of the lab needs beside the machines: a key, a CA, an install package, and inputs.

All of it lies in the lab's folder; what is secret is readable by its owner only.
"""

from __future__ import annotations

import os
import secrets
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lab.manager import certificates
from lab.manager.five import license
from lab.manager.generation import traits_of
from lab.rpm_builder import build_rpm

if TYPE_CHECKING:
    from lab.core import LabConfig
    from lab.machine import Machine

# What is installed where only the generation is asked for.
VERSIONS = {4: "4.6.0", 5: "7.0.5"}

SSH_KEY, CA_CERTIFICATE, CA_KEY = "ssh_key", "ca_certificate.pem", "ca_key.pem"
SNAPSHOTS = "snapshots"
INSTALL_RPM, INPUTS = "cloudify-manager-install.rpm", "inputs.yaml"
LICENSE = "license.yaml"
ALL_FILES = (SSH_KEY, CA_CERTIFICATE, CA_KEY, INSTALL_RPM, LICENSE, INPUTS)


@dataclass(frozen=True)
class Materials:
    """The files of one lab.

    Attributes:
        folder: where they lie.
        password: the administrator's password that goes into the inputs.
        licensed: whether there is a licence, which clusters of generation 5 need.
    """

    folder: Path
    password: str
    licensed: bool = False

    @classmethod
    def make(
        cls,
        folder: Path,
        version: str = "4.6.0",
        padding_bytes: int = 0,
        authority: tuple[bytes, bytes] | None = None,
    ) -> Materials:
        """Make the CA, the install package, and for generation 5 a licence.

        Args:
            folder: the lab's; the SSH key is in it already.
            version: of the install package.
            padding_bytes: what to add to the package to make it as large as wanted.
            authority: certificate and key of a CA to use instead of a new one.
        """
        certificate, key = authority or certificates.make_authority()
        write_file(folder / CA_CERTIFICATE, certificate, 0o644)
        write_file(folder / CA_KEY, key, 0o600)
        build_rpm(folder / INSTALL_RPM, version, padding_bytes=padding_bytes)
        licensed = traits_of(version).generation >= 5
        if licensed:
            write_file(folder / LICENSE, license.make().encode(), 0o600)
        return cls(folder, secrets.token_urlsafe(16), licensed)

    def inputs(self, machines: Sequence[Machine], config: LabConfig, spare: int = 0) -> dict[str, Any]:
        """The inputs of hosts_blueprint.yaml.

        Args:
            machines: the machines to hand out.
            config: the lab's.
            spare: how many of them are not to become managers at once.
        """
        inputs = {
            "hosts": [_host(machine) for machine in machines],
            "num_of_instances": len(machines) - spare,
            "ssh_user": machines[0].ssh_user if machines else "centos",
            "ssh_port": config.ssh_port,
            "rest_port": config.rest_port,
            "ssh_private_key_path": str(self.folder / SSH_KEY),
            "install_rpm_path": str(self.folder / INSTALL_RPM),
            "ca_cert": str(self.folder / CA_CERTIFICATE),
            "ca_key": str(self.folder / CA_KEY),
            "manager_admin_password": self.password,
            "snapshots_path": str(self.folder / SNAPSHOTS),
        }
        if self.licensed:
            inputs["manager_license_path"] = str(self.folder / LICENSE)
        return inputs

    def write_inputs(self, machines: Sequence[Machine], config: LabConfig, spare: int = 0) -> Path:
        """Write the inputs into the folder; the password makes them secret.

        With them machines can be healed: the lab's own command line rebuilds one that is dead.
        """
        inputs = {**self.inputs(machines, config, spare), "rebuild_command": rebuild_command(self.folder)}
        text = "# The inputs of hosts_blueprint.yaml for the machines of this lab.\n"
        text += yaml.safe_dump(inputs, sort_keys=False)
        target = self.folder / INPUTS
        write_file(target, text.encode(), 0o600)
        return target


def rebuild_command(folder: Path) -> str:
    """The command that rebuilds a machine of the lab that runs in a folder, as an input wants it."""
    return shlex.join([sys.executable, "-m", "lab", "rebuild", "--folder", str(folder)]) + " {ip}"


def _host(machine: Machine) -> dict[str, str]:
    host = {"ip": machine.ip, "hostname": machine.hostname}
    if machine.public_ip != machine.ip:
        host["public_ip"] = machine.public_ip
    return host


def write_file(path: Path, content: bytes, mode: int) -> None:
    """Write a file aside with the mode it is to have, and rename it."""
    aside = path.with_name(path.name + ".part")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
    os.replace(aside, path)
