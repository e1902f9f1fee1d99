"""``python -m cmom.monitor``: the program ``cmom-monitor``."""

import sys

from cmom.monitor.command import main

sys.exit(main())
