"""The managers' certificates, judged by those who will judge them: TLS clients."""

from __future__ import annotations

import base64
import hmac
import ipaddress
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import verification
from hypothesis import given
from hypothesis import strategies as st

from cmom.models import Host, Secret
from cmom.services.certificates import Authority, Fingerprint, KeyPair, MachineCertificates, fits, issue
from tests.unit.cmom.given_ca import DAY, NOW, certificate, key_of, key_pem, make_ca, pem, write_ca

HOST = Host(ip="127.0.0.21", public_ip="127.0.1.21", hostname="manager-1.example.org")


@pytest.fixture(scope="module", params=["rsa2048", "p256", "intermediate"])
def authority(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = tmp_path_factory.mktemp("ca")
    if request.param != "intermediate":
        return make_ca(folder, request.param).load()
    key = key_of("rsa2048", 1)
    root = certificate("Root", key_of("p256"))
    middle = certificate("Middle", key, issuer=root, issuer_key=key_of("p256"))
    return write_ca(folder, pem(middle, root), key_pem(key), middle).load()


@pytest.fixture(scope="module")
def issued(authority: Authority) -> MachineCertificates:
    return issue(HOST, authority, NOW)


def leaf_of(pair: KeyPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate_pem.encode())


def extension(one: x509.Certificate, kind: type) -> object:
    return one.extensions.get_extension_for_class(kind).value


@contextmanager
def https_server(pair: KeyPair, folder: Path) -> Iterator[int]:
    """Serve on every loopback address with a pair."""
    file = folder / "server.pem"
    file.write_text(pair.key_pem.reveal() + pair.certificate_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(HTTPServer):
        def handle_error(self, *_: object) -> None:
            pass

    server = Quiet(("0.0.0.0", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.mark.parametrize("side", ["external", "internal"])
def test_python_accepts_a_managers_certificate_for_each_of_its_addresses_and_names(
    authority, issued, tmp_path, side
):
    context = ssl.create_default_context(cadata=authority.chain_pem)
    with https_server(getattr(issued, side), tmp_path) as port:
        for name in (HOST.ip, HOST.public_ip, "127.0.0.1", "localhost", HOST.hostname):
            address = name if name[0].isdigit() else "127.0.0.1"
            with (
                socket.create_connection((address, port), timeout=10) as plain,
                context.wrap_socket(plain, server_hostname=name) as tls,
            ):
                assert tls.version() is not None


def test_python_refuses_it_for_another_address(authority, issued, tmp_path):
    context = ssl.create_default_context(cadata=authority.chain_pem)
    with (
        https_server(issued.external, tmp_path) as port,
        socket.create_connection(("127.0.0.99", port), timeout=10) as plain,
        pytest.raises(ssl.SSLCertVerificationError, match=r"127\.0\.0\.99"),
    ):
        context.wrap_socket(plain, server_hostname="127.0.0.99")


def test_requests_accepts_it_by_address_with_the_cas_file(authority, issued, tmp_path):
    (tmp_path / "ca.pem").write_text(authority.chain_pem)
    with https_server(issued.external, tmp_path) as port:
        for address in (HOST.ip, HOST.public_ip):
            answer = requests.get(f"https://{address}:{port}/", verify=str(tmp_path / "ca.pem"), timeout=10)
            assert answer.status_code == 200


def test_requests_accepts_it_when_its_own_file_is_what_it_trusts(issued, tmp_path):
    """Generation 4 sets up the CLI on the machine like this, for `localhost`."""
    (tmp_path / "external.pem").write_text(issued.external.certificate_pem)
    with https_server(issued.external, tmp_path) as port:
        answer = requests.get(f"https://localhost:{port}/", verify=str(tmp_path / "external.pem"), timeout=10)
        assert answer.status_code == 200


def test_a_strict_verifier_accepts_it_as_a_server_and_as_a_client(authority, issued):
    leaf, *chain = x509.load_pem_x509_certificates(issued.internal.certificate_pem.encode())
    store = verification.Store([authority.chain[-1]])
    builder = verification.PolicyBuilder().store(store).time(NOW)
    for subject in (x509.IPAddress(ipaddress.ip_address(HOST.ip)), x509.DNSName(HOST.hostname)):
        assert builder.build_server_verifier(subject).verify(leaf, chain)[0] == leaf
    assert builder.build_client_verifier().verify(leaf, chain).chain[0] == leaf


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl command here")
def test_openssl_says_that_key_and_certificate_belong_together_as_generation_4_asks_it(issued, tmp_path):
    (tmp_path / "cert.pem").write_text(issued.external.certificate_pem)
    (tmp_path / "key.pem").write_text(issued.external.key_pem.reveal())

    def openssl(*words: str) -> str:
        return subprocess.run(
            ["openssl", *words], cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60
        ).stdout

    openssl("rsa", "-in", "key.pem", "-check", "-noout")
    modulus = openssl("rsa", "-noout", "-modulus", "-in", "key.pem")
    assert modulus == openssl("x509", "-noout", "-modulus", "-in", "cert.pem")


def test_the_two_pairs_have_keys_of_their_own_and_random_serials(issued):
    external, internal = leaf_of(issued.external), leaf_of(issued.internal)
    assert issued.external.key_pem != issued.internal.key_pem
    assert external.public_key() != internal.public_key()
    assert external.serial_number != internal.serial_number
    assert min(external.serial_number, internal.serial_number).bit_length() > 64


def test_a_key_belongs_to_its_certificate_and_is_rsa_whatever_the_ca_has(issued):
    key = serialization.load_pem_private_key(issued.external.key_pem.reveal().encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size >= 2048
    assert key.public_key() == leaf_of(issued.external).public_key()


def test_a_certificate_says_what_it_is_for(issued):
    leaf = leaf_of(issued.external)
    assert extension(leaf, x509.BasicConstraints).ca is False
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
    uses = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment")
    uses = (*uses, "key_agreement", "key_cert_sign", "crl_sign")
    allowed = [name for name in uses if getattr(usage.value, name)]
    assert allowed == ["digital_signature", "key_encipherment"]
    assert usage.critical
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).critical
    names = extension(leaf, x509.SubjectAlternativeName)
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == [
        HOST.ip,
        HOST.public_ip,
        "127.0.0.1",
    ]
    assert names.get_values_for_type(x509.DNSName)[:2] == [HOST.hostname, "localhost"]


def test_the_chain_up_to_the_root_comes_with_it(authority, issued):
    assert (
        tuple(x509.load_pem_x509_certificates(issued.external.certificate_pem.encode())[1:])
        == authority.chain
    )
    assert issued.ca_certificate_pem == authority.chain_pem


def test_a_machine_without_a_name_and_with_an_ipv6_address_gets_a_certificate(authority):
    host = Host(ip="10.0.0.21", public_ip="2001:db8::21", hostname="10.0.0.21")
    names = extension(leaf_of(issue(host, authority, NOW).external), x509.SubjectAlternativeName)
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == [
        host.ip,
        host.public_ip,
        "127.0.0.1",
    ]
    assert "localhost" in names.get_values_for_type(x509.DNSName)


@pytest.mark.parametrize("hostname", ["", "m\u00e4nager"])
def test_a_name_that_no_certificate_can_hold_is_left_out(tmp_path, hostname):
    host = Host(ip="10.0.0.21", public_ip="10.0.1.21", hostname=hostname)
    names = extension(
        leaf_of(issue(host, make_ca(tmp_path).load(), NOW).external), x509.SubjectAlternativeName
    )
    assert names.get_values_for_type(x509.DNSName) == ["localhost", host.ip, host.public_ip, "127.0.0.1"]


@pytest.mark.parametrize(
    ("kind", "expected"), [("rsa2048", "sha256"), ("p256", "sha256"), ("p384", "sha384")]
)
def test_a_signature_is_as_strong_as_its_key(tmp_path, kind, expected):
    leaf = leaf_of(issue(HOST, make_ca(tmp_path, kind).load(), NOW).external)
    assert leaf.signature_hash_algorithm.name == expected


def test_a_ca_that_does_not_name_its_key_is_named_by_the_keys_hash(tmp_path):
    key = key_of("p256")
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Plain")])
    own = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, NOW - DAY, NOW + 1000 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    leaf = leaf_of(issue(HOST, write_ca(tmp_path, pem(own), key_pem(key), own).load(), NOW).external)
    assert (
        extension(leaf, x509.AuthorityKeyIdentifier).key_identifier
        == x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest
    )


def expected_password(secret: int, name: str) -> str:
    """RFC 5869, written once more: one block of HKDF with SHA-256 is enough."""
    secret_bytes = secret.to_bytes((secret.bit_length() + 7) // 8, "big")
    key = hmac.digest(b"cmom credentials inside a cluster", secret_bytes, "sha256")
    return base64.b32encode(hmac.digest(key, name.encode() + b"\x01", "sha256")[:20]).decode().lower()


@given(secret=st.integers(1, 2**255), name=st.text(st.characters(codec="utf-8"), max_size=20))
def test_a_derived_password_is_the_same_for_ever(secret, name):
    """What a cluster was installed with is derived again years later: this must never change."""
    key = ec.derive_private_key(secret, ec.SECP256R1())
    assert Authority((), key).derive(name).reveal() == expected_password(secret, name)


def test_a_derived_password_is_the_same_for_ever_whatever_the_key_is():
    rsa_key = key_of("rsa2048")
    assert Authority((), rsa_key).derive("a").reveal() == expected_password(rsa_key.private_numbers().d, "a")
    known = Authority((), ec.derive_private_key(2**200 + 7, ec.SECP256R1()))
    assert known.derive("tier1 database").reveal() == "z3ew2yaztaeo6kjm2d4om62g47dqihzm"


def test_a_fingerprint_is_read_as_it_was_written():
    fingerprint = Fingerprint("aa", "bb=cc")
    assert Fingerprint.parse(str(fingerprint)) == fingerprint
    for text in ("", "certificate=aa", "identity=bb", "certificate= identity=bb", "certificate=aa identity="):
        assert Fingerprint.parse(text) is None


def test_it_holds_for_years_and_never_longer_than_its_ca(tmp_path):
    long = leaf_of(issue(HOST, make_ca(tmp_path).load(), NOW).external)
    assert long.not_valid_after_utc - NOW == 5 * 365 * DAY
    assert NOW - long.not_valid_before_utc == DAY  # clocks of machines may be behind
    later = leaf_of(issue(HOST, make_ca(tmp_path).load(), NOW + 100 * DAY).external)
    assert later.not_valid_before_utc == NOW + 99 * DAY
    young = make_ca(tmp_path, not_before=NOW - DAY / 24, not_after=NOW + 100 * DAY).load()
    short = leaf_of(issue(HOST, young, NOW).external)
    assert short.not_valid_after_utc == young.certificate.not_valid_after_utc
    assert short.not_valid_before_utc == young.certificate.not_valid_before_utc


def test_no_key_shows_when_something_prints_it(issued):
    assert "PRIVATE" not in repr(issued)
    assert "PRIVATE" not in f"{issued.external.key_pem} {issued.internal}"
    assert isinstance(issued.external.key_pem, Secret)


def test_a_fresh_certificate_fits_its_machine(authority, issued):
    assert fits(issued.external.certificate_pem, HOST, authority, NOW)
    assert fits(issued.internal.certificate_pem.encode(), HOST, authority, NOW)


@pytest.mark.parametrize(
    "other",
    [
        Host("127.0.0.22", HOST.public_ip, HOST.hostname),
        Host(HOST.ip, "127.0.1.22", HOST.hostname),
        Host(HOST.ip, HOST.public_ip, "manager-2.example.org"),
    ],
)
def test_it_does_not_fit_a_machine_with_another_address_or_name(authority, issued, other):
    assert not fits(issued.external.certificate_pem, other, authority, NOW)


def test_it_does_not_fit_when_it_is_about_to_expire_or_not_valid_yet(authority, issued):
    expires = leaf_of(issued.external).not_valid_after_utc
    begins = leaf_of(issued.external).not_valid_before_utc
    second = timedelta(seconds=1)
    assert fits(issued.external.certificate_pem, HOST, authority, expires - 30 * DAY)
    assert not fits(issued.external.certificate_pem, HOST, authority, expires - 30 * DAY + second)
    assert fits(issued.external.certificate_pem, HOST, authority, begins)
    assert not fits(issued.external.certificate_pem, HOST, authority, begins - second)
    assert not fits(issued.external.certificate_pem, HOST, authority, NOW - 3 * DAY)


def test_it_fits_who_has_fewer_names_and_not_who_has_more(authority, issued):
    fewer = Host(HOST.ip, HOST.ip, HOST.hostname)
    assert fits(issued.external.certificate_pem, fewer, authority, NOW)
    assert not fits(issue(fewer, authority, NOW).external.certificate_pem, HOST, authority, NOW)


def test_it_fits_only_whom_it_speaks_of(authority):
    spoken = authority.pair(HOST, NOW, "postgres").certificate_pem
    assert fits(spoken, HOST, authority, NOW, "postgres")
    assert not fits(spoken, HOST, authority, NOW, "replicator")


def test_it_does_not_fit_another_ca(issued, tmp_path):
    assert not fits(issued.external.certificate_pem, HOST, make_ca(tmp_path, number=7).load(), NOW)


def test_it_does_not_fit_a_ca_of_the_same_name_with_another_key(tmp_path):
    old = issue(HOST, make_ca(tmp_path, number=0).load(), NOW).external.certificate_pem
    assert not fits(old, HOST, make_ca(tmp_path, number=7).load(), NOW)


def test_it_still_fits_when_the_cas_certificate_was_renewed(tmp_path):
    old = issue(HOST, make_ca(tmp_path, not_after=NOW + 2000 * DAY).load(), NOW).external.certificate_pem
    assert fits(old, HOST, make_ca(tmp_path, not_after=NOW + 4000 * DAY).load(), NOW)


def test_it_does_not_fit_without_its_chain(authority, issued):
    alone = pem(leaf_of(issued.external))
    assert not fits(alone, HOST, authority, NOW)


@pytest.mark.parametrize(
    "content", ["", "no certificate", b"\xff\x00", "-----BEGIN CERTIFICATE-----\nAAAA\n"]
)
def test_what_is_no_certificate_does_not_fit(authority, content):
    assert not fits(content, HOST, authority, NOW)
