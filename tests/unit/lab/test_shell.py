"""The interpreter's shell does what bash does, for what it knows."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.core import Lab, LabConfig
from lab.machine import Machine
from lab.sandbox.base import Command
from lab.sandbox.shell.parser import Parser
from lab.sandbox.shell.word_parser import ShellSyntaxError
from lab.sandbox.stdio import Reader

ENV = {"PATH": "/usr/bin:/bin", "HOME": "/home/centos"}


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, loop: asyncio.AbstractEventLoop) -> Machine:
    """A machine whose commands are interpreted, with no port open."""

    async def make() -> Machine:
        lab = Lab(tmp_path_factory.mktemp("lab"), LabConfig(machines=0, sandbox="interpreter"))
        await lab.start("ssh-ed25519 AAAA test")
        one = lab._make("m1", "manager-1", "127.0.0.1", "127.0.0.1")
        one._install_system()
        await one.sandbox.start()
        return one

    return loop.run_until_complete(make())


class Bash:
    """Runs lines on the machine."""

    def __init__(self, machine: Machine, loop: asyncio.AbstractEventLoop) -> None:
        self.machine = machine
        self._loop = loop

    def __call__(self, line: str, stdin: bytes = b"", *, root: bool = False) -> tuple[int, str, str]:
        return self._loop.run_until_complete(self._run(line, stdin, root))

    async def _run(self, line: str, stdin: bytes, root: bool) -> tuple[int, str, str]:
        source, feed = os.pipe()
        os.write(feed, stdin)
        os.close(feed)
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        command = Command(("/bin/bash", "-c", line), "/home/centos", ENV, root)
        job = await self.machine.sandbox.spawn(command, (source, out_end, err_end))
        for descriptor in (source, out_end, err_end):
            os.close(descriptor)
        readers = Reader(out), Reader(err)
        os.close(out)
        os.close(err)
        try:
            texts = await asyncio.gather(*(reader.read_all() for reader in readers))
            return await job.wait(), texts[0].decode(), texts[1].decode()
        finally:
            for reader in readers:
                reader.close()


@pytest.fixture(scope="module")
def bash(machine: Machine, loop: asyncio.AbstractEventLoop) -> Bash:
    return Bash(machine, loop)


SAME_AS_BASH = [
    "echo one two; echo 'three  four' \"five $HOME\"",
    "false; echo $?; true; echo $?",
    "true && echo yes || echo no",
    "false && echo yes || echo no",
    "! false && echo turned",
    "x=5; y=$x$x; echo $y ${#y} ${z:-none} ${x:+set}",
    "x=/a/b/c.tar.gz; echo ${x##*/} ${x#*/} ${x%.*} ${x%%.*}",
    "x='a b'; for i in $x; do echo [$i]; done; for i in \"$x\"; do echo [$i]; done",
    "if [ 1 -lt 2 ]; then echo less; elif true; then echo never; else echo more; fi",
    "if test -e /nowhere; then echo there; else echo gone; fi",
    "i=x; while [ $i != xxxx ]; do i=x$i; echo $i; done",
    "until true; do echo never; done; echo end",
    "for i in 1 2 3; do [ $i = 2 ] && continue; echo $i; done",
    "for i in 1 2 3; do [ $i = 2 ] && break; echo $i; done",
    "printf '%s-%d\\n' a 1 b 2",
    "echo a b | cat | tr a b 2>/dev/null | wc -l | tr -d ' '",
    "seq 1 20 | tail -n 3 | head -n 1",
    'echo "$(echo inner; echo `echo back`)"',
    "cat <<EOF\nvalue $HOME\nEOF\necho after",
    "cat <<'EOF'\nvalue $HOME\nEOF",
    "cat <<-EOF\n\tindented\n\tEOF",
    "cat <<< 'a string'",
    "(cd /; pwd); [ $(pwd) != / ] && echo back",
    "{ echo one; echo two; } | sort -r",
    "echo to-stderr >&2; echo to-stdout",
    "echo hidden 2>&1 >/dev/null; echo shown",
    "set -e; true; false; echo never",
    "set -e; false || true; if false; then :; fi; ! true; echo reached",
    "set -u; echo ${missing-default}; echo $missing; echo never",
    "exit 7",
    "(exit 3); echo $?",
    'set -- a b c; echo $# $2; shift; echo $1 "$@"',
    "x=1; export y=2; sh -c 'echo [$x] [$y]'",
    "y=3 sh -c 'echo $y'; echo [$y]",
    "bash -c 'echo $0 $1' name argument",
    "eval 'echo eval'; : ; echo $?",
    "echo a\\ b 'c'\"d\"e",
    'echo \\$HOME "\\$HOME \\"quoted\\"" \'$HOME\'',
    "true # comment\necho line two",
    "echo one; # nothing\n\n\necho two",
    "echo a \\\nb",
    "read a b; echo $b-$a",
    "env -i X=1 sh -c 'echo $X'",
    "command -v nothing-like-that || echo missing",
    "timeout 5 echo in-time; timeout 0.05 sleep 5; echo $?",
    "echo x | grep -q y; echo $?; printf 'a\\nb\\n' | grep -v a",
    "basename /a/b.txt .txt; dirname /a/b/c; dirname x",
    "[ -z '' -a -n x ] && echo both; [ a = b -o 1 -eq 1 ] && echo either",
    "true | false; echo $?; set -o pipefail; false | true; echo $?",
    "trap : EXIT; echo ok",
]


@pytest.mark.parametrize("line", SAME_AS_BASH)
def test_a_line_does_what_bash_does(bash: Bash, line: str) -> None:
    done = subprocess.run(
        [shutil.which("bash") or "bash", "-c", line],
        input=b"first second\n",
        env={**ENV, "LC_ALL": "C"},
        cwd="/tmp",
        capture_output=True,
        check=False,
    )
    code, out, err = bash(line, b"first second\n")
    assert (code, out) == (done.returncode, done.stdout.decode())
    assert bool(err) == bool(done.stderr)


def test_an_unknown_command_is_not_found(bash: Bash) -> None:
    assert bash("cfy status") == (127, "", "bash: line 1: cfy: command not found\n")


def test_a_program_of_the_host_that_is_not_known_is_not_found(bash: Bash) -> None:
    assert bash("awk 1; /usr/bin/openssl version")[0] == 127


@pytest.mark.parametrize("line", ["if", "echo 'x", 'echo "x', "a | ", "(echo", "fi", ")", "case x in esac"])
def test_wrong_syntax_is_told_and_nothing_runs(bash: Bash, line: str) -> None:
    code, out, err = bash(f"echo before; {line}")
    assert (code, out) == (2, "")
    assert err.startswith("bash: line 1: ")


@pytest.mark.parametrize("text", ["echo $((1 + 1))", "[[ a = b ]]"])
def test_what_is_not_simulated_is_said(text: str) -> None:
    with pytest.raises(ShellSyntaxError, match="not simulated"):
        Parser(text).parse()


def test_files_are_made_copied_moved_and_removed(bash: Bash) -> None:
    line = (
        "mkdir -p a/b && echo content > a/b/f && cp a/b/f a/g && mv -fT a/g a/h && cat a/h && "
        "install -m 0600 -T a/h a/i && stat -c '%a %s %F' a/i && chmod u+x,go+r a/i && "
        "stat -c %a a/i && ln -s h a/l && readlink a/l && cat a/l && rm -rf a/b && ls a"
    )
    assert bash(line) == (
        0, "content\n600 8 regular file\n744\nh\ncontent\nh\ni\nl\n", "",
    )  # fmt: skip


def test_digests_and_dd_agree(bash: Bash) -> None:
    code, out, _ = bash("dd of=f conv=notrunc status=none && sha256sum -- f", b"abc")
    assert code == 0
    assert out.split()[0] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    "line",
    [
        "echo x > /etc/x", "mkdir /opt/x", "rm /etc/hosts", "touch /root/x", "cp /etc/hosts /var/x",
        "cat /etc/shadow", "ls /root", "mv /etc/hosts /tmp/moved", "chmod 777 /etc/hosts", "cat /root/x",
        "ln -sf x /etc/link", "install -o root /etc/hosts /tmp/hosts",
        "head /etc/shadow", "sha256sum /etc/shadow",
    ],
)  # fmt: skip
def test_the_user_may_not_do_what_only_root_may(bash: Bash, line: str) -> None:
    assert bash("rm -rf /opt/x; touch /root/x; echo x > /etc/hosts", root=True)[0] == 0
    code, _, err = bash(line)
    assert code != 0
    assert "denied" in err or "not permitted" in err
    assert bash(line, root=True)[0] == 0


def test_links_do_not_lead_out_of_the_disk(bash: Bash, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("host")
    assert bash(f"ln -s {outside} l; cat l")[0] == 1
    assert bash(f"ln -s / r; cat r/{outside}")[0] == 1
    assert bash("ln -s ../../../../../../.. up; ls up/home")[1] == "centos\n"


def test_a_script_with_its_first_line_runs_and_others_do_not(bash: Bash) -> None:
    bash("printf '#!/bin/bash\\necho script $1\\n' > s; printf '#!/usr/bin/perl\\n' > p")
    assert bash("./s")[0] == 126
    assert bash("chmod +x s p; ./s here") == (0, "script here\n", "")
    assert bash("./p")[0] == 126
    assert bash("./nothing")[0] == 127
    assert bash("bash s again") == (0, "script again\n", "")


def test_a_command_that_is_killed_ends_with_the_signal(
    machine: Machine, loop: asyncio.AbstractEventLoop
) -> None:
    async def scenario() -> int:
        with open(os.devnull, "r+b") as null:
            command = Command(("/bin/bash", "-c", "sleep 60"), "/", ENV)
            job = await machine.sandbox.spawn(command, (null.fileno(),) * 3)
            await asyncio.sleep(0)
            job.send_signal(15)
            return await job.wait()

    assert loop.run_until_complete(scenario()) == -15
