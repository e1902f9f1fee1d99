"""A plugin of two gigabytes: streamed, in little memory, with progress that can be seen."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.resources.manager import running_manager
from benchmarks.served import Served
from lab.manager.samples import plugin_yaml

SIZE_BYTES = 2 * 1000**3
MOST_BYTES = 100 * 1000**2
NAME = "cloudify-sample-plugin"
# A plugin goes to both generations in the same way.
VERSION = "4.6.0"

# A process of its own, because the most that it has ever held counts from its beginning. (Not ru_maxrss,
# which also counts what the process was forked from.)
UPLOAD = """
import logging, re, sys
from pathlib import Path
from cmom.models import ManagerAccess, Secret, Version
from cmom.services.inputs import parse_resources
from cmom.services.relay import Relay
from cmom.services.resources.filler import ResourceFiller
from cmom.services.tier1 import connect

ip, port, password, ca_cert, version, wagon, yaml = sys.argv[1:]
logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
relay = Relay(logging.getLogger("test"))
access = ManagerAccess("admin", Secret(password), ca_cert, int(port))
with connect([ip], access, Version.parse(version), relay) as tier1:
    report = ResourceFiller(tier1, relay).fill(parse_resources({"plugins": [{"wagon": wagon, "yaml": yaml}]}))
print(report.table())
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print("peak", int(peak.group(1)) * 1024)
sys.exit(0 if report.good else 1)
"""


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Served]:
    """A manager in a process of its own, as in the field; what it was sent is not kept."""
    with running_manager(tmp_path / "manager", VERSION, "127.0.8.3") as found:
        yield found
    shutil.rmtree(tmp_path / "manager")


def make_large_wagon(folder: Path) -> Path:
    """A wagon whose one wheel is a hole of two gigabytes: it takes no room, and no time to make."""
    archive_name = f"{NAME}-1.0.0-py36-none-linux_x86_64.wgn"
    metadata = json.dumps({"package_name": NAME, "package_version": "1.0.0", "archive_name": archive_name})
    path = folder / archive_name
    with path.open("wb") as file:
        for name, size in ((f"{NAME}/package.json", len(metadata)), (f"{NAME}/wheels/large.whl", SIZE_BYTES)):
            member = tarfile.TarInfo(name)
            member.size = size
            file.write(member.tobuf())
            if size == len(metadata):
                file.write(metadata.encode().ljust(512, b"\0"))
            else:
                file.seek(size + (-size) % 512, io.SEEK_CUR)
        file.write(bytes(1024))
    return path


def test_two_gigabytes_go_through_less_than_a_hundred_megabytes_of_memory(
    manager: Served, tmp_path: Path
) -> None:
    yaml = tmp_path / "plugin.yaml"
    yaml.write_text(plugin_yaml(NAME))
    wagon = make_large_wagon(tmp_path)
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-c", UPLOAD),
            *(manager.ip, str(manager.port), manager.password, manager.ca_cert, VERSION),
            *(str(wagon), str(yaml)),
        ],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert int(lines[-1].split()[1]) < MOST_BYTES
    progress = [line for line in lines if line.startswith(f"Uploading plugin {NAME} 1.0.0: ")]
    assert len(progress) >= 9
    assert "90 % of 2.0 GB" in done.stdout
