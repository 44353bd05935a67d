"""What helps to find a fault and may be posted in public."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from homeassistant.const import CONF_TOKEN
from homeassistant.util import dt as dt_util

from .client import ModuleKind, Pseudonyms, redact
from .const import CONF_LEFT_OUT_HOMES, CONF_LIGHTS_AS_DOORS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.core import HomeAssistant

    from .client import ReconnectingSocket
    from .coordinator import BticinoConfigEntry, BticinoCoordinator


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: BticinoConfigEntry,
) -> dict[str, Any]:
    """Return the house without names, places and secrets; ids are replaced, the same everywhere."""
    coordinator: BticinoCoordinator | None = getattr(entry, "runtime_data", None)
    pseudonyms = Pseudonyms()
    if coordinator is not None:
        _name_ids(coordinator, pseudonyms)
    for option, kind in ((CONF_LEFT_OUT_HOMES, "home"), (CONF_LIGHTS_AS_DOORS, "light")):
        for identifier in entry.options.get(option, []):
            pseudonyms.name(identifier, kind)
    report = {
        "entry": {
            "state": entry.state.value,
            "token": _token(entry),
            "options": dict(entry.options),
        },
        "house": None if coordinator is None else _house(coordinator),
        "settings": None if coordinator is None else _settings(coordinator),
        "bell": None if coordinator is None else _bell(coordinator),
        "calls": None if coordinator is None else _calls(coordinator),
        "counters": None if coordinator is None else _counters(coordinator),
    }
    found: dict[str, Any] = redact(pseudonyms.replace(report))
    return found


def _name_ids(coordinator: BticinoCoordinator, pseudonyms: Pseudonyms) -> None:
    for home in coordinator.all_homes.values():
        pseudonyms.name(home.id, "home")
        for module in home.modules.values():
            pseudonyms.name(module.id, module.kind.value)
        for module in home.modules.values():
            if module.bridge_id is not None:
                pseudonyms.name(module.bridge_id, ModuleKind.BRIDGE.value)


def _token(entry: BticinoConfigEntry) -> dict[str, Any]:
    """Tell whether there are tokens and how long they last, never what they are."""
    token: Mapping[str, Any] = entry.data.get(CONF_TOKEN) or {}
    expires_at = token.get("expires_at")
    left = None if expires_at is None else round(expires_at - dt_util.utcnow().timestamp())
    return {"stored": bool(token), "seconds_left": left}


def _house(coordinator: BticinoCoordinator) -> dict[str, Any]:
    house = coordinator.data
    return {
        home.id: {
            "set_up": home.id in house.homes,
            "has_name": home.name is not None,
            "has_timezone": home.timezone is not None,
            "modules": {
                module.id: {
                    "kind": module.kind.value,
                    "type": module.type,
                    "has_name": module.name is not None,
                    "bridge": module.bridge_id,
                    "known": coordinator.is_known(module.id),
                    "state": _without_ids(asdict(house.state(module.id))),
                }
                for module in home.modules.values()
            },
        }
        for home in coordinator.all_homes.values()
    }


def _settings(coordinator: BticinoCoordinator) -> dict[str, Any]:
    """Show what is set at the intercoms in the cloud's own numbers, known or not; no text."""
    return {
        bridge_id: {
            kind.value: {name: fact for name, fact in each.raw.items() if isinstance(fact, int)}
            for kind, each in settings.items()
        }
        for bridge_id, settings in coordinator.settings.known.items()
    }


def _bell(coordinator: BticinoCoordinator) -> dict[str, Any]:
    """Tell how the push socket fares, and what frames looked like that nobody understood."""
    channel = coordinator.bell.channel
    return {
        **_socket(channel.socket),
        "pushes": dict(channel.counters),
        "unknown_pushes": list(channel.unknown),
        "ringing": len(coordinator.bell.book.ringing),
    }


def _calls(coordinator: BticinoCoordinator) -> dict[str, Any]:
    """Tell how the calls from Home Assistant fare; of who and what was said, nothing."""
    intercom = coordinator.intercom
    return {
        **_socket(intercom.channel.socket),
        "signaling": dict(intercom.channel.counters),
        "viewers": intercom.viewers,
        "relays": len(intercom.relays.servers),
    }


def _socket(socket: ReconnectingSocket) -> dict[str, Any]:
    """Tell how a line to the cloud fares."""
    ending = socket.last_disconnect
    return {
        "state": socket.state.value,
        "last_ending": None if ending is None else str(ending),
        "socket": dict(socket.counters),
    }


def _without_ids(state: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in state.items() if key not in {"id", "type", "bridge_id"}}


def _counters(coordinator: BticinoCoordinator) -> dict[str, Any]:
    account = coordinator.account
    return {
        "failed_polls": coordinator.failed_polls,
        "last_update_success": coordinator.last_update_success,
        "sign_in": dict(account.auth.counters),
        "requests": dict(account.transport.counters),
        "unknown_types": dict(coordinator.unknown_types),
        "modules": {
            kind.value: sum(m.kind is kind for m in coordinator.data.modules.values())
            for kind in ModuleKind
        },
    }
