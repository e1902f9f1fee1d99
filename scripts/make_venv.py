"""Makes the virtual environment that the Makefile's targets run in, or finds that it is there already.

Called as `PYTHON scripts/make_venv.py FOLDER` by a Python of the version that the environment is to have;
uses the standard library only. Safe to run twice, side by side, and after being interrupted: a stamp with a
digest of what was installed is written last, and a lock lets one run work while the others wait for it.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ((3, 10), (3, 11))
# In a virtual environment, the Python it was made from: the environment itself may be about to be replaced.
BASE_PYTHON: str = getattr(sys, "_base_executable", sys.executable)

PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")


class Failure(Exception):  # noqa: N818 - what ends the run, not a fault of this script
    """Ends the run; its text says what to do."""


def python(folder: Path) -> Path:
    """Return the Python of an environment."""
    return folder / "bin" / "python"


def inputs() -> list[Path]:
    """Return the files that decide what is installed."""
    plugins = ROOT / "plugins"
    named = [ROOT / "setup.py", ROOT / "constraints.txt", Path(__file__).resolve()]
    return named + sorted([*plugins.glob("*/setup.py"), *plugins.glob("*/requirements.txt")])


def digest() -> str:
    """Return what the stamp has to say for the environment to be current.

    The place of the repository is part of it: an environment that was moved points at the old place.
    """
    sha256 = hashlib.sha256(f"{sys.version_info[:2]} {ROOT}".encode())
    for file in inputs():
        sha256.update(file.read_bytes())
    return sha256.hexdigest()


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the lock of this environment; the system frees it also when this process is killed."""
    with open(folder.with_name(folder.name + ".lock"), "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Another run is making {folder.name}; waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def say(text: str) -> None:
    """Print a line of progress at once, also into a pipe."""
    print(text, file=sys.stderr, flush=True)


def run(what: str, *arguments: str | Path, advice: str) -> None:
    """Run a program quietly; when it fails, show what it said.

    Raises:
        Failure: It ended with an error.
    """
    done = subprocess.run(
        [str(argument) for argument in arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise Failure(f"{done.stdout.rstrip()}\n\n{what} failed (exit code {done.returncode}). {advice}")


def usable(folder: Path) -> bool:
    """Tell whether there is an environment that only needs other packages.

    It has to start, be of this version, and not have been moved: its programs name the place it was made at.
    """
    try:
        version = subprocess.run(
            [python(folder), "-c", "import sys, pip; print(sys.version_info[:2])"],
            capture_output=True,
            text=True,
        )
        place = (folder / "bin" / "pip").read_text(encoding="utf-8")
    except OSError:
        return False
    return version.stdout.strip() == str(sys.version_info[:2]) and str(python(folder)) in place


def create(folder: Path) -> None:
    """Make an environment with nothing but pip in it.

    Raises:
        Failure: This Python has neither the whole venv module, nor virtualenv, nor pip.
    """
    shutil.rmtree(folder, ignore_errors=True)
    what, advice = "Making the environment", "On Debian: apt-get install python3-venv"

    def has(module: str) -> bool:
        return importlib.util.find_spec(module) is not None

    if has("venv") and has("ensurepip"):
        run(what, BASE_PYTHON, "-m", "venv", folder, advice=advice)
    elif has("virtualenv"):
        run(what, BASE_PYTHON, "-m", "virtualenv", "--quiet", folder, advice=advice)
    elif has("venv") and has("pip"):
        # Debian keeps ensurepip in python3-venv; a pip outside the environment can put one into it.
        run(what, BASE_PYTHON, "-m", "venv", "--without-pip", folder, advice=advice)
        run(
            "Installing pip",
            BASE_PYTHON,
            *PIP,
            "--python",
            python(folder),
            "install",
            "--quiet",
            "pip",
            advice=advice,
        )
    else:
        raise Failure(f"{BASE_PYTHON} cannot make virtual environments: a part of it is missing. {advice}")


def install(folder: Path) -> None:
    """Install the project and its tools, in the versions of constraints.txt.

    The builds of the few packages without a wheel use the environment's own setuptools, whose version is in
    constraints.txt, and not whatever is newest that day.
    """
    pip = (*PIP, "install", "--quiet", "--constraint", ROOT / "constraints.txt")
    advice = "Is the package index reachable from here? The lines above are pip's."
    run("Installing setuptools", python(folder), *pip, "setuptools", "wheel", advice=advice)
    run(
        "Installing the packages",
        python(folder),
        *pip,
        "--no-build-isolation",
        "-e",
        f"{ROOT}[dev]",
        advice=advice,
    )


def main(folder: Path) -> None:
    """Make `folder` a current environment.

    Raises:
        Failure: It cannot be made; the text says why and what to do.
    """
    version = "{}.{}.{}".format(*sys.version_info[:3])
    if sys.version_info[:2] not in VERSIONS:
        raise Failure(f"{BASE_PYTHON} is Python {version}; the project runs on 3.10 and 3.11.")
    stamp = folder / ".complete"
    wanted = digest()

    def current() -> bool:
        # `bin/python` is a link into the Python it was made from, which may have gone.
        return python(folder).exists() and stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted

    if current():
        return
    with only_one(folder):
        if current():
            return
        stamp.unlink(missing_ok=True)
        if usable(folder):
            say(f"Bringing {folder.name} up to date ...")
        else:
            say(f"Making {folder.name} with Python {version}: about a minute, once ...")
            create(folder)
        install(folder)
        aside = stamp.with_suffix(".new")
        aside.write_text(wanted, encoding="utf-8")
        os.replace(aside, stamp)
        say(f"{folder.name} is ready.")


if __name__ == "__main__":
    try:
        main(Path(os.path.abspath(sys.argv[1])))
    except Failure as failure:
        say(str(failure))
        sys.exit(1)
    except KeyboardInterrupt:
        say("Interrupted; the same command begins again where that is possible.")
        sys.exit(130)
