"""The actions of the operator interface, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tests.simulator.configs import SETTINGS
from tests.simulator.errors import Types, field_error
from tests.simulator.faults import Failure
from tests.simulator.house import Light
from tests.simulator.houses import HOUSES
from tests.simulator.rtc_settings import RtcSettings
from tests.simulator.socket_settings import SocketSettings

if TYPE_CHECKING:
    from tests.simulator.calls import Call
    from tests.simulator.cloud import Cloud
    from tests.simulator.rtc_session import Session

type Arguments = Mapping[str, Any]

NUMBER = (int, float)
FAILURE: Mapping[str, Types] = MappingProxyType(
    {
        "status": int,
        "body": (dict, list, str),
        "code": int,
        "error": str,
        "delay": NUMBER,
        "never": bool,
        "cut": bool,
        "drop": bool,
        "html": bool,
        "wrong_json": bool,
        "retry_after": (int, str),
        "executed": bool,
    }
)
ERROR_FORMATS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "command_errors_at": ("body", "top"),
        "unreachable_shown": ("both", "errors"),
        "commands_without_push": ("run", "refused"),
        "lists_at": ("usual", "other"),
        "bridged_as": ("ids", "objects"),
    }
)
NONE_TYPE = type(None)
CONFIGS: Mapping[str, Types] = MappingProxyType(
    {
        "bridge": str,
        "do_not_disturb": (dict, NONE_TYPE),
        "professional_studio": (dict, NONE_TYPE),
        "refused": (int, NONE_TYPE),
    }
)
RING: Mapping[str, Types] = MappingProxyType(
    {
        "panel": str,
        "offer": bool,
        "status": bool,
        "status_first": bool,
        "names_panel": bool,
        "receivers": int,
        "pictures": bool,
        "vignette": bool,
        "expiry": NUMBER,
        "late": NUMBER,
    }
)
SECONDS = (int, float, NONE_TYPE)
CODE = (int, NONE_TYPE)
SOCKETS: Mapping[str, Types] = MappingProxyType(
    {
        "server_ping_every": SECONDS,
        "drop_clients_that_ping": bool,
        "drop_clients_that_do_not_ping_within": SECONDS,
        "half_open": bool,
        "accept_then_close": (str, NONE_TYPE),
        "refuse_subscriptions": CODE,
        "refuse_first": CODE,
        "refuse_resubscriptions": CODE,
        "ignore_subscriptions": bool,
        "handshake_status": CODE,
        "handshake_retry_after": (int, str, NONE_TYPE),
        "handshake_delay": NUMBER,
        "close_code": CODE,
        "pushes_stop_with_token": bool,
    }
)
ONE_CALL: Mapping[str, Types] = MappingProxyType({"session": str})
CALLS: Mapping[str, Types] = MappingProxyType(
    {
        "peer": str,
        "ack_delay": NUMBER,
        "answer_delay": NUMBER,
        "ack_echo": str,
        "silent_acks": bool,
        "silent_answers": bool,
        "refuse_offers": CODE,
        "answer_twice": bool,
        "candidates_before_answer": bool,
        "broadcast_frames": bool,
        "foreign_frames": bool,
        "slots": int,
        "busy_while_ringing": bool,
        "slot_release_delay": NUMBER,
        "view_seconds": NUMBER,
        "call_seconds": NUMBER,
        "big_offer_bytes": int,
        "reboot_delay": NUMBER,
        "reboot_seconds": NUMBER,
        "rescind_own": bool,
        "trickle": bool,
        "fixed_payload_types": bool,
        "relayed_candidate": bool,
        "audio_requires": str,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One action and the arguments it accepts."""

    do: Callable[[Cloud, Arguments], object]
    required: Mapping[str, Types] = field(default_factory=dict)
    optional: Mapping[str, Types] = field(default_factory=dict)


def run_action(cloud: Cloud, name: str, arguments: Arguments) -> None:
    """Run an action. KeyError: unknown action, house or module; ValueError: wrong arguments."""
    action = ACTIONS[name]
    fault = field_error(arguments, action.required, action.optional)
    if fault:
        raise ValueError(fault)
    action.do(cloud, arguments)


def _fail(cloud: Cloud, given: Arguments) -> None:
    failure = {name: value for name, value in given.items() if name in FAILURE}
    cloud.fail(given["path"], Failure(**failure), given.get("times", 1))


def _set_light(cloud: Cloud, given: Arguments) -> None:
    light = cloud.house.find(given["id"])
    if not isinstance(light, Light):
        raise ValueError(f"{given['id']} is not a light")  # noqa: TRY004 - the argument's value is wrong
    light.command("on", given["on"], cloud.clock())


def _refuse_commands(cloud: Cloud, given: Arguments) -> None:
    """Make a module refuse every command with a number; None: accept them again."""
    cloud.house.find(given["id"]).refusal = given["code"]


def _configure(cloud: Cloud, given: Arguments) -> None:
    """Change an intercom's settings as the owner does in the app; None removes one."""
    for bridge in cloud.bridges(given.get("bridge")):
        for name in given.keys() & SETTINGS.keys():
            bridge.configure(name, given[name], cloud.clock())
    if "refused" in given:
        cloud.configs_refused = given["refused"]


def _set_reachable(cloud: Cloud, given: Arguments) -> None:
    cloud.set_reachable(given["id"], given["reachable"])


def _ring(cloud: Cloud, given: Arguments) -> None:
    cloud.ring(given.get("panel"), **{name: given[name] for name in given if name != "panel"})


def _call(cloud: Cloud, given: Arguments) -> Call:
    """Return a call in progress, by default the newest."""
    if not cloud.calls:
        raise KeyError("call")
    return cloud.calls[given["session"]] if "session" in given else [*cloud.calls.values()][-1]


def _set_sockets(cloud: Cloud, given: Arguments) -> None:
    fault = SocketSettings.invalid_value(given)
    if fault:
        raise ValueError(fault)
    for name, value in given.items():
        setattr(cloud.sockets, name, value)


def _set_calls(cloud: Cloud, given: Arguments) -> None:
    fault = RtcSettings.invalid_value(given)
    if fault:
        raise ValueError(fault)
    for name, value in given.items():
        setattr(cloud.rtc.settings, name, value)
    if "peer" in given:
        cloud.rtc.use_peer(given["peer"])


def _session(cloud: Cloud, given: Arguments) -> Session:
    """Return an open session of a client, by default the newest."""
    sessions = {each.id: each for each in cloud.rtc.open}
    if not sessions:
        raise KeyError("session")
    return sessions[given["session"]] if "session" in given else [*sessions.values()][-1]


def _set_journal_pushes(cloud: Cloud, given: Arguments) -> None:
    cloud.journal_pushes = given["on"]


def _set_pictures(cloud: Cloud, given: Arguments) -> None:
    cloud.pictures.size = given["size"]


def _limit(cloud: Cloud, given: Arguments) -> None:
    requests = given.get("requests", 0)
    cloud.limit = (requests, float(given.get("seconds", 3600))) if requests else None


def _set_error_format(cloud: Cloud, given: Arguments) -> None:
    for name, value in given.items():
        if value not in ERROR_FORMATS[name]:
            raise ValueError(f"{name} must be one of {', '.join(ERROR_FORMATS[name])}")
        setattr(cloud, name, value)


def _use_house(cloud: Cloud, given: Arguments) -> None:
    if given["name"] not in HOUSES:
        raise ValueError(f"name must be one of {', '.join(HOUSES)}")
    cloud.use_house(given["name"])


def _lifetime(cloud: Cloud, given: Arguments) -> None:
    cloud.account.token_lifetime = given["seconds"]


ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        "expire": Action(do=lambda cloud, _: cloud.expire_access_tokens()),
        "refuse": Action(do=lambda cloud, _: cloud.refuse_access_tokens()),
        "revoke": Action(do=lambda cloud, _: cloud.revoke()),
        "password": Action(
            do=lambda cloud, given: cloud.change_password(given["password"]),
            required={"password": str},
        ),
        "retire_client": Action(do=lambda cloud, _: cloud.retire_client()),
        "restore_client": Action(do=lambda cloud, _: cloud.restore_client()),
        "lifetime": Action(do=_lifetime, required={"seconds": NUMBER}),
        "unplug": Action(
            do=lambda cloud, given: cloud.unplug_bridge(given.get("bridge")),
            optional={"bridge": str},
        ),
        "plug": Action(
            do=lambda cloud, given: cloud.plug_bridge(given.get("bridge")),
            optional={"bridge": str},
        ),
        "set_reachable": Action(do=_set_reachable, required={"id": str, "reachable": bool}),
        "refuse_commands": Action(do=_refuse_commands, required={"id": str, "code": CODE}),
        "configs": Action(do=_configure, optional=CONFIGS),
        "light": Action(do=_set_light, required={"id": str, "on": bool}),
        "down": Action(
            do=lambda cloud, given: cloud.take_down(**given),
            optional={"status": int, "html": bool},
        ),
        "up": Action(do=lambda cloud, _: cloud.bring_up()),
        "ring": Action(do=_ring, optional=RING),
        "answer_elsewhere": Action(
            do=lambda cloud, given: cloud.answer_elsewhere(_call(cloud, given)), optional=ONE_CALL
        ),
        "hang_up": Action(
            do=lambda cloud, given: cloud.hang_up(_call(cloud, given)), optional=ONE_CALL
        ),
        "miss": Action(do=lambda cloud, given: cloud.miss(_call(cloud, given)), optional=ONE_CALL),
        "end_silently": Action(
            do=lambda cloud, given: cloud.end_silently(_call(cloud, given)), optional=ONE_CALL
        ),
        "push": Action(
            do=lambda cloud, given: cloud.push(given["frame"], home=given.get("home")),
            required={"frame": dict},
            optional={"home": str},
        ),
        "push_raw": Action(
            do=lambda cloud, given: cloud.push_raw(given["data"]), required={"data": str}
        ),
        "journal_pushes": Action(do=_set_journal_pushes, required={"on": bool}),
        "pictures": Action(do=_set_pictures, required={"size": int}),
        "sockets": Action(do=_set_sockets, optional=SOCKETS),
        "reset_sockets": Action(do=lambda cloud, _: cloud.sockets.reset()),
        "rtc": Action(do=_set_calls, optional=CALLS),
        "reset_rtc": Action(do=lambda cloud, _: cloud.rtc.settings.reset()),
        "end_view": Action(
            do=lambda cloud, given: cloud.end_view(_session(cloud, given)), optional=ONE_CALL
        ),
        "device_error": Action(
            do=lambda cloud, given: cloud.device_error(
                _session(cloud, given), given["code"], given.get("message")
            ),
            required={"code": int},
            optional={"message": str, **ONE_CALL},
        ),
        "rescind": Action(
            do=lambda cloud, given: cloud.rescind(_session(cloud, given)), optional=ONE_CALL
        ),
        "drop_connections": Action(do=lambda cloud, _: cloud.drop_connections()),
        "close_connections": Action(
            do=lambda cloud, given: cloud.close_connections(given.get("code", 1001)),
            optional={"code": int},
        ),
        "stall_connections": Action(do=lambda cloud, _: cloud.stall_connections()),
        "fail": Action(do=_fail, required={"path": str}, optional={"times": int, **FAILURE}),
        "clear_failures": Action(do=lambda cloud, _: cloud.clear_failures()),
        "limit": Action(do=_limit, optional={"requests": int, "seconds": NUMBER}),
        "error_format": Action(do=_set_error_format, optional=dict.fromkeys(ERROR_FORMATS, str)),
        "house": Action(do=_use_house, required={"name": str}),
        "add_module": Action(
            do=lambda cloud, given: cloud.add_module(**given),
            optional=dict.fromkeys(("home_id", "kind", "module_id", "name", "bridge"), str),
        ),
        "remove_module": Action(
            do=lambda cloud, given: cloud.remove_module(given["id"]), required={"id": str}
        ),
        "clear_journal": Action(do=lambda cloud, _: cloud.clear_journal()),
    }
)
