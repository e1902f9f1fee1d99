"""Paths of a machine stay inside its disk, and say who may do what."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.disk import Disk
from lab.programs import link_programs
from lab.provision import Identity, make_disk, remove_disk
from lab.sandbox.access import Access


@pytest.fixture
def root(tmp_path: Path) -> Path:
    disk = tmp_path / "disk"
    make_disk(disk, Identity("m1", "manager-1", "centos", "127.0.0.1"), "ssh-ed25519 AAAA test")
    return disk


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("/etc/hosts", "/etc/hosts"),
        ("/../../etc/hosts", "/etc/hosts"),
        ("//etc/./x/../hosts", "/etc/hosts"),
        ("/bin/rpm", "/run/lab/tool"),
        ("/etc/redhat-release", "/etc/centos-release"),
        ("/out/passwd", "/etc/passwd"),
        ("/up/x", "/x"),
        ("/dangling/x", "/nowhere/x"),
    ],
)
def test_links_and_dots_are_resolved_inside_the_disk(root: Path, path: str, inside: str) -> None:
    (root / "out").symlink_to("/etc")
    (root / "up").symlink_to("../../../..")
    (root / "dangling").symlink_to("/nowhere")
    place = Disk(root).place(path)
    assert (place.inside, place.host) == (inside, Path(f"{root}{inside}"))


def test_the_last_link_can_be_left_alone(root: Path) -> None:
    assert Disk(root).place("/bin/rpm", follow_last=False).inside == "/usr/bin/rpm"


def test_a_circle_of_links_is_an_error(root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        Disk(root).place("/a")


def test_a_fresh_disk_has_what_a_fresh_machine_has_and_no_more(root: Path) -> None:
    assert (root / "home/centos/.ssh/authorized_keys").read_text() == "ssh-ed25519 AAAA test\n"
    assert (root / "home/centos").stat().st_mode & 0o777 == 0o700
    assert not (root / "etc/cloudify").exists()
    link_programs(root)
    programs = {program.name for program in (root / "usr/bin").iterdir()}
    assert {"bash", "cat", "rpm", "sudo", "systemd-run", "curl"} <= programs
    assert not {"apt-get", "dpkg", "python3", "cfy", "cfy_manager"} & programs


def test_the_user_writes_in_its_own_places_only(root: Path) -> None:
    access = Access(root, "/home/centos")
    places = ("/home/centos/x", "/tmp/a/b", "/var/tmp/x", "/etc/x", "/home/centosx", "/", "/var/x")
    assert [access.may_write(place) for place in places] == [True] * 3 + [False] * 4


def test_the_user_reads_what_is_open_to_others(root: Path) -> None:
    (root / "etc/secret").mkdir(mode=0o700)
    (root / "etc/secret/open").write_text("x")
    (root / "home/centos/key").write_text("x")
    (root / "home/centos/key").chmod(0o600)
    access = Access(root, "/home/centos")
    assert access.may_read("/etc/hosts")
    assert access.may_read("/home/centos/key")
    assert not access.may_read("/etc/shadow")
    assert not access.may_read("/etc/secret/open")
    assert not access.may_read("/root/x")
    assert {"/root", "/etc/shadow", "/etc/secret"} <= set(access.hidden())
    assert "/etc/secret/open" not in access.hidden()


def test_a_disk_is_removed_whatever_its_permissions_are(root: Path) -> None:
    (root / "opt/closed").mkdir()
    (root / "opt/closed/x").write_text("x")
    (root / "opt/closed").chmod(0o000)
    remove_disk(root)
    assert not root.exists()
