"""`cfy` for many commands in a row: loaded once, and forked for each.

A start of `cfy` takes half a second, nearly all of it imports. So one process loads the command line, and
each command runs in a child of it, with arguments, environment, output and exit code as from a shell. Which
profile is used is read when it is loaded: it has to be chosen before.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

SECONDS = 120.0

_FORKING = """
import importlib, io, json, os, pkgutil, sys
import cloudify_cli.commands
from cloudify_cli.main import _cfy
for module in pkgutil.iter_modules(cloudify_cli.commands.__path__):
    importlib.import_module(f"cloudify_cli.commands.{module.name}")
for line in sys.stdin:
    words, output = json.loads(line)
    child = os.fork()
    if child == 0:
        said = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for stream in (1, 2):
            os.dup2(said, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.argv = ["cfy", *words]
        sys.exit(_cfy())
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(code, flush=True)
"""


class QuickCfy:
    """The real `cfy`, in one folder, with one environment."""

    def __init__(self, folder: Path, environment: Mapping[str, str], scratch: Path) -> None:
        self._output = scratch / "said.txt"
        self._process = subprocess.Popen(
            [sys.executable, "-c", _FORKING],
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> QuickCfy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=SECONDS)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``cfy WORDS``; both streams come together."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([words, str(self._output)]) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return subprocess.CompletedProcess(["cfy", *words], code, self._output.read_text())
