"""The client of a running lab: what the command line, the demo and scenario tests use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lab import control_socket
from lab.core import LabError
from lab.status import MachineStatus

CALL_SECONDS = 120.0
"""How long one command may take; booting and rebuilding go on in the background."""


class NotRunningError(LabError):
    """No lab answers in this folder."""


class LabControl:
    """Controls the lab that runs in a folder.

    Args:
        folder: the lab's folder.
        timeout_seconds: for each command.
    """

    def __init__(self, folder: Path | str, timeout_seconds: float = CALL_SECONDS) -> None:
        self.folder = Path(folder).resolve()
        self._timeout_seconds = timeout_seconds

    def call(self, command: str, **arguments: Any) -> Any:
        """Send a command and return its result.

        Raises:
            NotRunningError: no lab answers.
            LabError: the lab refused, and says why.
        """
        request = json.dumps({"command": command, **arguments}) + "\n"
        try:
            with control_socket.connect(self.folder, self._timeout_seconds) as client:
                client.sendall(request.encode())
                with client.makefile("rb") as answers:
                    line = answers.readline()
        except (FileNotFoundError, NotADirectoryError, ConnectionError) as error:
            raise NotRunningError(f"no lab runs in {self.folder} ({error.strerror})") from None
        except TimeoutError:
            raise LabError(f"the lab in {self.folder} did not answer in time") from None
        if not line:
            raise NotRunningError(f"the lab in {self.folder} hung up")
        answer = json.loads(line)
        if not answer["ok"]:
            raise LabError(answer["error"])
        return answer["result"]

    def is_running(self) -> bool:
        """Whether a lab answers in the folder."""
        try:
            self.call("ping")
        except LabError:
            return False
        return True

    def status(self) -> list[MachineStatus]:
        """What each machine is doing."""
        return [MachineStatus(**row) for row in self.call("status")]

    def kill(self, name: str) -> None:
        """Cut a machine's power."""
        self.call("kill", name=name)

    def start(self, name: str) -> None:
        """Switch a machine on."""
        self.call("start", name=name)

    def rebuild(self, name: str) -> None:
        """Give a machine an empty disk and a new host key."""
        self.call("rebuild", name=name)

    def partition(self, name: str, cut_from: str = "tier2") -> None:
        """Cut a machine off from tier2, peers or all."""
        self.call("partition", name=name, cut_from=cut_from)

    def heal_partition(self, name: str) -> None:
        """Undo a partition."""
        self.call("heal-partition", name=name)

    def fault(self, name: str, kind: str, **options: Any) -> None:
        """Put a fault onto a machine; the kind `clear` removes them."""
        self.call("fault", name=name, kind=kind, options=options)

    def advance(self, seconds: float) -> None:
        """Move a clock that is moved by hand."""
        self.call("advance", seconds=seconds)

    def shut_down(self) -> None:
        """End the lab."""
        self.call("shutdown")
