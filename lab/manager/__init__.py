"""The emulated Tier 1 manager: what `cfy_manager` installs on a machine of the lab.

`urls` route, `responses` parse and format, `stores` and `models` keep and decide, `transitions`
make time pass, `exceptions` carry code and message, `faults` do damage on the wire.
"""

from lab.manager.engine import Script
from lab.manager.installer import install, remove
from lab.manager.models import Manager

__all__ = ["Manager", "Script", "install", "remove"]
