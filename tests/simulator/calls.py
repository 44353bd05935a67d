"""A call: somebody at a panel, from the ring to its end."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
import uuid

from tests.simulator.house import Bridge, Door, Panel
from tests.simulator.pictures import KINDS, Picture

if TYPE_CHECKING:
    from tests.simulator.house import Home, House, Json

#: Bridges that push no call set-up, only statuses, which do not say who rang.
STATUS_ONLY = ("BNCX", "BDIY")
#: Events that a home remembers.
REMEMBERED_EVENTS = 1000
NAMELESS = "Posto esterno"


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """One ring of the bell; `at` is the time on its frames, `expiry` are seconds.

    `panel_id` is who really rang, whether the cloud says so or not; None: nobody knows.
    """

    session_id: str
    panel_id: str | None
    bridge_id: str
    home_id: str
    home_name: str
    #: The bridge's type, which is the first half of every push's type.
    prefix: str
    #: The name of who rings, for people.
    name: str
    at: float
    event_id: str
    subevent_id: str
    expiry: float = 30
    #: How often each push goes out.
    receivers: int = 1
    #: Which of the two pushes announce it, and whether its end is pushed as call set-up.
    offered: bool = True
    announced: bool = True
    rtc: bool = True
    pictures: bool = True
    #: Whether the pictures are two.
    vignette: bool = True
    #: Somebody else talks to the visitor.
    answered: bool = False
    #: What the set-up was sent with, and an answer has to bear; empty: there was none.
    tag_id: str = ""
    correlation_id: str = ""
    #: The doors that are offered with the call.
    doors: list[Json] = field(default_factory=list, repr=False)
    #: The home's event, which grows with the call.
    event: Json = field(default_factory=dict, repr=False)

    def as_json(self) -> Json:
        """Return what the operator page shows."""
        shown = ("session_id", "panel_id", "bridge_id", "name", "at", "answered")
        return {name: getattr(self, name) for name in shown}

    @property
    def kinds(self) -> tuple[str, ...]:
        """The pictures that there are of it."""
        if not self.pictures:
            return ()
        return KINDS if self.vignette else KINDS[:1]

    def picture_id(self, kind: str) -> str:
        """Return the id of its snapshot or its vignette."""
        return f"{self.subevent_id}-{kind}"

    def begin(self) -> Json:
        """Return the home's event of it, as it is at the ring."""
        ring: Json = {
            "id": self.subevent_id,
            "type": "incoming_call",
            "time": int(self.at),
            "verified": True,
            "offset": 0,
            "session_id": self.session_id,
            "message": f"{self.name} is calling",
        }
        self.event = {
            "id": self.event_id,
            "type": "outdoor",
            "time": int(self.at),
            "module_id": self.bridge_id,
        }
        if self.pictures:
            ring |= {kind: Picture(id=self.picture_id(kind)) for kind in self.kinds}
            self.event |= {"video_id": str(uuid.uuid4()), "video_status": "available"}
        self.event["subevents"] = [ring]
        return self.event

    def goes_on(self, kind: str, subevent_id: str, at: float) -> None:
        """Write down what became of it; the newest sub-event comes first."""
        found: Json = {"id": subevent_id, "type": kind, "time": int(at)}
        subevents = self.event["subevents"]
        assert isinstance(subevents, list)
        subevents.insert(0, found | {"session_id": self.session_id})


def caller(house: House, wanted: str | None) -> Panel | Bridge:
    """Return who rings, by id or name; the first who can if None.

    KeyError: there is none; ValueError: it has no bell.
    """
    if wanted is None:
        able: list[Panel | Bridge] = [*house.panels(), *house.bridges()]
        if not able:
            raise KeyError("a panel")
        return able[0]
    found = house.find(wanted)
    if isinstance(found, Panel | Bridge):
        return found
    raise ValueError(f"{wanted} has no bell")


def call_from(
    who: Panel | Bridge, home: Home, *, at: float, event_id: str, subevent_id: str
) -> Call:
    """Make the call that this model makes; ValueError: there is no bridge to carry it."""
    bridge = who if isinstance(who, Bridge) else home.modules.get(who.bridge or "")
    if not isinstance(bridge, Bridge):
        raise ValueError(f"{who.name or who.id} has no bridge")  # noqa: TRY004 - a matter of the house
    panel = who if isinstance(who, Panel) else None
    status_only, silent = bridge.type in STATUS_ONLY, panel is not None and panel.voice_only
    return Call(
        session_id=str(uuid.uuid4()),
        panel_id=panel.id if panel else None,
        bridge_id=bridge.id,
        home_id=home.id,
        home_name=home.name,
        prefix=bridge.type,
        name=who.name or NAMELESS,
        at=at,
        event_id=event_id,
        subevent_id=subevent_id,
        offered=not status_only,
        announced=status_only or not silent,
        rtc=not status_only,
        pictures=not silent,
        doors=_doors(home, bridge),
    )


def write_down(home: Home, event: Json) -> None:
    """Put an event at the head of a home's list, which forgets the oldest."""
    home.events.insert(0, event)
    del home.events[REMEMBERED_EVENTS:]


def _doors(home: Home, bridge: Bridge) -> list[Json]:
    found: list[Json] = []
    for module in home.modules.values():
        if isinstance(module, Door) and module.bridge == bridge.id:
            named: Json = {} if module.name is None else {"name": module.name}
            found.append({"type": module.type, "id": module.id} | named)
    return found
