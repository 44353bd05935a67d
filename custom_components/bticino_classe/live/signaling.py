"""The endpoint for go2rtc's own signaling: a view by one WebSocket, which also lets it talk.

A frame is JSON with a `type` and a `value`, both texts. The client sends `webrtc/offer`, and before
or after it `webrtc/candidate`; it gets `webrtc/answer`, then `webrtc/candidate`, or `error`. It
closes the WebSocket once it has a connection to the intercom, and the view goes on.
"""

import asyncio
from contextlib import suppress
from http import HTTPStatus
import secrets
from typing import TYPE_CHECKING, Any, Final

from aiohttp import WSMsgType, hdrs, web
from homeassistant.helpers.http import KEY_HASS
from homeassistant.util.json import JSON_DECODE_EXCEPTIONS, json_loads

from ..client import sectionless_candidate, without_sent_audio
from ..const import DOMAIN, LOGGER
from ..errors import translated_error
from .relays import GO2RTC_USER_ID
from .stream_address import SIGNALING_PATH
from .whep import (
    MAX_BODY_BYTES,
    SESSION_ID_BYTES,
    StreamView,
    WhepError,
    as_sent,
    as_viewer,
    check_offer,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import WSMessage
    from homeassistant.core import HomeAssistant

    from ..client import Candidate, Module
    from ..permissions import EntityAccess
    from .manager import LiveViewManager
    from .whep import WhepCamera

OFFER_SECONDS: Final = 10.0  # until the offer
CONNECTED_SECONDS: Final = 60.0  # from the answer until the client closes the WebSocket
CLOSE_SECONDS: Final = 2.0
MAX_FRAMES: Final = 100  # of a client

_OFFER: Final = "webrtc/offer"
_ANSWER: Final = "webrtc/answer"
_CANDIDATE: Final = "webrtc/candidate"
_ERROR: Final = "error"


class SignalingView(StreamView):
    """The endpoint of a camera."""

    url = f"{SIGNALING_PATH}/{{entity_id}}"
    name = f"api:{DOMAIN}:go2rtc"
    methods = ("get",)

    async def get(self, request: web.Request, entity_id: str) -> web.StreamResponse:
        """Serve a view; an error after the authorization is a frame."""
        camera, access = self._authorize(request, entity_id)
        socket = web.WebSocketResponse(timeout=CLOSE_SECONDS, max_msg_size=MAX_BODY_BYTES)
        if not socket.can_prepare(request):
            headers: dict[str, str] = {hdrs.UPGRADE: "websocket"}
            detail = "This address is for WebSockets."
            raise WhepError(HTTPStatus.UPGRADE_REQUIRED, detail, headers=headers)
        await socket.prepare(request)
        await _Signaling(request.app[KEY_HASS], socket).serve(camera, access)
        return socket


class _Client:
    """The client's end of a view: puts frames into a queue; None ends it."""

    def __init__(self, hass: HomeAssistant, relay: str | None) -> None:
        self._hass = hass
        self.relay = relay
        self.frames: asyncio.Queue[tuple[str, str] | None] = asyncio.Queue()

    def answered(self, sdp: str) -> None:
        self.frames.put_nowait((_ANSWER, as_sent(sdp)))

    def candidate(self, candidate: Candidate) -> None:
        self.frames.put_nowait((_CANDIDATE, candidate.candidate))

    def candidates_complete(self) -> None:
        """Do nothing: go2rtc needs no end of the candidates."""

    def postponed(self, key: str) -> None:
        """Keep the client waiting, for the end of the ring that keeps the intercom busy."""

    def failed(self, key: str) -> None:
        self.refuse(translated_error(self._hass, key))

    def refuse(self, detail: str) -> None:
        self.frames.put_nowait((_ERROR, detail))


class _Signaling:
    """One WebSocket of a client."""

    def __init__(self, hass: HomeAssistant, socket: web.WebSocketResponse) -> None:
        self._hass = hass
        self._socket = socket
        self._frames = 0
        self._candidates: list[str] = []  # that came before the offer

    async def serve(self, camera: WhepCamera, access: EntityAccess) -> None:
        """Serve a view until its WebSocket is no longer needed, and close that."""
        try:
            async with asyncio.timeout(OFFER_SECONDS):
                offer = await self._receive_offer()
            if offer is not None:
                await self._serve_offer(camera, access, offer)
        except TimeoutError:
            await self._refuse("There was no offer in time.")
        except WhepError as err:
            await self._refuse(err.detail)
        finally:
            await self._socket.close()

    async def _serve_offer(self, camera: WhepCamera, access: EntityAccess, offer: str) -> None:
        check_offer(offer)
        if camera.live is None or camera.module is None:
            raise WhepError(HTTPStatus.SERVICE_UNAVAILABLE, "The account is not connected.")
        is_go2rtc, relay = access.user_id == GO2RTC_USER_ID, None
        if is_go2rtc:
            access, relay = camera.live.audience.async_admit(camera.module_id)
        if not access.may_control:  # go2rtc always offers to send sound
            offer = without_sent_audio(offer)
        if not is_go2rtc:
            access, relay = as_viewer(camera, access, offer)
        view = _View(camera.live, camera.module, offer, access, _Client(self._hass, relay))
        if is_go2rtc:
            camera.live.audience.async_begin(camera.module_id, view.id)
        # Home Assistant cancels this request when the client is gone, which must not end the view.
        camera.entry.async_create_background_task(self._hass, view.run(), "a view by signaling")
        reading = asyncio.create_task(self._forward_candidates(view))
        try:
            await self._send_frames(view)
        finally:
            reading.cancel()
            if not view.goes_on:
                view.leave()

    async def _send_frames(self, view: _View) -> None:
        """Send the frames of a view until its WebSocket is no longer needed."""
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(None) as limit:
                while (frame := await view.client.frames.get()) is not None:
                    await self._send(*frame)
                    if frame[0] == _ANSWER:
                        view.goes_on = True
                        limit.reschedule(self._hass.loop.time() + CONNECTED_SECONDS)
                    elif frame[0] == _ERROR:
                        view.goes_on = False
                        break

    async def _receive_offer(self) -> str | None:
        """Return the offer; None: the client has closed the WebSocket."""
        async for kind, value in self._received():
            if kind == _OFFER:
                return value
            if kind == _CANDIDATE:
                self._candidates.append(value)
        return None

    async def _forward_candidates(self, view: _View) -> None:
        """Forward the candidates of the client until it closes the WebSocket."""
        for candidate in self._candidates:
            await view.add_candidate(candidate)
        try:
            async for kind, value in self._received():
                if kind == _CANDIDATE:
                    await view.add_candidate(value)
        except WhepError as err:
            view.client.refuse(err.detail)
        view.client.frames.put_nowait(None)

    async def _received(self) -> AsyncIterator[tuple[str, str]]:
        """Yield type and value of each frame until the client closes the WebSocket."""
        async for message in self._socket:
            self._frames += 1
            if self._frames > MAX_FRAMES:
                raise WhepError(HTTPStatus.TOO_MANY_REQUESTS, "There are too many frames.")
            yield _parsed(message)

    async def _refuse(self, detail: str) -> None:
        """Send an error, if the client is still there."""
        LOGGER.debug("A signaling client was refused: %s", detail)
        with suppress(ConnectionError):
            await self._send(_ERROR, detail)

    async def _send(self, kind: str, value: str) -> None:
        """Send a frame; ConnectionError: the client is gone."""
        await self._socket.send_json({"type": kind, "value": value})


class _View:
    """A view of a client; `goes_on`: it does not need the WebSocket any more."""

    goes_on = False

    def __init__(
        self,
        live: LiveViewManager,
        camera: Module,
        offer: str,
        access: EntityAccess,
        client: _Client,
    ) -> None:
        self._live = live
        self._camera = camera
        self._offer = offer
        self._access = access
        self.id = secrets.token_urlsafe(SESSION_ID_BYTES)
        self.client = client

    async def run(self) -> None:
        """Begin the view."""
        await self._live.async_view(self._camera, self._offer, self.id, self.client, self._access)

    async def add_candidate(self, candidate: str) -> None:
        """Forward a candidate of the client, which does not say for which section it is."""
        found = sectionless_candidate(candidate, self._offer)
        await self._live.async_add_candidate(self.id, found, self._access.user_id)

    def leave(self) -> None:
        """End the view."""
        self._live.async_leave(self.id, self._access.user_id)


def _parsed(message: WSMessage) -> tuple[str, str]:
    """Return type and value of a frame; WhepError: it is not one."""
    found: Any = None
    if message.type is WSMsgType.TEXT:
        with suppress(*JSON_DECODE_EXCEPTIONS):
            found = json_loads(message.data)
    if isinstance(found, dict):
        kind, value = found.get("type"), found.get("value")
        if isinstance(kind, str) and isinstance(value, str):
            return kind, value
    raise WhepError(HTTPStatus.BAD_REQUEST, "A frame must be JSON with a type and a value.")
