"""Uploads of plugins and blueprints, each as its manager's generation wants it, streamed from disk."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from cmom.clients.dialects import has_blueprint_states, takes_blueprint_form
from cmom.clients.resource_bodies import BlueprintForm, Progress, file_pieces, nothing_to_tell, zip_pieces
from cmom.clients.tenant_api import TenantApi, quoted

# Generation 4.3 installs a plugin before it answers, for up to 300 s; 4.x parses a blueprint before it does.
_ANSWER_SECONDS = 360.0
_UPLOAD_SECONDS = 4 * 3600.0
_BYTES = "application/octet-stream"


def upload_plugin(
    api: TenantApi,
    tenant: str,
    wagon: Path,
    yaml: Path,
    visibility: str,
    *,
    name: str,
    wagon_name: str,
    progress: Progress = nothing_to_tell,
) -> None:
    """Upload a plugin: a zip with wagon and yaml at its root, made while it is sent.

    It goes in chunks, as the CLI sends it: without them a manager reads all of it into its memory.

    Args:
        api: The manager.
        tenant: Whose it is to be.
        wagon: The wagon's file.
        yaml: The plugin.yaml's file.
        visibility: ``private``, ``tenant`` or ``global``.
        name: For messages.
        wagon_name: The wagon's own file name, ending in ``.wgn``.
        progress: Is told how many bytes have gone.

    Raises:
        OSError: A file cannot be read.
        CmomError: See `rest_errors`.
    """
    client = api.in_tenant(tenant)
    api.pacer.run(
        lambda: client.request(
            "POST",
            "/plugins",
            f"uploading plugin {name}",
            content=zip_pieces({wagon_name: wagon, "plugin.yaml": yaml}, progress),
            content_type=_BYTES,
            params={"visibility": visibility},
            total_seconds=_UPLOAD_SECONDS,
            silence_seconds=_ANSWER_SECONDS,
        )
    )


def upload_blueprint(
    api: TenantApi,
    tenant: str,
    blueprint_id: str,
    archive: Path,
    main_file: str,
    visibility: str,
    *,
    progress: Progress = nothing_to_tell,
) -> None:
    """Upload a blueprint's archive; from 5.2 on the manager goes on with it by itself.

    Until 6.4 managers read the query alone, and would silently take another main file than the one that a
    form names; from 7.0 on they want the form.

    Args:
        api: The manager.
        tenant: Whose it is to be.
        blueprint_id: Its identifier.
        archive: A zip, tar, tar.gz or tar.bz2 with one folder at its root.
        main_file: Within that folder.
        visibility: ``private``, ``tenant`` or ``global``.
        progress: Is told how many bytes have gone.

    Raises:
        OSError: The file cannot be read.
        CmomError: See `rest_errors`.
    """
    client = api.in_tenant(tenant)
    path = f"/blueprints/{quoted(blueprint_id)}"
    doing = f"uploading blueprint {blueprint_id}"
    # A manager of either generation unquotes this name once more than HTTP does; the CLI quotes it once more.
    params = {"application_file_name": quote(main_file), "visibility": visibility}

    def send_query() -> None:
        client.request(
            "PUT",
            path,
            doing,
            content=file_pieces(archive, progress),
            content_type=_BYTES,
            params={**params, **({"async_upload": "true"} if has_blueprint_states(api.version) else {})},
            total_seconds=_UPLOAD_SECONDS,
            silence_seconds=_ANSWER_SECONDS,
        )

    def send_form() -> None:
        form = BlueprintForm({**params, "async_upload": True, "skip_execution": False}, archive, progress)
        client.request(
            "PUT",
            path,
            doing,
            content=form,
            content_type=form.content_type,
            total_seconds=_UPLOAD_SECONDS,
            silence_seconds=_ANSWER_SECONDS,
        )

    api.pacer.run(send_form if takes_blueprint_form(api.version) else send_query)
