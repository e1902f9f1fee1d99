"""The lab's own commands refuse and answer as those of CentOS 7; with both sandboxes."""

from __future__ import annotations

import http.server
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from lab.clock import ManualClock
from lab.core import LabError
from lab.manager import certificates
from lab.rpm_builder import build_rpm
from lab.settings import LabSettings
from lab.testing import LabThread
from tests.lab.test_lab_ssh import Client, Result

Run = Callable[..., Result]
NAME = "cloudify-manager-install"


@pytest.fixture(params=["namespace", "interpreter"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LabThread]:
    settings = LabSettings(install_seconds=60)
    try:
        with LabThread(tmp_path / "lab", machines=1, sandbox=request.param, settings=settings) as made:
            yield made
    except LabError as error:
        pytest.skip(str(error))


@pytest.fixture
def run(lab: LabThread) -> Iterator[Run]:
    client = Client(lab)
    yield client.run
    client.close()


@pytest.fixture
def package(lab: LabThread) -> Path:
    return build_rpm(lab.machine("m1").path("/home/centos/m.rpm"), padding_bytes=5000)


def wait_for(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not check():
        assert time.monotonic() < deadline, "it did not happen within 30 s"
        time.sleep(0.02)


def passes(lab: LabThread, seconds: float, reached: bool) -> bool:
    """Let time pass as long as something has not been reached."""
    if not reached:
        lab.advance(seconds)
    return reached


@pytest.mark.usefixtures("package")
def test_rpm_queries_a_file(run: Run) -> None:
    assert run(r"rpm -qp --queryformat '%{NAME}|%{VERSION}|%{EPOCH}|%-6{ARCH}|\n' m.rpm").out == (
        f"{NAME}|4.6.0|(none)|x86_64|\n"
    )
    assert run("rpm -qp m.rpm").out == f"{NAME}-4.6.0-ga.x86_64\n"
    assert run("rpm -qp --qf '%{NOPE}' m.rpm").code == 1
    assert "unknown option" in run("rpm --frobnicate").err


def test_rpm_says_what_is_no_package(run: Run) -> None:
    run("echo not a package > x.rpm")
    assert run("rpm -qp x.rpm") == (1, "", "error: x.rpm: not an rpm package (or package manifest)\n")
    assert run("rpm -qp nope.rpm") == (1, "", "error: open of nope.rpm failed: No such file or directory\n")
    assert run("sudo rpm -U x.rpm").code == 1


@pytest.mark.usefixtures("package")
def test_a_package_is_installed_queried_and_erased(run: Run) -> None:
    assert run(f"rpm -q {NAME}") == (1, f"package {NAME} is not installed\n", "")
    assert "Permission denied" in run("rpm -U m.rpm").err
    assert run("sudo rpm -U m.rpm") == (0, "", "")
    assert run(f"rpm -q {NAME}").out == f"{NAME}-4.6.0-ga.x86_64\n"
    assert run("command -v cfy_manager; head -n 1 /etc/cloudify/config.yaml").code == 0
    again = run("sudo rpm -i m.rpm")
    assert (again.code, again.err) == (1, f"\tpackage {NAME}-4.6.0-ga.x86_64 is already installed\n")
    assert run("sudo rpm -U --replacepkgs m.rpm").code == 0
    assert run(f"sudo rpm -e {NAME}") == (0, "", "")
    assert run(f"sudo rpm -e {NAME}") == (1, "", f"error: package {NAME} is not installed\n")
    assert run("cfy_manager").code == 127
    assert run("ls /etc/cloudify").code != 0


@pytest.mark.usefixtures("package")
def test_a_newer_package_replaces_and_an_older_one_does_not(lab: LabThread, run: Run) -> None:
    build_rpm(lab.machine("m1").path("/tmp/old.rpm"), version="4.5.5")
    assert run("sudo rpm -U /tmp/old.rpm && sudo rpm -U m.rpm").code == 0
    older = run("sudo rpm -U /tmp/old.rpm")
    assert older.code == 1
    assert "which is newer than" in older.err
    assert run("sudo rpm -U --oldpackage /tmp/old.rpm").code == 0


def test_a_package_cut_off_on_its_way_is_not_installed(package: Path, run: Run) -> None:
    package.write_bytes(package.read_bytes()[:-1000])
    assert run("rpm -qp m.rpm").code == 0
    assert "MD5 NOT OK" in run("rpm -K m.rpm").out
    result = run("sudo rpm -U m.rpm")
    assert result.code == 1
    assert "unpacking of archive failed" in result.err
    assert run(f"rpm -q {NAME}").code == 1


@pytest.mark.usefixtures("package")
def test_a_changed_configuration_is_kept_aside(run: Run) -> None:
    run("sudo rpm -U m.rpm; echo changed: 1 | sudo tee /etc/cloudify/config.yaml")
    assert "saved as /etc/cloudify/config.yaml.rpmsave" in run(f"sudo rpm -e {NAME}").err
    run("echo mine: 1 | sudo tee /etc/cloudify/config.yaml")
    assert "created as /etc/cloudify/config.yaml.rpmnew" in run("sudo rpm -U m.rpm").err
    assert run("cat /etc/cloudify/config.yaml").out == "mine: 1\n"


@pytest.mark.usefixtures("package")
def test_yum_installs_and_removes(run: Run) -> None:
    assert run("yum install -y m.rpm").code == 1
    assert "Complete!" in run("sudo yum install -y m.rpm").out
    assert "Nothing to do" in run("sudo yum install -y m.rpm").err
    assert "Complete!" in run(f"sudo yum remove -y {NAME}").out
    assert "No Match" in run(f"sudo yum remove -y {NAME}").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--wait true", "systemd-run: unrecognized option '--wait'"),
        ("--pipe true", "systemd-run: unrecognized option '--pipe'"),
        ("--collect true", "systemd-run: unrecognized option '--collect'"),
        ("--no-block true", "systemd-run: unrecognized option '--no-block'"),
        ("-u x true", "systemd-run: invalid option -- 'u'"),
        ("--unit", "systemd-run: option '--unit' requires an argument"),
        ("--unit=x", "Command line to execute required."),
        ("no-such-program", "Failed to find executable no-such-program: No such file or directory"),
        ("-p Nope=1 true", "Unknown assignment Nope=1."),
        ("--uid=nobodyhere true", "Invalid user nobodyhere"),
    ],
)
def test_systemd_run_is_as_old_as_it_is(run: Run, words: str, message: str) -> None:
    result = run(f"sudo systemd-run {words}")
    assert result.code == 1
    assert message in result.err


def test_a_unit_runs_apart_from_the_session_and_tells_how_it_ended(lab: LabThread, run: Run) -> None:
    start = "sudo systemd-run --unit=work --remain-after-exit --setenv=X=here /bin/bash -c"
    assert run(f"{start} 'echo $X; id -u; while [ ! -e /tmp/go ]; do sleep 0.02; done; exit 4'") == (
        0, "", "Running as unit work.service.\n",
    )  # fmt: skip
    again = run("sudo systemd-run --unit=work true")
    assert again == (1, "", "Failed to start transient service unit: Unit work.service already exists.\n")
    assert run("systemctl is-active work") == (0, "active\n", "")
    shown = dict(line.split("=", 1) for line in run("systemctl show work.service").out.splitlines())
    assert (shown["LoadState"], shown["ActiveState"], shown["SubState"]) == ("loaded", "active", "running")
    assert int(shown["MainPID"]) > 0
    run("touch /tmp/go")
    wait_for(lambda: run("systemctl is-failed work").code == 0)
    shown = dict(line.split("=", 1) for line in run("systemctl show work.service").out.splitlines())
    assert (shown["ActiveState"], shown["Result"], shown["MainPID"]) == ("failed", "exit-code", "0")
    assert (shown["ExecMainCode"], shown["ExecMainStatus"]) == ("1", "4")
    assert run("systemctl is-active work").code == 3
    assert run("systemctl status work").code == 3
    lines = run("journalctl -u work -o cat").out.splitlines()
    assert lines[1:3] == ["here", "0"]
    assert lines[-1] == "work.service failed."
    assert (
        run("sudo systemctl reset-failed work; systemctl show -p LoadState work").out
        == "LoadState=not-found\n"
    )


def test_a_unit_that_ends_well_is_gone_unless_it_is_to_remain(run: Run) -> None:
    run("sudo systemd-run --unit=brief true; sudo systemd-run --unit=kept -r true")
    wait_for(lambda: run("systemctl show -p SubState kept").out == "SubState=exited\n")
    wait_for(lambda: run("systemctl show -p LoadState brief").out == "LoadState=not-found\n")
    assert run("systemctl is-active kept").out == "active\n"
    assert run("systemctl stop kept").code == 4
    assert run("sudo systemctl stop kept; systemctl is-active kept").out == "unknown\n"


def test_a_unit_is_stopped_with_all_it_started(run: Run) -> None:
    run("sudo systemd-run --unit=tree bash -c 'sleep 600 & sleep 600'")
    assert run("sudo systemctl stop tree").code == 0
    assert run("systemctl show -p LoadState tree").out == "LoadState=not-found\n"
    run("sudo systemd-run --unit=shot sleep 600")
    run("sudo systemctl kill -s KILL shot")
    wait_for(lambda: "Result=signal" in run("systemctl show -p Result,ExecMainStatus shot").out)


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("is-active nope", 3, "unknown"),
        ("show -p LoadState -p ActiveState nope", 0, "LoadState=not-found\nActiveState=inactive"),
        ("status nope", 4, "Unit nope.service could not be found."),
        ("start nope", 5, "Failed to start nope.service: Unit not found"),
        ("stop nope", 5, "Failed to stop nope.service: Unit nope.service not loaded."),
        ("frobnicate", 1, "Unknown operation 'frobnicate'."),
        ("show --value nope", 1, "unrecognized option '--value'"),
    ],
)
def test_systemctl_answers_as_it_does(run: Run, words: str, code: int, text: str) -> None:
    result = run(f"sudo systemctl {words}")
    assert result.code == code
    assert text in result.out + result.err


def test_the_journal_goes_on_after_a_cursor(run: Run) -> None:
    run("sudo systemd-run --unit=one -r echo first")
    wait_for(lambda: "first" in run("journalctl -u one -o cat").out)
    cursor = run("journalctl -q -n 1 --show-cursor -o cat").out.splitlines()[-1].removeprefix("-- cursor: ")
    run("sudo systemd-run --unit=two -r echo second")
    after = f"journalctl -q --no-pager -o cat --show-cursor --after-cursor='{cursor}'"
    wait_for(lambda: "second" in run(after).out)
    assert "first" not in run(after).out
    assert run(f"{after} -u one").out == ""
    assert "invalid option" in run("journalctl -Z").err


class Files(http.server.SimpleHTTPRequestHandler):
    """Serves bytes from a dictionary, with ranges."""

    content: dict[str, bytes] = {}  # noqa: RUF012
    failures = 0

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/file")
            self.end_headers()
            return
        if self.path == "/flaky" and Files.failures > 0:
            Files.failures -= 1
            self.send_error(503)
            return
        body = self.content.get("/file" if self.path == "/flaky" else self.path)
        if body is None:
            self.send_error(404)
            return
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        if self.path == "/cut":
            self.wfile.write(body[:1000])
            return
        self.wfile.write(body[start:])

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    Files.content = {"/file": b"content" * 1000, "/cut": b"x" * 5000}
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
    made.daemon_threads = True
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def url(server: http.server.ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def test_curl_fetches_into_a_file(lab: LabThread, run: Run, url: str) -> None:
    config = f'url = "{url}/moved"\n'.encode()
    assert run("curl -K - -f -sS -L --retry 3 -o got", config) == (0, "", "")
    assert lab.machine("m1").path("/home/centos/got").read_bytes() == b"content" * 1000
    assert run(f"curl -s -O {url}/file && wc -c < file").out.strip() == "7000"
    assert run(f"curl -s {url}/file | head -c 7").out == "content"
    assert run(f"curl -s -o /dev/null -w '%{{http_code}} %{{size_download}}' {url}/nope").out.startswith(
        "404 "
    )


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("-fsS {url}/nope", 22, "curl: (22) The requested URL returned error: 404 Not Found"),
        ("-fs {url}/nope", 22, ""),
        ("-sS http://127.0.0.1:1/", 7, "curl: (7) Failed connect to 127.0.0.1:1; Connection refused"),
        ("-sS http://nowhere.invalid/", 6, "curl: (6) Could not resolve host: nowhere.invalid"),
        ("-sS -o /etc/x {url}/file", 23, "curl: (23) Failed writing body"),
        ("-sS -o x {url}/cut", 18, "curl: (18) transfer closed"),
        ("-sS gopher://x/", 1, "curl: (1) Protocol gopher not supported"),
        ("--frobnicate {url}", 2, "curl: option --frobnicate: is unknown"),
        ("", 2, "curl: no URL specified!"),
    ],
)
def test_curl_fails_with_its_codes(run: Run, url: str, words: str, code: int, message: str) -> None:
    result = run(f"curl {words.format(url=url)}")
    assert result.code == code
    assert result.err.startswith(message)


def test_curl_resumes_what_was_cut(lab: LabThread, run: Run, url: str) -> None:
    target = lab.machine("m1").path("/home/centos/part")
    target.write_bytes(b"content")
    assert run(f"curl -sS -C - -o part {url}/file").code == 0
    assert target.read_bytes() == b"content" * 1000


def test_curl_tries_again_what_may_pass(lab: LabThread, run: Run, url: str) -> None:
    Files.failures = 1
    assert run(f"curl -fsS -o x {url}/flaky").code == 22
    Files.failures = 1
    done = threading.Event()
    results: list[Result] = []

    def fetch() -> None:
        results.append(run(f"curl -fsS --retry 2 -o x {url}/flaky"))
        done.set()

    thread = threading.Thread(target=fetch)
    thread.start()
    wait_for(lambda: passes(lab, 1, done.is_set()))
    thread.join()
    assert results[0].code == 0


def test_curl_checks_certificates(
    lab: LabThread, run: Run, server: http.server.ThreadingHTTPServer, tmp_path: Path
) -> None:
    authority, key = certificates.make_authority()
    pair = certificates.make_pair(["127.0.0.1"], authority, key)
    for name, content in zip(("cert", "key"), pair, strict=True):
        (tmp_path / name).write_bytes(content)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    lab.machine("m1").path("/home/centos/ca.pem").write_bytes(authority)
    address = f"https://127.0.0.1:{server.server_port}/file"
    assert run(f"curl -sS {address}").code == 60
    assert run(f"curl -sS --cacert nope.pem {address}").code == 77
    assert run(f"curl -s --cacert ca.pem {address}").out.startswith("content")
    assert run(f"curl -s -k {address}").out.startswith("content")


def test_a_cut_off_machine_reaches_nobody_outside(lab: LabThread, run: Run, url: str) -> None:
    line = (
        f"until test -e /tmp/go; do sleep 0.02; done; curl -sS --connect-timeout 30 {url}/file; echo code $?"
    )
    run(f"sudo systemd-run --unit=fetch -r bash -c '{line}'")
    lab.partition("m1")
    lab.machine("m1").path("/tmp/go").touch()
    assert isinstance(lab.lab.clock, ManualClock)
    wait_for(lambda: lab.lab.clock.sleepers == 1)  # type: ignore[attr-defined]
    lab.advance(30)
    lab.heal_partition("m1")
    wait_for(lambda: "code 28" in run("journalctl -u fetch -o cat").out)


@pytest.mark.parametrize(
    ("line", "out"),
    [
        ("hostname", "manager-1\n"),
        ("hostname -s", "manager-1\n"),
        ("uname -n", "manager-1\n"),
        ("getent passwd centos | cut -d: -f6", "/home/centos\n"),
        ("sudo chown root:root /etc/hosts && echo done", "done\n"),
        ("cat /etc/redhat-release", "CentOS Linux release 7.9.2009 (Core)\n"),
        ("systemd-run --version", "systemd 219\n"),
    ],
)
def test_the_machine_knows_itself(run: Run, line: str, out: str) -> None:
    assert run(line).out == out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("hostname other", "hostname: you must be root to change the host name"),
        ("sudo chown nobodyhere /etc/hosts", "chown: invalid user: 'nobodyhere'"),
        ("chown root /tmp", "chown: changing ownership of '/tmp': Operation not permitted"),
        ("sudo chgrp nogroup /nowhere", "chgrp: invalid group: 'nogroup'"),
        ("sudo chown root /nowhere", "chown: cannot access '/nowhere': No such file or directory"),
        ("reboot", "Interactive authentication required"),
    ],
)
def test_what_cannot_be_done_is_said(run: Run, line: str, message: str) -> None:
    result = run(line)
    assert result.code == 1
    assert message in result.err


def configure(lab: LabThread, folder: Path) -> None:
    """Leave a configuration with which `cfy_manager install` succeeds."""
    machine = lab.machine("m1")
    authority, key = certificates.make_authority()
    for kind in ("external", "internal"):
        cert, cert_key = certificates.make_pair([machine.ip], authority, key)
        machine.path(f"/root/{kind}_cert.pem").write_bytes(cert)
        machine.path(f"/root/{kind}_key.pem").write_bytes(cert_key)
    machine.path("/root/ca.pem").write_bytes(authority)
    (folder / "ca.pem").write_bytes(authority)
    files = {
        f"{kind}_{what}_path": f"/root/{kind}_{what}.pem"
        for kind in ("external", "internal")
        for what in ("cert", "key")
    }
    config = {
        "manager": {
            "private_ip": machine.ip,
            "public_ip": machine.ip,
            "security": {"ssl_enabled": True, "admin_password": "secret-of-the-test"},
        },
        "ssl_inputs": {**files, "ca_cert_path": "/root/ca.pem"},
    }
    machine.path("/etc/cloudify/config.yaml").write_text(yaml.safe_dump(config))


@pytest.mark.usefixtures("package")
def test_cfy_manager_installs_as_a_unit_while_time_passes(lab: LabThread, run: Run, tmp_path: Path) -> None:
    assert run("sudo rpm -U m.rpm && cfy_manager").code == 2
    assert "not simulated" in run("cfy_manager configure").err
    assert "invalid choice: 'status'" in run("cfy_manager status").err
    assert run("sudo cfy_manager install").code == 1
    configure(lab, tmp_path)
    run("sudo chmod 600 /etc/cloudify/config.yaml")
    assert "Permission denied: '/etc/cloudify/config.yaml'" in run("cfy_manager install").err
    run("sudo systemd-run --unit=install -r cfy_manager install")
    wait_for(lambda: "Installing" in run("journalctl -u install -o cat").out)
    assert run("systemctl is-active install nginx").out == "active\nunknown\n"
    wait_for(lambda: passes(lab, 5, "exited" in run("systemctl show -p SubState install").out))
    assert "Installation finished successfully!" in run("journalctl -u install -n 3 -o cat").out
    assert run("systemctl is-active nginx cloudify-restservice").out == "active\nactive\n"
    rest = f"https://{lab.machine('m1').ip}:{lab.machine('m1').rest_port}/api/v3.1/status"
    assert run(f"curl -s -k -o /dev/null -w '%{{http_code}}' {rest}").out == "401"
    assert lab.status()[0].manager == "4.6.0"
    lab.kill("m1")
    lab.start("m1")
    again = Client(lab)
    assert again.run("systemctl is-active nginx").out == "active\n"
    assert again.run("sudo cfy_manager remove -f").code == 0
    assert again.run("systemctl is-active nginx").out == "unknown\n"
    again.close()


@pytest.mark.usefixtures("package")
def test_an_installation_ends_with_its_process(lab: LabThread, run: Run, tmp_path: Path) -> None:
    run("sudo rpm -U m.rpm")
    configure(lab, tmp_path)
    run("sudo systemd-run --unit=install -r cfy_manager install")
    wait_for(lambda: "Installing" in run("journalctl -u install -o cat").out)
    run("sudo systemctl kill -s KILL install")
    wait_for(lambda: run("systemctl is-failed install").code == 0)
    lab.advance(120)
    assert lab.status()[0].manager == "none"
