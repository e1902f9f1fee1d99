"""The events of an execution on Tier 1, passed on into our own log as they come."""

from __future__ import annotations

import logging
from collections import deque

from cmom.clients.executions import Event
from cmom.services.execution_request import ExecutionRequest
from cmom.services.tier1 import Tier1, Tier1Api

_EVENTS_AT_ONCE = 200
_OVERLAP = 50
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}


class EventStream:
    """Passes each event of an execution on once, in order.

    Events have no number that grows, and one may be stored late, before others that were read already. So the
    last few are read again each time, and those that are known are left out.
    """

    def __init__(
        self,
        tier1: Tier1,
        request: ExecutionRequest,
        execution_id: str,
        logger: logging.Logger | logging.LoggerAdapter[logging.Logger],
    ) -> None:
        self._tier1 = tier1
        self._request = request
        self._execution_id = execution_id
        self._logger = logger
        self._seen = 0
        self._recent: deque[Event] = deque(maxlen=_EVENTS_AT_ONCE + _OVERLAP)

    def pass_on(self, wait_seconds: float) -> None:
        """Read what is new and log it."""
        while True:
            offset = max(0, self._seen - _OVERLAP)
            found = self._read(offset, wait_seconds)
            known = list(self._recent)
            for event in found:
                if event in known:
                    known.remove(event)  # two that are alike are two
                    continue
                self._recent.append(event)
                self._log(event)
            self._seen = offset + len(found)
            if len(found) < _EVENTS_AT_ONCE:
                return

    def _read(self, offset: int, wait_seconds: float) -> tuple[Event, ...]:
        def read(api: Tier1Api) -> tuple[Event, ...]:
            return api.list_events(
                self._request.tenant,
                self._execution_id,
                offset=offset,
                size=_EVENTS_AT_ONCE,
                include_logs=self._request.include_logs,
            )

        return self._tier1.call(read, f"reading the events of {self._request}", wait_seconds=wait_seconds)

    def _log(self, event: Event) -> None:
        where = event.node_instance_id
        if event.operation:
            where = f"{where}.{event.operation.rsplit('.', 1)[-1]}" if where else event.operation
        level = _LEVELS.get(event.level.lower(), logging.INFO)
        self._logger.log(level, "Tier 1 [%s] %s", where or self._request.workflow_id, event.text)
