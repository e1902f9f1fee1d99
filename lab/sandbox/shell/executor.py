"""Walking the tree: pipelines, redirections, conditions, loops."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING

from lab.sandbox.base import NOT_FOUND, Descriptors
from lab.sandbox.shell.files import Files
from lab.sandbox.shell.parser import Parser
from lab.sandbox.shell.redirects import apply, close, duplicate
from lab.sandbox.shell.syntax import (
    AndOr,
    For,
    Group,
    If,
    Node,
    Pipeline,
    Redirect,
    Simple,
    While,
)
from lab.sandbox.shell.syntax import Sequence as Script
from lab.sandbox.shell.word_parser import ShellSyntaxError
from lab.sandbox.shell.words import Expander, ExpansionError, exported
from lab.sandbox.stdio import Reader, Stdio

if TYPE_CHECKING:
    from lab.machine import Machine

MAX_LOOPS = 100_000
BROKEN_PIPE = 141
"""The exit code of what SIGPIPE has ended."""


left_behind: ContextVar[set[asyncio.Task[int]]] = ContextVar("left_behind")
"""Where a job keeps what its shells have put into the background."""


class ExitShell(Exception):  # noqa: N818  (not an error: `exit`)
    """`exit`, with its code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class LeaveLoop(Exception):  # noqa: N818  (not an error: `break` and `continue`)
    """`break`, or `continue`."""

    def __init__(self, again: bool) -> None:
        super().__init__(again)
        self.again = again


class Shell:
    """One shell: its variables, directory and streams.

    Args:
        machine: where.
        env: its environment.
        cwd: its directory.
        privileged: whether root runs it.
        arguments: `$0`, `$1` and so on.
    """

    def __init__(
        self,
        machine: Machine,
        env: Mapping[str, str],
        cwd: str,
        privileged: bool,
        arguments: Sequence[str] = ("bash",),
    ) -> None:
        self.machine = machine
        self.variables = dict(env)
        self.exported = set(env)
        self.privileged = privileged
        self.options: set[str] = set()
        self.line_name = arguments[0]
        self.files = Files(machine.disk_map, machine.access, privileged, cwd)
        self._expander = Expander(self.variables, list(arguments), 0, False, self.files, self._captured)
        self._capture_streams: Descriptors = (0, 1, 2)
        self._unchecked = 0
        self._background: list[asyncio.Task[int]] = []

    @property
    def status(self) -> int:
        """`$?`."""
        return self._expander.status

    @property
    def arguments(self) -> list[str]:
        """`$0`, `$1` and so on; may be changed."""
        return self._expander.arguments

    def set_strict(self, strict: bool) -> None:
        """`set -u`."""
        self._expander.strict = strict

    def copy(self) -> Shell:
        """A subshell."""
        twin = Shell(self.machine, self.variables, self.files.cwd, self.privileged, self.arguments)
        twin.exported = set(self.exported)
        twin.options = set(self.options)
        twin.line_name = self.line_name
        twin._expander.status = self.status
        twin._expander.strict = self._expander.strict
        return twin

    async def run_text(self, text: str, streams: Descriptors) -> int:
        """Run a script to its end and return its exit code."""
        try:
            script = Parser(text).parse()
        except ShellSyntaxError as error:
            self.complain(streams, str(error))
            return 2
        try:
            return await self._script(script, streams)
        except ExitShell as end:
            return end.code

    def complain(self, streams: Descriptors, text: str) -> None:
        """Write to standard error, with the shell's name in front."""
        with Stdio(streams) as io:
            io.err(f"{self.line_name}: {text}\n")

    async def wait_for_background(self) -> int:
        """`wait`."""
        await asyncio.gather(*self._background, return_exceptions=True)
        self._background.clear()
        return 0

    async def _captured(self, script: Script) -> bytes:
        stdin, _, stderr = self._capture_streams
        output, write_end = os.pipe2(os.O_CLOEXEC)
        reader = Reader(output)
        os.close(output)
        twin = self.copy()

        async def work() -> int:
            try:
                return await twin.run_script((stdin, write_end, stderr), script)
            finally:
                os.close(write_end)

        task = asyncio.ensure_future(work())
        try:
            data = await reader.read_all()
            self._expander.status = await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            reader.close()
        return data

    async def run_script(self, streams: Descriptors, script: Script) -> int:
        """Run a parsed script as a shell of its own would."""
        try:
            return await self._script(script, streams)
        except ExitShell as end:
            return end.code

    async def _script(self, script: Script, streams: Descriptors) -> int:
        code = 0
        for item in script.items:
            if item.background:
                twin = self.copy()
                one = AndOr(item.items)
                copies = duplicate(streams)
                task = asyncio.ensure_future(twin._detached(Script((one,)), copies))
                self._background.append(task)
                left_behind.get().add(task)
                task.add_done_callback(left_behind.get().discard)
                code = 0
            else:
                code = await self._and_or(item, streams)
            self._expander.status = code
        return code

    async def _detached(self, script: Script, streams: Descriptors) -> int:
        try:
            return await self.run_script(streams, script)
        finally:
            close(streams)

    async def _and_or(self, item: AndOr, streams: Descriptors) -> int:
        code = 0
        for position, (operator, pipeline) in enumerate(item.items):
            if (operator == "&&" and code != 0) or (operator == "||" and code == 0):
                continue
            last = position == len(item.items) - 1
            self._unchecked += not last
            try:
                code = await self._pipeline(pipeline, streams)
            finally:
                self._unchecked -= not last
            self._expander.status = code
            checked = last and not pipeline.negated and not self._unchecked
            if code != 0 and checked and "e" in self.options:
                raise ExitShell(code)
        return code

    async def _pipeline(self, pipeline: Pipeline, streams: Descriptors) -> int:
        if len(pipeline.nodes) == 1:
            self._unchecked += pipeline.negated
            try:
                code = await self._node(pipeline.nodes[0], streams)
            finally:
                self._unchecked -= pipeline.negated
        else:
            code = await self._piped(pipeline.nodes, streams)
        return int(code == 0) if pipeline.negated else code

    async def _piped(self, nodes: Sequence[Node], streams: Descriptors) -> int:
        tasks = []
        source = os.dup(streams[0])
        for position, node in enumerate(nodes):
            if position < len(nodes) - 1:
                following, sink = os.pipe2(os.O_CLOEXEC)
            else:
                following, sink = -1, os.dup(streams[1])
            own = (source, sink, os.dup(streams[2]))
            tasks.append(asyncio.ensure_future(self.copy()._detached_node(node, own)))
            source = following
        try:
            codes = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if "pipefail" in self.options:
            return next((code for code in reversed(codes) if code), 0)
        return codes[-1]

    async def _detached_node(self, node: Node, streams: Descriptors) -> int:
        try:
            return await self._node(node, streams)
        except ExitShell as end:
            return end.code
        finally:
            close(streams)

    async def _node(self, node: Node, streams: Descriptors) -> int:
        try:
            own = await self._redirected(node.redirects, streams)
        except ExpansionError as error:
            self.complain(streams, str(error))
            raise ExitShell(NOT_FOUND) from None
        if own is None:
            return 1
        before = self._capture_streams
        self._capture_streams = own
        try:
            return await self._dispatch(node, own)
        except ExpansionError as error:
            self.complain(own, str(error))
            raise ExitShell(NOT_FOUND) from None
        except BrokenPipeError:
            return BROKEN_PIPE
        finally:
            self._capture_streams = before
            close(own)

    async def _dispatch(self, node: Node, streams: Descriptors) -> int:
        if isinstance(node, Simple):
            return await self._simple(node, streams)
        if isinstance(node, Group):
            if node.subshell:
                return await self.copy().run_script(streams, node.body)
            return await self._script(node.body, streams)
        if isinstance(node, If):
            return await self._if(node, streams)
        if isinstance(node, For):
            words = node.words
            values = self.arguments[1:] if words is None else await self._expander.fields(words)
            return await self._for(node, values, streams)
        return await self._while(node, streams)

    async def _condition(self, script: Script, streams: Descriptors) -> bool:
        self._unchecked += 1
        try:
            return await self._script(script, streams) == 0
        finally:
            self._unchecked -= 1

    async def _if(self, node: If, streams: Descriptors) -> int:
        for condition, body in node.branches:
            if await self._condition(condition, streams):
                return await self._script(body, streams)
        return await self._script(node.otherwise, streams) if node.otherwise else 0

    async def _for(self, node: For, values: Sequence[str], streams: Descriptors) -> int:
        code = 0
        for value in values:
            self.variables[node.name] = value
            try:
                code = await self._script(node.body, streams)
            except LeaveLoop as leave:
                if not leave.again:
                    break
        return code

    async def _while(self, node: While, streams: Descriptors) -> int:
        code = 0
        for _ in range(MAX_LOOPS):
            if await self._condition(node.condition, streams) == node.until:
                return code
            try:
                code = await self._script(node.body, streams)
            except LeaveLoop as leave:
                if not leave.again:
                    return code
            await asyncio.sleep(0)
        self.complain(streams, f"a loop of more than {MAX_LOOPS} turns is ended by the lab")
        return 1

    async def _simple(self, node: Simple, streams: Descriptors) -> int:
        from lab.sandbox.shell.programs import run_builtin, run_program

        words = await self._expander.fields(node.words)
        assigned = {name: await self._expander.text(word) for name, word in node.assignments}
        if not words:
            self.variables.update(assigned)
            return self.status if assigned and _substitutes(node) else 0
        if "x" in self.options:
            with Stdio(streams) as io:
                io.err("+ " + " ".join(words) + "\n")
        code = await run_builtin(self, words, assigned, streams)
        if code is not None:
            return code
        env = {**exported(self.variables, self.exported), **assigned}
        return await run_program(self, tuple(words), env, streams)

    async def _redirected(self, redirects: Sequence[Redirect], streams: Descriptors) -> Descriptors | None:
        own = list(duplicate(streams))
        before = self._capture_streams
        self._capture_streams = streams
        try:
            for redirect in redirects:
                text = await self._expander.text(redirect.target)
                apply(own, redirect, text, self.files)
        except OSError as error:
            self.complain(streams, f"{text}: {error.strerror}")
            close(tuple(own))
            return None
        except BaseException:
            close(tuple(own))
            raise
        finally:
            self._capture_streams = before
        return own[0], own[1], own[2]


def _substitutes(node: Simple) -> bool:
    from lab.sandbox.shell.syntax import Substitution

    return any(isinstance(part, Substitution) for _, word in node.assignments for part in word.parts)
