"""Decodes the cloud's answers into data classes.

Invalid parts are left out and never raise, so one odd module does not affect the others.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
import heapq
import math
import re
from typing import Any, Final

from .models import Event, Home, IceServer, Module, ModuleKind, ModuleState, Picture, Topology
from .public_hosts import is_public_address, is_public_name
from .values import (
    LATEST_TIME,
    MS,
    JsonObject,
    as_address,
    as_float,
    as_id,
    as_key,
    as_label,
    as_list,
    as_mapping,
    as_mappings,
    as_name,
    as_number,
    as_spelled,
    as_str,
    as_time,
    as_url,
    is_mac,
    whole,
)

KINDS_BY_TYPE: Final[Mapping[str, ModuleKind]] = {
    "BNC1": ModuleKind.BRIDGE,
    "BNC3": ModuleKind.BRIDGE,
    "BNCX": ModuleKind.BRIDGE,
    "BDIY": ModuleKind.BRIDGE,
    "BNHY": ModuleKind.BRIDGE,
    "BFII": ModuleKind.BRIDGE,
    "BNDL": ModuleKind.DOOR,
    "BNSL": ModuleKind.LIGHT,
    "BNEU": ModuleKind.PANEL,
    "BFIO": ModuleKind.PANEL,
    "BCEPL": ModuleKind.PANEL,
    "BNTVCC": ModuleKind.CAMERA,
    "BNOT": ModuleKind.RELAY,
}
# An intercom or a panel, depending on what the module carries (protocol.md 3.2).
TYPES_OF_EITHER_KIND: Final = frozenset({"BPAC", "BPVC", "BCEPA"})
KINDS_BY_VARIANT: Final[Mapping[str, ModuleKind]] = {
    "bndl_doorlock": ModuleKind.DOOR,
    "bnsl_staircase_light": ModuleKind.LIGHT,
    "bneu_external_unit": ModuleKind.PANEL,
}
MAX_UPTIME: Final = 100 * 365 * 86_400  # seconds
MAX_DBM: Final = 200
MAX_REVISION: Final = 2**53
MAX_HOMES: Final = 64
MAX_MODULES: Final = 600  # of an account
MAX_OTHER_MODULES: Final = 1000  # of unknown kinds, which have no entities
MAX_LISTED_HOMES: Final = 1000  # that are decoded
MAX_LISTED_MODULES: Final = 2000  # and states, that are decoded
MAX_LISTED_EVENTS: Final = 50_000  # whose time is compared
MAX_ERRORS: Final = 2000  # of an answer: one for each module
MAX_PARTS: Final = 32  # of an event
MAX_LISTED_ICE_SERVERS: Final = 64  # and links of each, of which the valid ones are taken
MAX_ICE_URLS: Final = 8
MAX_ICE_URL_LENGTH: Final = 300
MAX_CREDENTIAL_BYTES: Final = 508  # RFC 8489
_TIMEZONE: Final = re.compile(r"[0-9A-Za-z_+/-]{1,64}")
_PORTS: Final = range(1, 1 << 16)
_ICE_URL: Final = re.compile(
    r"(?P<scheme>stun|turns?):(?P<host>[0-9A-Za-z.-]+|\[[0-9A-Fa-f]*:[0-9A-Fa-f:.]*\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<query>\?transport=(?:udp|tcp))?"
)
_CHILDREN: Final = (ModuleKind.DOOR, ModuleKind.LIGHT, ModuleKind.PANEL, ModuleKind.CAMERA)


def body_of(answer: JsonObject) -> JsonObject:
    """Return an answer's body, completed with what stands beside it (protocol.md 3.2, 3.3)."""
    body = {
        key: value for key, value in as_mapping(answer.get("body")).items() if value is not None
    }
    return {**answer, **body, "errors": list(command_errors(answer))}


def topology(body: JsonObject) -> Topology | None:
    """Decode homesdata; None if the answer has no list of homes."""
    if not isinstance(body.get("homes"), list):
        return None
    records = _shortened(as_mappings(body["homes"]))
    listed = [home for record in records if (home := _home(record)) is not None]
    homes, is_cut = limited_homes({home.id: home for home in listed})
    return Topology(
        user_id=as_key(as_mapping(body.get("user")).get("id")),
        homes=homes,
        is_cut=is_cut,
    )


def _shortened(homes: list[JsonObject]) -> list[JsonObject]:
    """Return the listed homes without what is too much to be decoded in the event loop.

    Homes with modules come first, and intercoms, then modules of known types.
    """
    if len(homes) > MAX_LISTED_HOMES:
        homes = sorted(homes, key=lambda home: not home.get("modules"))[:MAX_LISTED_HOMES]
    listed = [
        (n, module) for n, home in enumerate(homes) for module in as_list(home.get("modules"))
    ]
    if len(listed) > MAX_LISTED_MODULES:
        listed = sorted(listed, key=lambda each: _rank(each[1]))[:MAX_LISTED_MODULES]
    kept: list[list[Any]] = [[] for _ in homes]
    room = MAX_LISTED_MODULES
    for number, module in listed:
        bridged = as_list(as_mapping(module).get("modules_bridged"))
        limited = {"modules_bridged": bridged[:room]} if bridged else {}
        kept[number].append({**as_mapping(module), **limited})
        room -= min(room, len(bridged))
    return [{**home, "modules": modules} for home, modules in zip(homes, kept, strict=True)]


def _rank(module: object) -> int:
    """Return which modules of too many are decoded: those with the lowest number."""
    module_type = as_str(as_mapping(module).get("type")) or ""
    kind = KINDS_BY_TYPE.get(module_type)
    if module_type in TYPES_OF_EITHER_KIND:
        kind = ModuleKind.BRIDGE
    return 0 if kind is ModuleKind.BRIDGE else 2 if kind is None else 1


def limited_homes(
    homes: Mapping[str, Home], known: Mapping[str, Home] | None = None
) -> tuple[dict[str, Home], bool]:
    """Return the homes with no more modules than an account may have, and whether some were cut.

    What is known already stays first, then what has an intercom or is one.
    """
    known = known or {}
    ranked = sorted(homes.values(), key=lambda home: (home.id not in known, not home.bridges))
    known_ids = {module_id for home in known.values() for module_id in home.modules}
    modules = [module for home in ranked[:MAX_HOMES] for module in home.modules.values()]
    modules.sort(key=lambda m: (m.id not in known_ids, m.kind is not ModuleKind.BRIDGE))
    shown = [module for module in modules if module.kind is not ModuleKind.UNKNOWN]
    others = [module for module in modules if module.kind is ModuleKind.UNKNOWN]
    kept = {id(module) for module in (*shown[:MAX_MODULES], *others[:MAX_OTHER_MODULES])}
    limited = {
        home.id: replace(home, modules={key: m for key, m in home.modules.items() if id(m) in kept})
        for home in ranked[:MAX_HOMES]
    }
    is_cut = len(shown) > MAX_MODULES or any(home.bridges for home in ranked[MAX_HOMES:])
    return {key: limited[key] for key in homes if key in limited}, is_cut


def _home(source: JsonObject) -> Home | None:
    home_id = as_key(source.get("id"))
    if home_id is None:
        return None
    listed = as_mappings(source.get("modules"))
    modules = {m.id: m for item in listed if (m := _module(item, home_id)) is not None}
    for placeholder in _placeholders(listed, home_id):
        modules.setdefault(placeholder.id, placeholder)
    return Home(
        id=home_id,
        name=as_name(source.get("name")),
        timezone=_timezone(source.get("timezone")),
        modules=_with_named_bridges(modules),
    )


def _timezone(value: object) -> str | None:
    found = as_str(value)
    return found if found is not None and _TIMEZONE.fullmatch(found) else None


def _module(source: JsonObject, home_id: str) -> Module | None:
    module_id, bridge_id = as_id(source.get("id")), as_id(source.get("bridge"))
    if module_id is None:
        return None
    module_type = as_label(source.get("type")) or ""
    variant, children = as_str(source.get("variant")), source.get("modules_bridged")
    return Module(
        id=module_id,
        home_id=home_id,
        kind=_kind(module_id, module_type, bridge_id, variant, children),
        type=module_type,
        name=as_name(source.get("name")),
        bridge_id=bridge_id,
        cloud_id=as_spelled(source.get("id")),
        cloud_bridge_id=as_spelled(source.get("bridge")),
    )


def _kind(
    module_id: str,
    module_type: str,
    bridge_id: str | None,
    variant: str | None = None,
    children: object = None,
) -> ModuleKind:
    """Return the kind of a module: by type, or by variant if the type is unknown."""
    if module_type in TYPES_OF_EITHER_KIND:
        return _carried_kind(module_id, bridge_id, children)
    by_variant = KINDS_BY_VARIANT.get((variant or "").rpartition(":")[2], ModuleKind.UNKNOWN)
    return KINDS_BY_TYPE.get(module_type, by_variant)


def _carried_kind(module_id: str, bridge_id: str | None, children: object) -> ModuleKind:
    """Return the kind of a type that is an intercom on one unit and a panel on another."""
    if as_list(children):
        return ModuleKind.BRIDGE
    if bridge_id is not None:
        return ModuleKind.PANEL
    is_bridge = isinstance(children, list) or is_mac(module_id)
    return ModuleKind.BRIDGE if is_bridge else ModuleKind.UNKNOWN


def _placeholders(listed: Iterable[JsonObject], home_id: str) -> list[Module]:
    """Return a module for each child that only its bridge lists (protocol.md 3.2)."""
    children = [
        {**child, "bridge": child.get("bridge") or bridge["id"]}
        for bridge in listed
        if as_id(bridge.get("id")) is not None
        for item in as_list(bridge.get("modules_bridged"))
        for child in as_mappings([item if isinstance(item, Mapping) else {"id": item}])
    ]
    return [module for child in children if (module := _module(child, home_id)) is not None]


def _with_named_bridges(modules: dict[str, Module]) -> dict[str, Module]:
    """Turn a module of unknown type into a bridge if a door, light or panel belongs to it."""
    bridge_ids = {m.bridge_id for m in modules.values() if m.kind in _CHILDREN}
    return {
        module.id: replace(module, kind=ModuleKind.BRIDGE)
        if module.kind is ModuleKind.UNKNOWN and module.id in bridge_ids
        else module
        for module in modules.values()
    }


def states(body: JsonObject) -> dict[str, ModuleState] | None:
    """Decode homestatus; None if the answer has neither a list of modules nor errors."""
    modules = as_mapping(body.get("home")).get("modules")
    errors = as_mappings(as_list(body.get("errors"))[:MAX_LISTED_MODULES])
    failed = [key for error in errors if (key := as_id(error.get("id"))) is not None]
    if not isinstance(modules, list) and not failed:
        return None
    listed = as_mappings(as_list(modules)[:MAX_LISTED_MODULES])
    found = {s.id: s for item in listed if (s := _state(item)) is not None}
    for module_id in failed:
        state = found.get(module_id, ModuleState(id=module_id))
        found[module_id] = replace(state, reachable=False)
    return found


def _state(source: JsonObject) -> ModuleState | None:
    module_id = as_id(source.get("id"))
    if module_id is None:
        return None
    strength = as_number(source.get("wifi_strength"), -MAX_DBM, MAX_DBM)
    return ModuleState(
        id=module_id,
        type=as_label(source.get("type")),
        bridge_id=as_id(source.get("bridge")),
        cloud_id=as_spelled(source.get("id")),
        cloud_bridge_id=as_spelled(source.get("bridge")),
        reachable=source.get("reachable") is not False,
        firmware=_version(source.get("firmware_name")) or _version(source.get("firmware_revision")),
        uptime=whole(as_number(source.get("uptime"), 0, MAX_UPTIME)),
        # The cloud omits the sign (protocol.md 3.2).
        wifi_strength=-abs(int(strength)) if strength else None,
        local_address=as_address(source.get("local_ipv4")),
        last_seen=whole(as_time(source.get("last_seen"))) or None,
        on=_on(source),
        locked=_bool(source.get("lock")),
        use_pincode=_bool(source.get("use_pincode")),
        configs_changed=whole(as_number(source.get("last_configs_update"), 0, LATEST_TIME * MS))
        or None,
    )


def _version(value: object) -> str | None:
    """Return a version, which is a text or a number (protocol.md 3.2)."""
    number = as_number(value, 0, MAX_REVISION)
    return as_label(value) if number is None else str(value).removesuffix(".0")


def _on(source: JsonObject) -> bool | None:
    """Return the state of a light: the cloud sends `status`, but is written `on`."""
    on = _bool(source.get("on"))
    status = {"on": True, "off": False}.get(as_str(source.get("status")) or "")
    return status if on is None else on


def _bool(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def with_reported_modules(home: Home, found: Mapping[str, ModuleState]) -> Home:
    """Return the home with modules, types and kinds that only the status contains."""
    modules = dict(home.modules)
    for state in found.values():
        listed = modules.get(state.id)
        if state.type and (listed is None or listed.kind is ModuleKind.UNKNOWN):
            listed = listed or Module(
                id=state.id, home_id=home.id, kind=ModuleKind.UNKNOWN, type=state.type
            )
            modules[state.id] = _completed(listed, state)
    return replace(home, modules=_with_named_bridges(modules))


def _completed(module: Module, state: ModuleState) -> Module:
    """Return a module of unknown kind with what its state contains beyond its entry."""
    module_type, bridge_id = module.type or state.type or "", state.bridge_id or module.bridge_id
    return replace(
        module,
        kind=_kind(module.id, module_type, bridge_id),
        type=module_type,
        bridge_id=bridge_id,
        cloud_id=state.cloud_id or module.cloud_id,
        cloud_bridge_id=state.cloud_bridge_id or module.cloud_bridge_id,
    )


def events(body: JsonObject, size: int | None = None) -> tuple[Event, ...] | None:
    """Decode getevents, the newest `size` of them; None if the answer has no list of events."""
    places = (as_mapping(body.get("home")).get("events"), body.get("events"))
    lists = [place for place in places if isinstance(place, list)]
    if not lists:
        return None
    found = next(filter(None, lists), [])
    if size is not None and len(found) > size:
        found = heapq.nlargest(size, as_mappings(found[:MAX_LISTED_EVENTS]), key=_time_of)
    return _events(found)


def _time_of(source: JsonObject) -> float:
    return as_float(source.get("time")) or -math.inf


def _events(found: object) -> tuple[Event, ...]:
    decoded = (_event(item) for item in as_mappings(found))
    return tuple(event for event in decoded if event is not None)


def _event(source: JsonObject) -> Event | None:
    event_id, kind, time = (
        as_key(source.get("id")),
        as_label(source.get("type")),
        as_float(source.get("time")),
    )
    if event_id is None or kind is None or time is None:
        return None
    return Event(
        id=event_id,
        type=kind,
        time=time,
        module_id=as_id(source.get("module_id")),
        session_id=as_key(source.get("session_id")),
        video_id=as_key(source.get("video_id")),
        snapshot=_picture(source.get("snapshot")),
        vignette=_picture(source.get("vignette")),
        # Parts of parts are not read.
        parts=_events(
            [
                {**part, "subevents": None}
                for part in as_mappings(as_list(source.get("subevents"))[:MAX_PARTS])
            ]
        ),
    )


def _picture(source: object) -> Picture | None:
    url = as_url(as_mapping(source).get("url"))
    return (
        Picture(url=url, expires_at=as_time(as_mapping(source).get("expires_at"))) if url else None
    )


def ice_servers(body: JsonObject) -> tuple[IceServer, ...] | None:
    """Decode the TURN servers, at most eight links; None if the answer has no list of servers.

    Browsers refuse a whole configuration because of one invalid server, so those are left out.
    """
    listed = body.get("iceServers")
    if not isinstance(listed, list):
        return None
    found: list[IceServer] = []
    room = MAX_ICE_URLS
    for server in filter(None, map(_ice_server, as_mappings(listed[:MAX_LISTED_ICE_SERVERS]))):
        if urls := server.urls[:room]:
            found.append(replace(server, urls=urls))
            room -= len(urls)
    return tuple(found)


def _ice_server(source: JsonObject) -> IceServer | None:
    """Return a server with its valid links; credentials are for TURN only."""
    username, credential = map(_as_credential, (source.get("username"), source.get("credential")))
    sent = source.get("urls")
    listed = [sent] if isinstance(sent, str) else as_list(sent)[:MAX_LISTED_ICE_SERVERS]
    links = [link for link in map(as_str, listed) if link and _is_ice_url(link)]
    if username is None or credential is None:
        links = [link for link in links if link.startswith("stun:")]
        username = credential = None
    if not links:
        return None
    return IceServer(urls=tuple(links), username=username, credential=credential)


def _is_ice_url(link: str) -> bool:
    """Whether a link is one of RFC 7064 or 7065 to a host on the public internet."""
    found = _ICE_URL.fullmatch(link) if len(link) <= MAX_ICE_URL_LENGTH else None
    if found is None or int(found["port"] or 1) not in _PORTS:
        return False
    if found["scheme"] == "stun" and found["query"]:
        return False
    host = found["host"]
    try:
        return is_public_address(host.strip("[]"))
    except ValueError:
        return is_public_name(host)


def _as_credential(value: object) -> str | None:
    found = as_str(value)
    if found is None or not found.isprintable():
        return None
    return found if len(found.encode()) <= MAX_CREDENTIAL_BYTES else None


def command_errors(answer: JsonObject) -> tuple[Any, ...]:
    """Return the errors in a command's answer, from `body` or the top level (protocol.md 3.4)."""
    found: list[Any] = []
    for level in (answer, as_mapping(answer.get("body"))):
        errors = level.get("errors")
        found += errors[:MAX_ERRORS] if isinstance(errors, list) else [errors] if errors else []
    return tuple(found)
