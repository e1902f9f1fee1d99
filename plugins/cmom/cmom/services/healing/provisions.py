"""Whether Tier 2 still has what installing a manager takes: asked before a heal removes anything.

Years may lie between an installation and the heal of one of its members, and files get lost. A member that
is removed from its cluster and cannot be installed again is worse off than one that waits for a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmom.clients import rpm
from cmom.clients.urls import is_url
from cmom.errors import ActionRequired
from cmom.services.authority import load_authority
from cmom.services.inputs import INSTALL_INPUTS, parse_install_inputs


def why_unfit(properties: Mapping[str, Any]) -> str:
    """Say what of the inputs a new installation would stumble over.

    An RPM at a URL is not asked for: it is fetched by the machine, and its server may be down for a moment.

    Args:
        properties: Of the manager's node.

    Returns:
        All faults, each with its place; empty when there is none.
    """
    try:
        inputs = parse_install_inputs(
            {name: properties[name] for name in INSTALL_INPUTS if name in properties}
        )
        load_authority(inputs.ca_cert, inputs.ca_key, inputs.ca_key_password)
        if not is_url(inputs.install_rpm_path):
            rpm.read_package(inputs.install_rpm_path)
    except ActionRequired as error:
        return str(error)
    return ""
