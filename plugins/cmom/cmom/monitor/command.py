"""The program ``cmom-monitor``."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from prometheus_client import disable_created_metrics

from cmom.errors import CmomError
from cmom.monitor.config import Config, LocalTier2, load_config
from cmom.monitor.listening import Listener
from cmom.monitor.metrics import Metrics
from cmom.monitor.notify import keep_alive, notify
from cmom.monitor.tier2 import Tier2
from cmom.monitor.tier2_local import LocalProfile
from cmom.monitor.tier2_rest import RestTier2
from cmom.monitor.watch import Monitor
from cmom.monitor.web import serving
from cmom.version import __version__

DEFAULT_CONFIG = "/etc/cloudify/cmom-monitor.yaml"
ALL_HEARD, SOMETHING_SILENT, CANNOT = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and return the exit code: 0, 1 (with ``--once``: a member is silent) or 2 (it cannot work)."""
    options = _parser().parse_args(arguments)
    logger = _logger(verbose=options.verbose)
    try:
        config = load_config(Path(options.config))
        tier2: Tier2 = (
            LocalProfile(config.tier2) if isinstance(config.tier2, LocalTier2) else RestTier2(config.tier2)
        )
    except CmomError as error:
        logger.error("%s", error)
        return CANNOT
    try:
        work = (
            _once(config, tier2, logger) if options.once else _watch(config, tier2, logger, options.dry_run)
        )
        return asyncio.run(work)
    except CmomError as error:
        logger.error("%s", error)
        return CANNOT
    except KeyboardInterrupt:
        return 130
    finally:
        tier2.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cmom-monitor",
        description="Watches the Tier 1 managers of Tier 2, and has those healed that have died.",
    )
    parser.add_argument("--config", metavar="FILE", default=DEFAULT_CONFIG, help=f"default: {DEFAULT_CONFIG}")
    parser.add_argument(
        "--once", action="store_true", help="look at every member once, tell what was seen, start nothing"
    )
    parser.add_argument("--dry-run", action="store_true", help="watch, and say what would be started")
    parser.add_argument("--verbose", action="store_true", help="say more")
    parser.add_argument("--version", action="version", version=__version__)
    return parser


def _logger(*, verbose: bool) -> logging.Logger:
    """Return the logger: to standard error, with the time unless the journal adds it."""
    logger = logging.getLogger("cmom.monitor")
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    logger.propagate = False
    handler = logging.StreamHandler(sys.stderr)
    moment = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
    handler.setFormatter(logging.Formatter(f"{moment}%(levelname)-7s %(message)s"))
    logger.handlers[:] = [handler]
    return logger


async def _watch(config: Config, tier2: Tier2, logger: logging.Logger, dry_run: bool) -> int:
    """Watch until SIGTERM or SIGINT, which end it at once. Heals that it has started go on."""
    if config.times.failed_seconds < 60:
        logger.warning(
            "verdict.failed_seconds is %g: members are given up sooner than is good outside of tests.",
            config.times.failed_seconds,
        )
    disable_created_metrics()  # type: ignore[no-untyped-call]  # one more series for each counter, which nobody looks at
    metrics = Metrics()
    monitor = Monitor(config, tier2, metrics, logger, dry_run=dry_run)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with AsyncExitStack() as stack:
        if config.web.port:
            await stack.enter_async_context(serving(config.web, monitor, metrics, logger))
        logger.info(
            "cmom-monitor %s begins%s.", __version__, " (a dry run: nothing is started)" if dry_run else ""
        )
        running = asyncio.create_task(monitor.run(lambda: notify("READY=1")))
        alive = asyncio.create_task(keep_alive())
        stopping = asyncio.create_task(stopped.wait())
        try:
            await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()  # it never ends by itself but by a fault, which is raised here
        finally:
            notify("STOPPING=1")
            for task in (running, alive, stopping):
                task.cancel()
            await asyncio.gather(running, alive, stopping, return_exceptions=True)
    logger.info("cmom-monitor ends; heals that it has started go on.")
    return 0


async def _once(config: Config, tier2: Tier2, logger: logging.Logger) -> int:
    """Look once, and print a line for every member."""
    metrics = Metrics()
    monitor = Monitor(config, tier2, metrics, logger, dry_run=True)
    if not await monitor.read():
        return CANNOT
    members = [member for member in monitor.fleet.members() if member.pulse is not None]
    listener: Listener = monitor.listener
    signs = await asyncio.gather(*(listener.look(member, thoroughly=True) for member in members))
    for member, sign in zip(members, signs, strict=True):
        word = "heard" if sign.heard else "silent" if sign.heard is False else "cannot look"
        rest = "" if sign.rest is None else f"; REST: {sign.rest.detail}"
        ssh = f"SSH: {sign.ssh.detail}"
        sys.stdout.write(
            f"{member.key.cluster}  {member.key.instance_id}  {member.name}  {word}  ({ssh}{rest})\n"
        )
    absent = [member for member in monitor.fleet.members() if member.pulse is None]
    for member in absent:
        sys.stdout.write(
            f"{member.key.cluster}  {member.key.instance_id}  not installed ({member.instance_state})\n"
        )
    return ALL_HEARD if all(sign.heard for sign in signs) else SOMETHING_SILENT
