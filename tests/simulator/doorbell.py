"""Calls from ring to end, and presence events of modules."""

from typing import TYPE_CHECKING

from tests.simulator import pushes
from tests.simulator.calls import Call, add_event, create_call, find_caller
from tests.simulator.delivery import PushDelivery
from tests.simulator.pictures import Pictures

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.house import Bridge, House, Json, Module
    from tests.simulator.rtc import Rtc
    from tests.simulator.rtc_session import EndedBy

#: Most calls kept open at a time; the oldest is dropped.
MAX_CALLS = 50


class Doorbell(PushDelivery):
    """Plays calls and presence changes as pushes and as home events."""

    house: House
    rtc: Rtc
    scheme = "http"
    host = "127.0.0.1"
    port = 0

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.pictures = Pictures(clock=clock)
        #: Open calls by session id, oldest first.
        self.calls: dict[str, Call] = {}

    @property
    def url(self) -> str:
        """The base URL, which replaces all of the vendor's hosts."""
        return f"{self.scheme}://{self.host}:{self.port}"

    def ring(
        self,
        panel: str | None = None,
        *,
        offer: bool | None = None,
        status: bool | None = None,
        status_first: bool = False,
        names_panel: bool = False,
        receivers: int = 1,
        pictures: bool = True,
        vignette: bool = True,
        expiry: float = 30,
        late: float = 0.0,
    ) -> Call:
        """Ring at a panel, by id or name, by default the first; a bridge rings without a panel.

        `offer` and `status` default to what the model pushes; `names_panel` makes the statuses name
        the panel, too. Each push is sent `receivers` times and dated `late` seconds back. KeyError:
        no such module; ValueError: it cannot ring.
        """
        call = self._call(panel, late)
        call.receivers, call.expiry, call.names_panel = receivers, expiry, names_panel
        call.pictures, call.vignette = call.pictures and pictures, vignette
        if offer is not None:
            call.offered, call.rtc = offer, offer or call.rtc
        if status is not None:
            call.announced = status
        self._begin(call, status_first=status_first)
        return call

    def answer_elsewhere(self, call: Call) -> None:
        """Answer the call on another phone."""
        self.mark_answered(call, rescind=True)

    def mark_answered(self, call: Call, *, rescind: bool) -> None:
        """Mark the call as answered and push it; `rescind` stops the other receivers."""
        call.answered = True
        self._push_status(call, "accepted_call")
        if rescind:
            self._push_end(call, "rescind")

    def hang_up(self, call: Call, by: EndedBy = "operator") -> None:
        """End the call with a `terminate` push, on models that push call signaling."""
        self.calls.pop(call.session_id, None)
        self._push_end(call, "terminate")
        self.rtc.call_ended(call, by, notify=True)

    def miss(self, call: Call) -> None:
        """End the call as missed."""
        self._push_status(call, "missed_call")
        self.end_silently(call)

    def end_silently(self, call: Call) -> None:
        """End the call without any push."""
        self.calls.pop(call.session_id, None)
        self.rtc.call_ended(call, "operator", notify=False)

    def set_reachable(self, module: Module | str, reachable: bool) -> None:
        """Set whether a module, its id or its name is reachable; push a change."""
        found = self.house.find(module) if isinstance(module, str) else module
        changed, found.reachable = found.reachable is not reachable, reachable
        home = self.house.home_of(found.id)
        if not changed or home is None:
            return
        bridge = home.modules.get(found.bridge or "", found)
        # Only the name of this push is known; its fields are a guess.
        fields: Json = {
            "device_id": bridge.id,
            "home_id": home.id,
            "module_id": found.id,
            "reachable": reachable,
        }
        self.push(pushes.notice(bridge.type, "reachable_module_event", fields))

    def report_presence(self, bridge: Bridge, kind: str) -> None:
        """Push and record a bridge's `connection` or `disconnection`."""
        home = self.house.home_of(bridge.id)
        if home is None:
            return
        event_id, now = self._event_id(), int(self.clock())
        event: Json = {"id": event_id, "type": kind, "time": now, "module_id": bridge.id}
        add_event(home, event)
        where: Json = {"device_id": bridge.id, "home_id": home.id, "home_name": home.name}
        when: Json = {"timestamp": now, "event_id": event_id}
        self.push(pushes.notice(bridge.type, kind, where | when))

    def _call(self, panel: str | None, late: float) -> Call:
        caller = find_caller(self.house, panel)
        home = self.house.home_of(caller.id)
        if home is None:
            raise KeyError(caller.id)
        at, ids = self.clock() - late, (self._event_id(), self._event_id())
        return create_call(caller, home, at=at, event_id=ids[0], subevent_id=ids[1])

    def _begin(self, call: Call, *, status_first: bool) -> None:
        """Record the call, then push it."""
        home = self.house.home(call.home_id)
        if home is not None:
            add_event(home, call.create_event())
        self.calls[call.session_id] = call
        if len(self.calls) > MAX_CALLS:
            del self.calls[next(iter(self.calls))]
        if call.announced and status_first:
            self._push_incoming(call)
        if call.offered:
            self.rtc.announce_ring(
                call, lambda sdp: self._push_offer(call, sdp, then=not status_first)
            )
        elif not status_first:
            self._push_offer(call, "", then=True)

    def _push_offer(self, call: Call, sdp: str, *, then: bool) -> None:
        """Push the offer if there is one, then the status if `then` is set."""
        if sdp:
            self._push(pushes.offer(call, self.number(), sdp), call.receivers)
        if call.announced and then:
            self._push_incoming(call)

    def _push_incoming(self, call: Call) -> None:
        frame = pushes.status(call, "incoming_call", at=call.at, subevent_id=call.subevent_id)
        if call.pictures:
            extra, until = frame["extra_params"], int(call.at + self.pictures.push_seconds)
            assert isinstance(extra, dict)
            for kind in call.picture_kinds:
                link = self.pictures.link(self.url, call.picture_id(kind), until)
                extra[f"{kind}_url"] = link
        self._push(frame, call.receivers)

    def _push_status(self, call: Call, kind: str) -> None:
        """Push the status of a call and add it to the home's event."""
        subevent_id, now = self._event_id(), self.clock()
        call.add_subevent(kind, subevent_id, now)
        self._push(pushes.status(call, kind, at=now, subevent_id=subevent_id), call.receivers)

    def _push_end(self, call: Call, kind: str) -> None:
        if call.rtc:
            self._push(pushes.end(call, kind, self.number()), call.receivers)

    def _push(self, frame: Json, receivers: int) -> None:
        """Push once per receiver, each time with a new id."""
        for _ in range(receivers):
            self.push(frame)

    def _event_id(self) -> str:
        return f"65aa{self.number():020x}"
