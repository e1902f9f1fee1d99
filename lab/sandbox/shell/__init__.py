"""A small shell for systems without namespaces: enough of bash for what is run on a machine.

`syntax` is the tree, `parser` makes it from text, `executor` walks it, `words` expands, `files` are
the machine's files with the caller's rights, and the `commands` modules are what a machine's
programs do. What is missing fails as a missing command does.
"""
