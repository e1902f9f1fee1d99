"""The monitor: evaluates the host-failure policies that deployments declare, and starts their heals.

Since Cloudify 5.1 a manager still keeps such policies but evaluates none. This small asyncio daemon does it
for the deployments that carry a cluster of Tier 1 managers.

- `config` what it is told; `command` the program.
- `tier2` what it asks of Tier 2, through `tier2_rest` or `tier2_local`; `policies` reads the deployments'
  groups.
- `rota` when whom to listen to; `pulse` what was heard of one member; `verdict` what that means; `breaker`
  whether it rather tells of this machine; `gates` whether a heal may be started. All of them are pure: no
  I/O, no clock.
- `fleet` all clusters as they are known now; `listening` and `healing` act on it; `watch` runs them.
- `witness` what the surviving members say; `metrics`, `page` and `web` what others see.

It keeps nothing that a restart would lose: the last heal is read from Tier 2's executions, and how far one
has come from the cluster's runtime properties. What was heard is gone, so after a start every member has to
be silent again for as long as any other before it counts as failed.
"""
