"""The inputs of an installation: what is accepted, and that every fault is named with its place."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmom.errors import InvalidInputs
from cmom.models import Host, Secret
from cmom.services.inputs import INSTALL_INPUTS, parse_install_inputs
from cmom.services.wanted import FileCopy, InstallInputs, Ldap, RebuildCommand
from tests.unit.cmom.given_ca import key_of
from tests.unit.cmom.given_inputs import ADMIN_PASSWORD, good_inputs, text_file

CANARY = "canary-value"
TEXT = st.text("ab01./-:{}[]'\" \x00\n\u00e9\ud800", max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            TEXT
            | st.sampled_from(
                ["ip", "hostname", "src", "dst", "key", "string", "file", "wagon", "path", "server"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return good_inputs(tmp_path_factory.mktemp("tier2"))


def parse(good: dict[str, Any], **changes: Any) -> InstallInputs:
    return parse_install_inputs({**good, **changes})


def faults_of(good: dict[str, Any], **changes: Any) -> dict[str, str]:
    with pytest.raises(InvalidInputs) as error:
        parse(good, **changes)
    return {fault.place: fault.problem for fault in error.value.faults}


def test_the_least_there_must_be_has_the_documented_defaults(good):
    inputs = parse(good)
    assert inputs.num_of_instances == 2
    assert inputs.admin_username == "admin"
    assert (inputs.ssh.port, inputs.rest_port) == (22, 443)
    assert (inputs.hosts, inputs.resource_pool, inputs.ldap, inputs.rebuild_command) == ((), (), None, None)
    assert inputs.admin_password.reveal() == ADMIN_PASSWORD
    assert isinstance(inputs.admin_password, Secret)
    assert inputs.warnings == ()


def test_what_is_left_empty_is_as_if_it_was_not_given(good):
    empty = dict.fromkeys(
        ("ca_key_password", "rebuild_command", "ldap_config", "additional_config", "plugins"), ""
    )
    assert parse(good, **empty, tenants=None, files=[], scripts=[]) == parse(good)


def test_everything_required_is_named_when_nothing_is_given():
    with pytest.raises(InvalidInputs) as error:
        parse_install_inputs({})
    assert {str(fault) for fault in error.value.faults} == {
        "ssh_user: missing",
        "ssh_private_key_path: missing",
        "install_rpm_path: missing",
        "ca_cert: missing",
        "ca_key: missing",
        "manager_admin_password: missing",
    }


def test_all_faults_come_in_one_message(good):
    with pytest.raises(InvalidInputs) as error:
        parse(good, num_of_instances=0, ssh_port="x", scripts=["/no/such"], tenants=["1st"], colour="red")
    assert str(error.value).splitlines() == [
        "5 faults in the inputs:",
        "  - colour: unknown; known are " + ", ".join(sorted(INSTALL_INPUTS)),
        "  - num_of_instances: must be 1 or more, not 0",
        "  - ssh_port: must be a whole number, not text",
        "  - scripts[0]: there is no file /no/such on Tier 2",
        "  - tenants[0]: must begin with a letter (a-z, A-Z), unlike '1st'",
    ]


def test_a_mistyped_input_is_named_with_the_nearest_known_one(good):
    assert faults_of(good, num_of_instance=3) == {
        "num_of_instance": "unknown; did you mean 'num_of_instances'?"
    }


@pytest.mark.parametrize("raw", [None, [], "x", 5])
def test_inputs_that_are_no_mapping_are_a_fault(raw):
    with pytest.raises(InvalidInputs, match="inputs: must be a mapping, not"):
        parse_install_inputs(raw)


def test_hosts_become_machines_with_their_defaults(good):
    hosts = [
        {"ip": "10.0.0.21", "public_ip": "192.0.2.1", "hostname": "m-1.example.org"},
        {"ip": "10.0.0.22"},
    ]
    assert parse(good, hosts=hosts).hosts == (
        Host("10.0.0.21", "192.0.2.1", "m-1.example.org"),
        Host("10.0.0.22", "10.0.0.22", "10.0.0.22"),
    )


def test_more_hosts_than_managers_are_spares(good):
    assert len(parse(good, num_of_instances=1, hosts=[{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]).hosts) == 2


def test_too_few_hosts_are_counted(good):
    hosts = [{"ip": "10.0.0.21"}, {"ip": "10.0.0.22"}]
    assert faults_of(good, num_of_instances=3, hosts=hosts) == {
        "hosts": "2 entries, but num_of_instances is 3"
    }
    assert faults_of(good, hosts=[]) == {"hosts": "0 entries, but num_of_instances is 2"}


NO_HOSTNAME = "is not a valid host name (letters, digits, '-', parts joined by '.'): "


@pytest.mark.parametrize(
    ("entry", "place", "problem"),
    [
        ("10.0.0.1", "", "must be a mapping like {ip: 10.0.0.21}, not text"),
        (None, "", "must be a mapping like {ip: 10.0.0.21}, not nothing"),
        ({}, ".ip", "missing"),
        ({"ip": "10.0.0.300"}, ".ip", "is not an IP address: '10.0.0.300'"),
        ({"ip": 10}, ".ip", "must be text, not a number; put it in quotes"),
        ({"ip": "0.0.0.0"}, ".ip", "is not the address of a machine: '0.0.0.0'"),
        (
            {"ip": "fd00::1"},
            ".ip",
            "must be an IPv4 address, unlike 'fd00::1': managers install on those only",
        ),
        ({"ip": "10.0.0.21"}, ".ip", "is the same as hosts[0].ip: '10.0.0.21'"),
        ({"ip": "10.0.0.2", "public_ip": "x"}, ".public_ip", "is not an IP address: 'x'"),
        ({"ip": "10.0.0.2", "hostname": "ONE"}, ".hostname", "is the same as hosts[0].hostname: 'one'"),
        (
            {"ip": "10.0.0.2", "hostname": "10.0.0.9"},
            ".hostname",
            "looks like an address, and is not that of its machine: '10.0.0.9'",
        ),
        ({"ip": "10.0.0.2", "hostname": "-x"}, ".hostname", NO_HOSTNAME + "'-x'"),
        ({"ip": "10.0.0.2", "hostname": "a_b"}, ".hostname", NO_HOSTNAME + "'a_b'"),
        ({"ip": "10.0.0.2", "host": "x"}, ".host", "unknown; did you mean 'hostname'?"),
    ],
)
def test_each_fault_of_a_host_has_its_place(good, entry, place, problem):
    assert faults_of(good, hosts=[{"ip": "10.0.0.21", "hostname": "one"}, entry]) == {
        f"hosts[1]{place}": problem
    }


def test_a_resource_pool_needs_addresses_and_names(good):
    pool = [{"ip_address": "10.0.0.31", "hostname": "a"}, {"ip_address": "10.0.0.31"}]
    assert faults_of(good, resource_pool=pool) == {
        "resource_pool[1].hostname": "missing",
        "resource_pool[1].ip_address": "is the same as resource_pool[0].ip_address: '10.0.0.31'",
    }
    assert faults_of(good, resource_pool=pool[:1]) == {"resource_pool": "1 entry, but num_of_instances is 2"}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (0, "must be 1 or more, not 0"),
        ("2", "must be a whole number, not text; give it without quotes"),
        (2.5, "must be a whole number, not a number"),
        (True, "must be a whole number, not true/false"),
        ([2], "must be a whole number, not a list"),
    ],
)
def test_the_number_of_managers_is_a_whole_number_from_one_on(good, value, problem):
    assert faults_of(good, num_of_instances=value) == {"num_of_instances": problem}


@pytest.mark.parametrize("name", ["ssh_port", "rest_port"])
def test_a_port_is_within_its_bounds(good, name):
    assert faults_of(good, **{name: 65536}) == {name: "must be between 1 and 65535, not 65536"}
    assert faults_of(good, **{name: 0}) == {name: "must be between 1 and 65535, not 0"}


def ssh_key(folder: Path, *, passphrase: bytes | None = None) -> str:
    encryption = (
        serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    )
    content = key_of("rsa2048").private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, encryption
    )
    path = folder / "id"
    path.write_bytes(content)
    path.chmod(0o600)
    return str(path)


def test_an_ssh_key_of_openssh_is_accepted(good, tmp_path):
    assert parse(good, ssh_private_key_path=ssh_key(tmp_path)).ssh.private_key_path == str(tmp_path / "id")


def test_an_ssh_key_with_a_passphrase_is_refused(good, tmp_path):
    path = ssh_key(tmp_path, passphrase=CANARY.encode())
    assert "passphrase" in faults_of(good, ssh_private_key_path=path)["ssh_private_key_path"]


@pytest.mark.parametrize(
    "content", ["ssh-ed25519 AAAAC3Nz user@host\n", "PuTTY-User-Key-File-3: x\n", "nothing", ""]
)
def test_what_is_no_private_ssh_key_is_refused(good, tmp_path, content):
    path = text_file(tmp_path, "id", content)
    assert path in faults_of(good, ssh_private_key_path=path)["ssh_private_key_path"]


def test_an_ssh_key_that_others_may_read_deserves_a_word(good, tmp_path):
    path = Path(ssh_key(tmp_path))
    path.chmod(path.stat().st_mode | stat.S_IRGRP)
    assert parse(good, ssh_private_key_path=str(path)).warnings == (
        f"ssh_private_key_path: other users of Tier 2 may read {path}; chmod 600 would keep it private",
    )


@pytest.mark.parametrize("user", ["-oProxyCommand=x", "a b", "a@b", "a:b"])
def test_an_ssh_user_that_is_no_user_is_refused(good, user):
    assert faults_of(good, ssh_user=user) == {"ssh_user": f"is not the name of a user: {user!r}"}


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("install.rpm", "install.rpm is a relative path; give it from / on"),
        ("/no/such.rpm", "there is no file /no/such.rpm on Tier 2"),
        ("/tmp", "/tmp is a folder, not a file"),
        (
            "ftp://files.example.org/x.rpm",
            "must be a path on Tier 2 or a URL that begins with http:// or https://",
        ),
        ("https://", "is not a valid URL"),
        (5, "must be text, not a number; put it in quotes"),
        (["x"], "must be text, not a list"),
    ],
)
def test_an_rpm_is_a_path_or_a_web_url(good, path, problem):
    assert faults_of(good, install_rpm_path=path) == {"install_rpm_path": problem}


def test_an_rpm_may_be_a_url(good):
    url = "https://user:word@files.example.org/x.rpm"
    assert parse(good, install_rpm_path=url).install_rpm_path == url


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("", "missing"),
        (None, "missing"),
        ("abc", "must have between 5 and 256 characters"),
        ("x" * 257, "must have between 5 and 256 characters"),
        (
            CANARY + "\u00e9",
            "may have printable ASCII characters only; generation 4's installer fails on any other",
        ),
        (
            CANARY + "\n",
            "may have printable ASCII characters only; generation 4's installer fails on any other",
        ),
        (123456, "must be text, not a number; put it in quotes"),
        ([CANARY], "must be text, not a list"),
        ({"get_secret": CANARY}, "must be text, not a mapping"),
    ],
)
def test_a_password_is_judged_without_being_shown(good, password, problem):
    assert faults_of(good, manager_admin_password=password) == {"manager_admin_password": problem}


@pytest.mark.parametrize("password", ["abcde", "x" * 256, " ab~ ", "a b c"])
def test_a_password_may_be_as_short_and_as_odd_as_managers_take_it(good, password):
    assert parse(good, manager_admin_password=password).admin_password.reveal() == password


@pytest.mark.parametrize("name", ["1admin", "ad min", "a:b", "\u00e4dmin"])
def test_an_administrators_name_is_an_identifier(good, name):
    assert list(faults_of(good, manager_admin_username=name)) == ["manager_admin_username"]


LDAP = {"server": "ldap://10.0.0.5", "username": "cn=a", "password": CANARY, "domain": "example.org"}
# As the data type's defaults arrive when the user gave nothing.
EMPTY_LDAP = {
    "server": "",
    "username": "",
    "password": "",
    "domain": "",
    "dn_extra": "",
    "is_active_directory": True,
}


def test_ldap_is_read(good):
    ldap = parse(good, ldap_config={**LDAP, "is_active_directory": False, "dn_extra": "o=1;ou=2"}).ldap
    assert ldap == Ldap("ldap://10.0.0.5", "cn=a", Secret(CANARY), "example.org", "o=1;ou=2", False)
    assert CANARY not in repr(ldap)


def test_without_a_server_there_is_no_ldap(good):
    assert parse(good, ldap_config=EMPTY_LDAP) == parse(good)
    forgotten = parse(good, ldap_config={**EMPTY_LDAP, "username": "cn=a"})
    assert forgotten.ldap is None
    assert forgotten.warnings == ("ldap_config: names no server, so LDAP is not configured at all",)


PAIRED = "missing: username and password are given together, or neither"
QUOTE = "must not hold single quotes or control characters; generation 4 cannot take them"


@pytest.mark.parametrize(
    ("change", "name", "problem"),
    [
        ({"sever": "x"}, "sever", "unknown; did you mean 'server'?"),
        ({"password": ""}, "password", PAIRED),
        ({"username": ""}, "username", PAIRED),
        ({"domain": ""}, "domain", "missing: an LDAP server needs its domain"),
        ({"is_active_directory": "no"}, "is_active_directory", "must be true or false, not text"),
        ({"password": 5}, "password", "must be text, not a number; put it in quotes"),
        ({"password": CANARY + "'"}, "password", QUOTE),
        ({"password": CANARY + "\n"}, "password", QUOTE),
        ({"dn_extra": "o='1'"}, "dn_extra", QUOTE),
    ],
)
def test_each_fault_of_ldap_has_its_place_and_shows_no_password(good, change, name, problem):
    faults = faults_of(good, ldap_config={**LDAP, **change})
    assert faults == {f"ldap_config.{name}": problem}
    assert CANARY not in str(faults)


@pytest.mark.parametrize("value", [["a"], "x: y", 5, True])
def test_an_additional_config_that_is_no_mapping_is_refused(good, value):
    problem = faults_of(good, additional_config=value)["additional_config"]
    assert problem.startswith("must be a mapping like config.yaml, not ")


def test_an_additional_config_is_copied_and_kept_out_of_sight(good):
    given_config = {"restservice": {"extra_env": {"TOKEN": CANARY}, "list": [1, None, 2.5]}}
    inputs = parse(good, additional_config=given_config)
    assert inputs.additional_config == given_config
    assert CANARY not in repr(inputs)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": {5: CANARY}}, "additional_config.a"),
        ({"a": [{"b": object()}]}, "additional_config.a[0].b"),
        ({"a": "\ud800"}, "additional_config.a"),
    ],
)
def test_what_yaml_cannot_hold_is_refused(good, value, place):
    faults = faults_of(good, additional_config=value)
    assert list(faults) == [place]
    assert CANARY not in str(faults)


def test_a_bottomless_additional_config_is_refused(good):
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"a": deep}
    assert faults_of(good, additional_config=deep) == {
        "additional_config": "is nested more than 32 levels deep"
    }


@pytest.mark.parametrize("wrap", [lambda inner: {"a": inner}, lambda inner: [inner]], ids=["map", "list"])
def test_an_additional_config_may_be_nested_as_deep_as_is_said(good, wrap):
    def nested(levels: int) -> dict[str, Any]:
        inner: Any = "x"
        for _ in range(levels - 1):
            inner = wrap(inner)
        return {"a": inner}

    assert parse(good, additional_config=nested(32)).additional_config == nested(32)
    assert faults_of(good, additional_config=nested(33)) == {
        "additional_config": "is nested more than 32 levels deep"
    }


def test_every_key_that_is_no_text_is_told_with_its_place(good):
    assert faults_of(good, additional_config={"a": {5: 1}, 6: {}, "b": {None: 1}}) == {
        "additional_config.a": "has a key that is a number, not text",
        "additional_config": "has a key that is a number, not text",
        "additional_config.b": "has a key that is nothing, not text",
    }


def test_a_file_names_its_source_and_is_told_apart_also_where_there_are_many(good, tmp_path):
    here = text_file(tmp_path, "here")
    files = [{"src": here, "dst": f"/{number}"} for number in range(10)]
    assert faults_of(good, files=[*files, {"src": here, "dst": "/2"}, {"dst": "/11"}]) == {
        "files[10].dst": "is the same as files[2].dst: '/2'",
        "files[11].src": "missing",
    }


def test_files_and_scripts_are_read(good, tmp_path):
    here = text_file(tmp_path, "here")
    inputs = parse(good, files=[{"src": here, "dst": "/home/centos/there"}], scripts=[here])
    assert inputs.files == (FileCopy(here, "/home/centos/there"),)
    assert inputs.scripts == (here,)


def test_each_fault_of_files_and_scripts_has_its_place(good, tmp_path):
    here = text_file(tmp_path, "here")
    files = [
        {"src": here, "dst": "/there"},
        {"src": here, "dst": "/there"},
        {"src": here, "dst": "there"},
        {"src": here, "dst": "/folder/"},
        {"src": "/no/such", "dest": "/x"},
        here,
    ]
    assert faults_of(good, files=files, scripts=[5, "", str(tmp_path)]) == {
        "files[1].dst": "is the same as files[0].dst: '/there'",
        "files[2].dst": "must be the absolute path of a file, unlike 'there'",
        "files[3].dst": "must be the absolute path of a file, unlike '/folder/'",
        "files[4].dest": "unknown; did you mean 'dst'?",
        "files[4].src": "there is no file /no/such on Tier 2",
        "files[4].dst": "missing",
        "files[5]": "must be a mapping like {src: /path/here, dst: /path/there}, not text",
        "scripts[0]": "must be the path of a script, not a number",
        "scripts[1]": "must be the path of a script, not empty",
        "scripts[2]": f"{tmp_path} is a folder, not a file",
    }


@pytest.mark.parametrize(
    "value", ["sh -c 'rebuild {ip} \"{hostname}\"'", ["sh", "-c", 'rebuild {ip} "{hostname}"']]
)
def test_a_rebuild_command_is_filled_in_for_a_machine(good, value):
    command = parse(good, rebuild_command=value).rebuild_command
    assert command == RebuildCommand(("sh", "-c", 'rebuild {ip} "{hostname}"'))
    host = Host("10.0.0.21", "192.0.2.21", "m 1; rm -rf /")
    assert command.for_host(host) == ("sh", "-c", 'rebuild 10.0.0.21 "m 1; rm -rf /"')
    assert RebuildCommand(("x", "{{}}{public_ip}")).for_host(host) == ("x", "{}192.0.2.21")


@pytest.mark.parametrize(
    ("value", "place", "said"),
    [
        ("sh {adress}", "rebuild_command", "unknown placeholder"),
        ("sh {}", "rebuild_command", "unknown placeholder"),
        ("sh {ip.real}", "rebuild_command", "unknown placeholder"),
        ("sh {ip!r:>9}", "rebuild_command", "unknown placeholder"),
        ("sh {ip", "rebuild_command", "single brace"),
        ("sh 'x", "rebuild_command", "cannot be split into words: no closing quotation"),
        ("   ", "rebuild_command", "is empty"),
        ("no-such-program-here {ip}", "rebuild_command", "there is no program 'no-such-program-here'"),
        ("/tmp {ip}", "rebuild_command", "there is no program '/tmp'"),
        (5, "rebuild_command", "must be text or a list of words, not a number"),
        (["sh", 5], "rebuild_command[1]", "must be text, not a number; put it in quotes"),
        (["", "x"], "rebuild_command", "must begin with a program"),
    ],
)
def test_a_rebuild_command_that_would_fail_at_night_is_refused_now(good, value, place, said):
    assert said in faults_of(good, rebuild_command=value)[place]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    max_examples=80,
)
@given(changes=st.dictionaries(st.sampled_from(INSTALL_INPUTS), JSON, max_size=4), others=JSON)
def test_whatever_is_given_the_answer_is_inputs_or_faults(good, changes, others):
    for raw in ({**good, **changes}, changes, others):
        try:
            assert isinstance(parse_install_inputs(raw), InstallInputs)
        except InvalidInputs as error:
            assert error.faults  # noqa: PT017 - either outcome is fine, any other error is not
            str(error).encode("utf-8", "strict")
