"""The houses to choose from. All ids are invented, all addresses are from documentation ranges."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from tests.simulator.house import (
    Bridge,
    CctvCamera,
    Door,
    Gate,
    Home,
    House,
    Json,
    Light,
    Module,
    Panel,
)

#: Takes the current time, the house's first moment.
type Factory = Callable[[float], House]
#: Type and name of each module of a bridge.
type Children = tuple[tuple[str, str | None], ...]

CASA = "64a1b2c3d4e5f60718293a4b"
SEASIDE = "64a1b2c3d4e5f60718293a4c"
PANEL, DOOR, LIGHT, CCTV, GATE = "BNEU", "BNDL", "BNSL", "BNTVCC", "BNOT"
VARIANTS = MappingProxyType(
    {
        PANEL: "BNEU:bneu_external_unit",
        DOOR: "BNDL:bndl_doorlock",
        LIGHT: "BNSL:bnsl_staircase_light",
    }
)
#: The models known to report settings.
WITH_CONFIGS = frozenset({"BNC3"})
UPTIME_SECONDS = 812_345.0
LONG_AGO_MS = 1_530_000_000_000
EOS_REVISION = 30_212
#: Modules of the vendor's home automation; a 300EOS is its gateway as well.
MYHOME_TYPES = ("BNAS", "BNLD", "BNIL", "BNTH", "BNFC", "BNCS", "BNMH")
MYHOME_COUNT = 70


def classe_100x(now: float) -> House:
    """Build a 100X with one panel, one door and one light."""
    bridge = _unit(now, "00:03:50:ab:cd:ef", "BNC1", "Classe 100X")
    modules = ((PANEL, "Cancello"), (DOOR, "Porta"), (LIGHT, "Scale"))
    return _house(now, bridge, modules)


def classe_300x(now: float) -> House:
    """Build a 300X with two panels, three doors and one light.

    `last_seen` and `last_configs_update` have the odd values of a real unit.
    """
    bridge = Bridge(
        id="00:03:50:30:00:0a",
        type="BNC3",
        name="Classe 300X",
        firmware_name="1.8.1",
        firmware_revision=108_001,
        wifi_strength=64,
        last_seen=0,
        booted_at=now - UPTIME_SECONDS,
        configs_changed=LONG_AGO_MS,
    )
    modules = (
        (PANEL, "Posto esterno strada"),
        (PANEL, "Posto esterno cortile"),
        (DOOR, "Cancello"),
        (DOOR, "Portone"),
        (DOOR, "Box"),
        (LIGHT, "Luce scale"),
    )
    return _house(now, bridge, modules)


def classe_300eos(now: float) -> House:
    """Build a 300EOS with one panel, two doors and a light, without `variant` and `name`."""
    modules = ((PANEL, None), (DOOR, None), (DOOR, None), (LIGHT, None))
    return _eos(now, "00:03:50:e0:5a:01", modules)


def classe_300eos_gate(now: float) -> House:
    """Build a 300EOS with one panel, one door, and a gate on a relay of another type."""
    return _eos(now, "00:03:50:e0:5a:02", ((PANEL, None), (DOOR, None), (GATE, None)))


def easykit(now: float) -> House:
    """Build an EasyKit with one panel and one door; no module has a name."""
    bridge = _unit(now, "00:03:50:ea:51:01", "BDIY")
    return _house(now, bridge, ((PANEL, None), (DOOR, None)))


def myhome_gateway(now: float) -> House:
    """Build a 300EOS that is a MyHome gateway, too: dozens of modules of another system.

    Some of them are not in homesdata, some not in homestatus.
    """
    foreign = [(MYHOME_TYPES[n % len(MYHOME_TYPES)], None) for n in range(MYHOME_COUNT)]
    modules = ((PANEL, None), (DOOR, None), (LIGHT, None), *foreign)
    house = _eos(now, "00:03:50:e0:5a:04", modules)
    for number, module in enumerate(house.modules()):
        if module.type in MYHOME_TYPES:
            module.listed, module.silent = number % 3 > 0, number % 3 == 1
    return house


def home_control(now: float) -> House:
    """Build a 300EOS with a garage lock of Home + Control, which is not supported."""
    return _eos(now, "00:03:50:e0:5a:03", ((PANEL, None), (DOOR, None), ("BNLO", "Box")))


def hybrid(now: float) -> House:
    """Build a hybrid indoor unit without a name, with one panel and one door."""
    bridge = _unit(now, "00:03:50:ab:1d:01", "BNHY")
    return _house(now, bridge, ((PANEL, "Cancello"), (DOOR, "Porta")))


def ip_units(now: float) -> House:
    """Build an IP indoor unit with two IP outdoor units, a door and a light."""
    bridge = _unit(now, "00:03:50:bf:11:01", "BFII", "Posto interno")
    return _house(
        now, bridge, (("BFIO", "Ingresso"), ("BFIO", None), (DOOR, "Porta"), (LIGHT, "Scale"))
    )


def connected_panel(now: float) -> House:
    """Build a 100X with a connected entrance panel and a door."""
    bridge = _unit(now, "00:03:50:ab:cd:e1", "BNC1", "Classe 100X")
    return _house(now, bridge, (("BCEPL", "Ingresso"), (DOOR, "Porta")))


def bpac(now: float) -> House:
    """Build a BPAC with modules behind it, which makes it an intercom."""
    bridge = _unit(now, "00:03:50:ba:c0:01", "BPAC")
    return _house(now, bridge, ((PANEL, "Cancello"), (DOOR, "Porta")))


def bcepa(now: float) -> House:
    """Build a BCEPA with nothing behind it: only its MAC id makes it an intercom."""
    bridge = _unit(now, "00:03:50:ce:fa:01", "BCEPA", "Ingresso")
    return _house(now, bridge, ())


def bpvc(now: float) -> House:
    """Build a 300X with a BPVC behind it, which makes that a panel."""
    bridge = _unit(now, "00:03:50:30:00:0c", "BNC3", "Classe 300X")
    return _house(now, bridge, (("BPVC", "Cancello"), (DOOR, "Porta")))


def cctv(now: float) -> House:
    """Build a 300X with one panel, one door and two CCTV cameras."""
    bridge = _unit(now, "00:03:50:30:00:0d", "BNC3", "Classe 300X")
    cameras = ((CCTV, "Giardino"), (CCTV, None))
    return _house(now, bridge, ((PANEL, "Cancello"), (DOOR, "Porta"), *cameras))


def three_panels(now: float) -> House:
    """Build a 300X with three panels and three doors."""
    bridge = _unit(now, "00:03:50:30:00:0b", "BNC3", "Classe 300X")
    names = ("Cancello", "Portone", "Box")
    panels = tuple((PANEL, f"Posto esterno {name.lower()}") for name in names)
    return _house(now, bridge, panels + tuple((DOOR, name) for name in names))


def easykit_three_panels(now: float) -> House:
    """Build an EasyKit with three panels; its pushes do not name the panel."""
    bridge = _unit(now, "00:03:50:ea:51:02", "BDIY")
    return _house(now, bridge, ((PANEL, None), (PANEL, None), (PANEL, None), (DOOR, None)))


def voice_only(now: float) -> House:
    """Build a 100X with a panel without a camera, and a door."""
    bridge = _unit(now, "00:03:50:ab:cd:f0", "BNC1", "Classe 100X")
    house = _house(now, bridge, ((PANEL, "Citofono"), (DOOR, "Porta")))
    for panel in house.panels():
        panel.voice_only = True
    return house


def two_homes(now: float) -> House:
    """Build two homes with one intercom each, in one account."""
    city, seaside = classe_100x(now).homes[0], classe_300x(now).homes[0]
    seaside.id, seaside.name = SEASIDE, "Casa al mare"
    return House(homes=[city, seaside])


def no_intercom(now: float) -> House:
    """Build a home that only has a thermostat and a camera of the same vendor."""
    del now
    relay = Module(id="70:ee:50:00:00:01", type="NAPlug", name="Relè", extra={"rf_strength": 70})
    thermostat = Module(
        id="04:00:00:00:00:02",
        type="NATherm1",
        name="Termostato",
        bridge=relay.id,
        extra={"battery_level": 4100, "boiler_status": False},
    )
    camera = Module(
        id="70:ee:50:00:00:03", type="NACamera", name="Salotto", extra={"monitoring": "on"}
    )
    modules = {module.id: module for module in (relay, thermostat, camera)}
    return House(homes=[Home(id=CASA, name="Casa", modules=modules)])


def unlisted_modules(now: float) -> House:
    """Build a 100X in a home that homesdata lists without modules; only homestatus has them."""
    house = classe_100x(now)
    house.homes[0].lists_modules = False
    return house


def empty(now: float) -> House:
    """Build an account without homes."""
    del now
    return House(homes=[])


def strange(now: float) -> House:
    """Build a 100X with an unknown module type, and two bridged ids that homesdata does not list.

    One of these two is a door in homestatus, the other one is not there either.
    """
    house = classe_100x(now)
    bridge = house.bridges()[0].id
    unknown = Module(id="abcdef-0404-aa11bb22cc36", type="BNZZ", name="Novità", bridge=bridge)
    hidden = Door(id="abcdef-0505-aa11bb22cc37", type=DOOR, bridge=bridge, listed=False)
    ghost = Module(id="abcdef-0606-aa11bb22cc38", type="", bridge=bridge, listed=False, silent=True)
    house.homes[0].modules |= {module.id: module for module in (unknown, hidden, ghost)}
    return house


def many_modules(count: int) -> Factory:
    """Return a factory of a house with `count` modules, including the bridge."""

    def build(now: float) -> House:
        bridge = Bridge(
            id="00:03:50:50:10:00", type="BNC3", name="Classe 300X", booted_at=now - UPTIME_SECONDS
        )
        names = {PANEL: "Ingresso", DOOR: "Porta", LIGHT: "Luce"}
        types = [(PANEL, DOOR, LIGHT)[index % 3] for index in range(count - 1)]
        modules = tuple((kind, f"{names[kind]} {index}") for index, kind in enumerate(types, 1))
        return _house(now, bridge, modules)

    return build


def many_panels(count: int) -> Factory:
    """Return a factory of a house with `count` panels and one door."""

    def build(now: float) -> House:
        bridge = Bridge(
            id="00:03:50:9a:4e:15", type="BNC3", name="Classe 300X", booted_at=now - UPTIME_SECONDS
        )
        panels = tuple((PANEL, f"Ingresso {number}") for number in range(1, count + 1))
        return _house(now, bridge, (*panels, (DOOR, "Porta")))

    return build


HOUSES: Mapping[str, Factory] = MappingProxyType(
    {
        "classe_100x": classe_100x,
        "classe_300x": classe_300x,
        "classe_300eos": classe_300eos,
        "classe_300eos_gate": classe_300eos_gate,
        "easykit": easykit,
        "myhome_gateway": myhome_gateway,
        "home_control": home_control,
        "hybrid": hybrid,
        "ip_units": ip_units,
        "connected_panel": connected_panel,
        "bpac": bpac,
        "bcepa": bcepa,
        "bpvc": bpvc,
        "cctv": cctv,
        "three_panels": three_panels,
        "easykit_three_panels": easykit_three_panels,
        "voice_only": voice_only,
        "two_homes": two_homes,
        "no_intercom": no_intercom,
        "unlisted_modules": unlisted_modules,
        "empty": empty,
        "strange": strange,
        "panels_1": many_panels(1),
        "panels_10": many_panels(10),
        "panels_100": many_panels(100),
        "modules_4": many_modules(4),
        "modules_51": many_modules(51),
        "modules_501": many_modules(501),
    }
)


def new_module(kind: str, *, module_id: str, bridge: str | None, name: str | None) -> Module:
    """Build a module of a wire type; unknown types accept no command."""
    types: dict[str, type[Module]] = {
        PANEL: Panel,
        "BCEPL": Panel,
        "BFIO": Panel,
        "BPVC": Panel,
        CCTV: CctvCamera,
        DOOR: Door,
        "BNLO": Door,
        LIGHT: Light,
        GATE: Gate,
    }
    module_type = types.get(kind, Module)
    variant = VARIANTS.get(kind) if name is not None else None
    return module_type(id=module_id, type=kind, name=name, variant=variant, bridge=bridge)


def child_id(bridge_id: str, number: int) -> str:
    """Return the id of a bridge's n-th module; it starts with the bridge's last three bytes."""
    prefix = bridge_id.replace(":", "")[-6:]
    return f"{prefix}-{number:02x}{number:02x}-{0xAA11BB22CC00 + number:012x}"


def _unit(now: float, unit_id: str, kind: str, name: str | None = None) -> Bridge:
    return Bridge(id=unit_id, type=kind, name=name, booted_at=now - UPTIME_SECONDS)


def _eos(now: float, unit_id: str, children: Children) -> House:
    """Build a 300EOS: its status contains little, and no states of doors and lights."""
    bridge = _unit(now, unit_id, "BNCX", "Classe 300EOS")
    bridge.firmware_revision, bridge.is_terse = EOS_REVISION, True
    house = _house(now, bridge, children)
    for module in (*house.doors(), *house.lights()):
        module.reports_state = False
    return house


def _house(now: float, bridge: Bridge, children: Children) -> House:
    modules: dict[str, Module] = {bridge.id: bridge}
    if bridge.type in WITH_CONFIGS:
        bridge.configs = _configs()
    for number, (kind, name) in enumerate(children, 1):
        module = new_module(
            kind, module_id=child_id(bridge.id, number), bridge=bridge.id, name=name
        )
        module.reports_reachable = name is not None
        modules[module.id] = module
    home = Home(id=CASA, name="Casa", modules=modules, events=_initial_events(now, bridge))
    return House(homes=[home])


def _configs() -> dict[str, Json]:
    """Return the default settings of a 300X: do not disturb and Professional studio are off."""
    return {
        "do_not_disturb": {
            "dnd_enabled": True,
            "dnd_mode": 0,
            "dnd_duration": 60,
            "dnd_end_time_duration": LONG_AGO_MS,
        },
        "professional_studio": {
            "ps_enabled": True,
            "ps_mode": 0,
            "ps_duration": 1,
            "ps_end_time_duration": LONG_AGO_MS,
        },
    }


def _initial_events(now: float, bridge: Bridge) -> list[Json]:
    """Return the events of a new house: a missed call an hour ago, a connection a day ago."""
    time = int(now - 3600)
    call: Json = {
        "id": "65aa00000000000000000001",
        "type": "outdoor",
        "time": time,
        "module_id": bridge.id,
        "video_id": "0a1b2c3d-0000-4000-8000-000000000001",
        "video_status": "available",
        "subevents": _missed_call(time),
    }
    connection: Json = {
        "id": "65aa00000000000000000004",
        "type": "connection",
        "time": int(now - 86_400),
        "module_id": bridge.id,
    }
    return [call, connection]


def _missed_call(time: int) -> list[Json]:
    """Return the two sub-events of a missed call, newest first."""
    session: Json = {"session_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7"}
    incoming: Json = {
        "id": "65aa00000000000000000002",
        "type": "incoming_call",
        "time": time,
        "verified": True,
        "offset": 0,
        "message": "Posto esterno is calling",
    }
    missed: Json = {"id": "65aa00000000000000000003", "type": "missed_call", "time": time + 30}
    return [missed | session, incoming | session]
