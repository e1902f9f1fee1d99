"""The command line of `curl` 7.29, as far as the lab simulates it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field


class UsageError(Exception):
    """An option curl does not know, or that lacks its argument; curl's exit code is 2."""


@dataclass
class CurlOptions:
    """What to fetch and how; the names are those of curl's long options."""

    urls: list[str] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)
    headers: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    outputs: list[str | None] = field(default_factory=list)
    config_files: list[str] = field(default_factory=list)

    def seconds(self, name: str) -> float | None:
        """A time limit; None when it is not set."""
        text = self.values.get(name)
        if text is None:
            return None
        try:
            return float(text)
        except ValueError:
            raise UsageError(f"curl: option --{name}: expected a proper numerical parameter") from None

    def count(self, name: str) -> int:
        """A number; 0 when it is not set."""
        return int(self.seconds(name) or 0)


_FLAGS = {
    "fail": "f", "silent": "s", "show-error": "S", "location": "L", "insecure": "k", "head": "I",
    "include": "i", "remote-name": "O", "progress-bar": "#", "verbose": "v", "get": "G",
    "create-dirs": "", "compressed": "", "ipv4": "4", "no-buffer": "N", "tlsv1.2": "", "tlsv1": "1",
    "disable": "q", "retry-connrefused": "", "globoff": "g",
}  # fmt: skip
_VALUED = {
    "output": "o", "connect-timeout": "", "max-time": "m", "retry": "", "retry-delay": "",
    "retry-max-time": "", "write-out": "w", "config": "K", "continue-at": "C", "cacert": "",
    "range": "r", "user": "u", "header": "H", "request": "X", "data": "d", "user-agent": "A",
    "url": "", "max-redirs": "", "noproxy": "", "limit-rate": "", "speed-limit": "Y",
    "speed-time": "y", "proto": "", "proto-redir": "",
}  # fmt: skip
_SHORT = {letter: name for name, letter in {**_FLAGS, **_VALUED}.items() if letter}
_TOO_NEW = {"retry-connrefused"}


def parse(args: Iterable[str], options: CurlOptions | None = None) -> CurlOptions:
    """Parse a command line.

    Raises:
        UsageError: in curl's words.
    """
    options = options or CurlOptions()
    pending = list(args)
    while pending:
        word = pending.pop(0)
        if word == "--":
            options.urls += pending
            break
        if word.startswith("--"):
            _long(options, word[2:], pending)
        elif word.startswith("-") and len(word) > 1:
            _short(options, word[1:], pending)
        else:
            options.urls.append(word)
    return options


def _long(options: CurlOptions, name: str, pending: list[str]) -> None:
    if name in _FLAGS and name not in _TOO_NEW:
        _flag(options, name)
    elif name in _VALUED:
        if not pending:
            raise UsageError(f"curl: option --{name}: requires parameter")
        _value(options, name, pending.pop(0))
    elif name.startswith("no-") and name[3:] in _FLAGS:
        options.flags.discard(name[3:])
    else:
        raise UsageError(f"curl: option --{name}: is unknown")


def _short(options: CurlOptions, letters: str, pending: list[str]) -> None:
    while letters:
        letter, letters = letters[0], letters[1:]
        name = _SHORT.get(letter)
        if name is None:
            raise UsageError(f"curl: option -{letter}: is unknown")
        if name in _FLAGS:
            _flag(options, name)
            continue
        if not letters and not pending:
            raise UsageError(f"curl: option -{letter}: requires parameter")
        _value(options, name, letters or pending.pop(0))
        return


def _flag(options: CurlOptions, name: str) -> None:
    if name == "remote-name":
        options.outputs.append(None)
    options.flags.add(name)


def _value(options: CurlOptions, name: str, value: str) -> None:
    if name == "output":
        options.outputs.append(value)
    elif name == "header":
        options.headers.append(value)
    elif name == "data":
        options.data.append(value)
    elif name == "url":
        options.urls.append(value)
    elif name == "config":
        options.config_files.append(value)
    else:
        options.values[name] = value


def parse_config(text: str, options: CurlOptions) -> None:
    """Read a config file (`-K`): an option on each line, `name = "value"`.

    Raises:
        UsageError: in curl's words.
    """
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        name, value = _split(stripped)
        dashes = "-" if len(name.lstrip("-")) == 1 else "--"
        words = [dashes + name.lstrip("-")]
        if value is not None:
            words.append(value)
        parse(words, options)


def _split(line: str) -> tuple[str, str | None]:
    end = next((i for i, letter in enumerate(line) if letter in " \t=:"), len(line))
    name, rest = line[:end], line[end:].lstrip(" \t=:")
    if not rest:
        return name, None
    if rest.startswith('"'):
        lexer = shlex.shlex(rest, posix=True)
        lexer.whitespace_split = True
        lexer.commenters = ""
        try:
            return name, lexer.get_token()
        except ValueError:
            raise UsageError("curl: unbalanced quotes in config file") from None
    return name, rest.split()[0]
