"""The units of an emulated machine: transient ones that run commands, and the manager's services."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.sandbox.base import Command, Job
from lab.sandbox.stdio import Reader
from lab.tools.journal import Journal

if TYPE_CHECKING:
    from lab.machine import Machine

UNIT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
"""The PATH systemd gives a unit."""

_STOP_SECONDS = 5.0
_CLD_EXITED, _CLD_KILLED = 1, 2
_log = logging.getLogger(__name__)


class UnitError(Exception):
    """What systemd refuses; the message is its own."""


@dataclass(frozen=True)
class TransientSpec:
    """What `systemd-run` asks for.

    Attributes:
        name: the unit's, with its suffix.
        description: of the unit.
        argv: the command, its program an absolute path.
        env: set with --setenv.
        cwd: the working directory.
        privileged: False for --uid of the SSH user.
        remain_after_exit: stay loaded as active (exited) after a success.
    """

    name: str
    description: str
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str = "/"
    privileged: bool = True
    remain_after_exit: bool = False


@dataclass(frozen=True)
class UnitState:
    """What `systemctl show` tells about a unit, in systemd's words."""

    name: str
    description: str
    load: str = "loaded"
    active: str = "inactive"
    sub: str = "dead"
    result: str = "success"
    main_pid: int = 0
    exec_main_pid: int = 0
    exec_main_code: int = 0
    exec_main_status: int = 0
    since_seconds: float = 0.0
    remain_after_exit: bool = False


class _Transient:
    """A transient unit while systemd has it loaded."""

    def __init__(self, spec: TransientSpec, started_seconds: float) -> None:
        self.spec = spec
        self.job: Job | None = None
        self.pid = 0
        self.code: int | None = None
        self.stopping = False
        self.since_seconds = started_seconds
        self.task: asyncio.Task[None] | None = None

    @property
    def state(self) -> UnitState:
        active, sub, result = "active", "running", "success"
        if self.code is None:
            active, sub = ("deactivating", "stop-sigterm") if self.stopping else (active, sub)
        elif self.failed:
            active = sub = "failed"
            result = "signal" if self.code < 0 else "exit-code"
        else:
            active, sub = "active", "exited"
        code = self.code
        return UnitState(
            name=self.spec.name,
            description=self.spec.description,
            active=active,
            sub=sub,
            result=result,
            main_pid=self.pid if code is None else 0,
            exec_main_pid=self.pid,
            exec_main_code=0 if code is None else _CLD_KILLED if code < 0 else _CLD_EXITED,
            exec_main_status=0 if code is None else abs(code),
            since_seconds=self.since_seconds,
            remain_after_exit=self.spec.remain_after_exit,
        )

    @property
    def failed(self) -> bool:
        # A service that ends by SIGTERM and its like ended cleanly, by systemd's reckoning.
        clean = (0, -signal.SIGHUP, -signal.SIGINT, -signal.SIGTERM, -signal.SIGPIPE)
        return self.code is not None and self.code not in clean


class Units:
    """The service manager of one machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._transient: dict[str, _Transient] = {}
        self._stopped: set[str] = set()
        self.journal = Journal()

    def forget(self) -> None:
        """The machine went off: nothing of all this survives."""
        for unit in self._transient.values():
            if unit.task is not None:
                unit.task.cancel()
        self._transient.clear()
        self._stopped.clear()
        self.journal.clear()

    def get(self, name: str) -> UnitState | None:
        """The state of a unit; None when systemd does not know it."""
        unit = self._transient.get(name)
        if unit is not None:
            return unit.state
        return self._service(name)

    def names(self) -> list[str]:
        """Every loaded unit."""
        return [*self._transient, *self._services()]

    def _services(self) -> dict[str, str]:
        manager = self._machine.manager
        if manager is None:
            return {}
        from lab.manager import services

        return {f"{one.unit}.service": one.state for one in services.of(manager)}

    def _service(self, name: str) -> UnitState | None:
        state = self._services().get(name)
        if state is None:
            return None
        if state != "running" or name in self._stopped:
            return UnitState(name, name)
        return UnitState(name, name, active="active", sub="running", main_pid=1000)

    async def start_transient(self, spec: TransientSpec) -> None:
        """Start a command as a unit of its own.

        Raises:
            UnitError: a unit of this name is loaded.
        """
        if self.get(spec.name) is not None:
            raise UnitError(f"Unit {spec.name} already exists.")
        unit = _Transient(spec, self._machine.clock.now())
        self._transient[spec.name] = unit
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._log(spec.name, f"Started {spec.description}.", "systemd[1]")
        unit.task = asyncio.get_running_loop().create_task(self._run(unit, started))
        await asyncio.wait({unit.task, started}, return_when=asyncio.FIRST_COMPLETED)

    async def _run(self, unit: _Transient, started: asyncio.Future[None]) -> None:
        spec = unit.spec
        env = {"PATH": UNIT_PATH, "LANG": "en_US.UTF-8", **spec.env}
        output, child = os.pipe2(os.O_CLOEXEC)
        try:
            with open(os.devnull, "rb") as null:
                command = Command(spec.argv, spec.cwd, env, spec.privileged, contained=True)
                job = await self._machine.sandbox.spawn(command, (null.fileno(), child, child))
        except BaseException:
            os.close(output)
            raise
        finally:
            os.close(child)
        reader = Reader(output)
        os.close(output)
        unit.job, unit.pid = job, job.pid
        if not started.done():
            started.set_result(None)
        collect = asyncio.ensure_future(self._collect(unit, reader))
        try:
            unit.code = await job.wait()
            unit.since_seconds = self._machine.clock.now()
            # What it left behind has been killed with it; its last output may still come.
            await asyncio.wait({collect}, timeout=_STOP_SECONDS)
        finally:
            collect.cancel()
            await asyncio.gather(collect, return_exceptions=True)
            reader.close()
        self._ended(unit)

    async def _collect(self, unit: _Transient, reader: Reader) -> None:
        sender = f"{unit.spec.argv[0].rpartition('/')[2]}[{unit.pid}]"
        rest = b""
        while data := await reader.read():
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._log(unit.spec.name, line.decode(errors="replace"), sender)
        if rest:
            self._log(unit.spec.name, rest.decode(errors="replace"), sender)

    def _ended(self, unit: _Transient) -> None:
        code, name = unit.code or 0, unit.spec.name
        if unit.failed:
            how = f"killed, status={-code}" if code < 0 else f"exited, status={code}/n/a"
            self._log(name, f"{name}: main process exited, code={how}", "systemd[1]")
            self._log(name, f"Unit {name} entered failed state.", "systemd[1]")
            self._log(name, f"{name} failed.", "systemd[1]")
        if unit.stopping and not unit.failed:
            self._log(name, f"Stopped {unit.spec.description}.", "systemd[1]")
        # Only a failure, or RemainAfterExit, keeps a transient unit loaded.
        kept = unit.failed or (unit.spec.remain_after_exit and not unit.stopping)
        if not kept and self._transient.get(name) is unit:
            del self._transient[name]

    def _log(self, unit: str, text: str, sender: str) -> None:
        self.journal.add(self._machine.clock.now(), unit, sender, text)

    async def stop(self, name: str) -> None:
        """`systemctl stop`: terminate, and kill what does not end.

        Raises:
            UnitError: there is no such unit.
        """
        unit = self._transient.get(name)
        if unit is None:
            if self._service(name) is None:
                raise UnitError(f"Unit {name} not loaded.")
            self._stopped.add(name)
            return
        if unit.code is not None:
            if not unit.failed:
                del self._transient[name]
            return
        unit.stopping = True
        assert unit.task is not None
        if unit.job is not None:
            unit.job.send_signal(signal.SIGTERM)
            unit.job.send_signal(signal.SIGCONT)
        done, _ = await asyncio.wait({unit.task}, timeout=_STOP_SECONDS)
        if not done and unit.job is not None:
            unit.job.send_signal(signal.SIGKILL)
            await asyncio.wait({unit.task}, timeout=_STOP_SECONDS)

    def start(self, name: str) -> None:
        """`systemctl start` of a service of the manager; a transient unit cannot be started again.

        Raises:
            UnitError: there is no such unit.
        """
        if name in self._transient:
            return
        if self._service(name) is None:
            raise UnitError(f"Unit not found: {name}")
        self._stopped.discard(name)

    def kill(self, name: str, number: int) -> None:
        """`systemctl kill`.

        Raises:
            UnitError: there is no such unit.
        """
        unit = self._transient.get(name)
        if unit is None and self._service(name) is None:
            raise UnitError(f"Unit {name} is not loaded.")
        if unit is not None and unit.job is not None:
            unit.job.send_signal(number)

    def reset_failed(self, name: str) -> None:
        """`systemctl reset-failed`: a failed transient unit is unloaded by it.

        Raises:
            UnitError: there is no such unit.
        """
        unit = self._transient.get(name)
        if unit is None:
            if self._service(name) is None:
                raise UnitError(f"Unit {name} not loaded.")
            return
        if unit.failed:
            del self._transient[name]

    def reset_all_failed(self) -> None:
        """`systemctl reset-failed` without a unit."""
        for name in [name for name, unit in self._transient.items() if unit.failed]:
            del self._transient[name]
