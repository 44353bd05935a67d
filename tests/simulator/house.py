"""The house behind the cloud: what is built into it, and what state it is in."""

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
    """A door's relay really moved."""

    module_id: str
    at: float


@dataclass(slots=True, kw_only=True)
class Module:
    """Anything with an id in a home; by itself it obeys no command."""

    id: str
    type: str
    name: str | None = None
    variant: str | None = None
    bridge: str | None = None
    reachable: bool = True
    #: Some models name `reachable` only while it is false.
    says_reachable: bool = True
    #: False: homesdata has no entry, only the bridge's `modules_bridged` names it.
    listed: bool = True
    #: True: homestatus says nothing of it.
    silent: bool = False
    extra: Json = field(default_factory=dict)

    def described(self) -> Json:
        """Return the entry of homesdata."""
        known: Json = {"id": self.id, "type": self.type}
        optional = {"variant": self.variant, "name": self.name, "bridge": self.bridge}
        return known | {key: value for key, value in optional.items() if value is not None}

    def status(self, now: float) -> Json:
        """Return the entry of homestatus."""
        where: Json = {} if self.bridge is None else {"bridge": self.bridge}
        return {"id": self.id, "type": self.type} | self.state(now) | where | self.extra

    def state(self, now: float) -> Json:
        """Return what only this kind of module reports."""
        del now
        return {}

    def command(self, name: str, value: bool, now: float) -> bool:
        """Carry out one command; False is the module's refusal."""
        del name, value, now
        return False


@dataclass(slots=True, kw_only=True)
class Bridge(Module):
    """The indoor unit, which alone talks to the cloud."""

    setup_date: int = 1_650_000_000
    firmware_name: str = "2.3.8"
    firmware_revision: int = 203_008
    booted_at: float = 0.0
    #: dBm without its sign, as the cloud sends it.
    wifi_strength: int = 58
    local_ipv4: str = "192.0.2.20"
    busy: bool = False
    #: None: now. The real cloud says 0 at times.
    last_seen: int | None = None
    went_at: float | None = None
    #: Its own settings by their wire names; a model without any has none of the keys.
    configs: dict[str, Json] = field(default_factory=dict)
    #: When they were last changed, in milliseconds; None: it does not tell.
    configs_changed: int | None = None

    def described(self) -> Json:
        """Return the entry of homesdata."""
        return Module.described(self) | {"setup_date": self.setup_date}

    def state(self, now: float) -> Json:
        """Return firmware, network and uptime, which the cloud counts on by itself."""
        seen = now if self.went_at is None else self.went_at
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
        """Change some fields of a setting; None: it has none of that name any more."""
        if fields is None:
            self.configs.pop(name, None)
        else:
            self.configs[name] = self.configs.get(name, {}) | fields
        self.configs_changed = int(now * 1000)

    def unplug(self, now: float) -> None:
        """Take the power away."""
        self.reachable, self.went_at = False, now

    def plug(self, now: float) -> None:
        """Give the power back: it boots."""
        self.reachable, self.went_at, self.booted_at = True, None, now


@dataclass(slots=True, kw_only=True)
class Panel(Module):
    """An external unit with a bell."""

    #: It has no camera: no pictures, and its calls are only offered.
    voice_only: bool = False


@dataclass(slots=True, kw_only=True)
class Door(Module):
    """A momentary relay: the cloud says `lock: true` at every moment."""

    openings: list[Opening] = field(default_factory=list)

    def state(self, now: float) -> Json:
        """Return the lock, and the time of the last opening if there was one."""
        del now
        locked: Json = {"lock": True}
        if self.openings:
            locked["last_user_interaction"] = int(self.openings[-1].at)
        return locked

    def command(self, name: str, value: bool, now: float) -> bool:
        """Open on `lock: false`; `lock: true` moves nothing."""
        if name != "lock":
            return False
        if not value:
            self.openings.append(Opening(module_id=self.id, at=now))
        return True


@dataclass(slots=True, kw_only=True)
class Light(Module):
    """A staircase light, which the panel's own timer puts out."""

    lit_at: float | None = None
    seconds: float = STAIRCASE_SECONDS

    def is_on(self, now: float) -> bool:
        """Tell whether it shines."""
        return self.lit_at is not None and now - self.lit_at < self.seconds

    def state(self, now: float) -> Json:
        """Return `status`: read so, though it is written as `on`."""
        return {"status": "on" if self.is_on(now) else "off"}

    def command(self, name: str, value: bool, now: float) -> bool:
        """Switch; a second `on` starts the timer anew."""
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

    def bridges(self) -> list[Bridge]:
        """Return the indoor units."""
        return [module for module in self.modules.values() if isinstance(module, Bridge)]

    def bridged(self) -> dict[str, list[str]]:
        """Return the ids behind each bridge."""
        behind: dict[str, list[str]] = {}
        for module in self.modules.values():
            if module.bridge is not None:
                behind.setdefault(module.bridge, []).append(module.id)
        return behind

    def reaches(self, module: Module) -> bool:
        """Tell whether the cloud can talk to a module, through its bridge if it has one."""
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
        """Return the home in which a module is."""
        return next((home for home in self.homes if module_id in home.modules), None)

    def modules(self) -> Iterator[Module]:
        """Go through all modules of all homes."""
        for home in self.homes:
            yield from home.modules.values()

    def bridges(self) -> list[Bridge]:
        """Return the indoor units."""
        return [bridge for home in self.homes for bridge in home.bridges()]

    def panels(self) -> list[Panel]:
        """Return the external units."""
        return [module for module in self.modules() if isinstance(module, Panel)]

    def doors(self) -> list[Door]:
        """Return the doors."""
        return [module for module in self.modules() if isinstance(module, Door)]

    def lights(self) -> list[Light]:
        """Return the staircase lights."""
        return [module for module in self.modules() if isinstance(module, Light)]

    def find(self, wanted: str) -> Module:
        """Return a module by its id or its name; KeyError if there is none."""
        for module in self.modules():
            if wanted in (module.id, module.name):
                return module
        raise KeyError(wanted)

    def openings(self) -> list[Opening]:
        """Return every opening of every door, oldest first."""
        moved = [opening for door in self.doors() for opening in door.openings]
        return sorted(moved, key=lambda opening: opening.at)
