"""Packages that the lab makes are real ones; what is no package is recognised."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import rpmfile

from lab.packages import Package, RpmDatabase
from lab.rpm_builder import CONFIG_YAML, build_rpm
from lab.rpm_file import NotAnRpmError, payload_is_whole, read_rpm


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return build_rpm(tmp_path / "manager.rpm", version="4.5.5", padding_bytes=10_000)


def test_a_package_says_what_it_is(package: Path) -> None:
    found = read_rpm(package).package
    assert found.nevra == "cloudify-manager-install-4.5.5-ga.x86_64"
    assert found.size_bytes > 10_000


def test_another_reader_sees_the_same_package(package: Path) -> None:
    with rpmfile.open(str(package)) as rpm:
        assert (rpm.headers["name"], rpm.headers["version"]) == (b"cloudify-manager-install", b"4.5.5")
        with rpm.extractfile("./etc/cloudify/config.yaml") as config:
            assert config.read().decode() == CONFIG_YAML


@pytest.mark.skipif(shutil.which("rpm") is None, reason="rpm is not installed here")
def test_the_real_rpm_accepts_every_digest(package: Path) -> None:
    words = ["rpm", "-Kv", "--nosignature", str(package)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "BAD" not in done.stdout
    query = ["rpm", "-qp", "--qf", "%{VERSION}", str(package)]
    assert subprocess.run(query, capture_output=True, text=True, check=True).stdout == "4.5.5"


def test_two_packages_of_one_version_are_the_same_file(tmp_path: Path, package: Path) -> None:
    again = build_rpm(tmp_path / "again.rpm", version="4.5.5", padding_bytes=10_000)
    assert again.read_bytes() == package.read_bytes()


def test_a_package_that_was_cut_off_is_not_whole(package: Path) -> None:
    rpm = read_rpm(package)
    assert payload_is_whole(package, rpm)
    package.write_bytes(package.read_bytes()[:-100])
    assert not payload_is_whole(package, read_rpm(package))


@pytest.mark.parametrize("content", [b"", b"not a package" * 20, b"\xed\xab\xee\xdb" + b"\0" * 200])
def test_what_is_no_package_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.rpm"
    file.write_bytes(content)
    with pytest.raises(NotAnRpmError):
        read_rpm(file)


@pytest.mark.parametrize("size", [100, 300, 800])
def test_a_package_cut_off_in_its_headers_is_refused(package: Path, size: int) -> None:
    package.write_bytes(package.read_bytes()[:size])
    with pytest.raises(NotAnRpmError):
        read_rpm(package)


def test_a_damaged_header_is_refused(package: Path) -> None:
    package.write_bytes(package.read_bytes().replace(b"4.5.5", b"4.5.6"))
    with pytest.raises(NotAnRpmError, match="digest"):
        read_rpm(package)


def test_the_database_keeps_what_is_installed(tmp_path: Path) -> None:
    database = RpmDatabase(tmp_path / "rpm/lab.json")
    package = Package("cloudify-manager-install", "4.6.0", "ga", "x86_64")
    assert database.get(package.name) is None
    database.add(package)
    database.add(package)
    assert RpmDatabase(tmp_path / "rpm/lab.json").all() == (package,)
    assert database.get("cloudify-manager-install-4.6.0-ga.x86_64") == package
    database.remove(package.name)
    assert database.all() == ()
