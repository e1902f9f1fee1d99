"""The machines of several members, logged in to for one change of the cluster."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType

from cmom.errors import ActionRequired
from cmom.models import Host
from cmom.services.generation5.commands import MemberCommands
from cmom.services.generation5.member import MemberMachine
from cmom.services.generations.interface import ClusterSpec, Site
from cmom.services.unit_runs import Watching


class Machines:
    """A context: the machines that are asked for, each logged in to at its first use.

    Args:
        spec: The cluster.
        members: Who its members are, or are to be; by default all hosts of the `spec`.
        logger: Instead of that of the `spec`, where several threads log.
    """

    def __init__(
        self, spec: ClusterSpec, members: Sequence[Host] | None = None, logger: logging.Logger | None = None
    ) -> None:
        self._spec = spec
        self.members = tuple(spec.hosts if members is None else members)
        self._logger = logger or spec.logger
        self._stack = ExitStack()
        self._open: dict[str, MemberMachine] = {}

    def __enter__(self) -> Machines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def __getitem__(self, host: Host) -> MemberMachine:
        if host.ip not in self._open:
            if self._spec.open_site is None:
                raise ActionRequired("The machines of this cluster cannot be logged in to from here.")
            site = self._stack.enter_context(self._spec.open_site(host, self._logger))
            self._open[host.ip] = MemberMachine(site, self.members)
        return self._open[host.ip]

    def commands(self, host: Host) -> MemberCommands:
        """Return the commands on a member."""
        site: Site = self[host].site
        return MemberCommands(
            site.installer.machine,
            Watching(interval_seconds=min(site.poll_seconds, Watching.interval_seconds)),
        )
