"""SSH keys: ours, read from a file on Tier 2, and the machines', recorded and compared."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import Any

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from cmom.clients.local_files import open_file
from cmom.errors import AccessRefused, ActionRequired

_BIGGEST_KEY_FILE_BYTES = 100_000

# What cryptography calls a key -> what paramiko makes of it.
_KINDS: tuple[tuple[Any, type[paramiko.PKey]], ...] = (
    (rsa.RSAPrivateKey, paramiko.RSAKey),
    (ed25519.Ed25519PrivateKey, paramiko.Ed25519Key),
    (ec.EllipticCurvePrivateKey, paramiko.ECDSAKey),
)


def load_private_key(path: str) -> paramiko.PKey:
    """Read the private key with which Tier 2 logs in.

    Any of RSA, ECDSA and Ed25519, in the format of OpenSSH or in PEM (PKCS#1, SEC1, PKCS#8).

    Raises:
        AccessRefused: No such file, not readable, not a private key, of another kind, or locked by a
            passphrase. The message names the path and never the content.
    """
    try:
        with open_file(path) as file:
            content = file.read(_BIGGEST_KEY_FILE_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no path"
        raise AccessRefused(f"The private SSH key {path} cannot be read: {reason}") from None
    if content.startswith((b"ssh-", b"ecdsa-")) or b" PUBLIC KEY-" in content:
        raise AccessRefused(f"{path} is a public key; ssh_private_key_path must name the private one")
    if content.startswith(b"PuTTY-User-Key-File"):
        raise AccessRefused(f"{path} is a key of PuTTY; convert it with: puttygen {path} -O private-openssh")
    key = _parse(content, path)
    for kind, wrapper in _KINDS:
        if isinstance(key, kind):
            # Through OpenSSH's own format, which every paramiko reads for every kind of key.
            text = key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.OpenSSH,
                serialization.NoEncryption(),
            ).decode()
            return wrapper.from_private_key(io.StringIO(text))
    raise AccessRefused(f"{path} is a key of a kind that is not supported; use an RSA, ECDSA or Ed25519 key")


def _parse(content: bytes, path: str) -> Any:
    load = (
        serialization.load_ssh_private_key
        if b"BEGIN OPENSSH PRIVATE KEY" in content
        else serialization.load_pem_private_key
    )
    try:
        return load(content, password=None)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        # How it says that there is a passphrase depends on its version and on the format.
        if isinstance(error, TypeError) or "password-protected" in str(error):
            raise AccessRefused(
                f"The private SSH key {path} is locked by a passphrase; "
                f"give a key without one (ssh-keygen -p -f {path})"
            ) from None
        raise AccessRefused(f"{path} is not a private SSH key that can be read") from None


def host_key_line(key: paramiko.PKey) -> str:
    """Return a host key as OpenSSH writes it: ``ssh-ed25519 AAAA...``."""
    return f"{key.get_name()} {key.get_base64()}"


def parse_host_key(line: str) -> tuple[str, bytes]:
    """Read a recorded host key.

    Returns:
        Its type and its content.

    Raises:
        ActionRequired: The line is not a host key.
    """
    words = line.split()
    try:
        kind, content = words[0], base64.b64decode(words[1], validate=True)
    except (IndexError, ValueError):  # binascii's errors, and characters that are not ASCII
        raise ActionRequired(f"The recorded SSH host key is not one: {line[:80]!r}") from None
    return kind, content


def fingerprint(content: bytes) -> str:
    """Return the fingerprint of a public key as ``ssh-keygen -l`` shows it: ``SHA256:...``."""
    digest = hashlib.sha256(content).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
