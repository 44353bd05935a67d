"""The pictures of calls over HTTP: for who is signed in and may see the camera of their place."""

import asyncio
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web
from aiohttp.hdrs import CACHE_CONTROL
from homeassistant.auth.permissions.const import POLICY_READ
from homeassistant.components.http.const import KEY_HASS_USER
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import Platform
from homeassistant.core import callback
from homeassistant.exceptions import Unauthorized
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.http import KEY_HASS, HomeAssistantView

from ..const import DOMAIN
from ..entity import unique_id
from .media_tree import place_of
from .records import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeassistant.auth.models import User
    from homeassistant.core import HomeAssistant

    from ..client import Call, Module, StillImage
    from ..runtime import BticinoConfigEntry, RuntimeData
    from .records import CallRecord

URL: Final = f"/api/{DOMAIN}/picture/{{entry_id}}/{{call_id}}/{{kind}}"
# A phone shows a notification only once it has the picture, or knows that there is none.
PATIENCE: Final = 5.0  # seconds
POLL_SECONDS: Final = 0.5  # seconds: a failed download, or an unload, is told by nobody
KEPT_BY_BROWSERS: Final = "private, max-age=86400, immutable"


def picture_path(entry_id: str, call_id: str, kind: str) -> str:
    """Return the local path to a picture of a call, whether there is one or not."""
    return URL.format(entry_id=entry_id, call_id=call_id, kind=kind)


@callback
def path_of(runtime: RuntimeData, entry_id: str, call: Call) -> str | None:
    """Return the path to the picture of a call that goes on; None if none is to be expected."""
    history = runtime.history
    known_as = history.known_as(call.session_id, call.began_at)
    past = history.call(known_as)
    if past is None:
        return None
    linked = [kind for kind in KINDS if getattr(call, kind) is not None]
    hoped_for = linked or ([] if _is_without_camera(runtime, past) else [KINDS[0]])
    kept = [kind for kind in KINDS if past.kept(kind) is not None]
    expected = [k for k in hoped_for if runtime.downloads.is_expected(known_as, k)]
    kind = next(iter(kept + expected), None)
    return None if kind is None else picture_path(entry_id, known_as, kind)


class PictureView(HomeAssistantView):
    """Answers with a picture of the history; what is asked for is looked up there, and no path."""

    url = URL
    name = f"api:{DOMAIN}:picture"

    def __init__(self, find: Callable[[str], BticinoConfigEntry | None]) -> None:
        """`find` returns a loaded entry by its id."""
        self._find = find

    async def get(
        self, request: web.Request, entry_id: str, call_id: str, kind: str
    ) -> web.StreamResponse:
        """Answer with a picture, which may still be on its way; 404 does not tell what is unknown.

        Unauthorized: the user may not see the camera.
        """
        hass = request.app[KEY_HASS]
        entry = self._find(entry_id)
        if entry is not None and kind in KINDS:
            runtime = entry.runtime_data  # removed from an entry that is unloaded meanwhile
            _check(hass, entry, request[KEY_HASS_USER], call_id)
            await _until_settled(runtime, entry, call_id, kind)
            if image := await _picture(runtime, call_id, kind):
                headers = {CACHE_CONTROL: KEPT_BY_BROWSERS}
                return web.Response(
                    body=image.content, content_type=image.content_type, headers=headers
                )
        headers = {CACHE_CONTROL: "no-store"}
        return self.json_message("No such picture", HTTPStatus.NOT_FOUND, headers=headers)


@callback
def _check(hass: HomeAssistant, entry: BticinoConfigEntry, user: User, call_id: str) -> None:
    """Raise Unauthorized for a call at a place that the user may not see."""
    runtime = entry.runtime_data
    call = runtime.history.call(call_id)
    place = None if call is None else place_of(runtime.coordinator.data, call)
    if place is None:
        return
    entity_id = _entity_id(hass, entry, place)
    if entity_id is None:
        may_see = user.permissions.access_all_entities(POLICY_READ)
    else:
        may_see = user.permissions.check_entity(entity_id, POLICY_READ)
    if not may_see:
        raise Unauthorized(entity_id=entity_id, permission=POLICY_READ)


def _entity_id(hass: HomeAssistant, entry: BticinoConfigEntry, place: Module) -> str | None:
    """Return the camera of a place; an intercom that has none is judged by its doorbell."""
    registry = er.async_get(hass)
    keys = ((Platform.CAMERA, "camera"), (Platform.EVENT, "doorbell"))
    found = (
        registry.async_get_entity_id(platform, DOMAIN, unique_id(entry, place.id, key))
        for platform, key in keys
    )
    return next(filter(None, found), None)


async def _until_settled(
    runtime: RuntimeData, entry: BticinoConfigEntry, call_id: str, kind: str
) -> None:
    """Wait, but not for long, until a picture that is expected is there or will not come."""
    loop = asyncio.get_running_loop()
    changed, deadline = asyncio.Event(), loop.time() + PATIENCE
    stop_listening = runtime.history.async_listen(changed.set)
    try:
        while (
            loop.time() < deadline
            and entry.state is ConfigEntryState.LOADED
            and runtime.downloads.is_expected(call_id, kind)
        ):
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), POLL_SECONDS)
            changed.clear()
    finally:
        stop_listening()


async def _picture(runtime: RuntimeData, call_id: str, kind: str) -> StillImage | None:
    history = runtime.history
    call = history.call(call_id)
    if call is None or place_of(runtime.coordinator.data, call) is None:
        return None
    return await history.async_picture(call, kind)


def _is_without_camera(runtime: RuntimeData, call: CallRecord) -> bool:
    """Whether others have rung where this call is, and never a picture came."""
    history, place = runtime.history, call.module_id
    if any(history.last(place, kind) is not None for kind in KINDS):
        return False
    return any(
        place == each.module_id and not runtime.downloads.is_expected(each.id, KINDS[0])
        for each in history.calls
    )
