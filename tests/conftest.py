"""What every test runs in: a home of its own, and no way out of this machine."""

from __future__ import annotations

import errno
import gc
import ipaddress
import itertools
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

# What a developer's shell may hold that would lead `cfy`, SSH or requests somewhere else.
FOREIGN_VARIABLES = ("CFY_", "CLOUDIFY_", "SSH_AUTH_SOCK", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
RSA_KEYS = 48
HOME_KEY = pytest.StashKey[str]()

# A busy machine is no fault of the code, so no deadlines. The same few examples every time, unless somebody
# goes searching: CMOM_EXAMPLES=2000 tries as many for each property, others in each run. What that finds
# belongs into a test of its own.
EXAMPLES = os.environ.get("CMOM_EXAMPLES", "")
hypothesis.settings.register_profile(
    "cmom",
    deadline=None,
    derandomize=not EXAMPLES,
    max_examples=int(EXAMPLES or 30),
    suppress_health_check=[
        hypothesis.HealthCheck.too_slow,
        # Fixtures that a property uses hold nothing that one example leaves for the next.
        hypothesis.HealthCheck.function_scoped_fixture,
        hypothesis.HealthCheck.differing_executors,
    ],
)
hypothesis.settings.load_profile("cmom")


def pytest_configure(config: pytest.Config) -> None:
    """Move HOME and the state of `cfy` into a folder that goes with the run.

    Done before any test module is imported: cloudify's CLI reads both when it is imported.
    """
    home = tempfile.mkdtemp(prefix="cmom-tests-")
    config.stash[HOME_KEY] = home
    for name in [name for name in os.environ if name.upper().startswith(FOREIGN_VARIABLES)]:
        del os.environ[name]
    os.environ["HOME"] = home
    os.environ["CFY_WORKDIR"] = home
    os.environ["PYTHONFAULTHANDLER"] = "1"  # a process that hangs says where when it gets SIGABRT
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell's background jobs, and all that they start, are deaf to Ctrl-C, which some tests send.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove that folder."""
    shutil.rmtree(config.stash[HOME_KEY], ignore_errors=True)


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what stays to the end of the run: the tests themselves."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def few_rsa_keys() -> Iterator[None]:
    """Make only so many RSA keys in this process, then hand them out again in turn.

    To make one takes 40 ms and more, which was a tenth of what all tests take. There are more of them than
    any test needs, so no two that meet are the same.
    """
    make, made, number = rsa.generate_private_key, list[rsa.RSAPrivateKey](), itertools.count()

    def generate(public_exponent: int, key_size: int, backend: Any = None) -> rsa.RSAPrivateKey:
        if (public_exponent, key_size) != (65537, 2048):
            return make(public_exponent, key_size)
        if len(made) < RSA_KEYS:
            key = make(public_exponent, key_size)
            made.append(key)
            return key
        return made[next(number) % RSA_KEYS]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rsa, "generate_private_key", generate)
        yield


def is_this_machine(address: Any) -> bool:
    """Tell whether a socket's address is a unix socket or a loopback address."""
    if not isinstance(address, tuple):
        return True
    try:
        return ipaddress.ip_address(address[0]).is_loopback
    except ValueError:
        return bool(address[0] == "localhost")


@pytest.fixture(autouse=True, scope="session")
def only_this_machine() -> Iterator[None]:
    """Refuse connections to other machines at once and by name, where they would otherwise hang."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded(self: socket.socket, address: Any) -> None:
        if not is_this_machine(address):
            raise OSError(errno.ENETUNREACH, f"a test tried to reach {address}, which is not this machine")
        connect(self, address)

    def guarded_ex(self: socket.socket, address: Any) -> int:
        return connect_ex(self, address) if is_this_machine(address) else errno.ENETUNREACH

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        patch.setattr(socket.socket, "connect_ex", guarded_ex)
        yield
