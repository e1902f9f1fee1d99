"""Generation 5: managers that are all active, over databases and brokers that are a cluster each.

`layout` says which services a member has, `configs` what the installer is told of each, `rules` what it would
refuse, `credentials` which passwords they share. `member` installs the services on one machine, `membership`
and `forming` make members of machines and take them out again, `state` reads what the managers tell of the
cluster, and `condition` and `status` say how it is.
"""
