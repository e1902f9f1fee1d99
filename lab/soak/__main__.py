"""Run a soak: ``python -m lab.soak --minutes 60 --seed 1``; `make soak` does that.

The exit code is 0 when no rule was broken, 1 when one was, 2 when it could not begin, 130 when interrupted.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import signal
import sys
from pathlib import Path
from typing import NoReturn

from lab.local_profile import PROJECT
from lab.materials import VERSIONS
from lab.soak.rounds import Options
from lab.soak.run import Soak
from lab.soak.setting import InstallFailed

_MARKER = ".soak-folder"


def say(line: str) -> None:
    """Print at once."""
    print(line, flush=True)


def interrupt(_signal: int, _frame: object) -> NoReturn:
    """Treat a polite kill like Ctrl-C."""
    raise KeyboardInterrupt


def prepare(folder: Path) -> None:
    """Make the folder anew.

    Raises:
        SystemExit: It holds other people's files.
    """
    if folder.exists():
        if not (folder / _MARKER).exists() and any(folder.iterdir()):
            raise SystemExit(f"{folder} is no folder of a soak: give another one")
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700, parents=True)
    (folder / _MARKER).touch()


def main() -> int:
    """Run it and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.soak", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="how long; the last round is finished")
    parser.add_argument(
        "--seed", type=int, default=None, help="what all faults follow from; default: a new one"
    )
    parser.add_argument("--round-seconds", type=float, default=240.0, help="faults between two rests")
    parser.add_argument("--round", type=int, default=1, help="begin with this one, to repeat it")
    parser.add_argument("--clusters", type=int, default=3, choices=range(1, 7))
    parser.add_argument("--generation", type=int, default=4, choices=sorted(VERSIONS), help="of the managers")
    parser.add_argument("--folder", type=Path, default=PROJECT / ".soak")
    given = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    folder = given.folder.resolve()
    prepare(folder)
    signal.signal(signal.SIGTERM, interrupt)
    options = Options(
        folder=folder,
        seed=seed,
        seconds=given.minutes * 60,
        round_seconds=given.round_seconds,
        first_round=given.round,
        clusters=given.clusters,
        generation=given.generation,
    )
    soak = Soak(options, say)
    say(f"Soak with seed {seed}; the timeline is {soak.timeline.path}")
    code = 0
    try:
        soak.run()
    except InstallFailed as failure:
        say(f"The soak could not begin. {failure}")
        return 2
    except KeyboardInterrupt:
        say("\nInterrupted.")
        code = 130
    finally:
        soak.timeline.close()
    soak.figures.write(folder)
    say(soak.figures.as_text())
    return 1 if soak.figures.violations else code


if __name__ == "__main__":
    sys.exit(main())
