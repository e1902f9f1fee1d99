"""The second witness: what the surviving members say of one that is silent.

They are asked over REST, with the credentials that Tier 2 has for them; only those that are still heard, so
that the dead cost no time. What they say is the leader's list.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

from cmom.clients.tier2 import Deployments
from cmom.errors import ActionRequired, CmomError
from cmom.monitor.verdict import Witness, Word
from cmom.services.cluster_times import ClusterTimes
from cmom.services.deployed import find_cluster
from cmom.services.generations import cluster_for
from cmom.services.healing.evidence import Testimony, ask_cluster
from cmom.services.healing.plan import NO_LEADER_MESSAGE

# One round of asking everybody; whoever wants to know asks again.
_ONE_ROUND = ClusterTimes(leader_seconds=1.0)
# How `clients.rest_errors` tells it.
_REFUSED = "refused the credentials"
_SILENT = logging.Logger("cmom.monitor.witness.silent", level=logging.CRITICAL + 1)


def inquire(deployments: Deployments, deployment_id: str, silent: Collection[str]) -> Testimony:
    """Ask the members of a cluster that are heard for the leader's list. Blocks for some seconds at most.

    Args:
        deployments: What tells of the deployment, functions evaluated.
        deployment_id: Which one.
        silent: The private addresses of those that are not heard.

    Returns:
        Always something: what goes wrong is why nobody testifies.
    """
    try:
        cluster = find_cluster(deployments, deployment_id)
        heard = [host for host in cluster.hosts if host.ip not in silent]
        if not heard:
            return Testimony(silence=f"{NO_LEADER_MESSAGE} None of its members is heard.")
        members = cluster_for(cluster.version, heard, cluster.access, _SILENT, times=_ONE_ROUND)
    except CmomError as error:
        return Testimony(refusal=str(error))
    try:
        testimony = ask_cluster(members)
        # Where one refuses us and the others are replicas, nobody leads as far as we can tell.
        refused = _REFUSED in testimony.silence
        return Testimony(refusal=testimony.silence) if refused else testimony
    except ActionRequired as error:
        return Testimony(refusal=str(error))
    finally:
        members.close()


def word_on(testimony: Testimony, ip: str, said_at: float) -> Witness:
    """Say what a testimony means for one member.

    Args:
        testimony: What the members said.
        ip: The private address of the member in question.
        said_at: When they said it, on the monotonic clock.
    """
    if testimony.refusal:
        return Witness(Word.NOTHING, said_at, f"Its peers refuse to be a witness: {testimony.refusal}")
    if testimony.members is None:
        return Witness(Word.NOTHING, said_at, f"No second witness: {testimony.silence}")
    leader = next((one.name for one in testimony.members if one.leader), "the cluster")
    listed = next((one for one in testimony.members if one.host_ip == ip), None)
    if listed is None:
        return Witness(Word.OFFLINE, said_at, f"Its peers miss it too: {leader} does not list it any more.")
    if listed.online:
        return Witness(
            Word.ONLINE,
            said_at,
            f"Its peers see it: {leader} lists it {listed.state}, so it is only out of our reach.",
        )
    return Witness(Word.OFFLINE, said_at, f"Its peers miss it too: {leader} lists it offline.")
