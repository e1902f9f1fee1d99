"""Ports for what is started in a moment."""

from __future__ import annotations

import random
from collections.abc import Sequence

from lab.network import AddressTakenError, check_free

# Below where the kernel takes the ports of outgoing connections (32768 and up), one of which could else get
# the port between this look and the listening.
_FROM, _BELOW = 20_000, 32_768
_TRIES = 100


def free_port(addresses: Sequence[str]) -> int:
    """Find a port that nobody listens on at any of these addresses.

    Raises:
        AddressTakenError: None was found.
    """
    for _ in range(_TRIES):
        port = random.randrange(_FROM, _BELOW)
        try:
            check_free(addresses, port)
        except AddressTakenError:
            continue
        return port
    raise AddressTakenError(f"no port is free on all of {', '.join(addresses)}")
