"""The header of an install RPM: name and version, from a file or over HTTP, without reading the package.

The version decides which generation is installed, and an RPM of a manager is about a gigabyte, so only its
first kilobytes are read (`rpm_header` knows the format). Here is what surrounds that: files and servers
that are not what they should be, a bound on the time, and messages that never hold a URL's credentials.
"""

from __future__ import annotations

import http.client
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
import urllib3

from cmom.clients.deadline import within
from cmom.clients.rpm_header import MAX_HEADER_BYTES, read_header
from cmom.clients.streams import Body
from cmom.clients.urls import is_url, shown_source
from cmom.errors import ActionRequired, CmomError, TryAgainLater
from cmom.models import INSTALL_PACKAGE, Package

MAX_REDIRECTS = 5
READ_TIMEOUT_SECONDS = 10.0

_PASSING_STATUS = frozenset({408, 425, 429})
_REFUSED_STATUS = frozenset({401, 403, 407})
_MISSING_STATUS = frozenset({404, 410})
_FIRST_SERVER_ERROR = 500


def read_package(source: str, *, timeout_seconds: float = 60.0) -> Package:
    """Read what an install RPM says of itself.

    Args:
        source: A path on Tier 2, or an ``http``/``https`` URL (certificates are verified; credentials in
            it are used, and never shown).
        timeout_seconds: The deadline for all of it.

    Raises:
        ActionRequired: There is no such file, it cannot be read, it is no RPM, or that of another package.
        TryAgainLater: The network gave no (whole) answer in time.
    """
    shown = shown_source(source)
    if is_url(source):
        package = within(
            timeout_seconds, f"read the header of {shown}", lambda: _read_url(source, timeout_seconds)
        )
    else:
        package = _read_file(Path(source))
    if package.name != INSTALL_PACKAGE:
        raise ActionRequired(
            f"{shown} is the RPM of {package.name!r}; that of {INSTALL_PACKAGE!r} is needed here."
        )
    return package


def _read_file(path: Path) -> Package:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ActionRequired(f"{path} is not a file; the install RPM is expected there.")
        with path.open("rb") as file:
            return read_header(file, str(path))
    except FileNotFoundError:
        raise ActionRequired(f"There is no file {path}; the install RPM is expected there.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable path"
        raise ActionRequired(f"The install RPM {path} cannot be read: {reason}.") from None


def _read_url(url: str, timeout_seconds: float) -> Package:
    """Ask for the beginning, read what the header needs, and close; a server may ignore the range."""
    deadline = time.monotonic() + timeout_seconds
    shown = shown_source(url)
    with _network_errors(shown), requests.Session() as session:
        session.max_redirects = MAX_REDIRECTS
        with session.get(
            url,
            # No encoding: the bytes of the file are wanted, not those of a compressed one.
            headers={"Range": f"bytes=0-{MAX_HEADER_BYTES - 1}", "Accept-Encoding": "identity"},
            timeout=min(timeout_seconds, READ_TIMEOUT_SECONDS),
            stream=True,
        ) as response:
            _check_status(response, shown)
            return read_header(Body(response, deadline), shown)


def _check_status(response: requests.Response, shown: str) -> None:
    status = response.status_code
    if status in (200, 206):
        if status == 206 and not response.headers.get("Content-Range", "bytes 0-").startswith("bytes 0-"):
            raise ActionRequired(
                f"The server of {shown} answers a request for the beginning with another part."
            )
        return
    said = f"The server of {shown} answered {status} {response.reason or ''}".rstrip()
    if status in _MISSING_STATUS:
        raise ActionRequired(f"{said}: there is no such file. Check install_rpm_path.")
    if status in _REFUSED_STATUS:
        raise ActionRequired(f"{said}: it refuses access. Check the credentials in install_rpm_path.")
    if status >= _FIRST_SERVER_ERROR or status in _PASSING_STATUS:
        raise TryAgainLater(f"{said}.")
    raise ActionRequired(f"{said}; the install RPM is expected there.")


@contextmanager
def _network_errors(shown: str) -> Iterator[None]:
    """Say what went wrong without the library's own words: they hold the whole URL, credentials and all."""
    try:
        yield
    except CmomError:
        raise
    except requests.exceptions.SSLError:
        raise ActionRequired(
            f"The certificate of the server of {shown} does not verify, so nothing is fetched from it. "
            "Give a URL whose certificate this machine trusts, or a local path."
        ) from None
    except (requests.exceptions.InvalidSchema, requests.exceptions.TooManyRedirects):
        raise ActionRequired(
            f"{shown} leads on to where it cannot be followed (not http or https, or more than "
            f"{MAX_REDIRECTS} redirects)."
        ) from None
    except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, UnicodeError):
        raise ActionRequired(f"{shown} is not a URL that can be fetched.") from None
    except requests.Timeout:
        raise TryAgainLater(f"The server of {shown} did not answer in time.") from None
    except (
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        http.client.HTTPException,
        OSError,
    ) as error:
        # requests passes some errors of urllib3 and http.client through; all of them mean a broken
        # connection.
        raise TryAgainLater(
            f"No connection to the server of {shown}, or it broke ({type(error).__name__})."
        ) from None
