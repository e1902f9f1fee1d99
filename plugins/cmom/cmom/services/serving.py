"""Whether a manager serves its users: the last thing that an installation waits for."""

from __future__ import annotations

import logging

from cmom.clients.manager import ManagerClient
from cmom.errors import NotClusterMaster
from cmom.services.waiting import Clock, wait_for

DEFAULT_WAIT_SECONDS = 600.0


def wait_until_serving(
    manager: ManagerClient,
    logger: logging.Logger,
    *,
    wait_seconds: float = DEFAULT_WAIT_SECONDS,
    interval_seconds: float = 3.0,
    clock: Clock | None = None,
) -> str:
    """Wait until a manager answers its administrator over verified TLS.

    Returns:
        What it answered: its version; or ``a replica``, for one that is in a cluster already serves by its
        leader.

    Raises:
        DeadlinePassed: It did not in time.
        ActionRequired: It refuses the administrator's password, or its certificate is not of our CA.
    """

    def ask() -> str:
        try:
            return str(manager.version())
        except NotClusterMaster:
            return "a replica"

    def tell(waited_seconds: float, said: str) -> None:
        logger.info(
            "Waiting for the REST service of %s since %.0f s. %s", manager.address, waited_seconds, said
        )

    answer = wait_for(
        ask,
        f"the REST service of {manager.address} to answer",
        wait_seconds=wait_seconds,
        interval_seconds=interval_seconds,
        clock=clock,
        on_wait=tell,
    )
    logger.info("The REST service of %s answers (%s).", manager.address, answer)
    return answer
