"""Cloudify manager of managers: Tier 2 installs, clusters, watches, backs up and heals Tier 1.

The layers, from the top: ``workflows`` and ``operations`` (the only ones that know ``ctx``), ``services``
(what the product knows), ``clients`` (the wire), and at the bottom ``models`` and ``errors``.
``docs/architecture.md`` tells the whole story; import-linter holds the map.
"""

from __future__ import annotations

from cmom.version import __version__

__all__ = ["__version__"]
