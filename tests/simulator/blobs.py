"""The store of pictures, which is no part of the API: a signed link is all it wants."""

from aiohttp import web

from tests.simulator.cloud import CLOUD
from tests.simulator.gate import ENTRY
from tests.simulator.pictures import jpeg


async def blob(request: web.Request) -> web.Response:
    """Answer with a picture, or with 403 once its link is dead."""
    cloud, picture_id = request.app[CLOUD], request.match_info["id"]
    if "Authorization" in request.headers:
        cloud.report_violation(f"{request.path}: the store of pictures was told the access token")
    trouble = cloud.pictures.trouble(picture_id, request.query)
    if trouble:
        request[ENTRY].refused = trouble
        return web.Response(status=403, text=trouble)
    # What comes after a JPEG's end is no part of the picture.
    body = jpeg(picture_id).ljust(cloud.pictures.size, b"\0")
    return web.Response(body=body, content_type="image/jpeg")
