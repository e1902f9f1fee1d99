"""The command line of `systemctl` 219."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Options:
    words: list[str] = field(default_factory=list)
    properties: list[str] = field(default_factory=list)
    signal: str = "SIGTERM"
    quiet: bool = False
    lines: int = 10


_FLAGS = {
    *("--no-pager", "--no-block", "-l", "--full", "--all", "-a", "--system", "--no-legend"),
    *("--no-ask-password", "--force", "-f", "--now", "--plain", "--no-wall"),
}
_VALUED = {
    *("-p", "--property", "-s", "--signal", "-n", "--lines", "--kill-who", "-t", "--type"),
    *("--state", "-o", "--output"),
}


class UsageError(Exception):
    """A command line the real command refuses."""


def parse(args: tuple[str, ...]) -> Options:
    options = Options()
    pending = list(args)
    while pending:
        word = pending.pop(0)
        if word == "--":
            options.words += pending
            break
        if not word.startswith("-") or word == "-":
            options.words.append(word)
            continue
        name, joined, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if not word.startswith("--") and len(word) > 2 and word[:2] in _VALUED:
            name, joined, value = word[:2], "=", word[2:]
        if name in _FLAGS:
            continue
        if name in ("-q", "--quiet"):
            options.quiet = True
        elif name in _VALUED:
            if not joined and not pending:
                raise UsageError(f"systemctl: option requires an argument -- '{name[-1]}'")
            _set(options, name, value if joined else pending.pop(0))
        elif word.startswith("--"):
            raise UsageError(f"systemctl: unrecognized option '{name}'")
        else:
            raise UsageError(f"systemctl: invalid option -- '{name[1]}'")
    return options


def _set(options: Options, name: str, value: str) -> None:
    if name in ("-p", "--property"):
        options.properties += [part for part in value.split(",") if part]
    elif name in ("-s", "--signal"):
        options.signal = value
    elif name in ("-n", "--lines"):
        options.lines = int(value) if value.isdigit() else 10
