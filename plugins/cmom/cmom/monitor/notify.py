"""Telling systemd that the service is ready and alive (sd_notify), where systemd asks for it."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress


def notify(text: str) -> None:
    """Tell systemd something; nothing happens where it did not ask."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.sendto(text.encode(), address)


async def keep_alive() -> None:
    """Tell systemd from time to time that the event loop still turns; ends at once where it did not ask."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdigit() or int(microseconds) <= 0:
        return
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(int(microseconds) / 1e6 / 3)
