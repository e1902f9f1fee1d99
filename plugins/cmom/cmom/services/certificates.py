"""The managers' certificates: made on Tier 2, so that the CA's key stays there.

Nothing here returns the CA's key; an `Authority` signs, and that is all it does with it. What a machine
gets are an external pair (for users and Tier 2) and an internal one (for what runs on the managers and for
agents), both with the chain up to the root: generation 4 points the CLI on the machine at the external
certificate itself as what to trust, and OpenSSL 1.0.2 accepts as an anchor only what signs itself.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cmom.models import Host, Secret

KEY_BITS = 2048
VALIDITY = timedelta(days=5 * 365)
# Machines' clocks are set by NTP only later; a certificate must not be "not yet valid" for one that is
# behind.
BACKDATED = timedelta(days=1)
# A certificate with less than this left is made anew when its machine is installed again.
WORTH_KEEPING = timedelta(days=30)

# Whatever else is derived from a CA's key somewhere, it is something else.
_SALT = b"cmom credentials inside a cluster"

AuthorityKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class KeyPair:
    """A certificate with its chain, and its key, both PEM, ready to be written to a machine."""

    certificate_pem: str
    key_pem: Secret


@dataclass(frozen=True)
class MachineCertificates:
    """What one machine gets: its two pairs, and the CA's certificate (never its key)."""

    external: KeyPair
    internal: KeyPair
    ca_certificate_pem: str


@dataclass(frozen=True)
class Fingerprint:
    """Which CA it was, small enough for a runtime property.

    Attributes:
        certificate: SHA-256 of the certificate.
        identity: SHA-256 of its subject and public key: what a certificate that it signed depends on. A CA
            whose certificate was renewed keeps it, one whose key was replaced does not.
    """

    certificate: str
    identity: str

    def __str__(self) -> str:
        return f"certificate={self.certificate} identity={self.identity}"

    @classmethod
    def parse(cls, text: str) -> Fingerprint | None:
        """Read what `str` wrote; None when it is something else."""
        words = dict(word.split("=", 1) for word in text.split() if "=" in word)
        if not words.get("certificate") or not words.get("identity"):
            return None
        return cls(words["certificate"], words["identity"])


class Authority:
    """The CA that signs the managers' certificates. It is made by `authority.load_authority`."""

    def __init__(self, chain: tuple[x509.Certificate, ...], key: AuthorityKey) -> None:
        self._chain = chain
        self._key = key

    def __repr__(self) -> str:
        return f"<Authority {self.certificate.subject.rfc4514_string()}>"

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate that signs."""
        return self._chain[0]

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """The certificate that signs and those above it, up to the root."""
        return self._chain

    @property
    def chain_pem(self) -> str:
        """The chain as text, for a CA file on a machine."""
        return "".join(
            certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
            for certificate in self._chain
        )

    @property
    def not_after(self) -> datetime:
        """When the first of the chain expires."""
        return min(certificate.not_valid_after_utc for certificate in self._chain)

    @property
    def fingerprint(self) -> Fingerprint:
        """Which CA this is."""
        return Fingerprint(
            certificate=self.certificate.fingerprint(hashes.SHA256()).hex(),
            identity=hashlib.sha256(_identity(self.certificate)).hexdigest(),
        )

    def derive(self, name: str) -> Secret:
        """Return a password that follows from the CA's key and a name, and tells nothing of the key.

        HKDF (RFC 5869) with SHA-256 over the numbers of the key, so neither the form nor the passphrase of
        its file matters. Letters and digits only: it goes into many kinds of files.
        """
        numbers = self._key.private_numbers()
        secret = numbers.d if isinstance(numbers, rsa.RSAPrivateNumbers) else numbers.private_value
        kdf = HKDF(hashes.SHA256(), length=20, salt=_SALT, info=name.encode())
        derived = kdf.derive(secret.to_bytes((secret.bit_length() + 7) // 8, "big"))
        return Secret(base64.b32encode(derived).decode("ascii").lower())

    def issue(self, host: Host, now: datetime) -> MachineCertificates:
        """Make new certificates for a machine.

        Args:
            host: Its addresses and name; all of them are in the certificates.
            now: The time, with a time zone.
        """
        return MachineCertificates(
            external=self.pair(host, now),
            internal=self.pair(host, now),
            ca_certificate_pem=self.chain_pem,
        )

    def pair(self, host: Host, now: datetime, common_name: str = "") -> KeyPair:
        """Make one new pair for a machine.

        Args:
            host: Its addresses and name; all of them are in the certificate.
            now: The time, with a time zone.
            common_name: Of whom it speaks, where that is not the machine: a user of the database.
        """
        # RSA, whatever the CA has: generation 4's installer examines keys with `openssl rsa`.
        key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        certificate = self._certificate(key.public_key(), host, now, common_name or host.public_ip)
        return KeyPair(
            certificate_pem=certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
            + self.chain_pem,
            key_pem=Secret(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                ).decode("ascii")
            ),
        )

    def _certificate(
        self, public_key: rsa.RSAPublicKey, host: Host, now: datetime, common_name: str
    ) -> x509.Certificate:
        began = max(now - BACKDATED, self.certificate.not_valid_before_utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
            .issuer_name(self.certificate.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(began)
            .not_valid_after(min(now + VALIDITY, self.not_after))
        )
        for extension, critical in self._extensions(public_key, host):
            builder = builder.add_extension(extension, critical)
        return builder.sign(self._key, _signing_hash(self._key))

    def _extensions(self, public_key: rsa.RSAPublicKey, host: Host) -> list[tuple[x509.ExtensionType, bool]]:
        usage = x509.KeyUsage(
            digital_signature=True,
            key_encipherment=True,
            content_commitment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=False,
            crl_sign=False,
            encipher_only=False,
            decipher_only=False,
        )
        # Both roles: the services of a manager are each other's clients.
        roles = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        return [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (usage, True),
            (roles, False),
            (x509.SubjectAlternativeName(_names(host)), False),
            (x509.SubjectKeyIdentifier.from_public_key(public_key), False),
            (self._authority_key_identifier(), False),
        ]

    def _authority_key_identifier(self) -> x509.AuthorityKeyIdentifier:
        try:
            own = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        except x509.ExtensionNotFound:
            return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        # What the CA calls its key need not be the usual hash of it.
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def issue(host: Host, authority: Authority, now: datetime | None = None) -> MachineCertificates:
    """Make new certificates for a machine; see `Authority.issue`."""
    return authority.issue(host, now or datetime.now(timezone.utc))


def fits(
    certificate_pem: str | bytes,
    host: Host,
    authority: Authority,
    now: datetime | None = None,
    common_name: str = "",
) -> bool:
    """Tell whether a certificate that is on a machine already can stay.

    It can when it is for all of the machine's addresses and names, was signed by this CA (also by an earlier
    certificate of the same CA and key, as long as that is in its chain and valid), and holds for a while yet.

    Args:
        certificate_pem: The file's content: the machine's certificate first, then its chain.
        host: The machine.
        authority: The CA.
        now: The time, with a time zone.
        common_name: Whom it must speak of, where that is not the machine.
    """
    moment = now or datetime.now(timezone.utc)
    data = certificate_pem.encode("utf-8", "replace") if isinstance(certificate_pem, str) else certificate_pem
    try:
        leaf, *chain = x509.load_pem_x509_certificates(data)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        leaf.verify_directly_issued_by(authority.certificate)
        identities = [_identity(above) for above in chain]
    except (ValueError, TypeError, x509.ExtensionNotFound, InvalidSignature, UnsupportedAlgorithm):
        return False
    if common_name and common_name not in _common_names(leaf):
        return False
    if not set(_names(host)) <= set(names) or _identity(authority.certificate) not in identities:
        return False
    return all(
        part.not_valid_before_utc <= moment and moment + WORTH_KEEPING <= part.not_valid_after_utc
        for part in (leaf, *chain)
    )


def _names(host: Host) -> list[x509.GeneralName]:
    """Return all that a machine may be called.

    localhost is among them in both pairs: services and the CLI on the machine talk to it by that name. The
    addresses stand there as names too, as generation 4's installer has it (`_format_ips` in its
    certificates.py of 4.6): agents with an old Python look for an address among the names only.
    """
    addresses = list(dict.fromkeys([host.ip, host.public_ip, "127.0.0.1"]))
    names = list(dict.fromkeys([host.hostname, "localhost", *addresses]))
    return [
        *(x509.DNSName(name) for name in names if name and name.isascii()),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses if address),
    ]


def _common_names(certificate: x509.Certificate) -> list[str | bytes]:
    return [name.value for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]


def _identity(certificate: x509.Certificate) -> bytes:
    spki = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return certificate.subject.public_bytes() + spki


def _signing_hash(key: AuthorityKey) -> hashes.SHA256 | hashes.SHA384:
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size > 256:
        return hashes.SHA384()
    return hashes.SHA256()
