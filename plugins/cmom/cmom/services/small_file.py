"""One command that writes a small file of root, whole or not at all.

One, not one for each of its steps: over a long line each would cost its way there and back three times. It is
the only place with shell syntax in it; what differs from file to file comes as arguments.
"""

from __future__ import annotations

import hashlib
import posixpath

from cmom.commands import Command, command
from cmom.models import Secret

ARRIVED_OTHERWISE = 97
"""Its exit code when what arrived is not what was sent."""

# Its arguments: 1 the beginning of the path beside the file, 2 the file, 3 its folder, 4 SHA-256, 5 mode, 6
# owner:group, empty for root's. What a broken run left beside it goes first, and each run has a file of its
# own (mktemp makes it for root alone): one that lost its connection may be waiting for its content still.
_SCRIPT = (
    'mkdir -p -- "$3" && rm -f -- "$1"* && part=$(mktemp -- "$1.XXXXXXXX")'
    ' && dd of="$part" conv=notrunc status=none && sum=$(sha256sum <"$part")'
    f' && {{ [ "${{sum%% *}}" = "$4" ] || {{ rm -f -- "$part"; exit {ARRIVED_OTHERWISE}; }}; }}'
    ' && { [ -z "$6" ] || chown -- "$6" "$part"; } && chmod -- "$5" "$part" && mv -fT -- "$part" "$2"'
)


def write_command(path: str, content: str, mode: int, owner: str, group: str) -> Command:
    """Return the command that writes this content, which goes over standard input, and makes its folder."""
    folder, name = posixpath.split(path)
    ownership = "" if (owner, group) == ("root", "root") else f"{owner}:{group}"
    wanted = hashlib.sha256(content.encode()).hexdigest()
    words = (posixpath.join(folder, f".{name}.cmom-part"), path, folder, wanted, f"{mode:04o}", ownership)
    return command("sh", "-c", _SCRIPT, "sh", *words, sudo=True, stdin=Secret(content))
