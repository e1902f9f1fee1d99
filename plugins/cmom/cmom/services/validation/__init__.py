"""Checks of what a user gives, one module per topic; `cmom.services.inputs` is the way in.

`findings` collects faults, `fields` reads mappings and lists, the others know what an input means. No
value that a blueprint can express makes any of them raise: it becomes a fault with its place.
"""
