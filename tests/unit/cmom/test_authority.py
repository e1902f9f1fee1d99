"""Reading the CA: what is accepted, and how each fault is named."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import serialization

from cmom.errors import InvalidInputs
from cmom.models import Secret
from cmom.services.authority import expiry_warning, replaced_authority
from cmom.services.validation.files import user_name
from tests.unit.cmom.given_ca import DAY, NOW, Ca, certificate, key_of, key_pem, make_ca, pem, write_ca

NOBODY = 65534
PASSPHRASE = "canary-of-the-ca-key"


def faults_of(ca: Ca, password: Secret | None = None) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInputs) as error:
        ca.load(password)
    return [(fault.place, fault.problem) for fault in error.value.faults]


@pytest.mark.parametrize("kind", ["rsa2048", "p256", "p384"])
def test_rsa_and_elliptic_curve_cas_are_accepted(tmp_path, kind):
    assert make_ca(tmp_path, kind).load().certificate.subject.rfc4514_string() == "CN=Test CA"


def test_a_ca_without_a_word_about_the_use_of_its_key_is_accepted(tmp_path):
    assert make_ca(tmp_path, key_cert_sign=None).load().chain


def test_a_key_may_be_larger_than_it_must(tmp_path):
    assert make_ca(tmp_path, "rsa3072").load().chain


def test_a_passphrase_for_a_key_that_needs_none_is_not_used(tmp_path):
    assert make_ca(tmp_path).load(Secret(PASSPHRASE)).chain


def test_a_ca_is_good_from_its_first_moment_to_its_last(tmp_path):
    ca = make_ca(tmp_path, not_before=NOW + 10 * DAY, not_after=NOW + 20 * DAY)
    for moment in (NOW + 10 * DAY, NOW + 20 * DAY):
        assert ca.load(now=moment).chain
    with pytest.raises(InvalidInputs, match="CN=Test CA expired on"):
        ca.load(now=NOW + 20 * DAY + timedelta(seconds=1))
    with pytest.raises(InvalidInputs, match="CN=Test CA is valid only from"):
        ca.load(now=NOW + 10 * DAY - timedelta(seconds=1))


def test_a_chain_of_three_is_put_in_order(tmp_path):
    keys = [key_of("p256", number) for number in range(3)]
    root = certificate("Root", keys[0])
    middle = certificate("Middle", keys[1], issuer=root, issuer_key=keys[0])
    own = certificate("Own", keys[2], issuer=middle, issuer_key=keys[1])
    ca = write_ca(tmp_path, pem(own, root, middle), key_pem(keys[2]), own)
    assert ca.load().chain == (own, middle, root)


def test_a_key_in_the_older_pem_form_is_accepted(tmp_path):
    key = key_of("rsa2048")
    old = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    assert old.startswith(b"-----BEGIN RSA PRIVATE KEY-----")
    own = certificate("Test CA", key)
    assert write_ca(tmp_path, pem(own), old, own).load().certificate == own


def test_a_key_of_another_certificate_is_refused(tmp_path):
    for mine, other in ((0, 1), (1, 0)):
        own = certificate("Test CA", key_of("rsa2048", mine))
        ca = write_ca(tmp_path, pem(own), key_pem(key_of("rsa2048", other)), own)
        assert faults_of(ca) == [
            ("ca_key", f"the key in {ca.key_path} does not belong to the certificate in ca_cert")
        ]


def test_a_certificate_that_is_no_ca_is_refused(tmp_path):
    for options in ({"ca": False}, {"ca": None, "key_cert_sign": None}):
        [(place, problem)] = faults_of(make_ca(tmp_path, **options))
        assert place == "ca_cert"
        assert "is not the certificate of a CA" in problem


def test_a_ca_that_must_not_sign_is_refused(tmp_path):
    [(place, problem)] = faults_of(make_ca(tmp_path, key_cert_sign=False))
    assert (place, "keyCertSign" in problem) == ("ca_cert", True)


def test_an_expired_ca_is_refused_with_its_date(tmp_path):
    [(place, problem)] = faults_of(make_ca(tmp_path, not_before=NOW - 9 * DAY, not_after=NOW - DAY))
    assert place == "ca_cert"
    assert f"expired on {NOW - DAY:%Y-%m-%d}" in problem


def test_a_ca_of_tomorrow_is_refused(tmp_path):
    [(place, problem)] = faults_of(make_ca(tmp_path, not_before=NOW + DAY))
    assert (place, "is valid only from" in problem) == ("ca_cert", True)


def test_a_ca_with_a_key_too_small_for_tls_is_refused(tmp_path):
    [(place, problem)] = faults_of(make_ca(tmp_path, "rsa1024"))
    assert (place, "has a key of 1024 bits" in problem) == ("ca_cert", True)


@pytest.mark.parametrize("kind", ["ed25519", "k256"])
def test_a_kind_of_key_that_generation_4_cannot_verify_is_refused(tmp_path, kind):
    assert ("ca_key", "use RSA or P-256") in [
        (place, problem[-16:]) for place, problem in faults_of(make_ca(tmp_path, kind))
    ]


def test_an_intermediate_ca_needs_those_above_it_in_the_file(tmp_path):
    root_key, key = key_of("rsa2048"), key_of("rsa2048", 1)
    root = certificate("Root", root_key)
    middle = certificate("Middle", key, issuer=root, issuer_key=root_key)
    alone = write_ca(tmp_path, pem(middle), key_pem(key), middle)
    [(place, problem)] = faults_of(alone)
    assert place == "ca_cert"
    assert "the certificate of CN=Root is missing" in problem
    whole = write_ca(tmp_path, pem(middle, root), key_pem(key), middle)
    assert whole.load().chain == (middle, root)


def test_a_root_that_did_not_sign_the_intermediate_is_refused(tmp_path):
    key = key_of("rsa2048", 1)
    root = certificate("Root", key_of("rsa2048"))
    middle = certificate("Middle", key, issuer=root, issuer_key=key_of("rsa2048", 2))
    [(place, problem)] = faults_of(write_ca(tmp_path, pem(middle, root), key_pem(key), middle))
    assert (place, problem.endswith("its signature is not that of CN=Root")) == ("ca_cert", True)


def test_other_certificates_in_the_file_are_left_out_of_the_chain(tmp_path):
    key = key_of("rsa2048")
    own, stranger = certificate("Test CA", key), certificate("Stranger", key_of("rsa2048", 1))
    assert write_ca(tmp_path, pem(own, stranger), key_pem(key), own).load().chain == (own,)


def test_missing_files_are_both_named(tmp_path):
    ca = Ca(tmp_path / "no.pem", tmp_path / "no_key.pem", certificate("x", key_of("rsa2048")))
    assert faults_of(ca) == [
        ("ca_cert", f"there is no file {tmp_path}/no.pem on Tier 2"),
        ("ca_key", f"there is no file {tmp_path}/no_key.pem on Tier 2"),
    ]


@contextmanager
def without_permission(ca: Ca) -> Iterator[str]:
    """Be somebody who may not read the CA's files; root gives up its rights for that."""
    for path in (ca.certificate_path, ca.key_path):
        path.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield user_name()
    finally:
        os.seteuid(user)


def test_unreadable_files_are_named_with_the_user_who_cannot_read_them(tmp_path):
    ca = make_ca(tmp_path)
    with without_permission(ca) as user:
        faults = faults_of(ca)
    assert faults == [
        ("ca_cert", f"{ca.certificate_path} cannot be read by this user ({user})"),
        ("ca_key", f"{ca.key_path} cannot be read by this user ({user})"),
    ]


def test_files_that_hold_something_else_are_refused(tmp_path):
    own = certificate("Test CA", key_of("rsa2048"))
    ca = write_ca(tmp_path, key_pem(key_of("rsa2048")), pem(own), own)  # the two files swapped
    assert faults_of(ca) == [
        ("ca_cert", f"{ca.certificate_path} holds no certificate in PEM form"),
        ("ca_key", f"{ca.key_path} holds no private key in PEM form"),
    ]


@pytest.mark.parametrize(
    ("password", "place", "said"),
    [
        (None, "ca_key", "is encrypted; give its passphrase as ca_key_password"),
        (Secret("wrong-" + PASSPHRASE), "ca_key_password", "does not open the key"),
    ],
)
def test_an_encrypted_key_needs_its_passphrase_and_no_message_holds_one(tmp_path, password, place, said):
    key = key_of("rsa2048")
    own = certificate("Test CA", key)
    ca = write_ca(tmp_path, pem(own), key_pem(key, PASSPHRASE.encode()), own)
    [(found, problem)] = faults_of(ca, password)
    assert found == place
    assert said in problem
    assert PASSPHRASE not in problem
    assert ca.load(Secret(PASSPHRASE)).certificate == own


def test_a_certificate_with_a_key_that_nobody_understands_is_a_fault(tmp_path):
    own = certificate("Test CA", key_of("rsa2048"))
    # The same certificate, with a key of a kind that does not exist.
    unknown = base64.b64encode(
        own.public_bytes(serialization.Encoding.DER).replace(
            bytes.fromhex("06092a864886f70d010101"), bytes.fromhex("06092a864886f70d01017f")
        )
    )
    content = b"-----BEGIN CERTIFICATE-----\n" + unknown + b"\n-----END CERTIFICATE-----\n"
    ca = write_ca(tmp_path, content, key_pem(key_of("rsa2048")), own)
    assert faults_of(ca) == [
        ("ca_cert", f"{ca.certificate_path} holds a certificate that cannot be understood")
    ]


def test_the_key_is_nowhere_on_the_outside(tmp_path):
    authority = make_ca(tmp_path).load()
    assert repr(authority) == "<Authority CN=Test CA>"
    public = [getattr(authority, name) for name in dir(authority) if not name.startswith("_")]
    assert not [value for value in public if hasattr(value, "private_bytes")]
    assert "PRIVATE" not in authority.chain_pem


def test_the_same_ca_is_no_replacement_and_neither_is_one_seen_for_the_first_time(tmp_path):
    authority = make_ca(tmp_path).load()
    assert replaced_authority(str(authority.fingerprint), authority) is None
    assert replaced_authority(None, authority) is None
    assert replaced_authority("", authority) is None


def test_a_renewed_certificate_for_the_same_key_is_no_replacement(tmp_path):
    before = make_ca(tmp_path).load().fingerprint
    renewed = make_ca(tmp_path, not_after=NOW + 5000 * DAY).load()
    assert before.certificate != renewed.fingerprint.certificate
    assert replaced_authority(str(before), renewed) is None


@pytest.mark.parametrize("change", [{"number": 1}, {"name": "Another name"}])
def test_another_key_or_name_is_a_replacement_and_is_refused(tmp_path, change):
    before = make_ca(tmp_path).load().fingerprint
    fault = replaced_authority(str(before), make_ca(tmp_path, **change).load())
    assert fault is not None
    assert fault.place == "ca_cert"
    assert fault.problem.startswith(
        "is another CA than the one this deployment's managers were installed with"
    )


@pytest.mark.parametrize("identity", ["0" * 64, "f" * 64])
def test_a_ca_that_was_another_is_a_replacement_whichever_comes_first(tmp_path, identity):
    assert replaced_authority(f"certificate=aa identity={identity}", make_ca(tmp_path).load()) is not None


def test_soon_is_ninety_days(tmp_path):
    authority = make_ca(tmp_path).load()
    assert expiry_warning(authority, authority.not_after - 90 * DAY) is not None
    assert expiry_warning(authority, authority.not_after - 90 * DAY - timedelta(seconds=1)) is None


def test_a_ca_that_expires_soon_deserves_a_word(tmp_path):
    assert expiry_warning(make_ca(tmp_path).load(), NOW) is None
    soon = make_ca(tmp_path, not_after=NOW + 30 * DAY).load()
    assert expiry_warning(soon, NOW) == (
        f"ca_cert: expires on {NOW + 30 * DAY:%Y-%m-%d}, and all managers' certificates with it"
    )
