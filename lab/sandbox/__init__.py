"""Where the commands of an emulated machine run: a private root, by one of two means.

`namespace` uses the kernel's user namespaces and a real bash; `interpreter` understands the
commands the product uses by itself, for systems which forbid namespaces.
"""
