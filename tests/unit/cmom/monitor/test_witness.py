"""What the survivors' testimony means for one member."""

from __future__ import annotations

from cmom.clients.tier2 import Instance, Node
from cmom.errors import TryAgainLater
from cmom.models import Member
from cmom.monitor.verdict import Word
from cmom.monitor.witness import inquire, word_on
from cmom.services.healing import evidence
from cmom.services.healing.plan import NO_LEADER_MESSAGE
from tests.unit.cmom.monitor.given_fleet import deployment

LEADER = Member("m2", "10.0.0.22", online=True, leader=True)


def test_a_member_that_is_listed_offline_or_not_at_all_is_missed() -> None:
    offline = word_on(evidence.Testimony((LEADER, Member("m1", "10.0.0.21"))), "10.0.0.21", 5.0)
    assert (offline.word, offline.said_at) == (Word.OFFLINE, 5.0)
    assert offline.detail == "Its peers miss it too: m2 lists it offline."
    assert word_on(evidence.Testimony((LEADER,)), "10.0.0.21", 5.0).word is Word.OFFLINE


def test_a_member_that_is_listed_online_is_only_out_of_our_reach() -> None:
    found = word_on(evidence.Testimony((LEADER, Member("m1", "10.0.0.21", online=True))), "10.0.0.21", 5.0)
    assert found.word is Word.ONLINE
    assert "m2 lists it replica" in found.detail


def test_who_says_nothing_or_refuses_is_no_witness() -> None:
    assert word_on(evidence.Testimony(silence="An election."), "10.0.0.21", 5.0).word is Word.NOTHING
    refused = word_on(evidence.Testimony((LEADER,), refusal="401"), "10.0.0.21", 5.0)
    assert (refused.word, refused.detail) == (Word.NOTHING, "Its peers refuse to be a witness: 401")


class Known:
    """Deployments as they are given; or an error."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error
        self._deployment = deployment()

    def list_nodes(self, deployment_id: str) -> tuple[Node, ...]:
        if self._error is not None:
            raise self._error
        more = {"ca_cert": "/none", "manager_admin_password": "canary"}
        cluster, manager = self._deployment.nodes
        return (Node(cluster.id, cluster.types, {**cluster.properties, **more}), manager)

    def list_instances(self, deployment_id: str) -> tuple[Instance, ...]:
        return tuple(
            Instance(one.id, one.node_id, one.state, {**one.runtime_properties, "manager_version": "4.6.0"})
            for one in self._deployment.instances
        )


def test_when_nobody_is_heard_nobody_is_asked_and_the_known_message_is_given() -> None:
    found = inquire(Known(), "one", {"10.0.0.21", "10.0.0.22", "10.0.0.23"})
    assert found.members is None
    assert found.silence.startswith(NO_LEADER_MESSAGE)


def test_what_tier_2_cannot_tell_is_why_nobody_testifies() -> None:
    assert inquire(Known(TryAgainLater("Tier 2 is down.")), "one", ()).refusal == "Tier 2 is down."
    unreadable = inquire(Known(), "one", {"10.0.0.21"})
    assert "/none cannot be read" in unreadable.refusal
    assert "canary" not in unreadable.refusal
