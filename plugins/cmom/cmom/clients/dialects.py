"""From which version on managers speak as they do: within generation 5 the wire has changed, too.

From the sources of manager-rest at its releases (``upload_manager.py``, ``resources_v2/snapshots.py``,
``resources_v3_1/blueprints.py`` and ``deployments.py``).
"""

from __future__ import annotations

from cmom.models import Version


def has_blueprint_states(version: Version) -> bool:
    """Tell whether a blueprint is taken in by an execution, and has a ``state`` meanwhile (5.2)."""
    return version.numbers >= (5, 2)


def takes_blueprint_form(version: Version) -> bool:
    """Tell whether what is said of a blueprint stands in a form with it, and no more in the query (7.0)."""
    return version.numbers >= (7, 0)


def makes_environment_first(version: Version) -> bool:
    """Tell whether a deployment is answered for when its environment is there (6.0).

    Before, a restore also wants to be told whether environments are to be made anew.
    """
    return version.numbers >= (6, 0)
