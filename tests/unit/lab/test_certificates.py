"""Keys as the installer examines them."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from lab.manager import certificates


@pytest.fixture(scope="module")
def numbers() -> rsa.RSAPrivateNumbers:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048).private_numbers()


def written(numbers: rsa.RSAPrivateNumbers) -> bytes:
    return numbers.private_key(unsafe_skip_rsa_key_validation=True).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def changed(numbers: rsa.RSAPrivateNumbers, **changes: Any) -> rsa.RSAPrivateNumbers:
    names = ("p", "q", "d", "dmp1", "dmq1", "iqmp", "public_numbers")
    values: dict[str, Any] = {name: getattr(numbers, name) for name in names}
    return rsa.RSAPrivateNumbers(**{**values, **changes})


def test_a_sound_key_is_read(numbers: rsa.RSAPrivateNumbers) -> None:
    assert certificates.private_key(written(numbers), None).private_numbers() == numbers


@pytest.mark.parametrize("name", ["d", "dmp1", "dmq1", "iqmp"])
def test_a_key_with_a_number_that_does_not_fit_is_none(numbers: rsa.RSAPrivateNumbers, name: str) -> None:
    damaged = written(changed(numbers, **{name: getattr(numbers, name) - 2}))

    with pytest.raises(ValueError, match="do not fit"):
        certificates.private_key(damaged, None)


def test_a_key_with_other_factors_than_its_exponents_is_none(numbers: rsa.RSAPrivateNumbers) -> None:
    other = numbers.p - 2
    modulus = rsa.RSAPublicNumbers(65537, other * numbers.q)
    damaged = written(changed(numbers, p=other, public_numbers=modulus))

    with pytest.raises(ValueError, match="do not fit"):
        certificates.private_key(damaged, None)
