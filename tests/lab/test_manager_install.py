"""`cfy_manager install` and `remove` as the lab runs them on a machine."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.manager import certificates, install, remove
from lab.manager.configuration import CONFIG_PATH
from lab.manager.host import Settings
from lab.manager.installer import INSTALLED_FILE, LOG_FILE
from lab.manager.standalone import PASSWORD, StandaloneManager
from tests.lab.rest import connect, manager_of, shared_ca, wait_until

IP = "127.79.0.1"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[StandaloneManager]:
    """A machine with the package, a certificate in /root, and no manager."""
    alone = manager_of(tmp_path / "m", "4.6.0", Settings(), ip=IP)
    certificate, key = certificates.make_pair([IP], *(p.read_bytes() for p in shared_ca()))
    put(alone, "/root/cert.pem", certificate)
    put(alone, "/root/key.pem", key)
    yield alone
    alone.close()


def put(machine: StandaloneManager, path: str, content: bytes) -> None:
    target = machine.machine.path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def good_config() -> dict[str, Any]:
    return {
        "manager": {
            "private_ip": IP,
            "public_ip": IP,
            "security": {"ssl_enabled": True, "admin_password": PASSWORD},
        },
        "ssl_inputs": {
            "external_cert_path": "/root/cert.pem",
            "external_key_path": "/root/key.pem",
        },
    }


def run(machine: StandaloneManager, config: object = None) -> tuple[int, str]:
    """Install with a configuration (the one that is there when None)."""
    if config is not None:
        text = config if isinstance(config, str) else yaml.safe_dump(config)
        put(machine, CONFIG_PATH, text.encode())
    lines: list[str] = []
    code = machine.thread.run(install(machine.machine, lines.append))
    return code, "\n".join(lines)


def changed(**sections: dict[str, Any]) -> dict[str, Any]:
    config = good_config()
    for name, values in sections.items():
        config[name] = {**config.get(name, {}), **values}
    return config


INTERNAL = {"internal_cert_path": "/root/cert.pem", "internal_key_path": "/root/key.pem"}
BAD: dict[str, tuple[object, str]] = {
    "nothing": ("", "ValidationError: Private IP not set in the config"),
    "no public IP": (changed(manager={"public_ip": ""}), "Public IP not set in the config"),
    "another's IP": (
        changed(manager={"private_ip": "127.79.0.9"}),
        "The provided private IP (127.79.0.9) is not associated",
    ),
    "no YAML": ("manager: [", "InputError: User config file /etc/cloudify/config.yaml is not"),
    "a list": ("[1]", "InputError"),
    "manager is a word": ("manager: word", "InputError: `manager`"),
    "no such certificate": (
        changed(ssl_inputs={"external_cert_path": "/root/none.pem"}),
        "Cert file /root/none.pem (input name: external_cert_path) does not exist",
    ),
    "a key that is none": (
        changed(ssl_inputs={"external_key_path": "/root/cert.pem"}),
        "Key file /root/cert.pem (input name: external_key_path) is invalid",
    ),
    "certificate without key": (
        changed(ssl_inputs={"external_key_path": ""}),
        "Either both external_cert_path and external_key_path must be provided, or neither.",
    ),
    "a key of another certificate": (
        changed(ssl_inputs={"external_key_path": "/root/other.pem"}),
        "Key /root/other.pem (external_key_path) does not match the cert /root/cert.pem",
    ),
    "CA without key and without internal pair": (
        changed(ssl_inputs={"ca_cert_path": "/root/ca.pem"}),
        "both internal_cert_path and internal_key_path must be provided",
    ),
    "CA key without CA": (
        changed(ssl_inputs={"ca_key_path": "/root/ca_key.pem"}),
        "Internal CA key provided, but the internal CA cert was not",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_configuration_the_real_one_refuses_is_refused(machine: StandaloneManager, name: str) -> None:
    config, words = BAD[name]
    put(machine, "/root/other.pem", certificates.make_authority()[1])
    put(machine, "/root/ca.pem", shared_ca()[0].read_bytes())
    put(machine, "/root/ca_key.pem", shared_ca()[1].read_bytes())
    code, output = run(machine, config)
    assert (code, words in output) == (1, True), output
    assert machine.machine.manager is None
    assert not machine.machine.path(INSTALLED_FILE).exists()


def test_without_a_config_file_the_addresses_are_missing(machine: StandaloneManager) -> None:
    code, output = run(machine)
    assert (code, "Private IP not set" in output) == (1, True)


def test_a_CA_certificate_without_its_key_is_enough_with_an_internal_pair(
    machine: StandaloneManager,
) -> None:
    put(machine, "/root/ca.pem", shared_ca()[0].read_bytes())
    config = changed(ssl_inputs={"ca_cert_path": "/root/ca.pem", **INTERNAL})
    assert run(machine, config)[0] == 0
    assert connect(machine).manager.get_version()["version"] == "4.6.0"
    assert not machine.machine.path("/etc/cloudify/ssl/cloudify_internal_ca_key.pem").exists()


def test_the_given_certificate_is_served_with_its_chain(machine: StandaloneManager) -> None:
    assert run(machine, good_config())[0] == 0
    context = ssl.create_default_context(cafile=str(machine.ca_cert))
    with (
        socket.create_connection((IP, machine.port), 10) as plain,
        context.wrap_socket(plain, server_hostname=IP) as secured,
    ):
        served = secured.getpeercert(binary_form=True)
    given = certificates.load_certificate(machine.machine.path("/root/cert.pem"))
    assert served == ssl.PEM_cert_to_DER_cert(
        given.public_bytes(certificates.serialization.Encoding.PEM).decode()
    )


def test_certificates_that_are_not_given_are_made(machine: StandaloneManager) -> None:
    assert (
        run(
            machine,
            changed(
                ssl_inputs={
                    "external_cert_path": "",
                    "external_key_path": "",
                }
            ),
        )[0]
        == 0
    )
    made = machine.machine.path("/etc/cloudify/ssl/cloudify_internal_ca_cert.pem")
    assert connect(machine, cert=str(made)).manager.get_version()["version"] == "4.6.0"


def test_a_password_that_is_missing_is_made_shown_and_kept(machine: StandaloneManager) -> None:
    config = good_config()
    del config["manager"]["security"]["admin_password"]
    code, output = run(machine, config)
    assert code == 0
    kept = yaml.safe_load(machine.machine.path(CONFIG_PATH).read_text())
    password = kept["manager"]["security"]["admin_password"]
    assert f"Admin password: {password}" in output
    assert password not in machine.machine.path(LOG_FILE).read_text()
    connect(machine, password=password).manager.get_version()


def test_without_ssl_the_port_stays_closed(machine: StandaloneManager) -> None:
    config = good_config()
    config["manager"]["security"]["ssl_enabled"] = False
    code, output = run(machine, config)
    assert (code, f"Manager is up at http://{IP}" in output) == (0, True)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((IP, machine.port), 5).close()


def test_without_the_package_nothing_is_installed(machine: StandaloneManager) -> None:
    machine.machine.rpm_database.remove("cloudify-manager-install")
    code, output = run(machine, good_config())
    assert (code, "package is not installed" in output) == (1, True)


def test_a_second_installation_keeps_the_data_and_the_password(
    machine: StandaloneManager,
) -> None:
    run(machine, good_config())
    connect(machine).secrets.create("key", "value")
    other = good_config()
    other["manager"]["security"]["admin_password"] = "another"
    assert run(machine, other)[0] == 0
    assert connect(machine).secrets.get("key").value == "value"


def test_a_removed_manager_is_gone_with_its_data(machine: StandaloneManager) -> None:
    run(machine, good_config())
    connect(machine).secrets.create("key", "value")
    lines: list[str] = []
    assert machine.thread.run(remove(machine.machine, lines.append)) == 1
    assert "--force" in lines[-1]
    assert machine.thread.run(remove(machine.machine, lines.append, force=True)) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((IP, machine.port), 5).close()
    assert not machine.machine.path(INSTALLED_FILE).exists()
    assert run(machine)[0] == 0
    assert connect(machine).secrets.list().items == []


def test_an_installation_that_is_stopped_leaves_no_manager(machine: StandaloneManager) -> None:
    machine.machine.settings = Settings(install_seconds=100)
    put(machine, CONFIG_PATH, yaml.safe_dump(good_config()).encode())
    lines: list[str] = []
    running = asyncio.run_coroutine_threadsafe(install(machine.machine, lines.append), machine.thread.loop)
    clock = machine.machine.clock
    wait_until(lambda: clock.sleepers > 0)  # type: ignore[attr-defined]
    machine.advance(50)
    assert "restservice" in "\n".join(lines)
    running.cancel()
    wait_until(lambda: clock.sleepers == 0)  # type: ignore[attr-defined]
    assert machine.machine.manager is None
    assert not machine.machine.path(INSTALLED_FILE).exists()
    machine.machine.settings = Settings()
    assert run(machine)[0] == 0


def test_an_installation_fails_half_way_when_told(machine: StandaloneManager) -> None:
    machine.fault("install-fail", times=1)
    code, output = run(machine, good_config())
    assert (code, "BootstrapError: Failed to start service" in output) == (1, True)
    assert machine.machine.manager is None
    assert run(machine)[0] == 0


def test_data_survive_a_power_cut(machine: StandaloneManager) -> None:
    run(machine, good_config())
    connect(machine).secrets.create("key", "value")
    machine.kill()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((IP, machine.port), 5).close()
    machine.start()
    assert connect(machine).secrets.get("key").value == "value"
