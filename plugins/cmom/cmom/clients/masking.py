"""Secrets are taken out of whatever comes back from a machine before anybody can log it.

What a machine prints is not ours to choose: an installer shows the password that it was given, a failing
script echoes its environment. So the output of every command passes through here first.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from urllib.parse import quote, quote_plus

from cmom.clients.urls import shown_source
from cmom.models import is_unicode

MASK = "***"

# A shorter line of a multi-line secret (a PEM file) says nothing, and would mask innocent words.
_SHORTEST_LINE = 16


class Masker:
    """Replaces known secrets by asterisks, also as JSON, Python, URLs, HTML, YAML and shells spell them.

    Args:
        secrets: What must not be seen; empty ones are ignored.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        spellings: set[str] = set()
        for secret in secrets:
            # `str.__str__` is the content also where the type prints as asterisks.
            spellings.update(_spellings(str.__str__(secret)))
        # The longest first: a secret that contains another one must not leave its rest behind.
        self._spellings = sorted(spellings, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text with every secret masked."""
        for spelling in self._spellings:
            if spelling in text:
                text = text.replace(spelling, MASK)
        return text

    @property
    def longest(self) -> int:
        """The length of the longest spelling: how much of a cut text may be half a secret."""
        return len(self._spellings[0]) if self._spellings else 0


def _spellings(secret: str) -> set[str]:
    if not secret.strip():
        return set()
    wholes = {secret, secret.strip()}
    lines = secret.splitlines()
    if len(lines) > 1:
        wholes.update(line.strip() for line in lines if len(line.strip()) >= _SHORTEST_LINE)
    spellings: set[str] = set()
    for whole in wholes:
        as_json = (json.dumps(whole, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))
        spellings.update((whole, *as_json, repr(whole)[1:-1], escape(whole)))
        spellings.update((whole.replace("'", "''"), whole.replace("'", "'\"'\"'")))
        if is_unicode(whole):
            spellings.update((quote(whole, safe=""), quote(whole), quote_plus(whole)))
    return spellings


def without_credentials(url: str) -> str:
    """Return a URL as it may be shown, without user, password and query."""
    return shown_source(url)
