"""The picture store, outside the API: it only checks the signed link."""

from aiohttp import web

from tests.simulator.cloud import CLOUD
from tests.simulator.middleware import ENTRY
from tests.simulator.pictures import jpeg


async def blob(request: web.Request) -> web.Response:
    """Return a picture, or 403 once its link has expired."""
    cloud, picture_id = request.app[CLOUD], request.match_info["id"]
    if "Authorization" in request.headers:
        cloud.report_violation(f"{request.path}: the access token was sent to the picture store")
    error = cloud.pictures.link_error(picture_id, request.query)
    if error:
        request[ENTRY].refused = error
        return web.Response(status=403, text=error)
    # Decoders ignore bytes after the end of a JPEG.
    body = jpeg(picture_id).ljust(cloud.pictures.size, b"\0")
    return web.Response(body=body, content_type="image/jpeg")
