"""The simulated house: its modules and their state."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

type Json = dict[str, object]

REFUSED_BY_MODULE = 5
UNREACHABLE = 6

STAIRCASE_SECONDS = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One activation of a door's relay."""

    module_id: str
    at: float


@dataclass(slots=True, kw_only=True)
class Module:
    """Any module of a home; the base class accepts no command."""

    id: str
    type: str
    name: str | None = None
    variant: str | None = None
    bridge: str | None = None
    reachable: bool = True
    #: False: `reachable` is only reported while it is false, as some models do.
    reports_reachable: bool = True
    #: False: whether it is on or locked is not reported, as some models do.
    reports_state: bool = True
    #: False: not in homesdata, except as an id in the bridge's `modules_bridged`.
    listed: bool = True
    #: True: not in homestatus.
    silent: bool = False
    #: Number with which commands are refused inside a successful response; None: they are not.
    refusal: int | None = None
    extra: Json = field(default_factory=dict)

    def topology_entry(self) -> Json:
        """Return the entry of homesdata."""
        known: Json = {"id": self.id, "type": self.type}
        optional = {"variant": self.variant, "name": self.name, "bridge": self.bridge}
        return known | {key: value for key, value in optional.items() if value is not None}

    def status(self, now: float) -> Json:
        """Return the entry of homestatus."""
        where: Json = {} if self.bridge is None else {"bridge": self.bridge}
        state = self.state(now) if self.reports_state else {}
        return {"id": self.id, "type": self.type} | state | where | self.extra

    def state(self, now: float) -> Json:
        """Return the fields that only this kind of module reports."""
        del now
        return {}

    def command(self, name: str, value: bool, now: float) -> bool:
        """Run one command; return False if the module refuses it."""
        del name, value, now
        return False


@dataclass(slots=True, kw_only=True)
class Bridge(Module):
    """The intercom: the indoor unit, which connects to the cloud."""

    setup_date: int = 1_650_000_000
    firmware_name: str = "2.3.8"
    firmware_revision: int = 203_008
    booted_at: float = 0.0
    #: dBm without the sign, as the cloud sends it.
    wifi_strength: int = 58
    local_ipv4: str = "192.0.2.20"
    busy: bool = False
    #: None: now. The real cloud sometimes sends 0.
    last_seen: int | None = None
    offline_since: float | None = None
    #: Settings by wire name; models without settings have none of the keys.
    configs: dict[str, Json] = field(default_factory=dict)
    #: Time of the last change in milliseconds; None: not reported.
    configs_changed: int | None = None
    #: The status contains little beyond `firmware_revision` and `use_pincode`, as that of a BNCX.
    is_terse: bool = False

    def topology_entry(self) -> Json:
        """Return the entry of homesdata."""
        return Module.topology_entry(self) | {"setup_date": self.setup_date}

    def state(self, now: float) -> Json:
        """Return firmware, network and uptime; the cloud keeps counting the uptime."""
        if self.is_terse:
            return {"firmware_revision": self.firmware_revision, "use_pincode": False}
        seen = now if self.offline_since is None else self.offline_since
        changed: Json = {}
        if self.configs_changed is not None:
            changed["last_configs_update"] = self.configs_changed
        return changed | {
            "firmware_name": self.firmware_name,
            "firmware_revision": self.firmware_revision,
            "uptime": max(0, int(seen - self.booted_at)),
            "wifi_strength": self.wifi_strength,
            "websocket_connected": self.reachable,
            "local_ipv4": self.local_ipv4,
            "busy": self.busy,
            "last_seen": int(seen) if self.last_seen is None else self.last_seen,
        }

    def configure(self, name: str, fields: Json | None, now: float) -> None:
        """Change some fields of a setting; None removes the setting."""
        if fields is None:
            self.configs.pop(name, None)
        else:
            self.configs[name] = self.configs.get(name, {}) | fields
        self.configs_changed = int(now * 1000)

    def unplug(self, now: float) -> None:
        """Cut the power."""
        self.reachable, self.offline_since = False, now

    def plug(self, now: float) -> None:
        """Restore the power: the bridge boots."""
        self.reachable, self.offline_since, self.booted_at = True, None, now


@dataclass(slots=True, kw_only=True)
class Panel(Module):
    """An entrance panel."""

    #: No camera: no pictures, and rings are pushed as an offer only.
    voice_only: bool = False


@dataclass(slots=True, kw_only=True)
class CctvCamera(Module):
    """A camera behind an intercom: it can be called, and never rings."""


@dataclass(slots=True, kw_only=True)
class Door(Module):
    """A momentary relay; the cloud always reports `lock: true`."""

    openings: list[Opening] = field(default_factory=list)

    def state(self, now: float) -> Json:
        """Return the lock state, and the time of the last opening if any."""
        del now
        locked: Json = {"lock": True}
        if self.openings:
            locked["last_user_interaction"] = int(self.openings[-1].at)
        return locked

    def command(self, name: str, value: bool, now: float) -> bool:
        """Open on `lock: false`; `lock: true` has no effect."""
        if name != "lock":
            return False
        if not value:
            self.openings.append(Opening(module_id=self.id, at=now))
        return True


@dataclass(slots=True, kw_only=True)
class Gate(Door):
    """A gate on a relay that is switched like a light; its state is not reported."""

    def state(self, now: float) -> Json:
        """Return nothing."""
        del now
        return {}

    def command(self, name: str, value: bool, now: float) -> bool:
        """Open on `on: true`; `on: false` has no effect."""
        return name == "on" and Door.command(self, "lock", not value, now)


@dataclass(slots=True, kw_only=True)
class Light(Module):
    """A staircase light, switched off by a timer."""

    lit_at: float | None = None
    seconds: float = STAIRCASE_SECONDS

    def is_on(self, now: float) -> bool:
        """Return whether the light is on."""
        return self.lit_at is not None and now - self.lit_at < self.seconds

    def state(self, now: float) -> Json:
        """Return `status`; the command for it is called `on`."""
        return {"status": "on" if self.is_on(now) else "off"}

    def command(self, name: str, value: bool, now: float) -> bool:
        """Switch the light; a second `on` restarts the timer."""
        if name != "on":
            return False
        self.lit_at = now if value else None
        return True


@dataclass(slots=True, kw_only=True)
class Home:
    """One home of the account."""

    id: str
    name: str
    modules: dict[str, Module]
    timezone: str = "Europe/Rome"
    country: str = "IT"
    coordinates: tuple[float, float] = (9.1, 45.4)
    events: list[Json] = field(default_factory=list)
    #: False: homesdata has the home without its modules, as for some accounts.
    lists_modules: bool = True

    def bridges(self) -> list[Bridge]:
        """Return the indoor units."""
        return [module for module in self.modules.values() if isinstance(module, Bridge)]

    def bridged(self) -> dict[str, list[str]]:
        """Return the module ids of each bridge."""
        children: dict[str, list[str]] = {}
        for module in self.modules.values():
            if module.bridge is not None:
                children.setdefault(module.bridge, []).append(module.id)
        return children

    def reaches(self, module: Module) -> bool:
        """Return whether a module and its bridge, if any, are reachable."""
        bridge = self.modules.get(module.bridge or "")
        return module.reachable and (bridge is None or bridge.reachable)


@dataclass(slots=True, kw_only=True)
class House:
    """All homes of one account."""

    homes: list[Home]

    def home(self, home_id: str) -> Home | None:
        """Return a home of this account."""
        return next((home for home in self.homes if home.id == home_id), None)

    def home_of(self, module_id: str) -> Home | None:
        """Return the home of a module."""
        return next((home for home in self.homes if module_id in home.modules), None)

    def modules(self) -> Iterator[Module]:
        """Iterate over all modules of all homes."""
        for home in self.homes:
            yield from home.modules.values()

    def bridges(self) -> list[Bridge]:
        """Return the indoor units."""
        return [bridge for home in self.homes for bridge in home.bridges()]

    def panels(self) -> list[Panel]:
        """Return the entrance panels."""
        return [module for module in self.modules() if isinstance(module, Panel)]

    def cctv_cameras(self) -> list[CctvCamera]:
        """Return the CCTV cameras."""
        return [module for module in self.modules() if isinstance(module, CctvCamera)]

    def doors(self) -> list[Door]:
        """Return the doors."""
        return [module for module in self.modules() if isinstance(module, Door)]

    def lights(self) -> list[Light]:
        """Return the staircase lights."""
        return [module for module in self.modules() if isinstance(module, Light)]

    def find(self, wanted: str) -> Module:
        """Return a module by id or name; KeyError if there is none."""
        for module in self.modules():
            if wanted in (module.id, module.name):
                return module
        raise KeyError(wanted)

    def openings(self) -> list[Opening]:
        """Return every opening of every door, oldest first."""
        moved = [opening for door in self.doors() for opening in door.openings]
        return sorted(moved, key=lambda opening: opening.at)
