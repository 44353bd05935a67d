"""Live view: the viewers of an account, at most one at a time for each intercom."""

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback

from ..client import (
    STREAM,
    AnsweredElsewhereError,
    BticinoError,
    CallError,
    CallEventType,
    CallObserver,
    CallOverError,
    CallSession,
    LineBusyError,
    OfferTooLargeError,
    SignalingChannel,
    missing_codec,
    origin_of,
    sends_audio,
)
from ..const import LOGGER
from ..errors import call_reason
from ..issues import OFFER_TOO_LARGE, AccountIssues
from ..listeners import ModuleListeners
from .audience import Audience
from .departures import Departures
from .go2rtc import Go2rtcCameras
from .ice_servers import IceServers
from .indoor_unit import is_indoor_unit
from .relays import Relays, async_relay_limits
from .viewer_session import ViewerSession

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import Event

    from ..calls.events import CallEvents
    from ..client import Call, CallChange, Candidate, Module, RingOffer
    from ..coordinator import BticinoCoordinator
    from ..listeners import ModuleListener
    from ..permissions import EntityAccess
    from .viewer_session import WebRTCClient

BUSY_WAIT_SECONDS: Final = 2.0  # a second viewer waits for the first, who may be about to leave
RETURN_PRIORITY_SECONDS: Final = 0.5  # a viewer who has waited lets one who returns go first
RING_WAIT_SECONDS: Final = 120.0  # longest time that a viewer waits for the end of a ring
REMEMBERED_OFFERS: Final = 64


class LiveViewManager:
    """Connects viewers with their intercom; answers the ring if the intercom is ringing.

    A second viewer of the same intercom waits a moment, then gets LineBusyError: nobody is cut off,
    except that a view ends if somebody else answers a ring of its intercom, and that relays give
    way. A viewer who meets a busy intercom during a ring that cannot be answered from here is
    connected after the ring.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        coordinator: BticinoCoordinator,
        calls: CallEvents,
    ) -> None:
        self._hass = hass
        self._entry = entry
        self._coordinator = coordinator
        self._calls = calls
        self._viewers: dict[str, ViewerSession] = {}
        self._listeners = ModuleListeners()
        self._issues = AccountIssues(hass, entry)
        self._departures = Departures(hass, is_awaited=self._is_awaited, on_gone=self._on_gone)
        self._recent_offers: deque[int] = deque(maxlen=REMEMBERED_OFFERS)
        self.relays = Relays(
            limits=async_relay_limits(hass, entry),
            calls=calls,
            departures=self._departures,
            viewers=lambda: tuple(self._viewers.values()),
            notify=self._notify_at,
        )
        self.go2rtc = Go2rtcCameras(hass, entry)
        self.audience = Audience(
            clock=hass.loop.time, calls=calls, relays=self.relays, find_view=self.async_find
        )
        self.channel = SignalingChannel(coordinator.account.auth)
        self.ice_servers = IceServers(hass, entry, coordinator.account)

    @callback
    def async_start(self) -> None:
        """Request TURN servers; the signaling socket is opened by the first viewer."""
        self.ice_servers.async_start()
        stop = self._hass.bus.async_listen(EVENT_HOMEASSISTANT_STOP, self._on_stop)
        self._entry.async_on_unload(stop)
        self._entry.async_on_unload(self._calls.async_listen(self._on_call))
        self._entry.async_on_unload(self._departures.async_close)

    async def async_close(self) -> None:
        """End all sessions."""
        for viewer in tuple(self._viewers.values()):
            viewer.end("call_hung_up")
        self._departures.async_close()
        await self.channel.close()

    @callback
    def async_listen(self, listener: ModuleListener) -> CALLBACK_TYPE:
        """Call a listener when viewers or calls change; returns a function that removes it."""
        return self._listeners.async_add(listener)

    async def async_view(
        self,
        camera: Module,
        offer: str,
        viewer_id: str,
        client: WebRTCClient,
        access: EntityAccess,
    ) -> None:
        """Connect a viewer with a camera; a failure or refusal is reported to the client."""
        if refusal := _refusal(camera, offer, access) or self.relays.refusal(camera, client.relay):
            client.failed(refusal)
            return
        viewer = self._new_viewer(camera, offer, client, access)
        self._viewers[viewer_id] = viewer
        if viewer.relay is None and self._is_repeated(offer):
            viewer.end("call_interrupted")
            return
        try:
            await self._wait_for_line(viewer)
            await self._connect(viewer, offer)
            self._end_lost_views(viewer)
        except BticinoError as err:
            LOGGER.debug("A viewer could not be connected: %s", err)
            self._handle_error(err)
            viewer.end(self._reason(viewer, err))
        finally:
            if viewer.call.is_sent:
                self._issues.async_delete(OFFER_TOO_LARGE)
            if not viewer.is_connected:
                viewer.end("call_failed")  # an unexpected error: the client must not wait

    async def async_add_candidate(
        self, viewer_id: str, candidate: Candidate, user_id: str | None
    ) -> None:
        """Forward a candidate of a viewer; those of ended or other users' sessions are dropped."""
        viewer = self._viewers.get(viewer_id)
        if viewer is not None and viewer.belongs_to(user_id):
            await viewer.call.add_candidate(candidate)

    @callback
    def async_leave(self, viewer_id: str, user_id: str | None) -> None:
        """End the session of a viewer who leaves; ended and other users' sessions are ignored."""
        viewer = self._viewers.get(viewer_id)
        if viewer is not None and viewer.belongs_to(user_id):
            viewer.leave()

    @callback
    def async_find(self, viewer_id: str) -> ViewerSession | None:
        """Return a session that has not ended."""
        return self._viewers.get(viewer_id)

    @property
    def viewers(self) -> int:
        """The number of viewers, including those who wait."""
        return len(self._viewers)

    def in_call(self, module_id: str) -> bool:
        """Whether there is a viewer or an answered call at a panel, or any panel of an intercom."""
        return self.has_viewer(module_id) or self._calls.is_answered_at(module_id)

    def has_viewer(self, module_id: str) -> bool:
        """Whether a viewer is connected, has just left and may return, or is returning."""
        return self.is_watched(module_id) or self._departures.has(module_id)

    def is_watched(self, module_id: str) -> bool:
        """Whether a viewer is connected to a panel, or to any panel of an intercom."""
        connected = (v.camera for v in self._viewers.values() if v.is_connected)
        return any(module_id in {camera.id, camera.bridge_id} for camera in connected)

    @callback
    def async_hang_up(self, camera: Module) -> bool:
        """End the calls of a panel, or all of an intercom; returns whether there was one."""
        viewers = self._viewers_at(camera)
        for viewer in viewers:
            viewer.end("call_hung_up")
        return self._departures.async_end(camera) or bool(viewers)

    async def async_decline(self, camera: Module, call: Call, offer: RingOffer) -> None:
        """Decline a ring at a camera; BticinoError if the intercom did not receive it."""
        for viewer in [v for v in self._viewers.values() if v.answered_call == call.session_id]:
            viewer.end("call_hung_up")
        ringing = {each.session_id: each for each in self._calls.ringing}
        if call.session_id not in ringing:
            return  # an answer was being sent, so the ring was terminated with its viewer
        bridge_id = camera.sent_intercom_id
        session = CallSession(self.channel, CallObserver(), bridge_id=bridge_id, panel_id=None)
        with self._calls.declining(call):
            if not ringing[call.session_id].is_streamed:  # else it is terminated already
                await session.decline(offer)

    async def async_next_panel(self, camera: Module) -> bool:
        """Switch the viewers of a camera to the next panel; returns whether there are any.

        A relay may only show its own panel.
        """
        viewers = self._viewers_at(camera)
        connected = [each for each in viewers if each.is_connected and each.relay is None]
        for viewer in connected:
            await viewer.call.next_panel()
        return bool(connected)

    def _new_viewer(
        self, camera: Module, offer: str, client: WebRTCClient, access: EntityAccess
    ) -> ViewerSession:
        viewer = ViewerSession(
            self.channel,
            camera,
            client,
            access=access,
            origin=origin_of(offer),
            on_connected=self._on_connected,
            on_over=self._on_over,
        )
        if viewer.relay is not None:
            viewer.call.max_seconds = self.relays.limits.options.view_seconds
        return viewer

    def _on_connected(self, viewer: ViewerSession) -> None:
        self._departures.async_remove(viewer.camera)
        self.relays.async_connected(viewer)
        self._notify_at(viewer.camera)

    def _on_over(self, viewer: ViewerSession) -> None:
        self._viewers = {k: v for k, v in self._viewers.items() if v is not viewer}
        self.relays.async_over(viewer)
        call_id, viewer.answered_call = viewer.answered_call, None
        if call_id is not None and self._calls.answers.is_sending(call_id):
            self._end_answer(viewer, call_id)
            call_id = None
        if viewer.may_return and (viewer.was_connected or call_id is not None):
            if call_id is not None:
                self._calls.answers.async_leave(call_id)
            self._departures.async_add(viewer.camera, call_id)
        elif call_id is not None:
            self._calls.answers.async_end(call_id, by=viewer.ended_by)
        self._departures.async_check(viewer.camera)
        self._notify_at(viewer.camera)

    def _end_answer(self, viewer: ViewerSession, call_id: str) -> None:
        """End the call if our answer was sent: it is terminated now; otherwise the ring goes on."""
        if viewer.was_connected or viewer.is_answer_sent(call_id):
            self._calls.answers.async_end(call_id, by=viewer.ended_by)
        else:
            self._calls.answers.async_withdraw(call_id)

    def _is_awaited(self, camera: Module) -> bool:
        """Whether a viewer of a camera waits in line or is being connected."""
        viewers = [viewer for viewer in self._viewers.values() if viewer.camera.id == camera.id]
        return any(not (viewer.was_connected or viewer.waits_for_ring) for viewer in viewers)

    def _on_gone(self, camera: Module, call_id: str | None) -> None:
        if call_id is not None:
            self._calls.answers.async_end(call_id, by="here")
        self._notify_at(camera)

    @callback
    def _on_call(self, change: CallChange) -> None:
        if change.type is CallEventType.RING:
            self.relays.async_end_at(change.call)
            for viewer in tuple(self._viewers.values()):
                self._end_views_for(viewer)
        for viewer in self._viewers.values():
            viewer.call_changed.set()
        # Of a call whose panel is unknown, the camera may be at another module than the call.
        call = change.call
        if change.type is not CallEventType.UPDATED:
            here = {self._calls.location_of(call), call.bridge_id}
            self._listeners.async_notify(here if call.panel_id else None)

    def _notify_at(self, camera: Module) -> None:
        self._listeners.async_notify({camera.id, camera.intercom_id})

    def _viewers_at(self, camera: Module) -> list[ViewerSession]:
        return [v for v in self._viewers.values() if camera.id in {v.camera.id, v.camera.bridge_id}]

    async def _wait_for_line(self, viewer: ViewerSession) -> None:
        """Wait until the earlier viewers are gone; LineBusyError if one stays."""
        has_waited = False
        for other in self._earlier_viewers(viewer):
            is_same_browser = viewer.origin is not None and other.origin == viewer.origin
            if self.relays.gives_way(other, viewer):
                other.end("call_busy")
            elif is_same_browser and other.belongs_to(viewer.access.user_id):
                # The same browser restarts its connection (ICE restart) and never ends the old one.
                other.leave()
        self._end_views_for(viewer)
        try:
            async with asyncio.timeout(BUSY_WAIT_SECONDS):
                while earlier := self._earlier_viewers(viewer):
                    has_waited = True
                    await earlier[0].over.wait()
        except TimeoutError:
            if not all(other.call.may_be_over for other in self._earlier_viewers(viewer)):
                raise LineBusyError from None
            return  # the intercom knows whether the line is free
        if has_waited and self._ring_for(viewer) is None:
            await self._let_returning_viewer_first(viewer)

    def _end_lost_views(self, viewer: ViewerSession) -> None:
        """End the earlier views that are over, because the intercom has accepted a new viewer."""
        if viewer.is_connected:
            for other in self._earlier_viewers(viewer):
                other.ended(CallOverError())

    def _end_views_for(self, viewer: ViewerSession) -> None:
        """End the mere views of an intercom if a viewer in line will answer its ring."""
        ring = self._ring_for(viewer)
        if ring is None:
            return
        for other in tuple(self._viewers.values()):
            is_same_line = other.camera.intercom_id == viewer.camera.intercom_id
            is_view = other.answered_call is None and self._ring_for(other) is None
            has_failed = other.waits_for_ring and ring.offer is None  # to answer this ring
            if is_same_line and is_view and not has_failed:
                other.end("call_ring_answered")

    def _ring_for(self, viewer: ViewerSession) -> Call | None:
        """Return the ring that a viewer in line answers once it is connected."""
        may_answer = viewer.is_in_line and viewer.access.may_control
        return self._calls.ringing_at(viewer.camera) if may_answer else None

    async def _let_returning_viewer_first(self, viewer: ViewerSession) -> None:
        """Give the viewer who has just left time to return (talk button); LineBusyError if so."""
        await asyncio.sleep(RETURN_PRIORITY_SECONDS)
        line = viewer.camera.intercom_id
        newest = [v for v in self._viewers.values() if v.camera.intercom_id == line][-1:]
        if newest and newest[0] is not viewer and not viewer.over.is_set():
            raise LineBusyError

    def _earlier_viewers(self, viewer: ViewerSession) -> list[ViewerSession]:
        """Return the earlier viewers of the same intercom, oldest first."""
        everybody = list(self._viewers.values())
        before = everybody[: everybody.index(viewer)] if viewer in everybody else []
        return [v for v in before if v.camera.intercom_id == viewer.camera.intercom_id]

    async def _connect(self, viewer: ViewerSession, offer: str) -> None:
        """Answer the ring at the viewer's camera, or dial its panel."""
        if viewer.over.is_set():
            return  # the viewer has left while waiting
        shown = self.relays.take_ring(viewer)
        is_relay = viewer.relay is not None and shown is None
        if is_relay and (refusal := self.relays.refusal_to_dial(viewer)):
            viewer.end(refusal)
            return
        viewer.is_in_line = False
        call = self._calls.ringing_at(viewer.camera)
        if call is None or is_relay:
            await self._dial(viewer, offer)
        elif not (viewer.access.may_control or shown):
            viewer.end("call_answer_not_allowed")
        elif call.offer is None or call.is_streamed:  # only a call to its panel can answer it
            dial = viewer.call.dial(offer, when_busy=partial(self._wait_for_ring_end, viewer))
            await self._answer(viewer, call.session_id, dial, None)
        else:
            hang_up = viewer.hang_up_of(call.session_id)
            answer = viewer.call.answer(call.offer, offer)
            await self._answer(viewer, call.session_id, answer, hang_up)

    async def _dial(self, viewer: ViewerSession, offer: str) -> None:
        """Dial the panel; continues the answered call that a viewer of the camera has just left.

        LineBusyError if the viewer may not continue it.
        """
        answers = self._calls.answers
        if not viewer.access.may_control and self._departures.has_call(viewer.camera):
            raise LineBusyError
        call_id = self._departures.async_take_call(viewer.camera)
        if call_id is not None and answers.async_resume(call_id):
            viewer.answered_call = call_id
        await viewer.call.dial(offer, when_busy=partial(self._wait_for_ring_end, viewer))
        if viewer.answered_call is not None:
            answers.async_confirm(viewer.answered_call)

    async def _answer(
        self,
        viewer: ViewerSession,
        session_id: str,
        work: Awaitable[None],
        hang_up: Callable[[], None] | None,
    ) -> None:
        """Answer a ring, and report the outcome to the owner of the call."""
        answers = self._calls.answers
        by = "here" if viewer.relay is None else STREAM
        answers.async_begin(session_id, hang_up, by=by)
        viewer.answered_call = session_id
        try:
            await work
        except BticinoError as err:
            if viewer.answered_call is not None:
                viewer.answered_call = None
                answers.async_fail(session_id, err)
            raise
        answers.async_confirm(session_id)

    async def _wait_for_ring_end(self, viewer: ViewerSession) -> None:
        """Wait with a viewer until the ring is over that keeps the intercom busy.

        LineBusyError if there is none, AnsweredElsewhereError if somebody has answered it.
        """
        rings = self._unanswerable_rings(viewer.camera)
        if not rings:
            raise LineBusyError
        self._withdraw(viewer)  # applies pushes that were held: the ring may be over
        if self._rings_of(viewer.camera):
            with viewer.waiting_for_ring("call_ring_not_answerable"):
                self._departures.async_check(viewer.camera)
                rings |= await self._rings_until_quiet(viewer)
        if viewer.over.is_set():
            raise CallError
        if rings & {call.session_id for call in self._calls.in_progress}:
            raise AnsweredElsewhereError

    async def _rings_until_quiet(self, viewer: ViewerSession) -> set[str]:
        """Wait until the viewer's intercom has stopped ringing; returns what rang meanwhile."""
        rang: set[str] = set()
        try:
            async with asyncio.timeout(RING_WAIT_SECONDS):
                while (rings := self._rings_of(viewer.camera)) and not viewer.over.is_set():
                    rang.update(ring.session_id for ring in rings)
                    viewer.call_changed.clear()
                    await viewer.call_changed.wait()
        except TimeoutError:
            raise LineBusyError from None
        return rang

    def _withdraw(self, viewer: ViewerSession) -> None:
        """Give up the answer of a viewer whom the intercom did not accept."""
        call_id, viewer.answered_call = viewer.answered_call, None
        if call_id is not None and self._calls.answers.is_sending(call_id):
            self._calls.answers.async_withdraw(call_id)
        elif call_id is not None:
            self._calls.answers.async_end(call_id, by="here")

    def _rings_of(self, camera: Module) -> list[Call]:
        """Return the rings that keep a camera's intercom busy; simulated ones do not."""
        rings = [ring for ring in self._calls.ringing if ring.bridge_id == camera.intercom_id]
        return [ring for ring in rings if not ring.simulated]

    def _unanswerable_rings(self, camera: Module) -> set[str]:
        """Return the sessions of the rings that only a phone or the indoor unit can answer.

        For the indoor unit there are none: no call to it may begin after a ring, by itself.
        """
        rings = [] if is_indoor_unit(camera) else self._rings_of(camera)
        return {ring.session_id for ring in rings if ring.offer is None}

    def _reason(self, viewer: ViewerSession, err: BticinoError) -> str:
        """Return why a viewer could not be connected, as a translation key."""
        is_ring = isinstance(err, LineBusyError) and self._unanswerable_rings(viewer.camera)
        return "call_ring_not_answerable" if is_ring else call_reason(err)

    def _handle_error(self, err: BticinoError) -> None:
        self._coordinator.async_handle_error(err)
        if isinstance(err, OfferTooLargeError):
            self._issues.async_raise(OFFER_TOO_LARGE)

    def _is_repeated(self, offer: str) -> bool:
        """Whether an offer came before: Home Assistant's page repeats it after a lost connection.

        Its browser would ignore the answer, and the intercom would be in a call with nobody.
        """
        known = hash(offer)
        if known in self._recent_offers:
            return True
        self._recent_offers.append(known)
        return False

    async def _on_stop(self, _event: Event) -> None:
        await self.async_close()


def _refusal(camera: Module, offer: str, access: EntityAccess) -> str | None:
    """Return why an offer is refused, as a translation key; None: it is not.

    The indoor unit rings when it is called, which takes somebody who wants to talk.
    """
    if not access.may_read:
        return "call_watch_not_allowed"
    if missing_codec(offer) is not None:
        return "call_codec_missing"
    if sends_audio(offer):
        return None if access.may_control else "call_talk_not_allowed"
    return "call_home_needs_microphone" if is_indoor_unit(camera) else None
