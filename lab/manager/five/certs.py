"""Certificates of a run, checked as the installer checks them: each with its key, and its CA.

A function that takes a machine takes paths on it.
"""

from __future__ import annotations

import ipaddress

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from lab.manager.certificates import private_key
from lab.manager.five.errors import ValidationError
from lab.manager.host import Machine


def check_file(machine: Machine, path: str, kind: str, password: str = "") -> None:
    """Refuse a file that is missing, or no key or certificate.

    Args:
        kind: `Key` or `Cert`.

    Raises:
        ValidationError: It is refused.
    """
    if not machine.path(path).is_file():
        raise ValidationError(f"{kind} file {path} does not exist")
    try:
        if kind == "Key":
            _key(machine, path, password)
        else:
            certificate(machine, path)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValidationError(f"Cert file {path} is invalid: {error}") from None


def check_pair(machine: Machine, cert: str, key: str, password: str = "") -> None:
    """Refuse a certificate and a key that are not one another's.

    Raises:
        ValidationError: They are not, or one is no such file.
    """
    check_file(machine, key, "Key", password)
    check_file(machine, cert, "Cert")
    public, private = certificate(machine, cert).public_key(), _key(machine, key, password)
    if not (
        isinstance(public, rsa.RSAPublicKey)
        and isinstance(private, rsa.RSAPrivateKey)
        and public.public_numbers() == private.public_key().public_numbers()
    ):
        raise ValidationError(f"Key {key} does not match the cert {cert}")


def check_section(
    machine: Machine,
    place: str,
    *,
    cert: str,
    key: str,
    ca: str = "",
    ca_key: str = "",
    password: str = "",
    ca_alone: bool = False,
) -> None:
    """Refuse a section's certificate, key and CA unless they belong together.

    Args:
        place: What the section is called.
        ca_alone: Whether a CA may be given without the rest.

    Raises:
        ValidationError: They do not.
    """
    if not cert and not key and not ca_alone:
        given = (("key_password", password), ("ca_path", ca), ("ca_key_path", ca_key))
        failing = " or ".join(name for name, value in given if value)
        if failing:
            raise ValidationError(
                f"If {failing} was provided, both cert_path and key_path must be provided in {place}"
            )
    if cert and key:
        check_pair(machine, cert, key, password)
    elif cert or key:
        raise ValidationError("Either both cert_path and key_path must be provided, or neither.")
    if not ca:
        return
    check_file(machine, ca, "Cert")
    if cert and not signed_by(certificate(machine, cert), certificate(machine, ca)):
        raise ValidationError(f"Provided certificate {cert} was not signed by provided CA {ca}")
    if ca_key and machine.path(ca_key).is_file():
        check_pair(machine, ca, ca_key, password)


def certificate(machine: Machine, path: str) -> x509.Certificate:
    """The first certificate of a file.

    Raises:
        ValueError: There is none.
    """
    return x509.load_pem_x509_certificate(machine.path(path).read_bytes())


def signed_by(one: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether an authority has signed a certificate."""
    public = authority.public_key()
    if not isinstance(public, rsa.RSAPublicKey) or one.signature_hash_algorithm is None:
        return False
    try:
        public.verify(
            one.signature, one.tbs_certificate_bytes, padding.PKCS1v15(), one.signature_hash_algorithm
        )
    except InvalidSignature:
        return False
    return True


def common_name(one: x509.Certificate) -> str | None:
    """Whose certificate it is, by its subject; None when it does not say."""
    names = one.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else None


def covers(one: x509.Certificate, name: str) -> bool:
    """Whether a certificate is for an address, or for a name."""
    try:
        names = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    if is_address(name):
        return ipaddress.ip_address(name) in names.get_values_for_type(x509.IPAddress)
    return name in names.get_values_for_type(x509.DNSName)


def is_address(name: str) -> bool:
    """Whether it is an IP address, and not a name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _key(machine: Machine, path: str, password: str) -> object:
    data = machine.path(path).read_bytes()
    try:
        return private_key(data, password.encode() if password else None)
    except TypeError:
        if not password:
            raise
        return private_key(data, None)
