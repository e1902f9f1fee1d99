"""The soak: random faults for an hour on watched clusters of the lab, and a look at everything meanwhile.

It runs the product as its users do, as processes (the real ``cfy`` and the real ``cmom-monitor``), and
judges it by what the lab itself knows of its machines, by the files that lie there and by the kernel's lists,
never by what the product says. docs/soak.md tells what for.
"""
