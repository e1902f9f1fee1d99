"""`cfy_manager install` and `cfy_manager remove` on a machine of the lab.

What it says and in which order is what the installer of generation 4 does; the time it takes is
a setting. The console carries colour codes, a system administrator's password is shown on it
and left out of the log file, and a configuration it does not like ends it before anything is
changed: all of this as in the field.

Simulated: nothing is unpacked or started. An installation that ends leaves the files that others
look for, and a REST service that answers on the machine's port.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import string
import time
from collections.abc import Callable
from dataclasses import replace

import yaml

from lab.manager import certificates, configuration
from lab.manager.aside import write
from lab.manager.configuration import CONFIG_PATH, Configuration
from lab.manager.five import installer as five
from lab.manager.generation import traits_of
from lab.manager.host import Machine, Settings, installed_version
from lab.manager.models import Manager

Out = Callable[[str], None]

# The installer's own mark of a finished installation: INITIAL_INSTALL_FILE in its constants.py, up to 4.6.
INSTALLED_FILE = "/etc/cloudify/.install"
SSL_FOLDER = "/etc/cloudify/ssl"
LOG_FILE = "/var/log/cloudify/manager/cfy_manager.log"
EXTERNAL_CERT = f"{SSL_FOLDER}/cloudify_external_cert.pem"
EXTERNAL_KEY = f"{SSL_FOLDER}/cloudify_external_key.pem"
INTERNAL_CERT = f"{SSL_FOLDER}/cloudify_internal_cert.pem"
INTERNAL_KEY = f"{SSL_FOLDER}/cloudify_internal_key.pem"
CA_CERT = f"{SSL_FOLDER}/cloudify_internal_ca_cert.pem"
CA_KEY = f"{SSL_FOLDER}/cloudify_internal_ca_key.pem"

COMPONENTS = (
    "manager",
    "manager_ip_setter",
    "nginx",
    "python",
    "postgresql",
    "rabbitmq",
    "restservice",
    "influxdb",
    "amqpinflux",
    "java",
    "amqp_postgres",
    "stage",
    "composer",
    "mgmtworker",
    "riemann",
    "cluster",
    "cli",
    "usage_collector",
    "sanity",
)

_LEAVES = (
    "/opt/manager/cloudify-rest.conf",
    "/opt/manager/rest-security.conf",
    "/opt/manager/authorization.conf",
)
_RESOURCES = "/opt/manager/resources"
_COLOURS = {"INFO": 37, "NOTICE": 32, "WARNING": 33, "ERROR": 31}


class BootstrapError(Exception):
    """`cfy_manager` was called in a way it does not accept, or failed on its way."""


class _Console:
    """The two places of the installer's words: the terminal in colour, the log file without."""

    def __init__(self, machine: Machine, out: Out) -> None:
        self._out = out
        self._file = machine.path(LOG_FILE)

    def say(self, component: str, level: str, message: str, *, logged: bool = True) -> None:
        moment = time.strftime("%Y-%m-%d %H:%M:%S") + ",000"
        name, colour = f"[{component.upper()}]", _COLOURS[level]
        self._out(
            f"{moment} - \033[1;34m{name}\033[0m - \033[1;{colour}m{level}\033[0m - "
            f"\033[0;{colour}m{message}\033[0m"
        )
        if level == "ERROR":
            self._out(message)
        if logged:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as log:
                log.write(f"{moment} - {name} - {level} - {message}\n")


async def install(machine: Machine, out: Out, *, clean_db: bool = False, verbose: bool = False) -> int:
    """Install a manager on the machine, or install it again over the one that is there.

    What the install package's version decides is done by `lab.manager.five` for generation 5.

    A second installation keeps the database and its administrator unless `clean_db`; it takes
    the certificates anew. Cancelled in the middle, a first one leaves no manager.

    Args:
        machine: Where; its install package says which version.
        out: Receives each line of the console.
        clean_db: Begin with an empty database.
        verbose: Accepted for the command line's sake.

    Returns:
        The exit code: 0, or 1 after a message.
    """
    version = installed_version(machine)
    if version is not None and traits_of(version).generation >= 5:
        return await five.install(machine, out, out, verbose=verbose)
    console = _Console(machine, out)
    started = machine.clock.now()
    try:
        if version is None:
            raise BootstrapError("The cloudify-manager-install package is not installed")
        console.say("MAIN", "NOTICE", "Installing Cloudify Manager...")
        console.say("VALIDATIONS", "INFO", "Validating inputs...")
        given = configuration.load(machine)
        console.say("VALIDATIONS", "NOTICE", "All validations passed successfully!")
        given = _with_password(given)
        console.say("MAIN", "WARNING", f"Admin password: {given.admin_password}", logged=False)
        await _components(machine, console, given, version)
        await _bring_up(machine, given, version, clean_db=clean_db)
    except (configuration.InputError, configuration.ValidationError, BootstrapError) as error:
        console.say("MAIN", "ERROR", f"{type(error).__name__}: {error}")
        return 1
    seconds = int(machine.clock.now() - started)
    console.say("MAIN", "NOTICE", "Installation finished successfully!")
    protocol = "https" if given.ssl_enabled else "http"
    console.say("MAIN", "NOTICE", f"Manager is up at {protocol}://{given.public_ip}")
    console.say("MAIN", "NOTICE", f"Finished in {seconds // 60} minutes and {seconds % 60} seconds")
    return 0


async def remove(machine: Machine, out: Out, *, force: bool = False) -> int:
    """Take the manager off the machine with everything it knows; `force` is obligatory.

    Other members of its cluster are not told: to them it is a node that went offline.
    """
    console = _Console(machine, out)
    if not force:
        console.say(
            "MAIN",
            "ERROR",
            "BootstrapError: The --force flag must be passed to `cfy_manager remove`",
        )
        return 1
    console.say("MAIN", "NOTICE", "Removing Cloudify Manager...")
    manager = machine.manager
    if manager is not None:
        manager.power_off()
        await machine.stop_rest()
        machine.manager = None
    pause = Settings.of(machine).remove_seconds / len(COMPONENTS)
    for component in reversed(COMPONENTS):
        console.say(component, "NOTICE", f"Removing {component}...")
        if pause > 0:
            await machine.clock.sleep(pause)
    for folder in ("/opt/manager", "/opt/mgmtworker", SSL_FOLDER):
        shutil.rmtree(machine.path(folder), ignore_errors=True)
    for file in (INSTALLED_FILE, "/etc/cloudify/cluster"):
        machine.path(file).unlink(missing_ok=True)
    console.say("MAIN", "NOTICE", "Cloudify Manager successfully removed!")
    return 0


async def _components(machine: Machine, console: _Console, given: Configuration, version: str) -> None:
    settings = Settings.of(machine)
    fault = machine.faults.match(("install-fail", "install-hang"))
    pause = settings.install_seconds / len(COMPONENTS)
    middle = len(COMPONENTS) // 2
    for position, component in enumerate(COMPONENTS):
        if fault is not None and position == middle:
            if fault.kind == "install-fail":
                raise BootstrapError(
                    f"Failed to start service cloudify-{component}: it did not start in time"
                )
            if fault.seconds:
                await machine.clock.sleep(fault.seconds)
            else:
                await asyncio.Event().wait()
        if component == "sanity" and given.skip_sanity:
            console.say(component, "INFO", "Skipping sanity check...")
            continue
        console.say(component, "NOTICE", f"Installing {component}...")
        if component == "nginx":
            _install_certificates(machine, given)
        if component == "restservice":
            _leave_files(machine, version)
        if pause > 0:
            await machine.clock.sleep(pause)
        console.say(component, "NOTICE", f"{component} successfully installed")


def _with_password(given: Configuration) -> Configuration:
    if given.admin_password:
        return given
    alphabet = string.ascii_letters + string.digits
    return replace(given, admin_password="".join(secrets.choice(alphabet) for _ in range(12)))


def _install_certificates(machine: Machine, given: Configuration) -> None:
    """Put every certificate where the services look for it; what was not given is made."""
    files = given.certificates
    names = [given.public_ip, given.private_ip, machine.hostname]
    authority = authority_key = None
    if files.ca_cert_path:
        authority = machine.path(files.ca_cert_path).read_bytes()
        if files.ca_key_path:
            authority_key = machine.path(files.ca_key_path).read_bytes()
    needs_pair = not (files.internal_cert_path and files.external_cert_path)
    if authority is None and needs_pair:
        authority, authority_key = certificates.make_authority()
    if authority is not None:
        write(machine.path(CA_CERT), authority, 0o444)
    if authority_key is not None:
        write(machine.path(CA_KEY), authority_key, 0o440)
    for cert, key, cert_target, key_target in (
        (files.internal_cert_path, files.internal_key_path, INTERNAL_CERT, INTERNAL_KEY),
        (files.external_cert_path, files.external_key_path, EXTERNAL_CERT, EXTERNAL_KEY),
    ):
        if cert and key:
            pair = machine.path(cert).read_bytes(), machine.path(key).read_bytes()
        else:
            if authority is None or authority_key is None:
                # Only a CA certificate was given: the real installer signs with one of its own.
                authority, authority_key = certificates.make_authority()
            pair = certificates.make_pair(names, authority, authority_key, files.ca_key_password)
        write(machine.path(cert_target), pair[0], 0o444)
        write(machine.path(key_target), pair[1], 0o440)


def _leave_files(machine: Machine, version: str) -> None:
    for leaf in _LEAVES:
        write(machine.path(leaf), b"{}\n", 0o440)
    for folder in ("blueprints", "deployments", "uploaded-blueprints", "snapshots", "plugins"):
        machine.path(f"{_RESOURCES}/{folder}").mkdir(parents=True, exist_ok=True)
    machine.path("/opt/mgmtworker/work").mkdir(parents=True, exist_ok=True)


async def _bring_up(machine: Machine, given: Configuration, version: str, *, clean_db: bool) -> None:
    manager = machine.manager
    if manager is None or clean_db or manager.version != version:
        if manager is not None:
            manager.power_off()
        manager = Manager(machine, given, version)
        _keep_password(machine, given)
    else:
        manager.configuration = given
    if machine.manager is not None:
        await machine.stop_rest()
    before, machine.manager = machine.manager, manager
    try:
        await manager.power_on()
    except BaseException:
        # Stopped at the last moment: a first installation leaves nothing that answers.
        await machine.stop_rest()
        machine.manager = before
        raise
    write(machine.path(INSTALLED_FILE), b"", 0o644)


def _keep_password(machine: Machine, given: Configuration) -> None:
    """Write a generated password into `config.yaml`, where the installer leaves it."""
    path = machine.path(CONFIG_PATH)
    security = (given.raw.get("manager") or {}).get("security") or {}
    if security.get("admin_password"):
        return
    raw = {**given.raw, "manager": {**given.raw["manager"]}}
    raw["manager"]["security"] = {**security, "admin_password": given.admin_password}
    write(path, yaml.safe_dump(raw).encode(), path.stat().st_mode & 0o777)
