"""Blueprints: packed where they are folders, uploaded, and followed until the manager has taken them in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cmom.clients.dialects import has_blueprint_states
from cmom.clients.resource_uploads import upload_blueprint
from cmom.clients.resources import HeldBlueprint
from cmom.clients.urls import is_url
from cmom.errors import DeadlinePassed, TryAgainLater
from cmom.services.progress import TransferProgress
from cmom.services.resources.facts import Facts
from cmom.services.resources.making import CREATED, Made, NotAsWanted, Tally, compare_visibility, upload
from cmom.services.resources.plugins import LARGE_BYTES
from cmom.services.resources.sources import Sources
from cmom.services.tier1 import Tier1
from cmom.services.validation.archives import DEFAULT_BLUEPRINT_FILE, check_blueprint_archive
from cmom.services.validation.files import Unusable
from cmom.services.waiting import Clock, wait_for
from cmom.services.wanted import BlueprintEntry

IN_PROGRESS = frozenset({"pending", "validating", "uploading", "extracting", "parsing"})
_UPLOADED = "uploaded"
_PARSING_SECONDS = 900.0
_POLL_SECONDS = 1.0
_YAML_SUFFIXES = (".yaml", ".yml")


class BlueprintMaker:
    """Uploads blueprints that are not there, or are there in a state that never became good.

    Args:
        tier1: The cluster.
        facts: What it holds.
        sources: Where archives come from.
        say: Receives lines of progress.
        clock: For waiting.
    """

    def __init__(
        self, tier1: Tier1, facts: Facts, sources: Sources, say: Callable[[str], None], clock: Clock
    ) -> None:
        self._tier1 = tier1
        self._facts = facts
        self._sources = sources
        self._say = say
        self._clock = clock

    def ensure_blueprint(self, entry: BlueprintEntry) -> Made:
        """Make sure that a blueprint is there, whole, with the main file that was meant.

        Raises:
            NotAsWanted: One of this id is there with another main file, or the manager cannot parse it.
            ActionRequired: What was given is not a blueprint.
            TryAgainLater: The manager took too long to parse it.
            CmomError: See `Tier1.call`.
        """
        main_file = _main_file(entry)
        held = self._facts.blueprints(entry.tenant).get(entry.id)
        if held is not None and held.state in IN_PROGRESS:
            held = self._settled(entry)  # by somebody else, or by ourselves before we were killed
        if held is None or held.state != _UPLOADED:
            made = self._upload(entry, main_file)
            held = self._settled(entry)
            _check(held, main_file)
            if made:
                return CREATED
        _check(held, main_file)
        return compare_visibility(self._tier1, "blueprints", entry.tenant, held, entry.visibility)

    def _upload(self, entry: BlueprintEntry, main_file: str) -> bool:
        archive = self._archive(entry)
        size = archive.stat().st_size
        progress = TransferProgress(f"Uploading blueprint {entry.id}", self._say, self._clock)
        return upload(
            self._tier1,
            lambda api, sent: upload_blueprint(
                api, entry.tenant, entry.id, archive, main_file, entry.visibility, progress=sent
            ),
            f"uploading blueprint {entry.id}",
            Tally(size, progress if size >= LARGE_BYTES else None),
        )

    def _archive(self, entry: BlueprintEntry) -> Path:
        file = self._sources.file(entry.path)
        if _is_folder(entry):
            return self._sources.packed_folder(file)
        try:
            check_blueprint_archive(str(file), entry.filename)
        except Unusable as error:
            raise self._sources.unusable(error, file, entry.path) from error
        return file

    def _settled(self, entry: BlueprintEntry) -> HeldBlueprint:
        """Wait until the manager is done with it; until 5.2 it is when it answers."""
        if not has_blueprint_states(self._tier1.version):
            return self._tier1.call(
                lambda api: api.get_blueprint(entry.tenant, entry.id), f"looking at blueprint {entry.id}"
            )

        def look() -> HeldBlueprint | None:
            found = self._facts.blueprint_states(entry.tenant).get(entry.id)
            return None if found is None or found.state in IN_PROGRESS else found

        try:
            return wait_for(
                look,
                f"the manager to parse blueprint {entry.id}",
                wait_seconds=_PARSING_SECONDS,
                interval_seconds=_POLL_SECONDS,
                clock=self._clock,
            )
        except DeadlinePassed as error:
            raise TryAgainLater(str(error)) from error


def _is_folder(entry: BlueprintEntry) -> bool:
    return not is_url(entry.path) and entry.path.lower().endswith(_YAML_SUFFIXES)


def _main_file(entry: BlueprintEntry) -> str:
    if _is_folder(entry):
        return Path(entry.path).name
    return entry.filename or DEFAULT_BLUEPRINT_FILE


def _check(held: HeldBlueprint, main_file: str) -> None:
    if held.state != _UPLOADED:
        raise NotAsWanted(f"The manager does not accept it ({held.state}): {held.error or 'no reason given'}")
    if held.main_file_name and held.main_file_name != main_file:
        raise NotAsWanted(
            f"One of this id is there with the main file {held.main_file_name}, not {main_file}. "
            "Delete it on the cluster, or choose another id."
        )
