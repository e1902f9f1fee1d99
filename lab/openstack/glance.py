"""The stand-in's glance: one image."""

from __future__ import annotations

from aiohttp import web

from lab.openstack.cloud import Cloud
from lab.openstack.refusals import RefusalError


def routes(cloud: Cloud) -> list[web.RouteDef]:
    """The calls of glance."""
    image = {"id": cloud.image_id, "name": cloud.config.image, "status": "active"}

    async def list_images(request: web.Request) -> web.Response:
        name = request.query.get("name")
        return web.json_response({"images": [image] if name in (None, image["name"]) else []})

    async def get_image(request: web.Request) -> web.Response:
        if request.match_info["id"] != image["id"]:
            raise RefusalError(404, f"No image found with ID {request.match_info['id']}")
        return web.json_response(image)

    return [web.get("/v2/images", list_images), web.get("/v2/images/{id}", get_image)]
