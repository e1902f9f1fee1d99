"""What is stored on a node instance is what is read from it, and is JSON."""

from __future__ import annotations

import json
from typing import Any

from cmom import runtime
from cmom.models import Host
from cmom.runtime import ManagerRecord

HOST = Host("10.0.0.21", "198.51.100.21", "tier1-a")


def test_a_record_comes_back_as_it_was_stored() -> None:
    properties: dict[str, Any] = {}
    record = ManagerRecord(HOST, "ssh-ed25519 AAAA", "4.6.0")

    record.store(properties)

    assert ManagerRecord.load(json.loads(json.dumps(properties))) == record


def test_a_record_without_a_host_key_forgets_an_older_one() -> None:
    properties: dict[str, Any] = {runtime.SSH_HOST_KEY: "ssh-ed25519 OLD"}

    ManagerRecord(HOST).store(properties)

    assert runtime.SSH_HOST_KEY not in properties


def test_an_instance_that_was_never_created_has_no_record() -> None:
    assert ManagerRecord.load({}) is None
    assert runtime.load_host({runtime.HOSTNAME: "tier1-a"}) is None


def test_a_machine_without_a_public_address_is_reached_by_its_private_one() -> None:
    host = runtime.load_host({runtime.IP: "10.0.0.21"})

    assert host == Host("10.0.0.21", "10.0.0.21", "")
