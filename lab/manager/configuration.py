"""`/etc/cloudify/config.yaml`: what is read from it and what the installer refuses.

The order of the checks and the wording follow the installer of generation 4
(`cfy_manager/components/validations.py` of its RPM): the inputs first, then the certificates, and
the first fault ends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.manager import certificates
from lab.manager.host import Machine

CONFIG_PATH = "/etc/cloudify/config.yaml"


class InputError(Exception):
    """The configuration cannot be read."""


class ValidationError(Exception):
    """The configuration is refused."""


@dataclass(frozen=True)
class CertificateFiles:
    """`ssl_inputs`: paths on the machine, each None when it was not given."""

    external_cert_path: str | None = None
    external_key_path: str | None = None
    internal_cert_path: str | None = None
    internal_key_path: str | None = None
    ca_cert_path: str | None = None
    ca_key_path: str | None = None
    ca_key_password: str | None = None


@dataclass(frozen=True)
class Configuration:
    """The part of `config.yaml` that the lab's manager acts upon.

    Attributes:
        admin_password: None when the file has none; then the installer generates one.
        raw: The whole file, for whoever wants to look at what arrived.
    """

    private_ip: str
    public_ip: str
    ssl_enabled: bool
    admin_username: str
    admin_password: str | None
    skip_sanity: bool
    skip_validations: bool
    certificates: CertificateFiles
    license_path: str | None
    raw: dict[str, Any]


def load(machine: Machine) -> Configuration:
    """Read the machine's `config.yaml`; a file that is missing is an empty one, as in the field.

    Raises:
        InputError: It is not YAML, or not a mapping of mappings.
        ValidationError: Something in it is refused.
    """
    raw = _read(machine.path(CONFIG_PATH))
    manager = _section(raw, "manager")
    security = _section(manager, "security", "manager.security")
    ssl_inputs = _section(raw, "ssl_inputs")
    known = CertificateFiles.__dataclass_fields__
    configuration = Configuration(
        private_ip=_text(manager.get("private_ip")),
        public_ip=_text(manager.get("public_ip")),
        ssl_enabled=bool(security.get("ssl_enabled", False)),
        admin_username=_text(security.get("admin_username")) or "admin",
        admin_password=_text(security.get("admin_password")) or None,
        skip_sanity=bool(_section(raw, "sanity").get("skip_sanity", False)),
        skip_validations=bool(_section(raw, "validations").get("skip_validations", False)),
        certificates=CertificateFiles(
            **{key: _text(value) or None for key, value in ssl_inputs.items() if key in known}
        ),
        license_path=_text(manager.get("cloudify_license_path")) or None,
        raw=raw,
    )
    _check_addresses(configuration, machine)
    _check_certificates(configuration.certificates, machine)
    return configuration


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ValidationError(
            f"Configuration file ({CONFIG_PATH}) must be readable and writable by the current user"
        ) from error
    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(
            f"User config file {CONFIG_PATH} is not a properly formatted YAML file.\n(Error: {error})"
        ) from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise InputError(f"User config file {CONFIG_PATH} must be a mapping")
    return loaded


def _section(parent: dict[str, Any], key: str, place: str | None = None) -> dict[str, Any]:
    section = parent.get(key)
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise InputError(f"`{place or key}` in {CONFIG_PATH} must be a mapping")
    return section


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _check_addresses(configuration: Configuration, machine: Machine) -> None:
    for value, key, words in (
        (configuration.private_ip, "private_ip", "Private IP"),
        (configuration.public_ip, "public_ip", "Public IP"),
    ):
        if not value:
            raise ValidationError(
                f"{words} not set in the config.\n"
                "Possible solutions are:\n"
                f"1. Set the `{key}` key in {CONFIG_PATH}\n"
                f"2. Use the `--{key.replace('_', '-')}` flag when running "
                "`cfy_manager install/configure`"
            )
    if configuration.private_ip not in (machine.ip, machine.public_ip, machine.hostname):
        if configuration.skip_validations:
            return
        raise ValidationError(
            f"Validation error(s):\nThe provided private IP ({configuration.private_ip}) is not "
            "associated with any INET-type address available on this machine (available "
            f"INET-type addresses: {machine.ip}, 127.0.0.1). This will cause installation to "
            "fail. If you are certain that this IP address should be used, please set the "
            "'skip_validations' parameter to 'false'"
        )


def _check_certificates(files: CertificateFiles, machine: Machine) -> None:
    _check_authority(files, machine)
    for prefix in ("internal", "external"):
        cert_input, key_input = f"{prefix}_cert_path", f"{prefix}_key_path"
        cert, key = getattr(files, cert_input), getattr(files, key_input)
        if not cert and not key:
            continue
        if not (cert and key):
            raise ValidationError(f"Either both {cert_input} and {key_input} must be provided, or neither.")
        loaded_key = _check_key(key, key_input, machine)
        loaded_cert = _check_cert(cert, cert_input, machine)
        if not certificates.belong_together(loaded_key, loaded_cert):
            raise ValidationError(f"Key {key} ({key_input}) does not match the cert {cert} ({cert_input})")


def _check_authority(files: CertificateFiles, machine: Machine) -> None:
    cert, key = files.ca_cert_path, files.ca_key_path
    if key and cert:
        _check_key(key, "ca_key_path", machine, files.ca_key_password)
        _check_cert(cert, "ca_cert_path", machine)
    elif key:
        raise ValidationError("Internal CA key provided, but the internal CA cert was not")
    elif cert:
        if not files.internal_cert_path or not files.internal_key_path:
            raise ValidationError(
                "If ca_cert_path was provided, but ca_key_path was not provided, both "
                "internal_cert_path and internal_key_path must be provided."
            )
        _check_cert(cert, "ca_cert_path", machine)
    elif files.ca_key_password:
        raise ValidationError(
            "If ca_key_password was provided, both ca_cert_path and ca_key_path must be provided."
        )


def _existing(path: str, input_name: str, kind: str, machine: Machine) -> Path:
    host_path = machine.path(path)
    if not host_path.is_file():
        raise ValidationError(f"{kind} file {path} (input name: {input_name}) does not exist")
    return host_path


def _check_key(
    path: str, input_name: str, machine: Machine, password: str | None = None
) -> certificates.PrivateKey:
    try:
        return certificates.load_key(_existing(path, input_name, "Key", machine), password)
    except certificates.CertificateError as error:
        hint = "(or the provided password is incorrect)" if password else ""
        raise ValidationError(
            f"Key file {path} (input name: {input_name}) is invalid {hint}".rstrip()
        ) from error


def _check_cert(path: str, input_name: str, machine: Machine) -> certificates.Certificate:
    try:
        return certificates.load_certificate(_existing(path, input_name, "Cert", machine))
    except certificates.CertificateError as error:
        raise ValidationError(f"Cert file {path} (input name: {input_name}) is invalid") from error
