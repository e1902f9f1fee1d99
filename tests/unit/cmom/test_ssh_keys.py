"""Private keys in all the shapes in which users have them, and host keys."""

from __future__ import annotations

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

from cmom.clients.ssh_keys import fingerprint, host_key_line, load_private_key, parse_host_key
from cmom.errors import AccessRefused, ActionRequired

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ED25519 = ed25519.Ed25519PrivateKey.generate()
ECDSA = ec.generate_private_key(ec.SECP256R1())
DSA = dsa.generate_private_key(1024)

OPENSSH = serialization.PrivateFormat.OpenSSH
TRADITIONAL = serialization.PrivateFormat.TraditionalOpenSSL
PKCS8 = serialization.PrivateFormat.PKCS8


@pytest.fixture
def write(tmp_path):
    def write(key, shape, passphrase=None):
        lock = (
            serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        )
        path = tmp_path / "key"
        path.write_bytes(key.private_bytes(serialization.Encoding.PEM, shape, lock))
        return str(path)

    return write


@pytest.mark.parametrize(
    ("key", "shape", "name"),
    [
        (RSA, OPENSSH, "ssh-rsa"),
        (RSA, TRADITIONAL, "ssh-rsa"),
        (RSA, PKCS8, "ssh-rsa"),
        (ED25519, OPENSSH, "ssh-ed25519"),
        (ED25519, PKCS8, "ssh-ed25519"),
        (ECDSA, OPENSSH, "ecdsa-sha2-nistp256"),
        (ECDSA, TRADITIONAL, "ecdsa-sha2-nistp256"),
    ],
)
def test_every_usual_kind_and_format_of_key_is_read(write, key, shape, name):
    assert load_private_key(write(key, shape)).get_name() == name


@pytest.mark.parametrize(
    ("key", "shape"), [(ED25519, OPENSSH), (RSA, OPENSSH), (RSA, TRADITIONAL), (RSA, PKCS8)]
)
def test_a_key_with_a_passphrase_is_refused_by_that_name(write, key, shape):
    with pytest.raises(AccessRefused, match="locked by a passphrase"):
        load_private_key(write(key, shape, b"secret"))


def test_a_key_of_an_unsupported_kind_is_refused(write):
    with pytest.raises(AccessRefused, match="not supported"):
        load_private_key(write(DSA, PKCS8))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE me", "public key"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "public key"),
        ("PuTTY-User-Key-File-2: ssh-rsa\n", "PuTTY"),
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
            "not a private SSH key",
        ),
        ("", "not a private SSH key"),
        ("my secret diary", "not a private SSH key"),
    ],
)
def test_what_is_no_private_key_is_refused_without_its_content(tmp_path, content, problem):
    path = tmp_path / "key"
    path.write_text(content)
    with pytest.raises(AccessRefused, match=problem) as caught:
        load_private_key(str(path))
    assert "diary" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_file_that_cannot_be_read_is_refused(tmp_path, name):
    with pytest.raises(AccessRefused, match="cannot be read"):
        load_private_key(str(tmp_path / name))


def test_a_host_key_survives_being_recorded():
    key = paramiko.ECDSAKey.generate()
    kind, content = parse_host_key(host_key_line(key))
    assert (kind, content) == (key.get_name(), key.asbytes())


@pytest.mark.parametrize("line", ["", "ssh-ed25519", "ssh-ed25519 not-base64!"])
def test_a_damaged_host_key_is_refused(line):
    with pytest.raises(ActionRequired, match="host key"):
        parse_host_key(line)


def test_a_fingerprint_is_the_one_of_ssh_keygen():
    # What `ssh-keygen -lf` prints for this line.
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA9hFT8zQQ+PAb9rPYHSh6VYfTg+Ba/jJV9aVk6+evzX"
    assert fingerprint(parse_host_key(line)[1]) == "SHA256:6+bfHLpOiVv2iG5aosUPS/1oUHlDTOdP7oE+fB5NHaQ"
