"""Reading and judging the CA that the user gave: `ca_cert`, `ca_key`, and a passphrase when the key has one.

Every fault has the input's name as its place. What is checked is what would fail later and be hard to
understand
there: a TLS client that refuses a manager says only that its certificate does not verify.
"""

from __future__ import annotations

import functools
from datetime import datetime, timedelta, timezone
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cmom.errors import Fault, InvalidInputs
from cmom.models import Secret
from cmom.services.certificates import Authority, AuthorityKey, Fingerprint
from cmom.services.validation.files import Unusable, small_content

CERTIFICATE_PLACE = "ca_cert"
KEY_PLACE = "ca_key"
MIN_RSA_BITS = 2048  # what TLS libraries of today accept
EXPIRES_SOON = timedelta(days=90)

_CURVES = ("secp256r1", "secp384r1", "secp521r1")


def load_authority(
    certificate_path: str,
    key_path: str,
    key_password: Secret | None = None,
    *,
    now: datetime | None = None,
) -> Authority:
    """Read the CA, and refuse one whose certificates would not be accepted.

    Args:
        certificate_path: PEM; the CA's certificate first. When that is not a root, those above it must
            follow.
        key_path: PEM; RSA or an elliptic curve (P-256, P-384, P-521).
        key_password: For an encrypted key.
        now: The time, with a time zone.

    Raises:
        InvalidInputs: With every fault that was found, at ``ca_cert``, ``ca_key`` or ``ca_key_password``.
    """
    faults: list[Fault] = []
    chain = _read_chain(certificate_path, now or datetime.now(timezone.utc), faults)
    key = _read_key(key_path, key_password, faults)
    if chain and key and _public_bytes(chain[0]) != _public_bytes(key):
        faults.append(
            Fault(KEY_PLACE, f"the key in {key_path} does not belong to the certificate in ca_cert")
        )
    if faults or not chain or key is None:
        raise InvalidInputs(faults)
    return Authority(chain, key)


def replaced_authority(earlier: str | None, authority: Authority) -> Fault | None:
    """Compare the CA with the one that a deployment's certificates came from.

    Args:
        earlier: `Fingerprint` as text, from the first installation; None or empty when there was none.

    Returns:
        A fault when the certificates on the machines would no longer match, else None. A CA certificate
        that was renewed for the same name and key is no fault: what it signed before still verifies.
    """
    before = Fingerprint.parse(earlier or "")
    if before is None or before.identity == authority.fingerprint.identity:
        return None
    return Fault(
        CERTIFICATE_PLACE,
        "is another CA than the one this deployment's managers were installed with (its key or its name "
        "differs), so a manager with a new certificate and the others would not trust each other; give the "
        "earlier CA, or install a new deployment with this one",
    )


def expiry_warning(authority: Authority, now: datetime) -> str | None:
    """Say that the CA expires soon, when it does: then every manager's certificate does."""
    if authority.not_after - now > EXPIRES_SOON:
        return None
    return f"ca_cert: expires on {authority.not_after:%Y-%m-%d}, and all managers' certificates with it"


def _read(path: str, place: str, faults: list[Fault]) -> bytes | None:
    try:
        return small_content(path)
    except Unusable as error:
        faults.append(Fault(place, str(error)))
        return None


def _read_chain(path: str, now: datetime, faults: list[Fault]) -> tuple[x509.Certificate, ...] | None:
    data = _read(path, CERTIFICATE_PLACE, faults)
    if data is None:
        return None
    try:
        chain = _ordered(x509.load_pem_x509_certificates(data))
    except (ValueError, TypeError):
        faults.append(Fault(CERTIFICATE_PLACE, f"{path} holds no certificate in PEM form"))
        return None
    try:
        problems = _chain_problems(chain, now)
    except (ValueError, UnsupportedAlgorithm):
        faults.append(Fault(CERTIFICATE_PLACE, f"{path} holds a certificate that cannot be understood"))
        return None
    faults.extend(Fault(CERTIFICATE_PLACE, f"{path}: {problem}") for problem in problems)
    return chain


def _ordered(certificates: list[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    """Return the first certificate and its line up to the root, without what else is in the file."""
    line = [certificates[0]]
    while line[-1].issuer != line[-1].subject:
        above = [other for other in certificates if other.subject == line[-1].issuer and other not in line]
        if not above:
            break
        line.append(above[0])
    return tuple(line)


def _chain_problems(chain: tuple[x509.Certificate, ...], now: datetime) -> list[str]:
    problems = [problem for certificate in chain for problem in _problems(certificate, now)]
    root = chain[-1]
    if root.issuer != root.subject:
        problems.append(
            f"the certificate of {root.issuer.rfc4514_string() or 'its issuer'} is missing: append the "
            "certificates "
            "above it, up to the root, or managers' certificates will not verify"
        )
    for certificate, issuer in zip(chain, (*chain[1:], root), strict=True):
        if certificate.issuer != issuer.subject:
            continue
        try:
            certificate.verify_directly_issued_by(issuer)
        except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
            problems.append(f"its signature is not that of {issuer.subject.rfc4514_string()}")
    return problems


def _problems(certificate: x509.Certificate, now: datetime) -> list[str]:
    """Judge one certificate of the chain."""
    name = certificate.subject.rfc4514_string() or "the certificate"
    problems = []
    if now > certificate.not_valid_after_utc:
        problems.append(f"{name} expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
    if now < certificate.not_valid_before_utc:
        problems.append(f"{name} is valid only from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on")
    if not _is_ca(certificate):
        problems.append(f"{name} is not the certificate of a CA (its basic constraints do not say CA:TRUE)")
    elif not _may_sign(certificate):
        problems.append(f"{name} must not sign certificates (its key usage lacks keyCertSign)")
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        problems.append(f"{name} has a key of {key.key_size} bits; TLS needs {MIN_RSA_BITS} or more")
    return problems


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True


def _read_key(path: str, password: Secret | None, faults: list[Fault]) -> AuthorityKey | None:
    data = _read(path, KEY_PLACE, faults)
    if data is None:
        return None
    encrypted = b"ENCRYPTED" in data
    if encrypted and not password:
        faults.append(
            Fault(KEY_PLACE, f"the key in {path} is encrypted; give its passphrase as ca_key_password")
        )
        return None
    try:
        passphrase = password.reveal().encode() if encrypted and password else None
        key = _opened(data, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's text is dropped: it may quote what it read.
        if encrypted:
            faults.append(Fault("ca_key_password", f"does not open the key in {path}"))
        else:
            faults.append(Fault(KEY_PLACE, f"{path} holds no private key in PEM form"))
        return None
    if isinstance(key, rsa.RSAPrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return key
    faults.append(
        Fault(KEY_PLACE, f"the key in {path} is of a kind that generation 4 cannot verify; use RSA or P-256")
    )
    return None


@functools.lru_cache(maxsize=4)
def _opened(data: bytes, passphrase: bytes | None) -> Any:
    """Open a key, once in each process: that its factors are primes takes 30 ms to see, and every operation
    on every manager asks for it."""
    return serialization.load_pem_private_key(data, passphrase)


def _public_bytes(holder: x509.Certificate | AuthorityKey) -> bytes:
    return holder.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
