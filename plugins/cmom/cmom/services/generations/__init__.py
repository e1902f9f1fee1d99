"""The generations of Tier 1 behind one interface; the version of the install RPM alone decides which it is.

`interface` says what a generation and its cluster are; `four` and `five` are the two there are, with the
modules that they use. A new generation is a new module and an entry in `generation_of`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from cmom.models import Host, ManagerAccess, Version
from cmom.services.cluster_times import ClusterTimes
from cmom.services.generations.five import Cluster5, Generation5
from cmom.services.generations.four import Cluster4, Generation4
from cmom.services.generations.interface import Cluster, ClusterSpec, Generation, OpenSite, Site
from cmom.services.manager_install import ManagerInstaller
from cmom.services.waiting import Clock

__all__ = [
    "Cluster",
    "Cluster4",
    "Cluster5",
    "ClusterSpec",
    "Generation",
    "Generation4",
    "Generation5",
    "OpenSite",
    "Site",
    "cluster_for",
    "generation_of",
    "uninstall_any",
]


def generation_of(version: Version) -> Generation:
    """Choose the generation by the version of the managers."""
    return Generation5() if version.generation == Generation5.number else Generation4()


def uninstall_any(installer: ManagerInstaller) -> bool:
    """Take whatever manager there is off a machine; tell whether there was anything.

    The machine's package decides how. One without a package may still have files of ours.
    """
    version = installer.installed_version()
    if version is not None:
        return generation_of(version).uninstall(installer)
    changed = Generation4().uninstall(installer)
    return Generation5().uninstall(installer) or changed


def cluster_for(
    version: Version,
    hosts: Sequence[Host],
    access: ManagerAccess,
    logger: logging.Logger,
    *,
    clock: Clock | None = None,
    times: ClusterTimes | None = None,
    lock: Callable[[], AbstractContextManager[object]] | None = None,
) -> Cluster:
    """Return a cluster, for whoever looks at it and does not install.

    Raises:
        ActionRequired: It is of a generation that is not supported.
    """
    spec = ClusterSpec(hosts, access, version, logger, clock=clock, times=times, lock=lock)
    return generation_of(version).cluster(spec)
