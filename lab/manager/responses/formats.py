"""How answers look: one object, a list with its pages, and the fields that were asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiohttp import web

from lab.manager import bodies
from lab.manager.calls import Call
from lab.manager.exceptions import BadParametersError, ManagerError, NoSuchIncludeFieldError
from lab.manager.files import ROOT

_NGINX_NOT_FOUND = (
    "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n"
    "<center><h1>404 Not Found</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


def reply(body: Any, status: int = 200) -> web.Response:
    """An answer in JSON."""
    return web.Response(status=status, text=json.dumps(body), content_type="application/json")


async def attachment(call: Call, file: str, name: str) -> web.StreamResponse:
    """A file of the manager, as nginx sends it when the REST service has pointed it there.

    One that has been lost is noticed by whoever looks first: in generation 4 the service, which asks for its
    length; in generation 5 nginx alone, whose page says so.

    Args:
        file: Below `/opt/manager/resources`.
        name: By which it is sent.

    Raises:
        ManagerError: The service of generation 4 found none.
    """
    path = call.manager.files.path(file)
    if path.is_file():
        return await bodies.send_file(call.request, path, name)
    if call.manager.traits.generation < 5:
        raise ManagerError(f"[Errno 2] No such file or directory: '{ROOT}/{file}'")
    return web.Response(status=404, text=_NGINX_NOT_FOUND, content_type="text/html")


def nothing() -> web.Response:
    """204, as for a deletion."""
    return web.Response(status=204)


def chosen(call: Call, item: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an object that `_include` asks for; all of them without it.

    Raises:
        NoSuchIncludeFieldError: It asks for one that there is not.
    """
    return _project(item, _included(call, item))


def listing(
    call: Call,
    items: Iterable[Mapping[str, Any]],
    *,
    fields: Sequence[str],
    default_sort: str = "",
    aliases: Mapping[str, str] | None = None,
) -> web.Response:
    """A page of a list: filtered by the query's arguments, sorted, cut, projected.

    Args:
        call: Its query string says `_sort`, `_offset`, `_size`, `_include`, and filters by field.
        items: Everything there is.
        fields: What an item has, also when there is no item.
        default_sort: By which field when `_sort` does not say.
        aliases: Other names of fields in `_sort`.

    Raises:
        BadParametersError: The page asked for is too large, or the numbers are none.
    """
    query = call.request.query
    wanted = {field: query.getall(field) for field in fields if field in query}
    found = [
        item for item in items if all(_text(item.get(field)) in values for field, values in wanted.items())
    ]
    orders = query.getall("_sort", []) or ([default_sort] if default_sort else [])
    for order in reversed([part for value in orders for part in value.split(",") if part]):
        key = order.lstrip("+-")
        key = (aliases or {}).get(key, key)
        found.sort(key=lambda item: _order(item.get(key)), reverse=order.startswith("-"))
    offset, size = _page(call)
    included = _included(call, dict.fromkeys(fields))
    cut = found[offset : offset + size] if size else found[offset:]
    return reply(
        {
            "items": [_project(item, included) for item in cut],
            "metadata": {
                "pagination": {"total": len(found), "offset": offset, "size": size},
            },
        }
    )


def _page(call: Call) -> tuple[int, int]:
    limit = call.manager.traits.page_size
    try:
        offset = int(call.argument("_offset") or 0)
        size = int(call.argument("_size") or limit or 0)
    except ValueError:
        raise BadParametersError("Invalid pagination parameters") from None
    if offset < 0 or size < 0:
        raise BadParametersError("Invalid pagination parameters")
    if limit is not None and size > limit:
        raise BadParametersError(f"Invalid pagination size: {size}. The maximum size is {limit}")
    return offset, size


def _included(call: Call, item: Mapping[str, Any]) -> list[str] | None:
    asked = call.argument("_include")
    if not asked:
        return None
    names = [name.strip() for name in asked.split(",") if name.strip()]
    unknown = [name for name in names if name not in item]
    if unknown:
        raise NoSuchIncludeFieldError(f"Illegal fields in include query parameter: {', '.join(unknown)}")
    return names


def _project(item: Mapping[str, Any], included: list[str] | None) -> dict[str, Any]:
    if included is None:
        return dict(item)
    return {name: item.get(name) for name in included}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _order(value: Any) -> tuple[bool, str]:
    return value is not None, _text(value)


def deleted(call: Call, item: Mapping[str, Any]) -> web.Response:
    """The answer to a deletion: what was deleted in generation 4, nothing in generation 5."""
    return nothing() if call.manager.traits.generation >= 5 else reply(dict(item))
