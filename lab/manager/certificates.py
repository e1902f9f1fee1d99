"""Certificates as the installer handles them: check the given ones, make the missing ones.

The real installer runs `openssl rsa -check`, `openssl x509` and compares the moduli; here the
same is asked of `cryptography`. The key of a manager is an RSA key, as `openssl rsa` demands.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import ipaddress
import ssl
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

PrivateKey = rsa.RSAPrivateKey
Certificate = x509.Certificate

_LIFETIME = datetime.timedelta(days=3650)


@functools.lru_cache(maxsize=256)
def private_key(data: bytes, password: bytes | None) -> Any:
    """Return the private key in a PEM text.

    The numbers of an RSA key have to fit each other. That the factors are primes is taken for granted: to
    test it takes as long as to make a key, and no damaged file has factors that only are none.

    Raises:
        ValueError, TypeError, UnsupportedAlgorithm: It is none, or the password does not open it.
    """
    key = serialization.load_pem_private_key(data, password, unsafe_skip_rsa_key_validation=True)
    if isinstance(key, rsa.RSAPrivateKey) and not _is_sound(key.private_numbers()):
        raise ValueError("the numbers of the key do not fit each other")
    return key


def _is_sound(key: rsa.RSAPrivateNumbers) -> bool:
    public = key.public_numbers
    exponents = ((key.p, key.dmp1), (key.q, key.dmq1))
    return (
        1 < key.p < public.n
        and key.p * key.q == public.n
        and key.iqmp * key.q % key.p == 1
        and all(
            part == key.d % (prime - 1) and part * public.e % (prime - 1) == 1 for prime, part in exponents
        )
    )


class CertificateError(ValueError):
    """A file that is no key or no certificate."""


def load_key(path: Path, password: str | None = None) -> rsa.RSAPrivateKey:
    """Read an RSA private key in PEM.

    Raises:
        CertificateError: It is no RSA key, or the password does not open it.
    """
    try:
        key = private_key(path.read_bytes(), password.encode() if password else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateError(str(error)) from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise CertificateError("not an RSA key")
    return key


def load_certificate(path: Path) -> x509.Certificate:
    """Read the first certificate of a PEM file (what follows it is its chain).

    Raises:
        CertificateError: It is no certificate.
    """
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError as error:
        raise CertificateError(str(error)) from error


def belong_together(key: rsa.RSAPrivateKey, certificate: x509.Certificate) -> bool:
    """Whether the certificate is for this key (the installer compares the moduli)."""
    public = certificate.public_key()
    return (
        isinstance(public, rsa.RSAPublicKey) and public.public_numbers() == key.public_key().public_numbers()
    )


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """What nginx does with the external pair: TLS with the certificate and the chain behind it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def make_authority() -> tuple[bytes, bytes]:
    """A self-signed CA, as the installer makes one when none is given: certificate and key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = _name("Cloudify generated certificate")
    certificate = (
        _builder(name, name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _certificate_pem(certificate), _key_pem(key)


def make_pair(
    names: list[str],
    authority: bytes,
    authority_key: bytes,
    password: str | None = None,
    *,
    own_key: bytes | None = None,
) -> tuple[bytes, bytes]:
    """A certificate for names and addresses, signed by a CA: certificate and key.

    Args:
        names: The first is its common name, too.
        password: Of the CA's key.
        own_key: A key in PEM to use instead of a new one.
    """
    issuer = x509.load_pem_x509_certificate(authority)
    issuer_key = private_key(authority_key, password.encode() if password else None)
    if not isinstance(issuer_key, rsa.RSAPrivateKey):
        raise CertificateError("not an RSA key")
    if own_key is None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    else:
        given = private_key(own_key, None)
        if not isinstance(given, rsa.RSAPrivateKey):
            raise CertificateError("not an RSA key")
        key = given
    alternatives = [alternative for name in dict.fromkeys(names) for alternative in _both(name)]
    certificate = (
        _builder(_name(names[0]), issuer.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return _certificate_pem(certificate) + authority, _key_pem(key)


def _both(name: str) -> list[x509.GeneralName]:
    alternatives: list[x509.GeneralName] = [x509.DNSName(name)]
    with contextlib.suppress(ValueError):
        alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
    return alternatives


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + _LIFETIME)
    )


def _certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
