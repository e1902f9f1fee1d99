"""URLs that a user gives: told from paths, judged by their form, shown without what may be secret."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

_HOST = re.compile(r"(?=[A-Za-z0-9])[A-Za-z0-9._-]{1,253}(?<=[A-Za-z0-9])\Z")


def is_host(address: str) -> bool:
    """Tell whether text is an address or a name of a machine, without anything that a URL reads otherwise.

    A zone (``fe80::1%eth0``) is none: it means something on one machine only, and may hold any character.
    """
    try:
        return ipaddress.ip_address(address) is not None and "%" not in address
    except ValueError:
        return bool(_HOST.match(address)) and ".." not in address


def is_url(source: str) -> bool:
    """Tell a URL from a path: it has a scheme and ``//``."""
    return "://" in source


def shown_source(source: str) -> str:
    """Return a path as it is, and a URL without user, password, query and fragment: any may be a secret."""
    if not is_url(source):
        return source
    try:
        parts = urlsplit(source)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "the URL"
    if not parts.netloc or ("@" in source and "@" not in parts.netloc):
        return "the URL"  # there is a / or a ? in its password, perhaps: nobody can tell where that ends
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{parts.path}"


def url_problem(url: str) -> str | None:
    """Say what keeps text with ``://`` in it from being a URL to fetch from; None when nothing does."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not a valid URL"
    if parts.scheme.lower() not in ("http", "https"):
        return "must be a path on Tier 2 or a URL that begins with http:// or https://"
    if not host or any(character.isspace() for character in url):
        return "is not a valid URL"
    return None
