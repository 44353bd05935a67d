"""The intercom's own settings: do not disturb, Professional studio."""

from types import MappingProxyType
from typing import TYPE_CHECKING

from aiohttp import web

from tests.simulator.api import APP_TYPE, home_of, json_of
from tests.simulator.cloud import CLOUD, Cloud
from tests.simulator.gate import ENTRY
from tests.simulator.house import REFUSED_BY_MODULE, UNREACHABLE, Bridge, Home, Json
from tests.simulator.refusal import Kinds, api, fault_in

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIXES: Mapping[str, str] = MappingProxyType(
    {"do_not_disturb": "dnd_", "professional_studio": "ps_"}
)
FIELDS: Mapping[str, Kinds] = MappingProxyType(
    {
        "enabled": bool,
        "mode": int,
        "duration": int,
        "end_time_duration": int,
        "days": str,
        "start_time": str,
        "end_time": str,
    }
)
SETTINGS: Mapping[str, Kinds] = MappingProxyType(dict.fromkeys(PREFIXES, dict))
#: Those of which anybody has told; an intercom may be in another.
MODES = (0, 1, 2, 3)
FOR_A_TIME = 1
MINUTE_MS = 60_000
#: Milliseconds that a time may be off.
TOLERANCE_MS = 60_000


async def getconfigs(request: web.Request) -> web.Response:
    """Answer with the settings of some intercoms of one home."""
    cloud = request.app[CLOUD]
    given = await _checked(request, {"home_id": str, "module_ids": list})
    home = home_of(cloud, given["home_id"])
    wanted = [_bridge(home, each) for each in _some(given["module_ids"], "module_ids")]
    shown = [_shown(bridge) for bridge in wanted if bridge.reachable]
    body: Json = {"home": {"id": home.id, "modules": shown}}
    lost = [bridge.id for bridge in wanted if not bridge.reachable]
    if lost:
        body["errors"] = [{"code": UNREACHABLE, "id": each} for each in lost]
    return web.json_response({"status": "ok", "time_server": int(cloud.clock()), "body": body})


async def setconfigs(request: web.Request) -> web.Response:
    """Change settings; what an intercom refuses hides in a 200, as with commands."""
    cloud = request.app[CLOUD]
    sent = (await _checked(request, {"home": dict}))["home"]
    given = sent if isinstance(sent, dict) else {}
    if fault := fault_in(given, {"id": str, "modules": list}):
        raise api(21, f"home.{fault}", noted=True)
    home = home_of(cloud, given["id"])
    changes = [_change(cloud, home, each) for each in _some(given["modules"], "home.modules")]
    errors = [error for bridge, one in changes if (error := _carry_out(cloud, bridge, one))]
    answer: Json = {"status": "ok", "time_server": int(cloud.clock())}
    if errors:
        request[ENTRY].refused = "by the intercom: " + ", ".join(str(error) for error in errors)
        answer |= {"body": {"errors": errors}}
    return web.json_response(answer)


async def _checked(request: web.Request, required: Mapping[str, Kinds]) -> Json:
    """Return the fields of a request that names the app as these two want it."""
    cloud, given = request.app[CLOUD], await json_of(request)
    if cloud.configs_refused is not None:
        raise api(cloud.configs_refused, "it knows no settings here")
    if given.get("app_identifier") != APP_TYPE:
        raise api(13, f"app_identifier is {given.get('app_identifier', 'missing')}", noted=True)
    if fault := fault_in(given, {"app_identifier": str, **required}):
        raise api(21, fault, noted=True)
    return given


def _some(given: object, name: str) -> list[object]:
    if not isinstance(given, list) or not given:
        raise api(21, f"{name} is empty", noted=True)
    return given


def _bridge(home: Home, wanted: object) -> Bridge:
    module = home.modules.get(wanted) if isinstance(wanted, str) else None
    if module is None:
        raise api(9, f"no module {wanted}")
    if not isinstance(module, Bridge):
        raise api(21, f"{wanted} is no intercom", noted=True)
    return module


def _shown(bridge: Bridge) -> Json:
    return {"id": bridge.id, "type": bridge.type, **bridge.configs}


def _change(cloud: Cloud, home: Home, sent: object) -> tuple[Bridge, Json]:
    """Return one intercom and what is to be changed of it, all of it well formed."""
    given = sent if isinstance(sent, dict) else {}
    frame: Mapping[str, Kinds] = {"id": str, "type": str, "last_configs_update": int}
    if fault := fault_in(given, frame, SETTINGS):
        raise api(21, f"modules: {fault}", noted=True)
    bridge = _bridge(home, given["id"])
    changes = {name: fields for name, fields in given.items() if name in PREFIXES}
    if not changes or given["type"] != bridge.type:
        raise api(21, f"modules: no setting of a {given['type']}", noted=True)
    if abs(given["last_configs_update"] - cloud.clock() * 1000) > TOLERANCE_MS:
        cloud.report_violation("setconfigs: last_configs_update is not the time of the change")
    for name, fields in changes.items():
        told = {field: type(value) for field, value in bridge.configs.get(name, {}).items()}
        known = {PREFIXES[name] + field: kind for field, kind in FIELDS.items()}
        if fault := fault_in(fields, {}, told | known):
            raise api(21, f"{name}: {fault}", noted=True)
    return bridge, changes


def _carry_out(cloud: Cloud, bridge: Bridge, changes: Json) -> Json | None:
    """Change the settings of one intercom; return its entry in `errors[]` if it failed."""
    if not bridge.reachable:
        return {"code": UNREACHABLE, "id": bridge.id}
    if not changes.keys() <= bridge.configs.keys():
        return {"code": REFUSED_BY_MODULE, "id": bridge.id}
    for name, fields in changes.items():
        if isinstance(fields, dict):
            for oddity in _oddities(name, bridge.configs[name], fields, cloud.clock() * 1000):
                cloud.report_violation(f"setconfigs: {name}: {oddity}")
            bridge.configure(name, fields, cloud.clock())
    return None


def _oddities(name: str, before: Json, fields: Json, now: float) -> list[str]:
    """Return what nobody who has read a setting would make of it."""
    prefix = PREFIXES[name]
    mode, end, length = (
        fields.get(prefix + field) for field in ("mode", "end_time_duration", "duration")
    )
    found = [f"{field} was read and is not sent back" for field in before if field not in fields]
    if before.get(prefix + "mode") not in MODES:
        found.append(f"mode {before.get(prefix + 'mode')} was overwritten")
    if mode not in MODES:
        found.append(f"mode {mode} is none that anybody has seen")
    if mode == FOR_A_TIME:
        if not isinstance(end, int) or end <= now:
            found.append(f"ends at {end}, which is not ahead")
        elif name == "do_not_disturb" and isinstance(length, int):
            off = abs(end - now - length * MINUTE_MS) > TOLERANCE_MS
            found += [f"ends {end - now} ms ahead, not {length} minutes"] if off else []
    return found
