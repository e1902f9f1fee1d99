"""Plain data: YAML that is read, and mappings that go on as JSON, with a bound on what they grow to.

In YAML a name may stand for what was said before (``*anchor``), and that again for more: a few lines are
billions of values to whoever writes them out. So what a document means is counted before anything is made
of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from cmom.services.validation.findings import kind_of

MAX_VALUES = 200_000
MAX_DEPTH = 100
# What every reader of JSON takes for a whole number, with much to spare.
MAX_INTEGER = 10**100


class Unreadable(Exception):  # noqa: N818 - says what is wrong with a text, for whoever knows where it stands
    """Text that is no YAML of ours; the text of this says what is wrong."""


def load_yaml(text: str | bytes) -> Any:
    """Read a YAML document of plain data.

    Raises:
        Unreadable: It is no YAML, asks for something else than plain data, or means too much.
    """
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            if _weight(node, {}, ()) > MAX_VALUES:
                raise Unreadable(f"means more than {MAX_VALUES} values with its anchors written out")
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        # Without the parser's own words: they would show what it stumbled over.
        raise Unreadable(
            "is not valid YAML" + (f" (line {mark.line + 1})" if mark is not None else "")
        ) from None
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        # A date like 2024-99-99, an unhashable key, `!!bool x`, a document nested too deep: the parser lets
        # these through.
        raise Unreadable("is not valid YAML") from None


def _weight(node: yaml.Node, known: dict[int, int], above: tuple[int, ...]) -> int:
    """Count the values of a node, those that anchors stand for each time they are named.

    Raises:
        Unreadable: A node is within itself, or nested too deep.
    """
    weight = known.get(id(node))
    if weight is not None:
        return weight
    if id(node) in above:
        raise Unreadable("has an anchor that stands for itself")
    if len(above) > MAX_DEPTH:
        raise Unreadable(f"is nested more than {MAX_DEPTH} levels deep")
    inner: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        inner = [one for pair in node.value for one in pair]
    elif isinstance(node, yaml.SequenceNode):
        inner = list(node.value)
    weight = 1 + sum(_weight(one, known, (*above, id(node))) for one in inner)
    known[id(node)] = weight
    return weight


def grows_too_large(value: object) -> bool:
    """Tell whether data stands for more values than anybody would write down, as YAML's anchors allow."""
    return sum(1 for _ in _walk(value)) > MAX_VALUES


def json_problem(value: object) -> str | None:
    """Say what keeps data from being sent as JSON; None when nothing does. No value is shown."""
    for count, (found, depth) in enumerate(_walk(value)):
        if depth > MAX_DEPTH:
            return f"is nested more than {MAX_DEPTH} levels deep"
        if count >= MAX_VALUES:
            return f"holds more than {MAX_VALUES} values with its anchors written out"
        if isinstance(found, Mapping):
            if not all(isinstance(key, str | int | float | bool | None) for key in found):
                return "has a name that is not text; put it in quotes"
        elif isinstance(found, int) and abs(found) >= MAX_INTEGER:
            return "holds a number that is too large"
        elif not isinstance(found, list | tuple | str | int | float | None):
            return f"holds a value {kind_of(found)}, which is no plain data; put it in quotes"
    return None


def _walk(value: object) -> Iterator[tuple[object, int]]:
    """Yield all values with their depth, up to one more than there may be, and one level deeper."""
    waiting: list[tuple[object, int]] = [(value, 0)]
    for _ in range(MAX_VALUES + 1):
        if not waiting:
            return
        found, depth = waiting.pop()
        yield found, depth
        if depth <= MAX_DEPTH and isinstance(found, Mapping):
            waiting += [(inner, depth + 1) for inner in found.values()]
        elif depth <= MAX_DEPTH and isinstance(found, list | tuple):
            waiting += [(inner, depth + 1) for inner in found]
