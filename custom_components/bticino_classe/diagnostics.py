"""Diagnostics that may be posted in public."""

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from homeassistant.const import CONF_TOKEN
from homeassistant.util import dt as dt_util

from .client import ModuleKind, Pseudonyms, redact
from .const import (
    CONF_DOOR_CODES,
    CONF_EXCLUDED_HOMES,
    CONF_GATES,
    CONF_GO2RTC_CAMERAS,
    CONF_LIGHTS_AS_DOORS,
    CONF_SHOWN_RINGS,
    CONF_STREAMS,
)
from .house import modules_of
from .recording.file import async_read_recording
from .runtime import async_runtime

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.core import HomeAssistant

    from .client import Offline, ReconnectingSocket
    from .coordinator import BticinoCoordinator
    from .runtime import BticinoConfigEntry, RuntimeData

_KINDS: Final = {  # of the ids in these options
    CONF_EXCLUDED_HOMES: "home",
    CONF_LIGHTS_AS_DOORS: "light",
    CONF_GATES: "relay",
    CONF_DOOR_CODES: "door",
    CONF_GO2RTC_CAMERAS: "camera",
}
# Fields of a state; what diagnostics need of them is in the list of modules.
_IN_THE_LIST: Final = frozenset({"id", "type", "bridge_id", "cloud_id", "cloud_bridge_id"})


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: BticinoConfigEntry
) -> dict[str, Any]:
    """Return the house without names, locations and secrets; each id is replaced consistently."""
    runtime = async_runtime(entry)
    pseudonyms = Pseudonyms()
    if runtime is not None:
        _name_ids(runtime.coordinator, pseudonyms)
    for option, kind in _KINDS.items():
        for identifier in entry.options.get(option, []):
            pseudonyms.name(identifier, kind)
    for identifier in entry.options.get(CONF_STREAMS, {}).get(CONF_SHOWN_RINGS, []):
        pseudonyms.name(identifier, "panel")
    report = {
        "entry": {
            "state": entry.state.value,
            "token": _token(entry),
            "options": _options(entry),
        },
        "house": None if runtime is None else _house(runtime.coordinator),
        "settings": None if runtime is None else _settings(runtime),
        "bell": None if runtime is None else _bell(runtime),
        "calls": None if runtime is None else _calls(runtime),
        "counters": None if runtime is None else _counters(runtime),
    }
    found: dict[str, Any] = redact(pseudonyms.replace(report))
    # It was redacted before it was written, with other pseudonyms.
    return {**found, "recording": await async_read_recording(hass, entry.entry_id)}


def _name_ids(coordinator: BticinoCoordinator, pseudonyms: Pseudonyms) -> None:
    for home in coordinator.known_homes.homes.values():
        pseudonyms.name(home.id, "home")
        for module in home.modules.values():
            pseudonyms.name(module.id, module.kind.value)
        for module in home.modules.values():
            if module.bridge_id is not None:
                pseudonyms.name(module.bridge_id, ModuleKind.BRIDGE.value)


def _options(entry: BticinoConfigEntry) -> dict[str, Any]:
    """Return the options; of the codes, only which doors have one."""
    codes = entry.options.get(CONF_DOOR_CODES)
    return {**entry.options, **({CONF_DOOR_CODES: list(codes)} if codes else {})}


def _token(entry: BticinoConfigEntry) -> dict[str, Any]:
    """Return whether there are tokens and how long they are valid."""
    token: Mapping[str, Any] = entry.data.get(CONF_TOKEN) or {}
    expires_at = token.get("expires_at")
    left = None if expires_at is None else round(expires_at - dt_util.utcnow().timestamp())
    return {"stored": bool(token), "seconds_left": left}


def _house(coordinator: BticinoCoordinator) -> dict[str, Any]:
    house = coordinator.data
    return {
        home.id: {
            "set_up": home.id in house.homes,
            "answered": home.id in coordinator.answered_homes,
            "has_name": home.name is not None,
            "has_timezone": home.timezone is not None,
            "modules": {
                module.id: {
                    "kind": module.kind.value,
                    "type": module.type,
                    "has_name": module.name is not None,
                    "bridge": module.bridge_id,
                    "known": coordinator.known_homes.is_listed(module.id),
                    "state": _without_ids(asdict(house.state(module.id))),
                }
                for module in home.modules.values()
            },
        }
        for home in coordinator.known_homes.homes.values()
    }


def _settings(runtime: RuntimeData) -> dict[str, Any]:
    """Return the numbers of the intercoms' settings as the cloud sent them, and no texts."""
    return {
        bridge_id: {
            kind.value: {name: fact for name, fact in each.raw.items() if isinstance(fact, int)}
            for kind, each in settings.items()
        }
        for bridge_id, settings in runtime.settings.known.items()
    }


def _bell(runtime: RuntimeData) -> dict[str, Any]:
    """Return the state of the push connection, and the structure of unknown frames."""
    channel = runtime.push
    return {
        **_socket(channel.socket),
        "pushes": dict(channel.counters),
        "unknown_pushes": list(channel.unknown),
        "ringing": len(runtime.calls.ringing),
    }


def _calls(runtime: RuntimeData) -> dict[str, Any]:
    """Return the state of live view, without anything personal."""
    live = runtime.live
    limits = live.relays.limits
    bridges = [bridge.id for bridge in runtime.coordinator.data.bridges]
    return {
        **_socket(live.channel.socket),
        "signaling": dict(live.channel.counters),
        "viewers": live.viewers,
        "relays": {
            "views_in_the_last_hour": sum(map(limits.views, bridges)),
            "refused": sum(map(limits.refused, bridges)),
        },
        "turn_servers": len(live.ice_servers.servers),
    }


def _socket(socket: ReconnectingSocket) -> dict[str, Any]:
    """Return the state of a socket."""
    disconnect = socket.last_disconnect
    return {
        "state": socket.state.value,
        "offline": _offline(socket.offline),
        "last_disconnect": None if disconnect is None else str(disconnect),
        "socket": dict(socket.counters),
    }


def _offline(offline: Offline | None) -> dict[str, str] | None:
    """Return why a socket is not online, and since when."""
    if offline is None:
        return None
    since = dt_util.utc_from_timestamp(int(offline.since))
    return {"reason": offline.reason.value, "since": since.isoformat()}


def _without_ids(state: dict[str, Any]) -> dict[str, Any]:
    """Return a state without ids, of which the cloud's own spelling has no placeholder."""
    return {key: value for key, value in state.items() if key not in _IN_THE_LIST}


def _unknown_types(coordinator: BticinoCoordinator) -> dict[str, int]:
    """Return how many modules of each unknown type there are; they have no entities."""
    modules = modules_of(coordinator.known_homes.homes).values()
    return dict(Counter(m.type for m in modules if m.kind is ModuleKind.UNKNOWN))


def _failure(coordinator: BticinoCoordinator) -> str | None:
    """Return why what needs the cloud is unavailable, as a translation key."""
    error = None if coordinator.last_update_success else coordinator.last_exception
    return getattr(error, "translation_key", None)


def _counters(runtime: RuntimeData) -> dict[str, Any]:
    account, coordinator = runtime.account, runtime.coordinator
    return {
        "failed_polls": coordinator.failed_polls,
        "last_update_success": coordinator.last_update_success,
        "list_of_modules": "received" if coordinator.known_homes.is_confirmed else "stored",
        "failure": _failure(coordinator),
        "sign_in": dict(account.auth.counters),
        "requests": dict(account.transport.counters),
        "unknown_types": _unknown_types(coordinator),
        "modules": {
            kind.value: sum(m.kind is kind for m in coordinator.data.modules.values())
            for kind in ModuleKind
        },
    }
