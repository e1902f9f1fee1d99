"""The process behind `lab up`: a lab and its control socket, until it is told to end.

Run as `python -m lab.daemon`; its configuration comes as JSON on standard input. It writes one line
to standard output: `ready`, or `failed: SENTENCE`. Everything else goes to its log.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lab import control_socket
from lab.clock import Clock, ManualClock, RealClock
from lab.core import Lab, LabConfig, LabError
from lab.materials import Materials, write_file
from lab.network import AddressTakenError
from lab.settings import LabSettings

PID_FILE, LOG_FILE = "daemon.pid", "daemon.log"
_log = logging.getLogger("lab")


@dataclass(frozen=True)
class DaemonConfig:
    """What `lab up` asks for.

    Attributes:
        folder: the lab's.
        lab: what it is made of.
        version: of the install package.
        spare: how many machines are not to become managers at once.
        clock: `real` or `manual`.
        rpm_padding_bytes: what to add to the install package.
    """

    folder: str
    lab: LabConfig = field(default_factory=LabConfig)
    version: str = "4.6.0"
    spare: int = 0
    clock: str = "real"
    rpm_padding_bytes: int = 0

    def to_json(self) -> str:
        """For standard input of the daemon."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> DaemonConfig:
        """What `to_json` gave."""
        values = json.loads(text)
        lab = values.pop("lab")
        settings = LabSettings(**lab.pop("settings"))
        return cls(lab=LabConfig(settings=settings, **lab), **values)


class ControlServer:
    """Answers on the control socket.

    Args:
        lab: what it controls.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.ended = asyncio.Event()
        self._clients: set[asyncio.Task[None]] = set()
        self._commands: dict[str, Callable[[dict[str, Any]], Awaitable[Any]]] = {
            "ping": self._ping,
            "status": self._status,
            "kill": lambda call: lab.kill(call["name"]),
            "start": lambda call: lab.switch_on(call["name"]),
            "rebuild": lambda call: lab.rebuild(call["name"]),
            "partition": self._partition,
            "heal-partition": self._heal_partition,
            "fault": self._fault,
            "advance": lambda call: lab.advance(float(call["seconds"])),
            "shutdown": self._shutdown,
        }

    async def serve(self) -> asyncio.AbstractServer:
        """Listen in the lab's folder."""
        listener = control_socket.bind(self._lab.folder)
        return await asyncio.start_unix_server(
            self._client, sock=listener, limit=control_socket.MAX_LINE_BYTES
        )

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ValueError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            call = json.loads(line)
            command = self._commands.get(call["command"])
            if command is None:
                raise LabError(f"the lab knows no command {call['command']!r}")
            return {"ok": True, "result": await command(call)}
        except (LabError, AddressTakenError, ValueError) as error:
            return {"ok": False, "error": str(error)}
        except Exception as error:
            _log.exception("a command failed")
            return {"ok": False, "error": f"the lab failed: {type(error).__name__}: {error}"}

    async def _ping(self, call: dict[str, Any]) -> str:
        return "pong"

    async def _status(self, call: dict[str, Any]) -> list[dict[str, Any]]:
        return [asdict(row) for row in self._lab.status()]

    async def _partition(self, call: dict[str, Any]) -> None:
        self._lab.partition(call["name"], call["cut_from"])

    async def _heal_partition(self, call: dict[str, Any]) -> None:
        self._lab.heal_partition(call["name"])

    async def _fault(self, call: dict[str, Any]) -> None:
        self._lab.fault(call["name"], call["kind"], **call["options"])

    async def _shutdown(self, call: dict[str, Any]) -> None:
        self.ended.set()


async def run(config: DaemonConfig, ready: Callable[[], None]) -> None:
    """Run a lab until it is told to end.

    Args:
        config: what it is made of.
        ready: called once it answers.
    """
    folder = Path(config.folder)
    clock: Clock = ManualClock() if config.clock == "manual" else RealClock()
    lab = Lab(folder, config.lab, clock)
    await lab.start()
    try:
        materials = Materials.make(lab.folder, config.version, config.rpm_padding_bytes)
        materials.write_inputs(list(lab.machines.values()), config.lab, config.spare)
        control = ControlServer(lab)
        server = await control.serve()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, control.ended.set)
        _log.info("up: %d machines, sandbox %s", len(lab.machines), lab.sandbox_kind)
        if lab.sandbox_note:
            _log.info("%s", lab.sandbox_note)
        ready()
        await control.ended.wait()
        server.close()
    finally:
        await lab.stop()
        (folder / control_socket.NAME).unlink(missing_ok=True)
    _log.info("down")


def process_start_time(pid: int) -> str | None:
    """When a process began, in the kernel's ticks; None when there is none.

    With the number it names one process for certain: numbers are used again.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def main() -> int:
    """Run the daemon; for `lab up` only."""
    config = DaemonConfig.from_json(sys.stdin.read())
    folder = Path(config.folder)
    logging.basicConfig(
        filename=folder / LOG_FILE,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    pid = os.getpid()
    write_file(folder / PID_FILE, f"{pid} {process_start_time(pid)}\n".encode(), 0o600)

    def ready() -> None:
        print("ready", flush=True)
        # Whoever waits for that line must not wait for our end as well.
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 1)
        os.close(null)

    try:
        asyncio.run(run(config, ready))
    except (LabError, AddressTakenError) as error:
        print(f"failed: {error}", flush=True)
        return 1
    except Exception as error:
        _log.exception("the lab failed")
        print(f"failed: {type(error).__name__}: {error}", flush=True)
        return 1
    finally:
        (folder / PID_FILE).unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
