"""Watching and talking in Home Assistant: who is on the line, and what becomes of it."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later

from ..client import (
    BticinoError,
    CallObserver,
    CallOverError,
    CallPush,
    CallSession,
    CallStep,
    InvalidCredentialsError,
    LineBusyError,
    SignalingChannel,
    UnreachableError,
    origin_of,
)
from ..const import LOGGER
from .ice_servers import IceServers
from .viewer_session import ViewerSession

if TYPE_CHECKING:
    from datetime import datetime

    from homeassistant.core import Event

    from ..client import Call, Candidate, Module, RingOffer
    from ..coordinator import BticinoConfigEntry, BticinoCoordinator
    from .viewer_session import WebRTCClient

RECONNECT_GRACE_SECONDS: Final = (
    3.0  # seconds in which a viewer may come back to a call, as the talk button does
)
BUSY_WAIT_SECONDS: Final = 2.0  # seconds that a viewer waits for one who may be about to leave
RETURN_PRIORITY_SECONDS: Final = (
    0.5  # seconds that a viewer who has waited leaves to one who comes back
)
REMEMBERED_OFFERS: Final = 64


class LiveViewManager:
    """The account's calls from Home Assistant: at most one at a time for each intercom.

    Whoever comes second waits a moment, in case the first is just leaving, and is told then that
    the line is busy: nobody is thrown out of a conversation.
    """

    def __init__(
        self, hass: HomeAssistant, entry: BticinoConfigEntry, coordinator: BticinoCoordinator
    ) -> None:
        self.hass = hass
        self._entry = entry
        self._coordinator = coordinator
        self._viewings: dict[str, ViewerSession] = {}
        self._handovers: dict[str, tuple[Module, CALLBACK_TYPE]] = {}
        self._joining: dict[ViewerSession, tuple[str, list[CallPush]]] = {}
        self._declining: set[str] = set()
        self._offers: deque[int] = deque(maxlen=REMEMBERED_OFFERS)
        self.channel = SignalingChannel(coordinator.account.auth)
        self.relays = IceServers(hass, entry, coordinator.account)

    @callback
    def async_start(self) -> None:
        """Be ready; nothing is connected before somebody wants to watch."""
        self.relays.async_start()
        stop = self.hass.bus.async_listen(EVENT_HOMEASSISTANT_STOP, self._on_stop)
        self._entry.async_on_unload(stop)

    async def async_close(self) -> None:
        """End all calls."""
        for viewing in tuple(self._viewings.values()):
            viewing.end("call_hung_up")
        for _, cancel in self._handovers.values():
            cancel()
        await self.channel.close()

    async def async_view(
        self, place: Module, offer: str, viewer_id: str, page: WebRTCClient
    ) -> None:
        """Connect a viewer with a panel; what keeps it from coming about is told to the viewer."""
        viewing = ViewerSession(self, place, page, origin_of(offer))
        self._viewings[viewer_id] = viewing
        if self._is_old(offer):
            viewing.end("call_interrupted")
            return
        try:
            await self._wait_for_line(viewing)
            await self._connect(viewing, offer)
        except BticinoError as err:
            LOGGER.debug("A viewer could not be connected: %s", err)
            self._after_failure(err)
            viewing.ended(err)
        finally:
            if not viewing.is_connected:
                viewing.end("call_failed")  # a fault of ours: the page must not wait for ever

    async def async_add_candidate(self, viewer_id: str, candidate: Candidate) -> None:
        """Pass an address of a viewer's on; of one who has gone it is of no use."""
        viewing = self._viewings.get(viewer_id)
        if viewing is not None:
            await viewing.session.add_candidate(candidate)

    @callback
    def async_leave(self, viewer_id: str) -> None:
        """Let a viewer go, who may not be there any more."""
        viewing = self._viewings.get(viewer_id)
        if viewing is not None:
            self.async_over(viewing, by_viewer=True)

    @callback
    def async_over(self, viewing: ViewerSession, *, by_viewer: bool) -> None:
        """Do what is to be done when a viewer's call is over, once."""
        if viewing.over.is_set():
            return
        viewing.over.set()
        self._viewings = {k: v for k, v in self._viewings.items() if v is not viewing}
        viewing.session.hang_up()
        if (joining := self._joining.pop(viewing, None)) is not None:
            self._coordinator.bell.async_ended_here(joining[0])  # by what hanging up tells
        call_id, viewing.call_id = viewing.call_id, None
        if call_id is not None and by_viewer:
            self._keep_for_a_moment(call_id, viewing.place)
        elif call_id is not None:
            self._coordinator.bell.async_ended_here(call_id)
        self.async_changed()

    @callback
    def async_changed(self) -> None:
        """Have all entities show who is on the line."""
        self._coordinator.async_update_listeners()

    @callback
    def async_looks_after(self, push: CallPush) -> bool:
        """Take what the cloud tells of a call that was, or is being, answered here.

        While our answer is under way nobody knows whose it is that others are told of. And of a
        call that goes on after its viewer began anew, as the talk button does, only the first
        half is over.
        """
        if push.step in {CallStep.OFFERED, CallStep.INCOMING}:
            return False
        joining = [held for call_id, held in self._joining.values() if call_id == push.session_id]
        for held in joining:
            held.append(push)
        if joining or push.step is not CallStep.TERMINATED:
            return bool(joining)
        for viewing in tuple(self._viewings.values()):
            if viewing.call_id == push.session_id:
                viewing.session.end_if(push.session_id)
                return True
        return push.session_id in self._handovers

    @property
    def viewers(self) -> int:
        """How many watch, talk or wait for it."""
        return len(self._viewings)

    def in_call(self, module_id: str) -> bool:
        """Whether somebody watches or talks at a panel, or at any of an intercom's."""
        kept = (place for place, _ in self._handovers.values())
        if self.is_watched(module_id) or any(module_id in {p.id, p.bridge_id} for p in kept):
            return True
        bell = self._coordinator.bell
        return any(bell.is_at(call, module_id) for call in bell.book.answered)

    def is_watched(self, module_id: str) -> bool:
        """Whether somebody here sees a panel, or any of an intercom's."""
        connected = (v.place for v in self._viewings.values() if v.is_connected)
        return any(module_id in {place.id, place.bridge_id} for place in connected)

    @callback
    def async_hang_up(self, place: Module) -> bool:
        """End the call of a panel, or all of an intercom; returns whether there was one."""
        found = self._at(place)
        for viewing in found:
            viewing.end("call_hung_up")
        return bool(found)

    async def async_decline(self, call: Call, offer: RingOffer) -> None:
        """Send away who rings; BticinoError: it could not be said to the intercom."""
        session = CallSession(self.channel, CallObserver(), bridge_id=call.bridge_id, panel_id=None)
        self._declining.add(call.session_id)
        try:
            await session.decline(offer)
        finally:
            self._declining.discard(call.session_id)
        self._coordinator.bell.async_ended_here(call.session_id)

    async def async_next_panel(self, place: Module) -> bool:
        """Show the next panel to who is on the line; returns whether anybody is."""
        connected = [viewing for viewing in self._at(place) if viewing.is_connected]
        for viewing in connected:
            await viewing.session.next_panel()
        return bool(connected)

    def ringing_at(self, place: Module) -> Call | None:
        """Return the call that can be answered at a camera; of two, the newer one."""
        bell = self._coordinator.bell
        for call in reversed(bell.book.ringing):
            if call.session_id in self._declining:
                continue
            at, bridge_id = bell.place(call), place.intercom_id
            if at == place.id or (bridge_id == call.bridge_id and bridge_id in {at, place.id}):
                return call
        return None

    def _at(self, place: Module) -> list[ViewerSession]:
        viewings = self._viewings.values()
        return [v for v in viewings if place.id in {v.place.id, v.place.bridge_id}]

    async def _wait_for_line(self, viewing: ViewerSession) -> None:
        """Wait until nobody who came earlier is on the line; LineBusyError if somebody stays."""
        has_waited = False
        for other in self._earlier(viewing):
            if viewing.origin is not None and other.origin == viewing.origin:
                # The browser begins anew by itself, and never ends what it had (ICE restart).
                self.async_over(other, by_viewer=True)
        try:
            async with asyncio.timeout(BUSY_WAIT_SECONDS):
                while earlier := self._earlier(viewing):
                    has_waited = True
                    await earlier[0].over.wait()
        except TimeoutError:
            raise LineBusyError from None
        if has_waited:
            await self._give_way(viewing)

    async def _give_way(self, viewing: ViewerSession) -> None:
        """Let whoever has just left come back first, as the talk button does; then it is busy."""
        await asyncio.sleep(RETURN_PRIORITY_SECONDS)
        bridge_id = viewing.session.bridge_id
        newest = [v for v in self._viewings.values() if v.session.bridge_id == bridge_id][-1:]
        if newest and newest[0] is not viewing and not viewing.over.is_set():
            raise LineBusyError

    def _earlier(self, viewing: ViewerSession) -> list[ViewerSession]:
        """Return who came earlier to the same intercom, the first one first."""
        everybody = list(self._viewings.values())
        before = everybody[: everybody.index(viewing)] if viewing in everybody else []
        return [v for v in before if v.session.bridge_id == viewing.session.bridge_id]

    async def _connect(self, viewing: ViewerSession, offer: str) -> None:
        """Dial the panel, or answer it if it rings."""
        if viewing.over.is_set():
            return  # the viewer has gone while waiting
        call = self.ringing_at(viewing.place)
        if call is not None and call.offer is not None:
            await self._answer(viewing, call.session_id, call.offer, offer)
            return
        viewing.call_id = self._take_over(viewing.place)
        await viewing.session.dial(offer)

    async def _answer(
        self, viewing: ViewerSession, call_id: str, ring: RingOffer, offer: str
    ) -> None:
        """Answer a ring; what the others are told of it counts only if we were not the ones."""
        bell, held = self._coordinator.bell, list[CallPush]()
        self._joining[viewing] = call_id, held
        try:
            await viewing.session.answer(ring, offer)
        except BticinoError as err:
            if self._joining.pop(viewing, None) is not None:
                for push in held:
                    bell.async_take(push)
            if isinstance(err, CallOverError):
                bell.async_ended_here(call_id)
            raise
        if self._joining.pop(viewing, None) is None:
            return  # the viewer has gone with the answer, which was seen to
        bell.async_answered_here(call_id)
        viewing.call_id = call_id
        if any(push.step is CallStep.TERMINATED for push in held):
            viewing.session.end_if(call_id)

    def _keep_for_a_moment(self, call_id: str, place: Module) -> None:
        """Let a call go on for a moment without a viewer: pressing talk leaves and comes back."""
        left_at = self._coordinator.account.transport.cloud_time()

        @callback
        def end(_now: datetime) -> None:
            del self._handovers[call_id]
            self._coordinator.bell.async_ended_here(call_id, at=left_at)
            self.async_changed()

        self._handovers[call_id] = (
            place,
            async_call_later(self.hass, RECONNECT_GRACE_SECONDS, end),
        )

    def _take_over(self, place: Module) -> str | None:
        """Return the call that the viewer of a panel has just left, to go on with it."""
        for call_id, (kept_for, cancel) in self._handovers.items():
            if kept_for.id == place.id:
                cancel()
                del self._handovers[call_id]
                return call_id
        return None

    def _is_old(self, offer: str) -> bool:
        """Whether an offer came before: after a lost connection Home Assistant's page repeats it.

        Its browser would ignore the answer, and the intercom would be on the line with nobody.
        """
        known = hash(offer)
        if known in self._offers:
            return True
        self._offers.append(known)
        return False

    def _after_failure(self, err: BticinoError) -> None:
        if isinstance(err, InvalidCredentialsError):
            self._entry.async_start_reauth(self.hass)
        if isinstance(err, UnreachableError):
            self._coordinator.async_look_soon()

    async def _on_stop(self, _event: Event) -> None:
        await self.async_close()
