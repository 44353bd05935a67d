"""Valid answers and frames: those of the simulator's houses, and captured descriptions."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.simulator import pushes, rtc_frames
from tests.simulator.calls import create_call
from tests.simulator.houses import HOUSES

if TYPE_CHECKING:
    from tests.simulator.house import Bridge, House

NOW: Final = 1_790_000_000.0
# In every secret field of the seeds, and one of the words that the mutator inserts anywhere.
PLANTED: Final = "Sgq7XvPlantedZ4tW"
SESSION: Final = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
CANDIDATE: Final = "candidate:1 1 udp 2122260223 192.0.2.9 50000 typ host"
LINK: Final = f"https://blob.example/snap.jpg?sig={PLANTED}"
OFFERS: Final = {
    path.stem: path.read_bytes().decode()
    for path in sorted((Path(__file__).parents[2] / "client" / "webrtc" / "offers").glob("*.sdp"))
}
DEVICE_SDP: Final = pushes.DEVICE_SDP
TOKENS: Final[dict[str, Any]] = {
    "access_token": f"5f00|{PLANTED}",
    "refresh_token": f"5f01|{PLANTED}",
    "expires_in": 10800,
    "expire_in": 10800,
    "scope": ["security_scopes"],
}
ERRORS: Final[tuple[Any, ...]] = (
    {"error": {"code": 2, "message": f"Invalid access token {PLANTED}"}},
    {"error": {"code": 26, "message": "User usage reached"}},
    {"error": {"code": 11, "message": "Failed to enter concurrency limited section"}},
    {"error": "invalid_grant", "error_description": PLANTED},
    {"error": "too_many_connections"},
    {"status": "ok", "body": {"errors": [{"code": 5, "command": "lock", "id": PLANTED}]}},
    {"status": "ok", "errors": [{"code": 26}]},
    {"status": "ok", "time_server": 1790000001},
)
TURN: Final[dict[str, Any]] = {
    "iceServers": [
        {
            "urls": ["turn:turn.example:3478?transport=udp", "stun:turn.example"],
            "username": f"1790003600:{PLANTED}",
            "credential": PLANTED,
            "credentialType": "password",
        },
        {"urls": "turns:[2001:4860::1]:443", "username": "u", "credential": PLANTED},
    ]
}
SETTINGS: Final[dict[str, Any]] = {
    "do_not_disturb": {
        "dnd_enabled": True,
        "dnd_mode": 1,
        "dnd_duration": 60,
        "dnd_days": "1111111",
        "dnd_end_time_duration": 1_790_003_600_000,
    },
    "professional_studio": {
        "ps_enabled": True,
        "ps_mode": 1,
        "ps_duration": 1,
        "ps_end_time_duration": 1_790_003_600_000,
    },
}


def _houses() -> list[House]:
    return [house for build in HOUSES.values() if (house := build(NOW)).homes]


def homes() -> list[dict[str, Any]]:
    """Return homesdata of every house."""
    return [
        {
            "user": {"email": f"{PLANTED}@example.org", "id": "5f00aa11bb22cc33dd44ee55"},
            "homes": [
                {
                    "id": home.id,
                    "name": home.name,
                    "timezone": home.timezone,
                    "coordinates": [9.1, 45.4],
                    "modules": [
                        {**module.topology_entry(), "modules_bridged": bridged}
                        if (bridged := home.bridged().get(module.id))
                        else module.topology_entry()
                        for module in home.modules.values()
                    ],
                }
                for home in house.homes
            ],
        }
        for house in _houses()
    ]


def states() -> list[dict[str, Any]]:
    """Return homestatus of the first home of every house."""
    return [
        {
            "home": {
                "id": house.homes[0].id,
                "modules": [module.status(NOW) for module in house.homes[0].modules.values()],
            },
            "errors": [{"code": 6, "id": "abcdef-0404-aa11bb22cc36"}],
        }
        for house in _houses()
    ]


def configs() -> list[dict[str, Any]]:
    """Return getconfigs of an intercom with both settings, and of one without."""
    known = {"id": "00:03:50:30:00:0a", "type": "BNC3", "last_configs_update": 1_790_000_000_000}
    return [
        {"home": {"id": "64a1b2c3d4e5f60718293a4b", "modules": [{**known, **SETTINGS}]}},
        {"home": {"modules": [known]}},
    ]


def events() -> list[dict[str, Any]]:
    """Return getevents of every house, and one with each kind of sub-event."""
    parts = [
        {
            "id": f"65aa0000000000000000000{n}",
            "type": kind,
            "time": NOW + n,
            "session_id": SESSION,
            "offset": 0,
            "verified": True,
            "snapshot": {"url": LINK, "expires_at": NOW + 3600},
            "vignette": {"url": LINK},
        }
        for n, kind in enumerate(("missed_call", "accepted_call", "incoming_call"))
    ]
    call = {
        "id": "65aa00000000000000000009",
        "type": "outdoor",
        "time": NOW,
        "module_id": "00:03:50:ab:cd:ef",
        "video_id": SESSION,
        "subevents": parts,
    }
    found = [{"home": {"events": house.homes[0].events}} for house in _houses()]
    return [{"home": {"id": "64a1", "events": [call]}}, {"events": [call]}, *found]


def push_frames() -> list[dict[str, Any]]:
    """Return every push of a ring of several houses, and of what else is reported."""
    found: list[dict[str, Any]] = []
    for house in [house for house in _houses() if house.panels()][:6]:
        home, callers = house.homes[0], house.panels()
        call = create_call(callers[0], home, at=NOW, event_id="65aa01", subevent_id="65aa02")
        call.session_id = SESSION
        found += [pushes.offer(call, 1), pushes.end(call, "rescind", 2)]
        found += [
            pushes.status(call, kind, at=NOW, subevent_id="65aa03")
            for kind in ("incoming_call", "accepted_call", "missed_call")
        ]
    for frame in found:
        frame["extra_params"] |= {"snapshot_url": LINK, "vignette_url": LINK}
    bridge: Bridge = _houses()[0].bridges()[0]
    kinds = ("connection", "disconnection", "reachable_module_event", "new_alarm_status")
    extra = {"device_id": bridge.id, "home_id": "64a1", "timestamp": NOW, "reachable": False}
    found += [pushes.notice("BNC1", kind, extra) for kind in kinds]
    return [*found, {"status": "ok"}, {"error": {"code": 2, "message": PLANTED}}]


def call_scripts() -> list[dict[str, Any]]:
    """Return what an intercom replies to each frame of a call; "echo" repeats a correlation id."""
    echo: dict[str, object] = {"correlation_id": "echo"}
    ids = {"session_id": SESSION, "tag_id": f"tag-{PLANTED}"}
    subscribed = [{"status": "ok"}]
    trickled = rtc_frames.candidate(
        SESSION, {"sdp_mid": "0", "sdp_m_line_index": 0, "candidate": CANDIDATE}
    )
    answer = rtc_frames.answer(SESSION, OFFERS["device_answer_shaped"])
    ended = [rtc_frames.ack(ids=None, echo={})]
    dialled = [
        [rtc_frames.ack(ids=ids, echo=echo), trickled, answer, trickled],
        [rtc_frames.ack(ids=ids, echo={}), answer, rtc_frames.terminate(SESSION)],
        [rtc_frames.error_ack(41, f"Device is unreachable {PLANTED}", echo=echo)],
        [rtc_frames.error_ack(1, "Max number of peers reached", echo={})],
        [rtc_frames.ack(ids=ids, echo=echo), rtc_frames.terminate(SESSION, 1)],
        [rtc_frames.ack(ids=ids, echo=echo), rtc_frames.rescind(SESSION)],
    ]
    return [
        {"offer": OFFERS[offer], "ring": ring, "replies": [subscribed, replies, ended, ended]}
        for offer in ("chromium_watch", "go2rtc_two_way")
        for ring in (None, DEVICE_SDP)
        for replies in dialled
    ]
