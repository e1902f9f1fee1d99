"""What nobody expects: JSON of any shape, and good JSON with something odd in one place."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

HUGE = 10**30
# Words that become paths, URLs, headers, shell words and HTML somewhere.
NASTY_WORDS = (
    "",
    " ",
    ".",
    "..",
    "../../../etc/passwd",
    "/etc/passwd",
    "a/b",
    "a\0b",
    "a\nb",
    "a\r\nX-Injected: yes",
    "a'b",
    'a"b',
    "$(touch pwned)",
    "`touch pwned`",
    "; rm -rf /",
    "-rf",
    "--help",
    "<script>alert(1)</script>",
    "%2e%2e%2f",
    "{get_secret: x}",
    "a\u2028b",
    "\u202eevil",
    "\ud800",
    "é" * 300,
    "x" * 5000,
)
nasty_words = st.sampled_from(NASTY_WORDS)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-HUGE, HUGE)
    | st.floats(allow_nan=True)
    | st.text(max_size=20)
    | nasty_words
)
odd_json: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | nasty_words, inner, max_size=3)
    ),
    max_leaves=8,
)

Path = tuple[Any, ...]


def places(content: Any, above: Path = ()) -> Iterator[Path]:
    """Yield where there is anything in JSON, the whole of it first."""
    yield above
    inner = (
        content.items()
        if isinstance(content, dict)
        else enumerate(content)
        if isinstance(content, list)
        else ()
    )
    for key, value in inner:
        yield from places(value, (*above, key))


@st.composite
def changed(draw: st.DrawFn, good: Any) -> Any:
    """Good JSON, with something missing or odd in one place."""
    place = draw(st.sampled_from(sorted(places(good), key=str)))
    odd = draw(st.none() | st.just([]) | st.just({}) | odd_json)
    if not place:
        return odd
    content = copy.deepcopy(good)
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    if isinstance(inner, dict) and draw(st.booleans()):
        del inner[place[-1]]
    else:
        inner[place[-1]] = odd
    return content
