"""The end of a manager's installation: it serves, and gets what the user wants on its machine beside it."""

from __future__ import annotations

from cmom.clients.manager import ManagerClient
from cmom.services.extras import ScriptOutcome
from cmom.services.generations.interface import Site
from cmom.services.serving import wait_until_serving


def finish(site: Site) -> tuple[ScriptOutcome, ...]:
    """Wait for the REST service, then copy files and run scripts.

    Returns:
        How each script ended; one that failed is a warning in the log.
    """
    with ManagerClient(site.host.public_ip, site.access) as manager:
        wait_until_serving(manager, site.logger, interval_seconds=site.poll_seconds)
    files = [(copy.source, copy.destination) for copy in site.inputs.files]
    return site.installer.finish(files, site.inputs.scripts)
