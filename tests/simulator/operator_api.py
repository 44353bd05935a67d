"""The operator page and its JSON interface."""

from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from tests.simulator.actions import ACTIONS, run_action
from tests.simulator.cloud import CLOUD, Cloud
from tests.simulator.house import Bridge, Door, Home, Json, Light, Module, Panel
from tests.simulator.houses import HOUSES
from tests.simulator.paths import PUSH, SIGNALING
from tests.simulator.rtc_settings import RtcSettings

if TYPE_CHECKING:
    from tests.simulator.connection import Connection

PAGE = Path(__file__).with_name("operator.html")
SCRIPTS = {
    "calls.js": Path(__file__).with_name("operator_calls.js"),
    "sessions.js": Path(__file__).with_name("operator_sessions.js"),
}
NEWEST = 10_000
SHOWN_VIOLATIONS = 50
SHOWN_SESSIONS = 8


async def page(_: web.Request) -> web.FileResponse:
    """Return the page."""
    return web.FileResponse(PAGE, headers={"Cache-Control": "no-store"})


async def script(request: web.Request) -> web.FileResponse:
    """Return one of the page's scripts."""
    wanted = SCRIPTS[request.path.rpartition("/")[2]]
    return web.FileResponse(wanted, headers={"Cache-Control": "no-store"})


async def redirect(_: web.Request) -> web.Response:
    """Redirect the root path to the page."""
    raise web.HTTPFound("/operator/")


async def state(request: web.Request) -> web.Response:
    """Return the whole state except the journal."""
    return web.json_response(_state(request.app[CLOUD]))


async def journal(request: web.Request) -> web.Response:
    """Return those of the `last` journal entries whose number is above `after`."""
    try:
        after = int(request.query.get("after", "0"))
        last = int(request.query.get("last", str(NEWEST)))
    except ValueError:
        return _error(400, "after and last must be numbers")
    entries = request.app[CLOUD].journal.newest(last, after=after)
    return web.json_response({"entries": [entry.as_json() for entry in entries]})


async def action(request: web.Request) -> web.Response:
    """Run the action named by the path and return the new state, or `{}` with `?brief`.

    Only JSON is accepted, because a form on another site cannot send it cross-origin.
    """
    name, cloud = request.match_info["action"], request.app[CLOUD]
    if name not in ACTIONS:
        return _error(404, f"the action must be one of {', '.join(ACTIONS)}")
    try:
        arguments = await request.json()
    except ValueError:
        arguments = None
    if request.content_type != "application/json" or not isinstance(arguments, dict):
        return _error(400, "the body must be a JSON object, {} without arguments")
    try:
        run_action(cloud, name, arguments)
    except KeyError as error:
        return _error(404, f"{error.args[0]} is unknown")
    except ValueError as error:
        return _error(400, str(error))
    return web.json_response({} if "brief" in request.query else _state(cloud))


def _error(status: int, why: str) -> web.Response:
    return web.json_response({"error": why}, status=status)


def _state(cloud: Cloud) -> Json:
    return {
        "now": cloud.clock(),
        "account": _account(cloud),
        "cloud": _cloud(cloud),
        "house": cloud.house_name,
        "houses": list(HOUSES),
        "homes": [_home(cloud, home) for home in cloud.house.homes],
        "calls": [call.as_json() for call in cloud.calls.values()],
        "connections": [
            _connection(cloud, connection)
            for connection in sorted(cloud.connections, key=lambda connection: connection.number)
        ],
        "sockets": {name: getattr(cloud.sockets, name) for name in cloud.sockets.names()},
        "rtc": _rtc(cloud),
        "violations": {
            "count": len(cloud.violations),
            "last": cloud.violations[-SHOWN_VIOLATIONS:],
        },
        "journal": len(cloud.journal),
    }


def _rtc(cloud: Cloud) -> Json:
    rtc = cloud.rtc
    shown = [each.as_json() for each in rtc.sessions.values()][-SHOWN_SESSIONS:]
    names = ("offers", "answers", "terminates", "held_slots", "peak")
    known: Json = {name: getattr(rtc, name) for name in names}
    settings = {name: getattr(rtc.settings, name) for name in rtc.settings.names()}
    fresh = RtcSettings()
    defaults = {name: getattr(fresh, name) for name in rtc.settings.names() if name != "peer"}
    return known | {"settings": settings, "defaults": defaults, "sessions": shown}


def _account(cloud: Cloud) -> Json:
    account = cloud.account
    return {
        "email": account.email,
        "password": account.password,
        "user_id": account.user_id,
        "logins": account.logins,
        "signed_in": account.live_families(),
        "client_retired": account.client_retired,
        "token_lifetime": account.token_lifetime,
    }


def _cloud(cloud: Cloud) -> Json:
    return {
        "down": None if cloud.down is None else {"status": cloud.down[0], "html": cloud.down[1]},
        "limit": cloud.limit,
        "failures": cloud.faults.pending(),
        "command_errors_at": cloud.command_errors_at,
        "unreachable_shown": cloud.unreachable_shown,
        "commands_without_push": cloud.commands_without_push,
        "lists_at": cloud.lists_at,
        "bridged_as": cloud.bridged_as,
        "configs_refused": cloud.configs_refused,
        "subscribed": {path: _subscribed(cloud, path) for path in (PUSH, SIGNALING)},
    }


def _subscribed(cloud: Cloud, path: str) -> int:
    return sum(connection.subscribed for connection in cloud.connections if connection.path == path)


def _connection(cloud: Cloud, connection: Connection) -> Json:
    shown = ("number", "path", "opened_at", "subscribed", "subscriptions", "pings", "frames_sent")
    known: Json = {name: getattr(connection, name) for name in shown}
    return known | {
        "half_open": connection.stalled,
        "receives_pushes": cloud.receives_pushes(connection),
    }


def _home(cloud: Cloud, home: Home) -> Json:
    modules = [_module(cloud, home, module) for module in home.modules.values()]
    return {"id": home.id, "name": home.name, "modules": modules}


def _module(cloud: Cloud, home: Home, module: Module) -> Json:
    common: Json = {
        "id": module.id,
        "type": module.type,
        "name": module.name,
        "bridge": module.bridge,
        "reachable": home.reaches(module),
        "refusal": module.refusal,
    }
    return common | _kind_fields(cloud, module)


def _kind_fields(cloud: Cloud, module: Module) -> Json:
    """Return the fields of this kind of module, without values that change on their own."""
    match module:
        case Bridge():
            return {
                "kind": "bridge",
                "wifi_strength": module.wifi_strength,
                "booted_at": module.booted_at,
                "configs": module.configs,
            }
        case Door():
            last = module.openings[-1].at if module.openings else None
            return {"kind": "door", "openings": len(module.openings), "last_opened": last}
        case Light():
            return {"kind": "light", "on": module.is_on(cloud.clock())}
        case Panel():
            return {"kind": "panel", "voice_only": module.voice_only}
    return {"kind": "other"}
