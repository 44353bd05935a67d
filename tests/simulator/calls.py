"""A call from a panel, from ring to end."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
import uuid

from tests.simulator.house import Bridge, Door, Panel
from tests.simulator.pictures import KINDS, Picture

if TYPE_CHECKING:
    from tests.simulator.house import Home, House, Json

#: Bridge types that push no offer, only statuses, which do not name the panel.
STATUS_ONLY = ("BNCX", "BDIY")
#: Events kept per home.
MAX_EVENTS = 1000
NAMELESS = "Posto esterno"


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """One call; `at` is the time in its pushes, `expiry` is in seconds.

    `panel_id` is the panel that really rang, even if the pushes do not name it; None: unknown.
    """

    session_id: str
    panel_id: str | None
    bridge_id: str
    home_id: str
    home_name: str
    #: The bridge's type, which starts the `push_type` of every push.
    prefix: str
    #: Display name of the panel or bridge.
    name: str
    at: float
    event_id: str
    subevent_id: str
    expiry: float = 30
    #: How many times each push is sent.
    receivers: int = 1
    #: Whether the ring is pushed as an offer, as a status, and the end as an rtc push.
    offered: bool = True
    announced: bool = True
    rtc: bool = True
    #: Whether the statuses name the panel.
    names_panel: bool = False
    pictures: bool = True
    #: Whether there is a vignette besides the snapshot.
    vignette: bool = True
    #: Somebody has answered.
    answered: bool = False
    #: Ids of the offer, which an answer must repeat; empty without an offer.
    tag_id: str = ""
    correlation_id: str = ""
    #: The doors listed in the offer.
    doors: list[Json] = field(default_factory=list, repr=False)
    #: The home's event of this call.
    event: Json = field(default_factory=dict, repr=False)

    def as_json(self) -> Json:
        """Return what the operator page shows."""
        shown = ("session_id", "panel_id", "bridge_id", "name", "at", "answered")
        return {name: getattr(self, name) for name in shown}

    @property
    def picture_kinds(self) -> tuple[str, ...]:
        """The kinds of pictures of this call."""
        if not self.pictures:
            return ()
        return KINDS if self.vignette else KINDS[:1]

    def picture_id(self, kind: str) -> str:
        """Return the id of the snapshot or the vignette."""
        return f"{self.subevent_id}-{kind}"

    def create_event(self) -> Json:
        """Create and return the home's event, as it is at the ring."""
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
            ring |= {kind: Picture(id=self.picture_id(kind)) for kind in self.picture_kinds}
            self.event |= {"video_id": str(uuid.uuid4()), "video_status": "available"}
        self.event["subevents"] = [ring]
        return self.event

    def add_subevent(self, kind: str, subevent_id: str, at: float) -> None:
        """Add a sub-event; the newest comes first."""
        found: Json = {"id": subevent_id, "type": kind, "time": int(at)}
        subevents = self.event["subevents"]
        assert isinstance(subevents, list)
        subevents.insert(0, found | {"session_id": self.session_id})


def find_caller(house: House, wanted: str | None) -> Panel | Bridge:
    """Return the panel or bridge that rings, by id or name; None: the first one.

    KeyError: there is none; ValueError: it cannot ring.
    """
    if wanted is None:
        able: list[Panel | Bridge] = [*house.panels(), *house.bridges()]
        if not able:
            raise KeyError("panel")
        return able[0]
    found = house.find(wanted)
    if isinstance(found, Panel | Bridge):
        return found
    raise ValueError(f"{wanted} cannot ring")


def create_call(
    caller: Panel | Bridge, home: Home, *, at: float, event_id: str, subevent_id: str
) -> Call:
    """Create a call with the defaults of the model; ValueError: the panel has no bridge."""
    bridge = caller if isinstance(caller, Bridge) else home.modules.get(caller.bridge or "")
    if not isinstance(bridge, Bridge):
        raise ValueError(f"{caller.name or caller.id} has no bridge")  # noqa: TRY004 - the value is wrong, not its type
    panel = caller if isinstance(caller, Panel) else None
    status_only, silent = bridge.type in STATUS_ONLY, panel is not None and panel.voice_only
    return Call(
        session_id=str(uuid.uuid4()),
        panel_id=panel.id if panel else None,
        bridge_id=bridge.id,
        home_id=home.id,
        home_name=home.name,
        prefix=bridge.type,
        name=caller.name or NAMELESS,
        at=at,
        event_id=event_id,
        subevent_id=subevent_id,
        offered=not status_only,
        announced=status_only or not silent,
        rtc=not status_only,
        pictures=not silent,
        doors=_doors(home, bridge),
    )


def add_event(home: Home, event: Json) -> None:
    """Insert an event at the head of the home's list and drop the oldest."""
    home.events.insert(0, event)
    del home.events[MAX_EVENTS:]


def _doors(home: Home, bridge: Bridge) -> list[Json]:
    found: list[Json] = []
    for module in home.modules.values():
        if isinstance(module, Door) and module.bridge == bridge.id:
            named: Json = {} if module.name is None else {"name": module.name}
            found.append({"type": module.type, "id": module.id} | named)
    return found
