"""Certificate authorities for tests, as a user would have them: files on Tier 2."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from cmom.models import Secret
from cmom.services.authority import load_authority
from cmom.services.certificates import Authority

NOW = datetime.now(timezone.utc).replace(microsecond=0)
DAY = timedelta(days=1)


@functools.cache
def key_of(kind: str, number: int = 0) -> Any:
    """Make a key of a kind, once for each number: making RSA keys takes time."""
    if kind.startswith("rsa"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind[3:] or 2048))
    makers = {
        "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "k256": lambda: ec.generate_private_key(ec.SECP256K1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "dsa": lambda: dsa.generate_private_key(2048),
    }
    return makers[kind]()


def certificate(
    name: str,
    key: Any,
    *,
    issuer: x509.Certificate | None = None,
    issuer_key: Any = None,
    ca: bool | None = True,
    key_cert_sign: bool | None = True,
    not_before: datetime = NOW - DAY,
    not_after: datetime = NOW + 3650 * DAY,
) -> x509.Certificate:
    """Make a certificate; a root unless an issuer is given."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if key_cert_sign is not None:
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=key_cert_sign,
            crl_sign=key_cert_sign,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(usage, critical=True)
    signing_key = issuer_key or key
    algorithm = None if isinstance(signing_key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(signing_key, algorithm)


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def key_pem(key: Any, password: bytes | None = None) -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))


@dataclass(frozen=True)
class Ca:
    """A CA's two files."""

    certificate_path: Path
    key_path: Path
    certificate: x509.Certificate

    def load(self, password: Secret | None = None, now: datetime = NOW) -> Authority:
        return load_authority(str(self.certificate_path), str(self.key_path), password, now=now)


def make_ca(
    folder: Path, kind: str = "rsa2048", name: str = "Test CA", number: int = 0, **options: Any
) -> Ca:
    """Write a CA's certificate and key into a folder."""
    key = key_of(kind, number)
    own = certificate(name, key, **options)
    return write_ca(folder, pem(own), key_pem(key), own)


def write_ca(folder: Path, certificates: bytes, key: bytes, own: x509.Certificate) -> Ca:
    (folder / "ca.pem").write_bytes(certificates)
    (folder / "ca_key.pem").write_bytes(key)
    return Ca(folder / "ca.pem", folder / "ca_key.pem", own)
