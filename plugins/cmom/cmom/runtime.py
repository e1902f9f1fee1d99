"""The runtime properties of our node instances: every key in one place, with typed load and store.

They are what survives a crash of Tier 2, and what outputs and other deployments read; so a key is never
renamed without a thought, and nothing secret is ever among them. Values are JSON: text, numbers, lists,
mappings.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from cmom.models import Host

Properties = MutableMapping[str, Any]

# On the infrastructure: which instance holds which entry of the pool, {node instance id: entry}.
ALLOCATIONS = "allocations"

# On the infrastructure: the addresses of machines that died and were replaced by a spare.
RETIRED = "retired"

# On the infrastructure on OpenStack: by what everything of this installation is known in the cloud.
MARK = "mark"

# On what is made in the cloud; the names are those of cloudify-openstack-plugin, whose operations read them.
CLOUD_ID = "id"
CLOUD_NAME = "name"
CLOUD_TYPE = "type"
CLOUD_NETWORKS = "networks"  # of a server
FLOATING_ADDRESS = "floating_ip_address"
IPV4_ADDRESSES = "ipv4_addresses"  # of a port, like all that follow
IPV4_ADDRESS = "ipv4_address"
IPV6_ADDRESSES = "ipv6_addresses"
IPV6_ADDRESS = "ipv6_address"
FIXED_IPS = "fixed_ips"
MAC_ADDRESS = "mac_address"
ALLOWED_ADDRESS_PAIRS = "allowed_address_pairs"

# On the preflight node.
CA_FINGERPRINT = "ca_fingerprint"
MANAGER_VERSION = "manager_version"
GENERATION = "generation"

# On a host and on its manager.
IP = "ip"
PUBLIC_IP = "public_ip"
HOSTNAME = "hostname"

# On a manager.
SSH_HOST_KEY = "ssh_host_key"
SCRIPTS = "scripts"
LEAVING = "leaving"  # why it has not left its cluster, though it was asked to

# On the cluster; the outputs read the first two.
CLUSTER_IPS = "cluster_ips"
STATUS = "status"
RESOURCES = "resources"
EXECUTION = "execution"
BACKUP = "backup"
BACKUPS = "backups"
RESTORE = "restore"
AGENTS = "agents"
LAST_BACKUP = "last_backup"

# On the cluster, see `services.healing.record`.
HEALING = "healing"
HEAL_HISTORY = "heal_history"
HEALING_PAUSED = "healing_paused"


def store_host(properties: Properties, host: Host) -> None:
    """Write a machine's addresses and name."""
    properties[IP] = host.ip
    properties[PUBLIC_IP] = host.public_ip
    properties[HOSTNAME] = host.hostname


def load_host(properties: Mapping[str, Any]) -> Host | None:
    """Read a machine's addresses and name; None when there are none, as before an installation."""
    ip = properties.get(IP)
    if not ip:
        return None
    return Host(
        ip=str(ip),
        public_ip=str(properties.get(PUBLIC_IP) or ip),
        hostname=str(properties.get(HOSTNAME) or ""),
    )


@dataclass(frozen=True)
class ManagerRecord:
    """What Tier 2 remembers of one installed manager.

    Attributes:
        ssh_host_key: The machine's host key as first seen, ``TYPE BASE64``; None before the first connection.
        manager_version: The version that is being, or was, installed.
    """

    host: Host
    ssh_host_key: str | None = None
    manager_version: str = ""

    @classmethod
    def load(cls, properties: Mapping[str, Any]) -> ManagerRecord | None:
        """Read it; None for an instance that was never created, or is deleted."""
        host = load_host(properties)
        if host is None:
            return None
        return cls(
            host=host,
            ssh_host_key=properties.get(SSH_HOST_KEY) or None,
            manager_version=str(properties.get(MANAGER_VERSION) or ""),
        )

    def store(self, properties: Properties) -> None:
        """Write it."""
        store_host(properties, self.host)
        properties[MANAGER_VERSION] = self.manager_version
        if self.ssh_host_key is not None:
            properties[SSH_HOST_KEY] = self.ssh_host_key
        else:
            properties.pop(SSH_HOST_KEY, None)


@dataclass(frozen=True)
class ExecutionRecord:
    """What ``execute_workflow`` leaves on the cluster of the workflow that it ran last.

    Attributes:
        execution_id: On Tier 1.
        status: Of that execution, in the manager's words.
        error: Why it failed; empty when it did not.
        tier2_execution_id: Of the execution on Tier 2 that started it; the same one, run again, follows it.
    """

    execution_id: str
    status: str
    error: str
    workflow_id: str
    deployment_id: str
    tenant_name: str
    tier2_execution_id: str

    @classmethod
    def load(cls, properties: Mapping[str, Any]) -> ExecutionRecord | None:
        """Read it; None when no workflow was run."""
        stored = properties.get(EXECUTION)
        if not isinstance(stored, Mapping):
            return None
        return cls(**{name: str(stored.get(name) or "") for name in cls.__dataclass_fields__})

    def store(self, properties: Properties) -> None:
        """Write it."""
        properties[EXECUTION] = dict(vars(self))


@dataclass(frozen=True)
class BackupRecord:
    """What a backup under way leaves on the cluster, so that it can be gone on with or cleaned up.

    Attributes:
        snapshot_id: What it is to be called on Tier 2.
        tier1_snapshot_id: What it is called on Tier 1; another name when it had to be begun again.
        deployment_id: Whose cluster it is taken of.
        leader: The address of the manager that makes it; empty until it has begun.
        attempt: How often it was begun, this time included.
        tier2_execution_id: Of the execution on Tier 2 that takes it; the same one, run again, goes on.
        began_at: When it was begun, as text; empty until then.
        contents: What the cluster held then, by kind.
    """

    snapshot_id: str
    tier1_snapshot_id: str
    deployment_id: str
    tier2_execution_id: str
    leader: str = ""
    attempt: int = 1
    began_at: str = ""
    contents: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, properties: Mapping[str, Any]) -> BackupRecord | None:
        """Read it; None when no backup is under way."""
        stored = properties.get(BACKUP)
        if not isinstance(stored, Mapping):
            return None
        attempt, contents = stored.get("attempt"), stored.get("contents")
        others = ("attempt", "contents")
        texts = {name: str(stored.get(name) or "") for name in cls.__dataclass_fields__ if name not in others}
        return cls(
            **texts, attempt=attempt if isinstance(attempt, int) else 1, contents=load_counts(contents)
        )

    @staticmethod
    def store(properties: Properties, record: BackupRecord | None) -> None:
        """Write it, or forget it."""
        if record is None:
            properties.pop(BACKUP, None)
        else:
            properties[BACKUP] = {**vars(record), "contents": dict(record.contents)}


@dataclass(frozen=True)
class RestoreRecord:
    """How far a restore has come, so that one that was interrupted is gone on with and never done twice.

    Attributes:
        path: Of the snapshot's archive on Tier 2.
        tier1_snapshot_id: What it is called on Tier 1.
        stage: ``chosen``, ``uploading``, ``uploaded``, ``restoring``, ``restored``.
        execution_id: On Tier 1, of the restore; empty before it was begun.
        before: What the manager held before, by kind.
    """

    path: str
    tier1_snapshot_id: str = ""
    stage: str = "chosen"
    execution_id: str = ""
    before: Mapping[str, int] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        return self.stage == "restored"

    @classmethod
    def load(cls, properties: Mapping[str, Any]) -> RestoreRecord | None:
        """Read it; None when nothing is being restored, or was."""
        stored = properties.get(RESTORE)
        if not isinstance(stored, Mapping):
            return None
        texts = {name: str(stored.get(name) or "") for name in cls.__dataclass_fields__ if name != "before"}
        return cls(**texts, before=load_counts(stored.get("before")))

    def store(self, properties: Properties) -> None:
        """Write it."""
        properties[RESTORE] = {**vars(self), "before": dict(self.before)}


def load_counts(stored: object) -> dict[str, int]:
    """Read how much there is of each kind; nothing for anything else."""
    if not isinstance(stored, Mapping):
        return {}
    return {str(kind): count for kind, count in stored.items() if isinstance(count, int)}
