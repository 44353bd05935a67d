"""The HTTP view of the pictures, for users who may see the camera at which a call is shown."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web
from aiohttp.hdrs import CACHE_CONTROL
from homeassistant.auth.permissions.const import POLICY_READ
from homeassistant.components.http import KEY_HASS_USER
from homeassistant.helpers.http import KEY_HASS, HomeAssistantView

from ..const import DOMAIN
from ..permissions import Caller
from .records import KINDS, PICTURE_URL

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeassistant.core import HomeAssistant

    from .downloads import PictureDownloads
    from .history import CallHistory
    from .records import CallRecord

WAIT_SECONDS: Final = 5.0  # phones delay a notification until they have the picture or a 404
POLL_SECONDS: Final = 0.5  # failed downloads and unloading do not notify listeners
# A browser keeps no picture, so that a deleted one is gone there too.
HEADERS: Final = {CACHE_CONTROL: "no-store"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSource:
    """The pictures of an account.

    `entity_of` returns the entity whose read permission applies to a call.
    """

    history: CallHistory
    downloads: PictureDownloads
    entity_of: Callable[[CallRecord], str | None]
    is_loaded: Callable[[], bool]


class PictureView(HomeAssistantView):
    """Serves the pictures of the history; a URL contains the id of a call, never a path.

    `find_source` returns the pictures of an entry id; None if the entry is not loaded.
    """

    url = PICTURE_URL
    name = f"api:{DOMAIN}:picture"

    def __init__(self, find_source: Callable[[HomeAssistant, str], PictureSource | None]) -> None:
        self._find_source = find_source

    async def get(
        self, request: web.Request, entry_id: str, call_id: str, kind: str
    ) -> web.StreamResponse:
        """Respond with a picture, which may still be downloading, or 404 without a reason.

        Unauthorized: the user may not see the camera.
        """
        source = self._find_source(request.app[KEY_HASS], entry_id) if kind in KINDS else None
        if source is not None and (call := await source.history.async_call(call_id)):
            Caller(request[KEY_HASS_USER]).check(POLICY_READ, source.entity_of(call))
            await _wait_for_picture(source, call_id, kind)
            if image := await source.history.async_picture(call_id, kind):
                return web.Response(
                    body=image.content, content_type=image.content_type, headers=HEADERS
                )
        return self.json_message("No such picture", HTTPStatus.NOT_FOUND, headers=HEADERS)


async def _wait_for_picture(source: PictureSource, call_id: str, kind: str) -> None:
    """Wait until an expected picture is stored or will not come, or the time is over."""
    loop = asyncio.get_running_loop()
    changed, deadline = asyncio.Event(), loop.time() + WAIT_SECONDS
    stop_listening = source.history.async_listen(lambda _: changed.set())
    try:
        while (
            loop.time() < deadline
            and source.is_loaded()
            and source.downloads.is_expected(call_id, kind)
        ):
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), POLL_SECONDS)
            changed.clear()
    finally:
        stop_listening()
