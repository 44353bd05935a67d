"""getconfigs and setconfigs: the intercom's settings (do not disturb, Professional studio)."""

from types import MappingProxyType
from typing import TYPE_CHECKING

from aiohttp import web

from tests.simulator.api import APP_TYPE, home_of, json_of
from tests.simulator.cloud import CLOUD, Cloud
from tests.simulator.errors import Types, api_error, field_error
from tests.simulator.house import REFUSED_BY_MODULE, UNREACHABLE, Bridge, Home, Json
from tests.simulator.middleware import ENTRY

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIXES: Mapping[str, str] = MappingProxyType(
    {"do_not_disturb": "dnd_", "professional_studio": "ps_"}
)
FIELDS: Mapping[str, Types] = MappingProxyType(
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
#: Fields that every change repeats.
NEEDED = ("enabled", "mode")
SETTINGS: Mapping[str, Types] = MappingProxyType(dict.fromkeys(PREFIXES, dict))
#: The modes observed so far; an intercom may report others.
MODES = (0, 1, 2, 3)
TIMED = 1
MINUTE_MS = 60_000
#: Allowed deviation of a time, in milliseconds.
TOLERANCE_MS = 60_000


async def getconfigs(request: web.Request) -> web.Response:
    """Return the settings of some intercoms of one home."""
    cloud = request.app[CLOUD]
    given = await _checked(request, {"home_id": str, "module_ids": list})
    home = home_of(cloud, given["home_id"])
    wanted = [_bridge(home, each) for each in _non_empty(given["module_ids"], "module_ids")]
    shown = [_entry(bridge) for bridge in wanted if bridge.reachable]
    body: Json = {"home": {"id": home.id, "modules": shown}}
    lost = [bridge.id for bridge in wanted if not bridge.reachable]
    if lost:
        body["errors"] = [{"code": UNREACHABLE, "id": each} for each in lost]
    return web.json_response({"status": "ok", "time_server": int(cloud.clock()), "body": body})


async def setconfigs(request: web.Request) -> web.Response:
    """Change settings; a change that an intercom refuses is reported inside a 200."""
    cloud = request.app[CLOUD]
    sent = (await _checked(request, {"home": dict}))["home"]
    given = sent if isinstance(sent, dict) else {}
    if fault := field_error(given, {"id": str, "modules": list}):
        raise api_error(21, f"home.{fault}", violation=True)
    home = home_of(cloud, given["id"])
    changes = [_change(cloud, home, each) for each in _non_empty(given["modules"], "home.modules")]
    errors = [error for bridge, one in changes if (error := _apply(cloud, bridge, one))]
    answer: Json = {"status": "ok", "time_server": int(cloud.clock())}
    if errors:
        request[ENTRY].refused = "by the intercom: " + ", ".join(str(error) for error in errors)
        answer |= {"body": {"errors": errors}}
    return web.json_response(answer)


async def _checked(request: web.Request, required: Mapping[str, Types]) -> Json:
    """Return the validated fields of a request; these two paths take `app_identifier`."""
    cloud, given = request.app[CLOUD], await json_of(request)
    if cloud.configs_refused is not None:
        raise api_error(cloud.configs_refused, "no settings in the cloud")
    if given.get("app_identifier") != APP_TYPE:
        raise api_error(
            13, f"app_identifier is {given.get('app_identifier', 'missing')}", violation=True
        )
    if fault := field_error(given, {"app_identifier": str, **required}):
        raise api_error(21, fault, violation=True)
    return given


def _non_empty(given: object, name: str) -> list[object]:
    if not isinstance(given, list) or not given:
        raise api_error(21, f"{name} is empty", violation=True)
    return given


def _bridge(home: Home, wanted: object) -> Bridge:
    module = home.modules.get(wanted) if isinstance(wanted, str) else None
    if module is None:
        raise api_error(9, f"no module {wanted}")
    if not isinstance(module, Bridge):
        raise api_error(21, f"{wanted} is not an intercom", violation=True)
    return module


def _entry(bridge: Bridge) -> Json:
    return {"id": bridge.id, "type": bridge.type, **bridge.configs}


def _change(cloud: Cloud, home: Home, sent: object) -> tuple[Bridge, Json]:
    """Return one intercom and its validated changes."""
    given = sent if isinstance(sent, dict) else {}
    frame: Mapping[str, Types] = {"id": str, "type": str, "last_configs_update": int}
    if fault := field_error(given, frame, SETTINGS):
        raise api_error(21, f"modules: {fault}", violation=True)
    bridge = _bridge(home, given["id"])
    changes = {name: fields for name, fields in given.items() if name in PREFIXES}
    if not changes or given["type"] != bridge.type:
        raise api_error(21, f"modules: no setting of a {given['type']}", violation=True)
    if abs(given["last_configs_update"] - cloud.clock() * 1000) > TOLERANCE_MS:
        cloud.report_violation("setconfigs: last_configs_update is not the time of the change")
    for name, fields in changes.items():
        known = {PREFIXES[name] + field: kind for field, kind in FIELDS.items()}
        if fault := field_error(fields, {}, known):
            raise api_error(21, f"{name}: {fault}", violation=True)
    return bridge, changes


def _apply(cloud: Cloud, bridge: Bridge, changes: Json) -> Json | None:
    """Change the settings of one intercom; return its entry in `errors[]` if it failed."""
    if not bridge.reachable:
        return {"code": UNREACHABLE, "id": bridge.id}
    if not changes.keys() <= bridge.configs.keys():
        return {"code": REFUSED_BY_MODULE, "id": bridge.id}
    for name, fields in changes.items():
        if isinstance(fields, dict):
            for problem in _implausible(name, bridge.configs[name], fields, cloud.clock() * 1000):
                cloud.report_violation(f"setconfigs: {name}: {problem}")
            bridge.configure(name, fields, cloud.clock())
    return None


def _implausible(name: str, before: Json, fields: Json, now: float) -> list[str]:
    """Return what is implausible in a change, given the values read before."""
    prefix = PREFIXES[name]
    mode, end, length = (
        fields.get(prefix + field) for field in ("mode", "end_time_duration", "duration")
    )
    needed = (prefix + field for field in NEEDED if prefix + field in before)
    found = [f"{field} was read but not sent back" for field in needed if field not in fields]
    if name == "professional_studio" and before.get("ps_enabled") is not True:
        found.append("an intercom without the studio got one")
    if before.get(prefix + "mode") not in MODES:
        found.append(f"unknown mode {before.get(prefix + 'mode')} was overwritten")
    if mode not in MODES:
        found.append(f"mode {mode} was never observed")
    if mode == TIMED:
        if not isinstance(end, int) or end <= now:
            found.append(f"end {end} is not in the future")
        elif name == "do_not_disturb" and isinstance(length, int):
            off = abs(end - now - length * MINUTE_MS) > TOLERANCE_MS
            found += [f"ends in {end - now} ms, not in {length} minutes"] if off else []
    return found
