"""Generation 5: managers that are all active, over databases and brokers that are a cluster each.

`layout` says which services a member has, `configs` what the installer is told of each, `rules` what it
would refuse, `credentials` which passwords they share. `member` installs the services on one machine.
`forming` makes a cluster of machines, `joining` and `leaving` change one that runs (`changes` has what they
share), `leadership` sees to it that the managers know the database that leads. `state` reads what the
managers tell of the cluster; `condition` and `status` say how it is.
"""
