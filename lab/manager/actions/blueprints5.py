"""A blueprint's way through its states in generation 5.

The archive is read while it is received; what was found becomes visible when the execution that
is said to parse it comes to its end.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.manager import archives
from lab.manager.actions import uploads
from lab.manager.dsl import Plan
from lab.manager.engine import Run
from lab.manager.exceptions import BadParametersError, InvalidBlueprintError
from lab.manager.stores.blueprints import REPLACEABLE_STATES, Blueprint
from lab.manager.stores.executions import Execution

if TYPE_CHECKING:
    from lab.manager.models import Manager

UPLOAD = "upload_blueprint"


@dataclass(frozen=True)
class UploadRequest:
    """What the upload asks for."""

    blueprint_id: str
    tenant: str
    user: str
    visibility: str
    main_file_name: str | None


async def upload(manager: Manager, archive: Path, request: UploadRequest) -> Blueprint:
    """Keep a blueprint's archive and let its parsing begin.

    Raises:
        ConflictError: There is one of this name, and not a failed one.
    """
    database, now = manager.database, manager.now()
    before = database.blueprints.find(request.tenant, request.blueprint_id)
    if before is not None and before.state in REPLACEABLE_STATES:
        database.blueprints.discard(before)
    database.blueprints.check_free(request.tenant, request.blueprint_id, request.visibility)
    execution = Execution(
        str(uuid.uuid4()),
        request.tenant,
        "tenant",
        request.user,
        now,
        workflow_id=UPLOAD,
        parameters={"blueprint_id": request.blueprint_id},
        is_system_workflow=True,
    )
    blueprint = Blueprint(
        request.blueprint_id,
        request.tenant,
        request.visibility,
        request.user,
        now,
        main_file_name=request.main_file_name or "blueprint.yaml",
        state="uploading",
        upload_execution_id=execution.id,
    )
    database.blueprints.add(blueprint)
    parsed = Blueprint(blueprint.id, blueprint.tenant, "tenant", "", now)
    outcome = await _outcome(manager, archive, parsed, request)
    blueprint.archive_kind = archives.archive_kind(archive) or "tar.gz"
    uploads.keep_blueprint(manager, archive, blueprint)
    _submit(manager, blueprint, execution, parsed.plan, outcome)
    return blueprint


async def _outcome(
    manager: Manager, archive: Path, parsed: Blueprint, request: UploadRequest
) -> tuple[str, str]:
    """The last state, and the error."""
    try:
        await uploads.read_blueprint(manager, archive, parsed, request.main_file_name)
    except BadParametersError as error:
        unpacked = "does not exist in the application directory" in error.message
        return "invalid" if unpacked else "failed_extracting", error.message
    except InvalidBlueprintError as error:
        unreadable = "Failed parsing" in error.message
        return "failed_parsing" if unreadable else "invalid", error.message
    return "uploaded", ""


def _submit(
    manager: Manager,
    blueprint: Blueprint,
    execution: Execution,
    plan: Plan,
    outcome: tuple[str, str],
) -> None:
    database, now, seconds = manager.database, manager.now(), manager.settings.blueprint_seconds
    state, error = outcome

    def effect(_: float) -> str | None:
        blueprint.state, blueprint.error, blueprint.plan = state, error or None, plan
        return error or None

    def failure(why: str, _: float) -> None:
        if blueprint.state not in REPLACEABLE_STATES:
            blueprint.state, blueprint.error = "failed_parsing", why

    run = Run(seconds=seconds, effect=effect, failure=failure)
    database.engine.apply_script(run, database.engine.script_for(UPLOAD, None))

    def show(state: str, at: float) -> None:
        if not blueprint.settled:
            blueprint.state = state

    database.schedule.at(now + seconds / 3, lambda at: show("extracting", at))
    database.schedule.at(now + seconds * 2 / 3, lambda at: show("parsing", at))
    database.engine.submit(execution, run, now=now, queue=True)
