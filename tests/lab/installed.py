"""Clusters of either generation on machines of the lab, installed as fast as the lab can."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import yaml

from cmom.models import Host, ManagerAccess, Secret, Version
from cmom.services.cluster_times import ClusterTimes
from cmom.services.generations import Cluster4
from lab.machine import Machine
from lab.manager import install
from lab.manager.configuration import CONFIG_PATH
from lab.packages import MANAGER_PACKAGE, Package
from lab.testing import LabThread
from tests.lab.cluster5 import Cluster5, pair
from tests.lab.rest import shared_ca


def install_cluster(lab: LabThread, machines: Sequence[Machine], version: str, password: str) -> None:
    """Install managers of a version on some machines and make a cluster of them, whose CA is `shared_ca`.

    Args:
        lab: Whose machines.
        machines: Which; the first one leads, where one does.
        version: Of the managers, which alone decides on the generation.
        password: Of their administrator.
    """
    if Version.parse(version).generation == 5:
        Cluster5(lab, version, [machine.name for machine in machines], password).install_all()
        return
    for machine in machines:
        _install4(lab, machine, version, password)
    _form4(machines, password)


def _install4(lab: LabThread, machine: Machine, version: str, password: str) -> None:
    certificate, key = pair(machine.ip)
    for path, content in (
        ("/root/cert.pem", certificate),
        ("/root/key.pem", key),
        ("/root/ca.pem", shared_ca()[0].read_bytes()),
        (CONFIG_PATH, yaml.safe_dump(_config4(machine.ip, password)).encode()),
    ):
        target = machine.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    said: list[str] = []

    async def run() -> int:
        machine.rpm_database.add(Package(MANAGER_PACKAGE, version, "ga", "x86_64"))
        return await install(machine, said.append)

    assert lab.run(run) == 0, said


def _config4(ip: str, password: str) -> dict[str, Any]:
    return {
        "manager": {
            "private_ip": ip,
            "public_ip": ip,
            "security": {"ssl_enabled": True, "admin_password": password},
        },
        "ssl_inputs": {
            "external_cert_path": "/root/cert.pem",
            "external_key_path": "/root/key.pem",
            "internal_cert_path": "/root/cert.pem",
            "internal_key_path": "/root/key.pem",
            "ca_cert_path": "/root/ca.pem",
        },
    }


def _form4(machines: Sequence[Machine], password: str) -> None:
    access = ManagerAccess("admin", Secret(password), str(shared_ca()[0]), machines[0].rest_port)
    hosts = [Host(machine.ip, machine.public_ip, machine.hostname) for machine in machines]
    times = ClusterTimes(poll_seconds=0.05)
    with Cluster4(hosts, access, logging.getLogger("tests.installed"), times=times) as cluster:
        cluster.form()
        for host in hosts[1:]:
            cluster.rejoin(host)
