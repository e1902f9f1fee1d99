"""What becomes a shell word, a URL, a path or a part of a message, whatever it is."""

from __future__ import annotations

import json
import os
import re
import subprocess
from html import escape
from pathlib import Path
from urllib.parse import quote, quote_plus, urlsplit

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from cmom.clients.manager import ManagerClient
from cmom.clients.masking import Masker
from cmom.clients.ssh_keys import load_private_key, parse_host_key
from cmom.clients.tenant_api import quoted
from cmom.clients.tier2 import LocalDeployments
from cmom.clients.urls import is_host, shown_source, url_problem
from cmom.commands import command
from cmom.errors import AccessRefused, ActionRequired, CmomError
from cmom.models import ManagerAccess, Secret, Version
from cmom.services.machine import Machine
from cmom.services.package import curl_config
from cmom.services.snapshots.store import SnapshotStore, snapshot_id_problem
from cmom.services.validation.fields import Fields
from cmom.services.validation.findings import Findings
from tests.lab.rest import shared_ca
from tests.unit.attacks.odd import NASTY_WORDS, nasty_words

# What may be given to a program at all: no NUL, and nothing that is no text.
words = (st.text(max_size=30) | nasty_words).filter(lambda word: "\0" not in word and "\ud800" not in word)


@given(parts=st.lists(words, min_size=1, max_size=20))
@example(parts=["a\nb", "$(id)", "`id`", "'", '"', "\\", "*", "~", "-n", "", "é\u2028"])
def test_every_word_of_a_command_arrives_at_the_program_as_it_is(parts: list[str]) -> None:
    line = command("printf", "%s\\0", *parts).shell()
    done = subprocess.run(["sh", "-c", line], capture_output=True, check=True)
    assert done.stdout.decode().split("\0")[:-1] == parts


@pytest.mark.parametrize("word", [Secret("secret"), "a\0b"])
def test_a_secret_or_a_nul_is_no_word_of_a_command(word: str) -> None:
    with pytest.raises(ValueError, match="must not"):
        command("printf", word)


@given(part=st.text(max_size=30).filter(lambda text: "\ud800" not in text) | nasty_words)
def test_a_name_in_a_url_stays_one_part_of_its_path(part: str) -> None:
    try:
        path = f"/blueprints/{quoted(part)}"
    except UnicodeEncodeError:
        return
    sent = urlsplit(f"https://10.0.0.1{path}")
    assert (sent.netloc, sent.query, sent.fragment) == ("10.0.0.1", "", "")
    assert sent.path.count("/") == 2


@given(address=st.text(max_size=40) | nasty_words)
@example(address="evil.example/@10.0.0.1")
@example(address="user@evil.example")
@example(address="10.0.0.1:1")
@example(address="fe80::1%/../x")
@example(address="a..b")
@example(address="[::1]")
def test_credentials_go_to_the_address_and_nowhere_else(address: str) -> None:
    access = ManagerAccess("admin", Secret("canary-password"), str(shared_ca()[0]))
    try:
        client = ManagerClient(address, access)
    except ActionRequired:
        return
    with client:
        prepared = requests.Request("GET", f"{client._base_url}/version").prepare()
        sent = urlsplit(prepared.url or "")
        assert sent.hostname == address.lower().strip("[]")
        assert (sent.port, sent.username, sent.path) == (443, None, "/api/v3.1/version")


@pytest.mark.parametrize("word", NASTY_WORDS)
def test_no_nasty_word_is_a_host(word: str) -> None:
    assert not is_host(word)


@pytest.mark.parametrize("address", ["10.0.0.1", "::1", "fe80::1", "tier1-a.example.org", "tier1_a", "a"])
def test_addresses_and_names_are_hosts(address: str) -> None:
    assert is_host(address)


@given(password=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=4, max_size=20))
@example(password="12/secret")
@example(password="12?secret")
@example(password="12#secret")
@example(password="a@b@secret")
def test_no_message_shows_the_password_of_a_url(password: str) -> None:
    shown = shown_source(f"https://operator:{password}@files.example/a.rpm")
    assert password not in shown
    assert "secret" not in shown
    assert shown in ("the URL", "https://files.example/a.rpm") or "operator" not in password


@given(text=st.text(max_size=40) | nasty_words)
def test_whatever_is_given_as_a_url_is_judged(text: str) -> None:
    for url in (text, f"https://{text}", f"{text}://host/path", f"https://host:{text}/"):
        problem = url_problem(url)
        shown_source(url)
        assert problem is None or "\n" not in problem


@given(url=st.text(max_size=40) | nasty_words)
def test_a_url_is_one_line_of_curls_configuration_and_cannot_begin_another(url: str) -> None:
    try:
        line = curl_config(url)
    except ActionRequired:
        assert re.search(r"[\r\n\0]", url)
        return
    assert line.count("\n") == 1
    # What curl reads within quotes: a backslash takes the next character as it is, apart from a few letters.
    inner = re.fullmatch(r'url = "((?:[^"\\]|\\.)*)"\n', line, re.DOTALL)
    assert inner is not None
    assert re.sub(r"\\(.)", r"\1", inner.group(1), flags=re.DOTALL) == url


@given(identifier=st.text(max_size=40) | nasty_words)
def test_a_deployments_snapshots_stay_within_their_folder(identifier: str) -> None:
    base = Path("/nowhere/snapshots")
    try:
        store = SnapshotStore(base, identifier)
    except ActionRequired:
        return
    assert Path(os.path.normpath(store.folder)).parent == base


@given(identifier=st.text(max_size=40) | nasty_words)
def test_a_snapshots_files_stay_within_its_folder(identifier: str) -> None:
    store = SnapshotStore(Path("/nowhere/snapshots"), "old")
    if snapshot_id_problem(identifier) is not None:
        return
    for path in (store.archive_path, store.manifest_path, store.part_path):
        found = Path(os.path.normpath(path(identifier)))
        assert found.parent == store.folder
        assert len(found.name.encode()) <= 255


@pytest.mark.parametrize("word", [word for word in NASTY_WORDS if word])
def test_no_nasty_word_names_a_snapshot(word: str) -> None:
    assert snapshot_id_problem(word) is not None or word == "x" * 5000


@given(identifier=st.text(max_size=40) | nasty_words)
def test_a_deployment_of_the_local_profile_is_looked_for_within_it(
    identifier: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "profile" / "deployments"
    folder.mkdir(parents=True, exist_ok=True)
    with pytest.raises(CmomError):
        LocalDeployments(folder, sleep=lambda _: None).list_nodes(identifier)


@pytest.mark.parametrize(
    "path",
    ["/", "/etc", "//etc", "/etc/", "/./etc", "/var/lib/", "/tmp/../etc", "tmp/x", "", "/etc/cloudify/."],
)
def test_no_machine_loses_what_it_cannot_live_without(path: str) -> None:
    class Unconnected:
        """Runs nothing."""

    machine = Machine.__new__(Machine)
    machine.ssh = Unconnected()  # type: ignore[assignment]
    with pytest.raises(ValueError, match="not removed"):
        machine.remove((path,))


SPELLINGS = {
    "plain": str,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON, not ASCII": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "Python": lambda text: repr(text)[1:-1],
    "URL": quote,
    "URL, whole": lambda text: quote(text, safe=""),
    "form": quote_plus,
    "HTML": escape,
    "YAML": lambda text: text.replace("'", "''"),
    "shell": lambda text: command("x", text).shell()[2:],
}


@given(
    secret=st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="*\0"), min_size=4, max_size=30
    ),
    around=st.text("<>& \n;", max_size=10),
    spelling=st.sampled_from(sorted(SPELLINGS)),
)
@example(secret='pä"ss', around="", spelling="JSON, not ASCII")
@example(secret="o'hara<1>", around="", spelling="HTML")
@example(secret="o'hara", around="", spelling="YAML")
@example(secret="o'hara x", around="", spelling="shell")
@example(secret="a b/c", around="", spelling="form")
def test_a_secret_is_masked_in_every_spelling(secret: str, around: str, spelling: str) -> None:
    if not secret.strip():
        return
    spelt = SPELLINGS[spelling](secret)
    masked = Masker([secret])(f"{around}{spelt}{around}")
    assert spelt.strip() not in masked
    assert secret.strip() not in masked or secret.strip() in around


@given(text=st.text(max_size=60) | nasty_words)
def test_a_version_is_read_or_refused(text: str) -> None:
    try:
        found = Version.parse(text)
    except ActionRequired:
        return
    assert found.numbers < (10**6, 10**6, 10**6)
    assert "/" not in found.text
    assert found.text.isprintable()


@pytest.mark.parametrize(
    "text", ["9" * 5000 + ".1", "4.6.0\nX", "4.6.0/../../x", "\u0664.\u0666", "4.6 && x", "4.6.0;x"]
)
def test_what_only_begins_like_a_version_is_none(text: str) -> None:
    with pytest.raises(ActionRequired, match="is not the version"):
        Version.parse(text)


@given(line=st.text(max_size=40) | nasty_words)
def test_a_recorded_host_key_is_read_or_refused(line: str) -> None:
    try:
        parse_host_key(line)
    except ActionRequired:
        return


def test_a_pipe_in_the_place_of_a_key_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "key")
    with pytest.raises(AccessRefused, match="it is not a file"):
        load_private_key(str(tmp_path / "key"))


@pytest.mark.parametrize("path", ["/nowhere\0/key", "/dev/zero", "/"])
def test_a_key_is_a_file(path: str) -> None:
    with pytest.raises(AccessRefused, match="cannot be read"):
        load_private_key(path)


@given(value=st.text(max_size=20) | nasty_words)
@example(value="/tmp/a\u2028b")
@example(value="/tmp/a\x85b")
def test_a_line_is_one_line_also_for_who_reads_what_a_machine_prints(value: str) -> None:
    findings = Findings()
    line = Fields({"dst": value}, "files[0]", findings, ("dst",)).line("dst", required=True)
    assert (line is None) == bool(findings.faults)
    assert line is None or len(line.splitlines()) == 1
