"""Makes small RPM packages that the real `rpm` accepts, without rpmbuild.

An RPM is a lead, a signature header, a header and a compressed cpio archive:
https://rpm-software-management.github.io/rpm/manual/format_v4.html
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from lab.manager.five.configuration import DEFAULTS
from lab.manager.generation import traits_of

LEAD_MAGIC = b"\xed\xab\xee\xdb"
HEADER_MAGIC = b"\x8e\xad\xe8\x01"

_INT16, _INT32, _STRING, _BIN, _STRING_ARRAY, _I18N = 3, 4, 6, 7, 8, 9
_ALIGNMENT = {_INT16: 2, _INT32: 4}
_SIGNATURES, _IMMUTABLE = 62, 63
_BUILD_TIME = 1_546_300_800
_REGULAR, _CONFIG_FLAG = 0o100000, 1

CONFIG_YAML = """\
# The configuration of this Cloudify Manager. What is not set here has its default.
manager:
  private_ip: ''
  public_ip: ''
  security:
    ssl_enabled: false
    admin_username: admin
    admin_password: ''
ssl_inputs:
  external_cert_path: ''
  external_key_path: ''
  internal_cert_path: ''
  internal_key_path: ''
  ca_cert_path: ''
  ca_key_path: ''
  ca_key_password: ''
restservice:
  ldap:
    server: ''
    domain: ''
sanity:
  skip_sanity: false
"""
"""The outline of the file the real package of generation 4 leaves in /etc/cloudify."""


def config_yaml(version: str) -> str:
    """The file that a package of this version leaves in /etc/cloudify."""
    if traits_of(version).generation < 5:
        return CONFIG_YAML
    head = "# The configuration of this Cloudify Manager: the defaults.\n"
    return head + yaml.safe_dump(DEFAULTS, sort_keys=False)


@dataclass(frozen=True)
class _File:
    path: str
    content: bytes
    mode: int
    flags: int = 0


@dataclass(frozen=True)
class _Tag:
    number: int
    kind: int
    value: object


def build_rpm(
    path: Path | str,
    version: str = "4.6.0",
    name: str = "cloudify-manager-install",
    padding_bytes: int = 0,
    release: str = "ga",
    arch: str = "x86_64",
) -> Path:
    """Write a package and return its path.

    Args:
        path: where to; an existing file is replaced at the end.
        version: the package's version, e.g. `4.6.0`.
        name: the package's name.
        padding_bytes: added to the payload, incompressible, to make it as large as wanted.
        release: the package's release.
        arch: the package's architecture.
    """
    files = _files(name, version, padding_bytes)
    archive = _cpio(files)
    payload = gzip.compress(archive, compresslevel=1, mtime=0)
    header = _header(_tags(name, version, release, arch, files, payload, archive), _IMMUTABLE)
    signature = _header(
        [
            _Tag(269, _STRING, hashlib.sha1(header).hexdigest()),
            _Tag(273, _STRING, hashlib.sha256(header).hexdigest()),
            _Tag(1000, _INT32, [len(header) + len(payload)]),
            _Tag(1004, _BIN, hashlib.md5(header + payload).digest()),
            _Tag(1007, _INT32, [len(archive)]),
        ],
        _SIGNATURES,
    )
    signature += b"\0" * (-len(signature) % 8)
    target = Path(path)
    aside = target.with_name(target.name + ".part")
    aside.write_bytes(_lead(f"{name}-{version}-{release}") + signature + header + payload)
    os.replace(aside, target)
    return target


def _files(name: str, version: str, padding_bytes: int) -> list[_File]:
    files = [_File(f"/opt/{name}/README", b"A package of the lab.\n", 0o644)]
    if name == "cloudify-manager-install":
        launcher = b'#!/bin/sh\nexec /opt/cloudify-manager-install/cfy_manager "$@"\n'
        files += [
            _File("/etc/cloudify/config.yaml", config_yaml(version).encode(), 0o644, _CONFIG_FLAG),
            _File("/usr/bin/cfy_manager", launcher, 0o755),
        ]
    if padding_bytes:
        padding = random.Random(padding_bytes).randbytes(padding_bytes)
        files.append(_File(f"/opt/{name}/padding", padding, 0o644))
    return sorted(files, key=lambda file: file.path)


def _lead(nevr: str) -> bytes:
    # major 3, minor 0, binary, x86_64, name, Linux, header-style signature
    return struct.pack(">4sBBhh66shh16x", LEAD_MAGIC, 3, 0, 0, 1, nevr.encode()[:65], 1, 5)


def _tags(
    name: str,
    version: str,
    release: str,
    arch: str,
    files: Sequence[_File],
    payload: bytes,
    archive: bytes,
) -> list[_Tag]:
    folders = sorted({file.path.rsplit("/", 1)[0] + "/" for file in files})
    full = f"{version}-{release}"
    requires = {"rpmlib(CompressedFileNames)": "3.0.4-1", "rpmlib(FileDigests)": "4.6.0-1"}
    return [
        _Tag(100, _STRING_ARRAY, ["C"]),
        _Tag(1000, _STRING, name),
        _Tag(1001, _STRING, version),
        _Tag(1002, _STRING, release),
        _Tag(1004, _I18N, ["Cloudify Manager installer, as the lab makes it"]),
        _Tag(1005, _I18N, ["Simulated: it holds no manager."]),
        _Tag(1006, _INT32, [_BUILD_TIME]),
        _Tag(1007, _STRING, "localhost"),
        _Tag(1009, _INT32, [sum(len(file.content) for file in files)]),
        _Tag(1014, _STRING, "Apache-2.0"),
        _Tag(1016, _I18N, ["Applications"]),
        _Tag(1021, _STRING, "linux"),
        _Tag(1022, _STRING, arch),
        _Tag(1028, _INT32, [len(file.content) for file in files]),
        _Tag(1030, _INT16, [_REGULAR | file.mode for file in files]),
        _Tag(1033, _INT16, [0] * len(files)),
        _Tag(1034, _INT32, [_BUILD_TIME] * len(files)),
        _Tag(1035, _STRING_ARRAY, [hashlib.sha256(file.content).hexdigest() for file in files]),
        _Tag(1036, _STRING_ARRAY, [""] * len(files)),
        _Tag(1037, _INT32, [file.flags for file in files]),
        _Tag(1039, _STRING_ARRAY, ["root"] * len(files)),
        _Tag(1040, _STRING_ARRAY, ["root"] * len(files)),
        _Tag(1044, _STRING, f"{name}-{full}.src.rpm"),
        _Tag(1045, _INT32, [-1] * len(files)),
        _Tag(1047, _STRING_ARRAY, [name]),
        _Tag(1048, _INT32, [8 | 2 | 1 << 24] * len(requires)),  # rpmlib(), <=
        _Tag(1049, _STRING_ARRAY, list(requires)),
        _Tag(1050, _STRING_ARRAY, list(requires.values())),
        _Tag(1064, _STRING, "4.11.3"),
        _Tag(1095, _INT32, [1] * len(files)),
        _Tag(1096, _INT32, list(range(1, len(files) + 1))),
        _Tag(1097, _STRING_ARRAY, [""] * len(files)),
        _Tag(1112, _INT32, [8]),
        _Tag(1113, _STRING_ARRAY, [full]),
        _Tag(1116, _INT32, [folders.index(f.path.rsplit("/", 1)[0] + "/") for f in files]),
        _Tag(1117, _STRING_ARRAY, [file.path.rsplit("/", 1)[1] for file in files]),
        _Tag(1118, _STRING_ARRAY, folders),
        _Tag(1124, _STRING, "cpio"),
        _Tag(1125, _STRING, "gzip"),
        _Tag(1126, _STRING, "9"),
        _Tag(5011, _INT32, [8]),
        _Tag(5092, _STRING_ARRAY, [hashlib.sha256(payload).hexdigest()]),
        _Tag(5093, _INT32, [8]),
        _Tag(5097, _STRING_ARRAY, [hashlib.sha256(archive).hexdigest()]),
    ]


def _header(tags: Sequence[_Tag], region: int) -> bytes:
    """A header with its region tag: 16 bytes per entry, then the data they point to."""
    store = bytearray()
    index = []
    for tag in sorted(tags, key=lambda tag: tag.number):
        store += b"\0" * (-len(store) % _ALIGNMENT.get(tag.kind, 1))
        data, count = _encode(tag)
        index.append(struct.pack(">iiii", tag.number, tag.kind, len(store), count))
        store += data
    count = len(index) + 1
    first = struct.pack(">iiii", region, _BIN, len(store), 16)
    store += struct.pack(">iiii", region, _BIN, -16 * count, 16)
    intro = HEADER_MAGIC + b"\0" * 4 + struct.pack(">ii", count, len(store))
    return intro + first + b"".join(index) + bytes(store)


def _encode(tag: _Tag) -> tuple[bytes, int]:
    if isinstance(tag.value, bytes):
        return tag.value, len(tag.value)
    if isinstance(tag.value, str):
        return tag.value.encode() + b"\0", 1
    assert isinstance(tag.value, list)
    if tag.kind in (_STRING_ARRAY, _I18N):
        return b"".join(text.encode() + b"\0" for text in tag.value), len(tag.value)
    letter = "H" if tag.kind == _INT16 else "I"
    numbers = [number & 0xFFFFFFFF for number in tag.value]
    return struct.pack(f">{len(numbers)}{letter}", *numbers), len(numbers)


def _cpio(files: Sequence[_File]) -> bytes:
    """A cpio archive in the portable (newc) format."""
    out = io.BytesIO()
    entries = [(f".{file.path}", file.content, _REGULAR | file.mode) for file in files]
    for number, (name, content, mode) in enumerate([*entries, ("TRAILER!!!", b"", 0)], start=1):
        inode = number if mode else 0
        fields = (inode, mode, 0, 0, 1, _BUILD_TIME, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        out.write(b"070701" + b"".join(b"%08x" % field for field in fields))
        out.write(name.encode() + b"\0")
        out.write(b"\0" * (-out.tell() % 4))
        out.write(content)
        out.write(b"\0" * (-out.tell() % 4))
    return out.getvalue()
