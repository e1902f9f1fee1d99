"""Paths and URLs that entries name, as files on this machine."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from types import TracebackType
from urllib.parse import unquote, urlsplit

from cmom.clients.download import download
from cmom.clients.urls import is_url, shown_source
from cmom.errors import ActionRequired
from cmom.services.progress import TransferProgress
from cmom.services.waiting import Clock

# As a manager of generation 5 limits the folder of a blueprint by default.
MAX_FOLDER_BYTES = 50 * 1000 * 1000
MAX_FOLDER_FILES = 10_000
_READABLE = 0o444
_FOLDER_MODE = 0o755


class Sources:
    """Finds local files, fetches others once, and packs folders; what it made goes when it is left.

    It may be shared by threads.

    Args:
        say: Receives lines of progress.
        clock: Tells how often.
    """

    def __init__(self, say: Callable[[str], None], clock: Clock) -> None:
        self._say = say
        self._clock = clock
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._fetched: dict[str, Path] = {}
        self._folder: Path | None = None
        self._count = 0

    def __enter__(self) -> Sources:
        self._folder = Path(tempfile.mkdtemp(prefix="cmom-resources-"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def file(self, source: str) -> Path:
        """Return the file that a path or a URL names.

        Raises:
            CmomError: See `download`.
        """
        if not is_url(source):
            return Path(source).expanduser()
        with self._lock:
            lock = self._locks.setdefault(source, threading.Lock())
        with lock:
            if source not in self._fetched:
                target = self._place(self.name(source) or "download")
                progress = TransferProgress(f"Fetching {shown_source(source)}", self._say, self._clock)
                download(source, target, progress=progress)
                self._fetched[source] = target
            return self._fetched[source]

    @staticmethod
    def name(source: str) -> str:
        """Return the name of the file that a path or a URL names."""
        return PurePosixPath(unquote(urlsplit(source).path) if is_url(source) else source).name

    @staticmethod
    def unusable(problem: object, file: Path, source: str) -> ActionRequired:
        """Return the error for a file that is not what it should be, naming it as the user did."""
        said = str(problem).replace(str(file), shown_source(source))
        return ActionRequired(f"{said[:1].upper()}{said[1:]}.")

    def packed_folder(self, main_file: Path) -> Path:
        """Pack the folder that a blueprint's main file lies in, with everything in it.

        Raises:
            ActionRequired: It is more than a manager takes, or a file in it cannot be read.
        """
        folder = main_file.parent
        members = list(_members(folder))
        target = self._place(f"{folder.name or 'blueprint'}.tar.gz")
        try:
            with tarfile.open(target, "w:gz", dereference=True) as tar:
                for path in members:
                    tar.add(
                        path,
                        arcname=str(Path(folder.name or "blueprint") / path.relative_to(folder)),
                        recursive=False,
                        filter=_readable_to_the_manager,
                    )
        except OSError as error:
            raise ActionRequired(
                f"The folder {folder} of the blueprint {main_file.name} goes with it, but "
                f"{error.filename or 'a file in it'} cannot be read: {error.strerror}."
            ) from error
        return target

    def _place(self, name: str) -> Path:
        """Return where a new file may lie; each has a folder of its own."""
        if self._folder is None:
            raise RuntimeError("sources are used as a context manager")
        with self._lock:
            self._count += 1
            folder = self._folder / str(self._count)
        folder.mkdir()
        return folder / name


def _members(folder: Path) -> Iterator[Path]:
    """Yield the folders and files in a folder, following links, but never in a circle."""
    seen: set[str] = set()
    size = count = 0
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield Path(root)
        for name in sorted(files):
            path = Path(root) / name
            if not path.is_file():
                continue
            count += 1
            size += path.stat().st_size
            if size > MAX_FOLDER_BYTES or count > MAX_FOLDER_FILES:
                raise ActionRequired(
                    f"The folder {folder} goes with the blueprint, but it has more than "
                    f"{MAX_FOLDER_BYTES // 10**6} MB or {MAX_FOLDER_FILES} files, more than a manager takes "
                    "by default. Put the blueprint into a folder of its own, or give an archive of it."
                )
            yield path


def _readable_to_the_manager(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Let the manager's own services read what they unpack, whoever owned it here."""
    member.mode |= _FOLDER_MODE if member.isdir() else _READABLE
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
