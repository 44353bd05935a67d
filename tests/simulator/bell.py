"""The bell: calls from ring to end, and modules that come and go."""

from typing import TYPE_CHECKING

from tests.simulator import pushes
from tests.simulator.calls import Call, call_from, caller, write_down
from tests.simulator.delivery import Delivery
from tests.simulator.pictures import Pictures

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.house import Bridge, House, Json, Module
    from tests.simulator.rtc import Rtc
    from tests.simulator.rtc_session import Ender

#: Calls that are remembered until somebody ends them.
REMEMBERED_CALLS = 50


class Bell(Delivery):
    """Rings, and tells what comes of it, by pushes and in the events of the home."""

    house: House
    rtc: Rtc
    host = "127.0.0.1"
    port = 0

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.pictures = Pictures(clock=clock)
        #: The calls that nobody has ended yet, oldest first.
        self.calls: dict[str, Call] = {}

    @property
    def url(self) -> str:
        """The address that stands for all of the vendor's hosts."""
        return f"http://{self.host}:{self.port}"

    def ring(
        self,
        panel: str | None = None,
        *,
        offer: bool | None = None,
        status: bool | None = None,
        status_first: bool = False,
        receivers: int = 1,
        pictures: bool = True,
        vignette: bool = True,
        expiry: float = 30,
        late: float = 0.0,
    ) -> Call:
        """Ring at a panel (the first), by id or name; a bridge's: nobody knows at which panel.

        None for `offer` and `status` is what the model does. Each push goes out `receivers` times;
        its times lie `late` seconds back. KeyError: it is not there; ValueError: it has no bell.
        """
        call = self._call(panel, late)
        call.receivers, call.expiry = receivers, expiry
        call.pictures, call.vignette = call.pictures and pictures, vignette
        if offer is not None:
            call.offered, call.rtc = offer, offer or call.rtc
        if status is not None:
            call.announced = status
        self._begin(call, status_first=status_first)
        return call

    def answer_elsewhere(self, call: Call) -> None:
        """Let somebody else answer."""
        self.accepted(call, rescind=True)

    def accepted(self, call: Call, *, rescind: bool) -> None:
        """Tell that somebody has answered, and the others that it was not they."""
        call.answered = True
        self._push_status(call, "accepted_call")
        if rescind:
            self._push_end(call, "rescind")

    def hang_up(self, call: Call, by: Ender = "operator") -> None:
        """Let the call be over; a model without call set-up tells nobody."""
        self.calls.pop(call.session_id, None)
        self._push_end(call, "terminate")
        self.rtc.call_over(call, by, told=True)

    def miss(self, call: Call) -> None:
        """Let the call be over with nobody having answered."""
        self._push_status(call, "missed_call")
        self.end_silently(call)

    def end_silently(self, call: Call) -> None:
        """Let the call be over, and nobody is told."""
        self.calls.pop(call.session_id, None)
        self.rtc.call_over(call, "operator", told=False)

    def set_reachable(self, module: Module | str, reachable: bool) -> None:
        """Lose or find a module, given by itself, its id or its name; a change is pushed."""
        found = self.house.find(module) if isinstance(module, str) else module
        changed, found.reachable = found.reachable is not reachable, reachable
        home = self.house.home_of(found.id)
        if not changed or home is None:
            return
        bridge = home.modules.get(found.bridge or "", found)
        # Only the name of this push is on record; what it carries is a guess.
        said: Json = {
            "device_id": bridge.id,
            "home_id": home.id,
            "module_id": found.id,
            "reachable": reachable,
        }
        self.push(pushes.notice(bridge.type, "reachable_module_event", said))

    def presence(self, bridge: Bridge, kind: str) -> None:
        """Push and write down that a bridge came (`connection`) or went (`disconnection`)."""
        home = self.house.home_of(bridge.id)
        if home is None:
            return
        event_id, now = self._event_id(), int(self.clock())
        event: Json = {"id": event_id, "type": kind, "time": now, "module_id": bridge.id}
        write_down(home, event)
        where: Json = {"device_id": bridge.id, "home_id": home.id, "home_name": home.name}
        when: Json = {"timestamp": now, "event_id": event_id}
        self.push(pushes.notice(bridge.type, kind, where | when))

    def _call(self, panel: str | None, late: float) -> Call:
        who = caller(self.house, panel)
        home = self.house.home_of(who.id)
        if home is None:
            raise KeyError(who.id)
        at, ids = self.clock() - late, (self._event_id(), self._event_id())
        return call_from(who, home, at=at, event_id=ids[0], subevent_id=ids[1])

    def _begin(self, call: Call, *, status_first: bool) -> None:
        """Write the call down before anybody can ask for it, then tell."""
        home = self.house.home(call.home_id)
        if home is not None:
            write_down(home, call.begin())
        self.calls[call.session_id] = call
        if len(self.calls) > REMEMBERED_CALLS:
            del self.calls[next(iter(self.calls))]
        if call.announced and status_first:
            self._push_incoming(call)
        if call.offered:
            self.rtc.rang(call, lambda sdp: self._set_up(call, sdp, then=not status_first))
        elif not status_first:
            self._set_up(call, "", then=True)

    def _set_up(self, call: Call, sdp: str, *, then: bool) -> None:
        """Push the set-up if there is one, and the status after it if that is still to come."""
        if sdp:
            self._push(pushes.offer(call, self.number(), sdp), call.receivers)
        if call.announced and then:
            self._push_incoming(call)

    def _push_incoming(self, call: Call) -> None:
        frame = pushes.status(call, "incoming_call", at=call.at, subevent_id=call.subevent_id)
        if call.pictures:
            extra, until = frame["extra_params"], int(call.at + self.pictures.push_seconds)
            assert isinstance(extra, dict)
            for kind in call.kinds:
                link = self.pictures.link(self.url, call.picture_id(kind), until)
                extra[f"{kind}_url"] = link
        self._push(frame, call.receivers)

    def _push_status(self, call: Call, kind: str) -> None:
        """Push what became of a call, and write it down."""
        subevent_id, now = self._event_id(), self.clock()
        call.goes_on(kind, subevent_id, now)
        self._push(pushes.status(call, kind, at=now, subevent_id=subevent_id), call.receivers)

    def _push_end(self, call: Call, kind: str) -> None:
        if call.rtc:
            self._push(pushes.end(call, kind, self.number()), call.receivers)

    def _push(self, frame: Json, receivers: int) -> None:
        """Push once per receiver, each time with an id of its own."""
        for _ in range(receivers):
            self.push(frame)

    def _event_id(self) -> str:
        return f"65aa{self.number():020x}"
