"""The error tree; the same as in the plugin `cmom`, which is not there where this one runs alone."""

from __future__ import annotations

RETRY_AFTER_SECONDS = 15.0


class MetaError(Exception):
    """Anything the plugin reports on purpose; its text is fit for an operator's eyes."""


class ActionRequired(MetaError):  # noqa: N818 - named for what the reader has to do
    """Repeating will not help: a person must change something first."""


class TryAgainLater(MetaError):  # noqa: N818
    """Time may help: Tier 2 does not answer, or others were faster."""


class Busy(ActionRequired):
    """Another workflow runs on the deployment.

    Attributes:
        workflow_id: Which; empty when it is not known.
        execution_id: The ID of its execution; empty when it is not known.
    """

    def __init__(self, message: str, workflow_id: str = "", execution_id: str = "") -> None:
        super().__init__(message)
        self.workflow_id = workflow_id
        self.execution_id = execution_id
