"""Which generation serves which version."""

from __future__ import annotations

import logging

import pytest

from cmom.models import Host, ManagerAccess, Secret, Version
from cmom.services.generations import Cluster4, Cluster5, cluster_for

HOSTS = [Host("10.0.0.21", "10.0.0.21", "one")]
ACCESS = ManagerAccess("admin", Secret("s3cret"), "/nowhere.pem")
LOGGER = logging.getLogger(__name__)


@pytest.mark.parametrize("version", ["4.3.0", "4.6.0", "5.0.5"])
def test_versions_with_a_leader_are_generation_4(version: str) -> None:
    assert isinstance(cluster_for(Version.parse(version), HOSTS, ACCESS, LOGGER), Cluster4)


@pytest.mark.parametrize("version", ["5.1.0", "7.0.5"])
def test_versions_whose_managers_are_all_active_are_generation_5(version: str) -> None:
    assert isinstance(cluster_for(Version.parse(version), HOSTS, ACCESS, LOGGER), Cluster5)
