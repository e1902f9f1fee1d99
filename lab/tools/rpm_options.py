"""The command line of `rpm` 4.11."""

from __future__ import annotations

from dataclasses import dataclass, field

_MODES = {"q": "query", "i": "install", "U": "upgrade", "F": "freshen", "e": "erase", "K": "check"}
_LONG = {
    "--query": "query", "--install": "install", "--upgrade": "upgrade", "--erase": "erase",
    "--checksig": "check", "--version": "version", "--freshen": "freshen", "--verify": "verify",
}  # fmt: skip
_LONG_FLAGS = {
    "--replacepkgs", "--force", "--nodeps", "--nosignature", "--nodigest", "--oldpackage", "--test",
    "--quiet", "--noscripts", "--hash", "--percent", "--all", "--package", "--info", "--list",
    "--verbose", "--replacefiles", "--nogpgcheck", "--justdb",
}  # fmt: skip


@dataclass
class Options:
    mode: str = ""
    flags: set[str] = field(default_factory=set)
    format: str | None = None
    words: list[str] = field(default_factory=list)


class UsageError(Exception):
    """A command line the real command refuses."""


def parse(args: tuple[str, ...]) -> Options:
    options = Options()
    pending = list(args)
    while pending:
        word = pending.pop(0)
        if word in ("--qf", "--queryformat"):
            if not pending:
                raise UsageError(f"rpm: {word}: missing argument")
            options.format = pending.pop(0)
        elif word.startswith(("--qf=", "--queryformat=")):
            options.format = word.partition("=")[2]
        elif word in _LONG:
            options.mode = options.mode or _LONG[word]
        elif word in _LONG_FLAGS:
            options.flags.add(word[2:])
        elif word.startswith("--"):
            raise UsageError(f"rpm: {word}: unknown option")
        elif word.startswith("-") and len(word) > 1:
            _letters(options, word[1:])
        else:
            options.words.append(word)
    return options


def _letters(options: Options, letters: str) -> None:
    for letter in letters:
        if letter in _MODES and not (letter == "i" and options.mode):
            options.mode = options.mode or _MODES[letter]
        elif letter in "vhpailRcd":
            names = {"p": "package", "a": "all", "i": "info", "l": "list"}
            options.flags.add(names.get(letter, letter))
        else:
            raise UsageError(f"rpm: -{letter}: unknown option")
