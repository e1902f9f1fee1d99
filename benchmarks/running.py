"""Running one benchmark: what it says is seen while it runs, and one that hangs is ended."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

from benchmarks.catalogue import Benchmark

PROJECT = Path(__file__).resolve().parent.parent
# Interrupted, a benchmark stops its lab; it is killed when it does not within this.
GRACE_SECONDS = 20.0
_ABSOLUTE = re.compile(r"(?<![\w.:/])/(?:[^\s/'\":,]+/)+")


def run(benchmark: Benchmark, quick: bool) -> dict[str, Any]:
    """Run one in a process of its own; return its entry of results.json, without the machine."""
    load = os.getloadavg()[0]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cmom-bench-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "rows.json"
        words = [sys.executable, "-W", "ignore", "-m", *benchmark.words, "--json", str(path)]
        words += benchmark.quick if quick else ()
        failure = _failure_of(words, folder, benchmark.deadline_seconds)
        rows = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return {
        "when": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "load_before": round(load, 1),
        "seconds": round(time.monotonic() - began),
        # With rows it ended as it should: a missed bar, too, makes an exit code.
        "failure": "" if rows else anonymous(failure),
        "rows": rows,
    }


def _failure_of(words: list[str], folder: str, deadline_seconds: float) -> str:
    """Run to the end or the deadline; return why there may be no figures."""
    process = subprocess.Popen(
        words,
        cwd=PROJECT,
        # What it leaves when it is killed goes with the folder.
        env={**os.environ, "TMPDIR": folder},
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    said: deque[str] = deque(maxlen=1)
    reader = threading.Thread(target=_show, args=(process.stderr, said), daemon=True)
    reader.start()
    try:
        process.wait(deadline_seconds)
    except subprocess.TimeoutExpired:
        return f"it hung: ended after {deadline_seconds:g} s"
    finally:
        _end(process)
        # Not for ever: what the benchmark left behind may still hold the stream.
        reader.join(5)
    return said[0] if said else f"it ended with exit code {process.returncode}"


def _show(stream: IO[str] | None, said: deque[str]) -> None:
    assert stream is not None  # it was asked for
    with stream:
        for line in stream:
            print(line, end="", file=sys.stderr, flush=True)
            if line.strip():
                said.append(line.strip())


def _end(process: subprocess.Popen[str]) -> None:
    """Let it stop what it started, and kill whatever is left of its group."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"still there {GRACE_SECONDS:g} s after its interruption: killed", file=sys.stderr)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def anonymous(text: str) -> str:
    """Return a reason without what only this machine knows: the folders of paths and the host's name."""
    text = _ABSOLUTE.sub("", text)
    for name in {socket.gethostname(), socket.getfqdn()} - {"localhost"}:
        text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", "HOST", text)
    return text
