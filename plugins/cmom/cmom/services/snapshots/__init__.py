"""Backups of Tier 1 on Tier 2, and what is restored from them.

`store` knows the folder where they lie, `manifest` what is written beside each, `archive` what makes a file a
snapshot. `creation` and `download` bring one here, `backup` puts the two together with `retention`;
`verification` looks again later. `source` finds what is to be restored, `restore` does it; moving the
agents afterwards is `cmom.services.agents`' part.
"""
