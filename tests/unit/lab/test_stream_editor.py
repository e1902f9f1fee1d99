"""The substitutions of the interpreter's `sed` are those of the real one."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from lab.sandbox.shell.context import UsageError
from lab.sandbox.shell.stream_editor import substitution

LINES = ["Admin password: hunter2", "a+b (c) a+b", "nothing", "path/to/x | y", ""]


@pytest.mark.skipif(shutil.which("sed") is None, reason="there is no sed to compare with")
@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize(
    "script",
    [
        r"s/\(Admin password:\|Manager password is\) .*/\1 ***/",
        "s/a+b/X/",
        "s/a+b/X/g",
        "s/(c)/[&]/",
        "s,path/to,there,",
        r"s/o\{1,2\}/0/g",
        "s/^a//",
    ],
)
def test_a_line_becomes_what_sed_makes_of_it(script, line):
    real = subprocess.run(["sed", "-e", script], input=line, capture_output=True, text=True, check=True)
    assert substitution(script)(line) == real.stdout


@pytest.mark.parametrize("script", ["", "p", "s/a/b", "s/a/b/p", "/x/d", "y/a/b/"])
def test_what_is_not_simulated_is_refused(script):
    with pytest.raises(UsageError):
        substitution(script)
