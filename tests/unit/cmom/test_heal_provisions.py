"""What installing a manager takes is looked for before a heal removes the old one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cmom.services.healing.provisions import why_unfit
from tests.unit.cmom.given_ca import make_ca
from tests.unit.cmom.given_inputs import ADMIN_PASSWORD, good_inputs


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    return good_inputs(tmp_path)


def test_nothing_is_missing(given: dict[str, Any]) -> None:
    assert why_unfit({**given, "something_else": 1}) == ""


@pytest.mark.parametrize("name", ["ca_key", "ca_cert", "install_rpm_path", "ssh_private_key_path"])
def test_a_file_that_is_gone_is_named(given: dict[str, Any], name: str) -> None:
    Path(given[name]).unlink()

    assert given[name] in why_unfit(given)


def test_a_key_that_is_not_of_the_ca_is_told(given: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    given["ca_key"] = str(make_ca(tmp_path / "other", "p256").key_path)

    assert "does not belong to the certificate in ca_cert" in why_unfit(given)


def test_a_server_of_the_rpm_is_not_asked(given: dict[str, Any]) -> None:
    assert why_unfit({**given, "install_rpm_path": "https://192.0.2.1/install.rpm"}) == ""


def test_no_password_is_told(given: dict[str, Any]) -> None:
    Path(given["ca_key"]).unlink()

    assert ADMIN_PASSWORD not in why_unfit(given)
