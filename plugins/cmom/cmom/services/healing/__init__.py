"""Healing: whether a member may be healed, how far a heal has come, and what was decided when.

What is decided here, for whoever watches and starts heals (`monitor`) as well:

- **Who is watched.** The members of ``heal_group`` are the instances of the node ``manager``: they have the
  addresses, the recorded host key and the ports, on every kind of machine, and their state is ``started``
  once the manager is installed. A trigger's ``{get_property: [SELF, node_id]}`` is the ID of such an
  instance. `heal_tier1_manager` also takes the ID of anything that the manager is contained in (its host, its
  server).
- **Who decides.** `plan.may_heal` alone, from what was seen; the same for a watcher and for a person.
- **What runs.** On a manager Tier 2 lists its executions. In the local profile it cannot be trusted to (those
  of a killed process stay ``pending``), so locks decide, see `services.activity`: a heal holds one for
  itself, every other execution shares another.
- **What survives.** Everything lies on the cluster's node instance, see `record`: a journal for each member
  that is being healed, what was tried in vain, who paused healing until when, and the history of all
  decisions.

`plan` and `record` are free of I/O and clocks; `evidence` looks at the machine, `renewal` brings one back,
`backup` takes the precaution.
"""

HEAL_WORKFLOW = "heal_tier1_manager"
