"""The pictures of calls over HTTP, for users who may see the camera of their location."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web
from aiohttp.hdrs import CACHE_CONTROL
from homeassistant.auth.permissions.const import POLICY_READ
from homeassistant.components.http import KEY_HASS_USER
from homeassistant.exceptions import Unauthorized
from homeassistant.helpers.http import KEY_HASS, HomeAssistantView

from ..const import DOMAIN
from .records import KINDS, PICTURE_URL

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeassistant.auth.models import User
    from homeassistant.core import HomeAssistant

    from .downloads import PictureDownloads
    from .history import CallHistory
    from .records import CallRecord

WAIT_SECONDS: Final = 5.0  # a phone shows a notification once it has the picture, or a 404
POLL_SECONDS: Final = 0.5  # nothing notifies of a failed download or an unload
KEPT_BY_BROWSERS: Final = "private, max-age=86400, immutable"


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSource:
    """The pictures of an account.

    `entity_of` names the entity whose readers may see a call, `is_loaded` ends with the account.
    """

    history: CallHistory
    downloads: PictureDownloads
    entity_of: Callable[[CallRecord], str | None]
    is_loaded: Callable[[], bool]


class PictureView(HomeAssistantView):
    """Answers with a picture of the history; a request names a call, never a path.

    `find_source` returns the pictures of an entry id, None if that is not set up.
    """

    url = PICTURE_URL
    name = f"api:{DOMAIN}:picture"

    def __init__(self, find_source: Callable[[HomeAssistant, str], PictureSource | None]) -> None:
        self._find_source = find_source

    async def get(
        self, request: web.Request, entry_id: str, call_id: str, kind: str
    ) -> web.StreamResponse:
        """Answer with a picture, which may still be on its way; a 404 does not say what is missing.

        Unauthorized: the user may not see the camera.
        """
        source = self._find_source(request.app[KEY_HASS], entry_id)
        if source is not None and kind in KINDS:
            call = await source.history.async_call(call_id)
            if call is not None and source.history.layout.shows(call):
                _check(source, request[KEY_HASS_USER], call)
                await _wait_for_picture(source, call_id, kind)
                if image := await source.history.async_picture(call_id, kind):
                    headers = {CACHE_CONTROL: KEPT_BY_BROWSERS}
                    return web.Response(
                        body=image.content, content_type=image.content_type, headers=headers
                    )
        headers = {CACHE_CONTROL: "no-store"}
        return self.json_message("No such picture", HTTPStatus.NOT_FOUND, headers=headers)


def _check(source: PictureSource, user: User, call: CallRecord) -> None:
    """Raise Unauthorized for a call at a location that the user may not see."""
    entity_id = source.entity_of(call)
    if entity_id is None:
        may_see = user.permissions.access_all_entities(POLICY_READ)
    else:
        may_see = user.permissions.check_entity(entity_id, POLICY_READ)
    if not may_see:
        raise Unauthorized(entity_id=entity_id, permission=POLICY_READ)


async def _wait_for_picture(source: PictureSource, call_id: str, kind: str) -> None:
    """Wait, but not for long, until an expected picture is there or will not come."""
    loop = asyncio.get_running_loop()
    changed, deadline = asyncio.Event(), loop.time() + WAIT_SECONDS
    stop_listening = source.history.async_listen(changed.set)
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
