"""A cluster of generation 5 whose machines die, come back and are replaced, by its own commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cloudify_rest_client.exceptions import CloudifyClientError

from lab.settings import LabSettings
from tests.lab.cluster5 import DATABASE, MANAGER, QUEUE, Cluster5, changed, cluster_of


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster5]:
    with cluster_of(tmp_path) as made:
        made.install_all()
        yield made


def words(cluster: Cluster5, name: str) -> dict[str, str]:
    """What a manager says of databases, brokers and managers."""
    services = cluster.client(name).cluster_status.get_status()["services"]
    return {kind: told["status"] for kind, told in services.items()}


def summary(cluster: Cluster5, name: str) -> str:
    """One word of a manager, or the HTTP status of its refusal."""
    try:
        return str(cluster.client(name).cluster_status.get_status(summary_format=True)["status"])
    except CloudifyClientError as error:
        return str(error.status_code)


def joining(cluster: Cluster5, name: str, through: str) -> dict[str, Any]:
    """The configuration of a broker that joins through another."""
    return changed(cluster.queue(name), "rabbitmq.join_cluster", cluster.host(through))


ALL = dict.fromkeys(("broker", "db", "manager"))


def test_a_dead_member_makes_it_degraded_and_is_replaced_step_by_step(cluster: Cluster5) -> None:
    cluster.lab.kill("m1")
    assert words(cluster, "m2") == dict.fromkeys(ALL, "Degraded")
    assert cluster.cfy("m2", "dbs", "list", "-c", DATABASE).code == 1
    assert cluster.host("m1") in cluster.good("m2", "brokers", "list", "-c", QUEUE).text

    cluster.remake("m1")
    assert cluster.install("m1", DATABASE).code != 0, "its old self is a member still"
    assert cluster.install("m1", QUEUE, joining(cluster, "m1", "m2")).code != 0

    cluster.client("m2").manager.remove_manager(cluster.host("m1"))
    cluster.good("m2", "brokers", "remove", "-r", cluster.host("m1"), "-c", QUEUE)
    cluster.good("m2", "dbs", "remove", "-a", cluster.ip("m1"), "-c", DATABASE)
    for name in ("m2", "m3"):
        cluster.good(name, "dbs", "remove", "-a", cluster.ip("m1"), "-c", MANAGER)

    for file in (DATABASE, QUEUE, MANAGER):
        config = joining(cluster, "m1", "m2") if file == QUEUE else None
        said = cluster.install("m1", file, config)
        assert said.code == 0, said.text
    for name in ("m2", "m3"):
        cluster.good(name, "dbs", "add", "-a", cluster.ip("m1"), "-c", MANAGER)
    for name in cluster.names:
        assert words(cluster, name) == dict.fromkeys(ALL, "OK")


def test_a_broker_that_runs_or_is_unknown_is_not_removed(cluster: Cluster5) -> None:
    running = cluster.cfy("m1", "brokers", "remove", "-r", cluster.host("m3"), "-c", QUEUE)
    assert running.code != 0
    assert "must be shut down" in running.text
    unknown = cluster.cfy("m1", "brokers", "remove", "-r", "nobody", "-c", QUEUE)
    assert unknown.code != 0
    assert "not found in cluster" in unknown.text
    assert words(cluster, "m1")["broker"] == "OK"


def test_without_a_broker_an_execution_waits_until_one_is_back(cluster: Cluster5) -> None:
    for name in cluster.names:
        cluster.lab.switch_service(name, "queue_service", on=False)
    client = cluster.client("m1")
    client.snapshots.create("one", include_credentials=False)
    cluster.lab.advance(60)

    def state() -> str:
        (execution,) = client.executions.list(include_system_workflows=True)
        return str(execution.status)

    assert state() == "pending"
    cluster.lab.switch_service("m2", "queue_service", on=True)
    cluster.lab.advance(60)
    assert state() == "terminated"


def test_the_database_that_leads_is_handed_over_before_it_is_removed(cluster: Cluster5) -> None:
    refused = cluster.cfy("m2", "dbs", "remove", "-a", cluster.ip("m1"), "-c", DATABASE)
    assert refused.code != 0
    assert "master" in refused.text
    cluster.good("m2", "dbs", "set-master", "-a", cluster.ip("m3"), "-c", DATABASE)
    leading = cluster.cfy("m2", "dbs", "reinit", "-a", cluster.ip("m3"), "-c", DATABASE)
    assert leading.code != 0, "the one that leads has nobody to copy from"
    cluster.good("m2", "dbs", "reinit", "-a", cluster.ip("m2"), "-c", DATABASE)
    cluster.good("m2", "dbs", "remove", "-a", cluster.ip("m1"), "-c", DATABASE)


def test_services_are_restarted_by_their_own_configuration_and_not_by_the_default_one(
    cluster: Cluster5,
) -> None:
    refused = cluster.cfy("m2", "restart")
    assert refused.code != 0
    assert "postgresql-14.service failed" in refused.text
    assert words(cluster, "m1") == {"broker": "Degraded", "db": "OK", "manager": "Degraded"}

    cluster.good("m2", "start", "-c", DATABASE)
    cluster.good("m2", "start", "-c", QUEUE)
    cluster.good("m2", "restart", "-c", MANAGER)
    assert summary(cluster, "m2") == "OK"


def test_without_a_majority_of_databases_nobody_answers_until_one_is_back(cluster: Cluster5) -> None:
    cluster.lab.kill("m1")
    cluster.lab.kill("m3")
    assert summary(cluster, "m2") == "500"
    assert cluster.cfy("m2", "dbs", "list", "-c", DATABASE).code != 0
    cluster.lab.start("m1")
    assert set(words(cluster, "m2").values()) == {"Degraded"}


def test_who_is_cut_off_from_its_peers_answers_nothing(cluster: Cluster5) -> None:
    cluster.lab.partition("m1", "peers")
    assert summary(cluster, "m1") == "500"
    assert words(cluster, "m2")["db"] == "Degraded"
    cluster.lab.heal_partition("m1")
    assert words(cluster, "m1") == dict.fromkeys(ALL, "OK")


def test_what_cfy_manager_does_not_know_is_a_wrong_command_line(cluster: Cluster5) -> None:
    assert cluster.cfy("m1", "status").code == 2
    assert cluster.cfy("m1", "brokers", "remove").code == 2


def test_a_removal_takes_force_until_6_2_only(tmp_path: Path) -> None:
    with cluster_of(tmp_path, machines=1) as bare:
        for version, code in (("6.2.0", 0), ("6.3.0", 2)):
            bare.version = version
            assert bare.cfy("m1", "remove", "-f").code == code, version


def test_a_failover_and_a_start_take_their_time(tmp_path: Path) -> None:
    settings = LabSettings(
        rate_limit=False, database_failover_seconds=30, status_settle_seconds=15, broker_linger_seconds=60
    )
    with cluster_of(tmp_path, settings=settings) as cluster:
        cluster.install_all()
        assert summary(cluster, "m1") == "500", "everybody fails at first"
        cluster.lab.advance(16)
        assert summary(cluster, "m1") == "OK"
        cluster.lab.kill("m1")
        assert summary(cluster, "m2") == "500", "no database leads"
        remove = ("brokers", "remove", "-r", cluster.host("m1"), "-c", QUEUE)
        assert cluster.cfy("m2", *remove).code != 0, "it counts as running for a minute"
        cluster.lab.advance(31)
        assert summary(cluster, "m2") == "Degraded"
        cluster.lab.advance(31)
        cluster.good("m2", *remove)


@pytest.mark.parametrize(
    ("file", "path", "value"),
    [
        (DATABASE, "postgresql_server.cluster.etcd.cluster_token", ""),
        (DATABASE, "postgresql_server.postgres_password", ""),
        (DATABASE, "postgresql_server.ca_path", ""),
        (QUEUE, "rabbitmq.cert_path", "/etc/cloudify/none.pem"),
    ],
)
def test_a_configuration_that_the_installer_refuses_changes_nothing(
    tmp_path: Path, file: str, path: str, value: Any
) -> None:
    with cluster_of(tmp_path, machines=1) as cluster:
        config = cluster.database("m1") if file == DATABASE else cluster.queue("m1")
        said = cluster.install("m1", file, changed(config, path, value))
        assert said.code != 0
        assert said.text
        (status,) = cluster.lab.status()
        assert (status.database, status.broker) == ("none", "none")
