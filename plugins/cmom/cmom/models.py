"""Plain data that crosses layers. Imports nothing above it, does no I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from cmom.errors import ActionRequired

INSTALL_PACKAGE = "cloudify-manager-install"
DEFAULT_SSH_PORT = 22
DEFAULT_REST_PORT = 443
_VERSION = re.compile(
    r"([0-9]{1,6})\.([0-9]{1,6})(?:\.([0-9]{1,6}))?(?![0-9])[A-Za-z0-9._+~-]{0,64}\Z", re.ASCII
)


def is_unicode(text: str) -> bool:
    """Tell whether text can be written anywhere; JSON can hold halves of characters, which cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


class Secret(str):
    """A string that prints as ``***``; `reveal` is the only way to its content on purpose.

    It is a `str` so that it can go where strings go (a YAML dumper, a REST client) without being
    unwrapped early, but `repr`, f-strings and `str.format` show asterisks: a slip in a log shows nothing.
    """

    __slots__ = ()

    def reveal(self) -> str:
        """Return the content as an ordinary string."""
        return str.__str__(self)

    def __repr__(self) -> str:
        return "'***'"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"


@dataclass(frozen=True)
class Version:
    """A manager's version, such as 4.6.0 or 7.0.5."""

    text: str
    numbers: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> Version:
        """Read ``4.6.0``, ``4.3`` or ``7.0.5-ga``.

        Raises:
            ActionRequired: The text does not begin with two numbers.
        """
        # It comes from a stranger's file or answer, and goes into messages, names of files and properties.
        match = _VERSION.match(text)
        if match is None:
            raise ActionRequired(f"{text[:80]!r} is not the version of a Cloudify Manager")
        return cls(text, tuple(int(part) for part in match.groups() if part is not None))

    @property
    def generation(self) -> int:
        """4 for 4.3 - 5.0 (leader and replicas), 5 for 5.1 and later (all members active)."""
        return 5 if self.numbers >= (5, 1) else 4

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Package:
    """What the header of an RPM says of it."""

    name: str
    version: Version
    release: str
    arch: str


@dataclass(frozen=True)
class Host:
    """One machine, as its infrastructure knows it.

    Attributes:
        ip: The private address, by which the members of a cluster know each other.
        public_ip: The address by which Tier 2 and users reach it; the same as `ip` where there is but one.
        hostname: Its name; also the name of the member in a cluster.
    """

    ip: str
    public_ip: str
    hostname: str


@dataclass(frozen=True)
class SshAccess:
    """How Tier 2 logs in to the machines."""

    user: str
    private_key_path: str
    port: int = DEFAULT_SSH_PORT


@dataclass(frozen=True)
class ManagerAccess:
    """How Tier 2 talks to the REST service of its Tier 1 managers.

    Attributes:
        ca_cert_path: The certificate that the managers' certificates are checked against.
    """

    username: str
    password: Secret
    ca_cert_path: str
    port: int = DEFAULT_REST_PORT
    tenant: str = "default_tenant"


@dataclass(frozen=True)
class Member:
    """A member by its cluster's own word: ``GET /cluster/nodes``, in generation 5 ``/cluster-status``.

    Attributes:
        leader: Generation 4: whether it leads.
        checks: Generation 4: ``consul``, ``services``, ``database``, ``heartbeat``; generation 5:
            ``database``, ``broker``, ``manager``, as far as it has them; each passing or not. Empty when
            unknown.
        active: Generation 5: all members are.
    """

    name: str
    host_ip: str
    public_ip: str = ""
    online: bool = False
    leader: bool = False
    initialized: bool = False
    checks: dict[str, bool] = field(default_factory=dict)
    active: bool = False

    @property
    def state(self) -> str:
        """``offline``, ``leader`` or ``replica``, the words of ``cfy cluster nodes list``; or ``active``."""
        if not self.online:
            return "offline"
        if self.active:
            return "active"
        return "leader" if self.leader else "replica"

    @property
    def serves(self) -> bool:
        """Whether the others see its manager at work; its database or its broker may also live alone."""
        return self.online and self.checks.get("manager", True)

    @property
    def healthy(self) -> bool:
        """Whether it is online and every check passes; that nothing is known of its checks is not passing."""
        return self.online and bool(self.checks) and all(self.checks.values())
