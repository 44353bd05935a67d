"""The WHEP endpoint of a camera (draft-ietf-wish-whep): a view by one HTTP request."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
import math
import secrets
from typing import TYPE_CHECKING, Final, override

from aiohttp import hdrs, web
from homeassistant.components.http import KEY_HASS_USER
from homeassistant.core import callback
from homeassistant.helpers.http import KEY_HASS, HomeAssistantView, request_handler_factory
from multidict import CIMultiDict

from ..client import (
    Candidate,
    Gathering,
    complete_answer,
    gathering,
    is_offer,
    parse_fragment,
    sends_audio,
    with_fixed_payload_types,
)
from ..const import DOMAIN, LOGGER
from ..errors import translated_error
from ..permissions import Caller, EntityAccess
from .relays import GO2RTC_USER_ID, relay_id
from .stream_address import (
    AUTH_PARAMETER,
    WHEP_PATH,
    async_remove_stream_secret,
    async_renew_stream_secret,
    is_secret,
    stream_secret,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from webrtc_models import RTCIceServer

    from ..client import Module
    from .manager import LiveViewManager
    from .viewer_session import ViewerSession

OFFER_TYPE: Final = "application/sdp"
FRAGMENT_TYPE: Final = "application/trickle-ice-sdpfrag"
MAX_BODY_BYTES: Final = 64 * 1024
GATHER_SECONDS: Final = 2.0  # for the candidates of the intercom, which may come after its answer
# Without another candidate, there are no more. A device that only has its own addresses may still
# wait for a server, and repeats a lost request after half a second; relayed ones come last.
QUIET_SECONDS: Final = {
    Gathering.NOTHING: GATHER_SECONDS,
    Gathering.HOST: 1.0,
    Gathering.REFLEXIVE: 0.4,
    Gathering.RELAYED: 0.1,
}
BUSY_RETRY_SECONDS: Final = 10
RETRY_SECONDS: Final = 60
SESSION_ID_BYTES: Final = 24
# Whether intercoms send 111 and 109 whatever was negotiated (protocol.md 3.9: not certain).
FIXED_PAYLOAD_TYPES: Final[bool] = False
# The user id of relays that have the secret of a camera; no user has this id.
STREAM_USER_ID: Final = "stream_address"

_ACCEPT_POST: Final = "Accept-Post"
_ACCEPT_PATCH: Final = "Accept-Patch"
_STATUSES: Final = {
    "call_watch_not_allowed": HTTPStatus.FORBIDDEN,
    "call_talk_not_allowed": HTTPStatus.FORBIDDEN,
    "call_answer_not_allowed": HTTPStatus.CONFLICT,
    "call_answered_elsewhere": HTTPStatus.CONFLICT,
    "call_busy": HTTPStatus.CONFLICT,
    "call_codec_missing": HTTPStatus.UNPROCESSABLE_ENTITY,
    "call_home_needs_microphone": HTTPStatus.FORBIDDEN,
    "call_interrupted": HTTPStatus.CONFLICT,
    "call_ring_answered": HTTPStatus.CONFLICT,
    "call_ring_not_answerable": HTTPStatus.CONFLICT,
    "call_offer_too_large": HTTPStatus.UNPROCESSABLE_ENTITY,
    "call_relay_limit": HTTPStatus.TOO_MANY_REQUESTS,
}
_RETRIED: Final = {
    HTTPStatus.CONFLICT: BUSY_RETRY_SECONDS,
    HTTPStatus.SERVICE_UNAVAILABLE: RETRY_SECONDS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WhepCamera:
    """A camera; `live` and `module` are None while the account is not loaded."""

    entry: ConfigEntry
    entity_id: str
    module_id: str
    live: LiveViewManager | None
    module: Module | None

    @property
    def secret(self) -> str | None:
        """The secret of its stream address; None: it has none."""
        return stream_secret(self.entry, self.module_id)

    def holder_of(self, secret: str) -> str | None:
        """Return who has a secret of this camera; None: it is wrong."""
        if is_secret(secret, self.secret):
            return STREAM_USER_ID
        for_go2rtc = None if self.live is None else self.live.go2rtc.secret_of(self.module_id)
        return GO2RTC_USER_ID if is_secret(secret, for_go2rtc) else None

    @callback
    def async_renew_secret(self, hass: HomeAssistant) -> str:
        """Replace the secret, and end the views of those who have the one before."""
        secret = async_renew_stream_secret(hass, self.entry, self.module_id)
        self._end_views()
        return secret

    @callback
    def async_remove_secret(self, hass: HomeAssistant) -> None:
        """Switch the stream address off, and end the views of those who have it."""
        async_remove_stream_secret(hass, self.entry, self.module_id)
        self._end_views()

    def _end_views(self) -> None:
        if self.live is not None:
            self.live.relays.async_end(relay_id(STREAM_USER_ID, self.module_id))


type FindCamera = Callable[[HomeAssistant, str], WhepCamera | None]


class WhepError(Exception):
    """A request that is refused; the detail is shown to the client."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        retry_after: float = 0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        if seconds := math.ceil(retry_after) or _RETRIED.get(status):
            self.headers[hdrs.RETRY_AFTER] = str(seconds)


class WhepClient:
    """A WHEP client; collects what its answer needs. `relay` is as in WebRTCClient."""

    def __init__(self, offer: str, relay: str | None) -> None:
        self.offer = offer
        self.relay = relay
        self.etag = f'"{secrets.token_hex(8)}"'
        self.failure: str | None = None
        self._sdp = ""
        self._candidates: list[Candidate] = []
        self._has_all_candidates = False
        self._has_news = asyncio.Event()

    def answered(self, sdp: str) -> None:
        """Keep the answer for the response."""
        self._sdp = sdp

    def candidate(self, candidate: Candidate) -> None:
        """Keep a candidate for the response; those that come after it are lost."""
        self._candidates.append(candidate)
        self._has_news.set()

    def candidates_complete(self) -> None:
        """Send the response at once."""
        self._has_all_candidates = True
        self._has_news.set()

    def postponed(self, key: str) -> None:
        """Keep the client waiting: the response comes after the ring that keeps the line busy."""

    def failed(self, key: str) -> None:
        """Keep the reason for the response; after it, nothing can be sent."""
        self.failure = key

    async def wait_for_candidates(self) -> None:
        """Wait until no more candidates come; WHEP cannot send them after the answer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHER_SECONDS):
                while (stage := self._gathering) is not Gathering.COMPLETE:
                    self._has_news.clear()
                    await asyncio.wait_for(self._has_news.wait(), QUIET_SECONDS[stage])

    @property
    def _gathering(self) -> Gathering:
        is_complete = self._has_all_candidates
        return Gathering.COMPLETE if is_complete else gathering(self._sdp, self._candidates)

    def answer(self) -> str:
        """Return the complete answer."""
        return as_sent(complete_answer(self._sdp, self._candidates))


class StreamView(HomeAssistantView):
    """A view without the CORS of Home Assistant, whose OPTIONS handler would replace ours.

    Home Assistant's own authorization is one of two, so it is checked here. A wrong secret is not a
    failed login: relays retry forever, and would lock out their machine or Home Assistant itself.
    """

    url: str
    requires_auth = False
    methods: tuple[str, ...]

    def __init__(self, find_camera: FindCamera) -> None:
        self._find_camera = find_camera

    @override
    def register(
        self, hass: HomeAssistant, app: web.Application, router: web.UrlDispatcher
    ) -> None:
        for method in self.methods:
            handler = request_handler_factory(hass, self, _handled(getattr(self, method)))
            router.add_route(method, self.url, handler)

    def _authorize(self, request: web.Request, entity_id: str) -> tuple[WhepCamera, EntityAccess]:
        """Return the camera, and what a user or the holder of its secret may do with it."""
        camera = self._find_camera(request.app[KEY_HASS], entity_id)
        given = request.query.get(AUTH_PARAMETER, "")
        if camera is not None and (holder := camera.holder_of(given)) is not None:
            return camera, EntityAccess(user_id=holder, may_read=True, may_control=False)
        if (user := request.get(KEY_HASS_USER)) is None:
            headers: dict[str, str] = {hdrs.WWW_AUTHENTICATE: "Bearer"}
            raise WhepError(HTTPStatus.UNAUTHORIZED, "Not authorized.", headers=headers)
        if camera is None:
            raise WhepError(HTTPStatus.NOT_FOUND, "There is no such camera.")
        access = Caller(user).access_to(entity_id)
        if not access.may_read:
            raise WhepError(HTTPStatus.FORBIDDEN, "No permission to watch this camera.")
        return camera, access


class WhepView(StreamView):
    """The endpoint of a camera, where views begin."""

    url = f"{WHEP_PATH}/{{entity_id}}"
    name = f"api:{DOMAIN}:whep"
    methods = ("get", "options", "post")

    async def get(self, request: web.Request, entity_id: str) -> web.Response:
        """Respond that the endpoint exists."""
        self._authorize(request, entity_id)
        return web.Response(status=HTTPStatus.NO_CONTENT, headers={_ACCEPT_POST: OFFER_TYPE})

    async def options(self, request: web.Request, entity_id: str) -> web.Response:
        """Respond with what the endpoint takes, and with ICE servers if the client may watch."""
        headers = CIMultiDict({_ACCEPT_POST: OFFER_TYPE, hdrs.ALLOW: "GET, OPTIONS, POST"})
        with suppress(WhepError):
            camera, _ = self._authorize(request, entity_id)
            if camera.live is not None:
                headers.extend(_ice_links(camera.live.ice_servers.servers))
        return web.Response(headers=headers)

    async def post(self, request: web.Request, entity_id: str) -> web.Response:
        """Begin a view, and respond with the complete answer."""
        camera, access = self._authorize(request, entity_id)
        offer = await _read_offer(request)
        if camera.live is None or camera.module is None:
            raise WhepError(HTTPStatus.SERVICE_UNAVAILABLE, "The account is not connected.")
        access, relay = as_viewer(camera, access, offer)
        client, session_id = WhepClient(offer, relay), secrets.token_urlsafe(SESSION_ID_BYTES)
        try:
            await camera.live.async_view(camera.module, offer, session_id, client, access)
            if client.failure is None:
                await client.wait_for_candidates()
        except BaseException:
            camera.live.async_leave(session_id, access.user_id)
            raise
        if client.failure is not None:
            raise _call_error(request.app[KEY_HASS], camera, client.failure)
        return _created(camera.live, client, f"{WHEP_PATH}/{entity_id}/{session_id}")


class WhepSessionView(StreamView):
    """A view that has begun; only the client that began it knows its address."""

    url = f"{WHEP_PATH}/{{entity_id}}/{{session_id}}"
    name = f"api:{DOMAIN}:whep_session"
    methods = ("delete", "get", "options", "patch")

    async def get(self, request: web.Request, entity_id: str, session_id: str) -> web.Response:
        """Respond that the view goes on."""
        self._find(request, entity_id, session_id)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def options(self, request: web.Request, entity_id: str, session_id: str) -> web.Response:
        """Respond with what a view takes."""
        self._find(request, entity_id, session_id)
        headers = {_ACCEPT_PATCH: FRAGMENT_TYPE, hdrs.ALLOW: "DELETE, GET, OPTIONS, PATCH"}
        return web.Response(headers=headers)

    async def delete(self, request: web.Request, entity_id: str, session_id: str) -> web.Response:
        """End the view."""
        live, viewer, _ = self._find(request, entity_id, session_id)
        live.async_leave(session_id, viewer.access.user_id)
        return web.Response()

    async def patch(self, request: web.Request, entity_id: str, session_id: str) -> web.Response:
        """Take the client's candidates; an ICE restart is not supported."""
        live, viewer, client = self._find(request, entity_id, session_id)
        _check_content_type(request, FRAGMENT_TYPE, _ACCEPT_PATCH)
        _check_etag(request, client.etag)
        fragment = parse_fragment(await _read(request), client.offer)
        if fragment is None:
            raise WhepError(HTTPStatus.BAD_REQUEST, "The body is not an SDP fragment.")
        if fragment.restarts_ice:
            raise WhepError(HTTPStatus.UNPROCESSABLE_ENTITY, "ICE restarts are not supported.")
        for candidate in fragment.candidates:
            await live.async_add_candidate(session_id, candidate, viewer.access.user_id)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    def _find(
        self, request: web.Request, entity_id: str, session_id: str
    ) -> tuple[LiveViewManager, ViewerSession, WhepClient]:
        camera = self._find_camera(request.app[KEY_HASS], entity_id)
        live = None if camera is None else camera.live
        if camera is not None and live is not None and camera.module is not None:
            viewer = live.async_find(session_id)
            is_here = viewer is not None and viewer.camera.id == camera.module.id
            if viewer is not None and is_here and isinstance(viewer.client, WhepClient):
                return live, viewer, viewer.client
        raise WhepError(HTTPStatus.NOT_FOUND, "There is no such view (any more).")


def as_viewer(
    camera: WhepCamera, access: EntityAccess, offer: str
) -> tuple[EntityAccess, str | None]:
    """Return what the author of an offer may do, and the identity of a relay.

    Only a client that sends sound may answer a ring; one that only watches is a relay.
    """
    if sends_audio(offer):
        return access, None
    return replace(access, may_control=False), relay_id(access.user_id, camera.module_id)


def _handled(
    handler: Callable[..., Awaitable[web.StreamResponse]],
) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Return a handler that responds to a WhepError with its problem (RFC 9457)."""

    async def handle(request: web.Request, **parts: str) -> web.StreamResponse:
        try:
            return await handler(request, **parts)
        except WhepError as err:
            LOGGER.debug("A WHEP client was refused: %s %s", err.status.value, err.detail)
            problem = {"status": err.status, "title": err.status.phrase, "detail": err.detail}
            return web.json_response(
                problem,
                status=err.status,
                headers=err.headers,
                content_type="application/problem+json",
            )

    return handle


async def _read_offer(request: web.Request) -> str:
    _check_content_type(request, OFFER_TYPE, _ACCEPT_POST)
    offer = await _read(request)
    check_offer(offer)
    return offer


def as_sent(answer: str) -> str:
    """Return an answer with the payload types that intercoms send."""
    return with_fixed_payload_types(answer) if FIXED_PAYLOAD_TYPES else answer


def check_offer(offer: str) -> None:
    """Raise WhepError unless a text is an offer."""
    if not is_offer(offer):
        raise WhepError(HTTPStatus.BAD_REQUEST, "There is no usable SDP offer.")


async def _read(request: web.Request) -> str:
    """Return the body of a request, of which no more is read than it may have."""
    body = bytearray()
    if (request.content_length or 0) <= MAX_BODY_BYTES:
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                break
        else:
            with suppress(UnicodeDecodeError):
                return body.decode()
            raise WhepError(HTTPStatus.BAD_REQUEST, "The body is not UTF-8.")
    raise WhepError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large.")


def _check_content_type(request: web.Request, expected: str, header: str) -> None:
    if request.content_type != expected:
        detail, headers = f"The content type must be {expected}.", {header: expected}
        raise WhepError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail, headers=headers)


def _check_etag(request: web.Request, etag: str) -> None:
    """Check that a request is for the ICE session that it names; the draft quotes the asterisk."""
    given = {tag.strip() for tag in request.headers.get(hdrs.IF_MATCH, "").split(",")}
    if given == {""}:
        raise WhepError(HTTPStatus.PRECONDITION_REQUIRED, "The header If-Match is missing.")
    if not given & {etag, "*", '"*"'}:
        raise WhepError(HTTPStatus.PRECONDITION_FAILED, "This is not the current ICE session.")


def _call_error(hass: HomeAssistant, camera: WhepCamera, key: str) -> WhepError:
    """Return the error for a view that was refused or has failed."""
    wait = 0.0
    if key in {"call_relay_limit", "call_relay_pause"} and camera.live and camera.module:
        wait = camera.live.relays.limits.seconds_left(camera.module.intercom_id)
    status = _STATUSES.get(key, HTTPStatus.SERVICE_UNAVAILABLE)
    return WhepError(status, translated_error(hass, key), retry_after=wait)


def _created(live: LiveViewManager, client: WhepClient, location: str) -> web.Response:
    headers = CIMultiDict(
        {
            hdrs.LOCATION: location,
            hdrs.ETAG: client.etag,
            hdrs.CACHE_CONTROL: "no-store",
            _ACCEPT_PATCH: FRAGMENT_TYPE,
        }
    )
    headers.extend(_ice_links(live.ice_servers.servers))
    return web.Response(
        status=HTTPStatus.CREATED, text=client.answer(), content_type=OFFER_TYPE, headers=headers
    )


def _ice_links(servers: list[RTCIceServer]) -> Iterator[tuple[str, str]]:
    """Yield a Link header for each address of the ICE servers, as WHIP has it (RFC 9725)."""
    for server in servers:
        parts = ['; rel="ice-server"']
        if server.username is not None and server.credential is not None:
            known = {"username": server.username, "credential": server.credential}
            parts += [f'; {name}="{_quotable(value)}"' for name, value in known.items()]
            parts.append('; credential-type="password"')
        attributes = "".join(parts)
        for url in [server.urls] if isinstance(server.urls, str) else server.urls:
            if (link := f"<{url}>{attributes}").isascii() and link.isprintable():
                yield hdrs.LINK, link


def _quotable(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
