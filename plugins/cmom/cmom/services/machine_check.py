"""Whether machines that exist already can be installed on, looked at before any of them is changed.

An installation that fails on the third machine has already changed two; what can be known by looking is
therefore asked of all of them first, at the same time, and told in one message.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from cmom.clients.ssh import SshClient
from cmom.commands import command
from cmom.errors import ActionRequired, Fault, InvalidInputs, TryAgainLater
from cmom.models import Host, Package, SshAccess
from cmom.services.machine import Machine
from cmom.services.package import describe
from cmom.services.parallel import ask_in_parallel
from cmom.services.waiting import Clock

DEFAULT_WAIT_SECONDS = 60.0
_CHECK_SECONDS = 60.0


def check_machines(
    hosts: Sequence[Host],
    access: SshAccess,
    package: Package,
    logger: logging.Logger,
    *,
    wait_seconds: float = DEFAULT_WAIT_SECONDS,
    clock: Clock | None = None,
) -> None:
    """Log in to every machine and see that nothing there stands against an installation.

    Args:
        hosts: In the order of the input ``hosts``; their places in it name them in messages.
        access: How to log in.
        package: What is to be installed.
        logger: For progress.
        wait_seconds: How long a machine may take until it lets us log in.
        clock: For tests.

    Raises:
        InvalidInputs: With everything that a person has to mend, for all machines.
        TryAgainLater: Nothing of that kind, but a machine does not answer.
    """

    def question(host: Host) -> Callable[[], None]:
        return lambda: _check(host, access, package, logger, wait_seconds, clock)

    places = {f"hosts[{index}]": host for index, host in enumerate(hosts)}
    answers = ask_in_parallel(
        {place: question(host) for place, host in places.items()}, wait_seconds=wait_seconds + _CHECK_SECONDS
    )
    silent = [place for place in places if place not in answers]
    failures = {place: answer for place, answer in answers.items() if isinstance(answer, Exception)}
    faults = [
        Fault(place, str(error))
        for place, error in sorted(failures.items())
        if isinstance(error, ActionRequired)
    ]
    if faults:
        raise InvalidInputs(faults)
    for error in failures.values():
        if not isinstance(error, TryAgainLater):
            raise error
    later = [str(failures[place]) for place in sorted(failures)]
    later += [f"{places[place].public_ip} let us log in, and then said nothing more." for place in silent]
    if later:
        raise TryAgainLater(" ".join(later))


def _check(
    host: Host,
    access: SshAccess,
    package: Package,
    logger: logging.Logger,
    wait_seconds: float,
    clock: Clock | None,
) -> None:
    with SshClient(host.public_ip, access) as ssh:
        machine = Machine(host, ssh, logger, clock)
        machine.wait_for_ssh(wait_seconds)
        machine.run(command("true", sudo=True))
        there = machine.installed_package(package.name)
        if there is not None and there != package:
            force = " -f" if there.version.generation == 4 else ""
            raise ActionRequired(
                f"{machine.name} has {describe(there)} installed, but {describe(package)} is wanted. All "
                "members of a cluster have the same version: remove that manager first (sudo cfy_manager "
                f"remove{force}; sudo rpm -e {package.name}), or give install_rpm_path the RPM of that "
                "version."
            )
