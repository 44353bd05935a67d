"""The vendor's REST API: homes, status, commands, events, TURN credentials."""

import secrets
from typing import TYPE_CHECKING

from aiohttp import web

from tests.simulator.cloud import CLOUD, Cloud
from tests.simulator.errors import Types, api_error, field_error
from tests.simulator.house import REFUSED_BY_MODULE, UNREACHABLE, Home, Json, Module
from tests.simulator.middleware import ENTRY

if TYPE_CHECKING:
    from collections.abc import Mapping

APP_TYPE = "app_camera"
HIDDEN_BY_DEVICE_TYPES = "BNC3"
COMMANDS: Mapping[str, type] = {"lock": bool, "on": bool}
TURN_SECONDS = 3600


async def homesdata(request: web.Request) -> web.Response:
    """Return all homes and their modules."""
    cloud = request.app[CLOUD]
    given = await _checked(request, {}, optional={"sync_measurements": bool, "device_types": list})
    hidden = HIDDEN_BY_DEVICE_TYPES if "device_types" in given else None
    if hidden:
        cloud.report_violation(f"{request.path}: device_types leaves out {hidden}")
    user = {"email": cloud.email, "id": cloud.user_id}
    homes = [_described(cloud, home, hidden) for home in cloud.house.homes]
    return _ok(cloud, {"user": user, "homes": homes}, timed=True)


async def homestatus(request: web.Request) -> web.Response:
    """Return the state of one home."""
    cloud = request.app[CLOUD]
    home = home_of(cloud, (await _checked(request, {"home_id": str}))["home_id"])
    lost = {module.id for module in home.modules.values() if not home.reaches(module)}
    shown = [
        _status(cloud, home, module)
        for module in home.modules.values()
        if not module.silent and (module.id not in lost or cloud.unreachable_shown == "both")
    ]
    body: Json = {"home": {"id": home.id, "modules": shown}}
    errors = [{"code": UNREACHABLE, "id": each} for each in home.modules if each in lost]
    found: Json = {"errors": errors} if errors else {}
    if cloud.lists_at == "other":
        return _ok(cloud, body, beside=found)
    return _ok(cloud, body | found)


async def setstate(request: web.Request) -> web.Response:
    """Run commands; a command that a module refuses is reported inside a 200."""
    cloud = request.app[CLOUD]
    sent = (await _checked(request, {"home": dict}))["home"]
    home, commands = _commands(cloud, sent)
    errors = [error for command in commands if (error := _execute(cloud, home, command))]
    if errors:
        request[ENTRY].refused = "by the module: " + ", ".join(str(error) for error in errors)
    answer: Json = {"status": "ok", "time_server": int(cloud.clock())}
    if errors and cloud.command_errors_at == "body":
        answer["body"] = {"errors": errors}
    elif errors:
        answer["errors"] = errors
    return web.json_response(answer)


async def getevents(request: web.Request) -> web.Response:
    """Return the newest events of one home."""
    cloud = request.app[CLOUD]
    given = await _checked(request, {"home_id": str, "size": int})
    home = home_of(cloud, given["home_id"])
    size = given["size"]
    if not isinstance(size, int) or size < 1:
        raise api_error(21, f"size is {size}", violation=True)
    events = [cloud.pictures.with_links(event, cloud.url) for event in home.events[:size]]
    if cloud.lists_at == "other":
        return _ok(cloud, {"home": {"id": home.id}, "events": events})
    return _ok(cloud, {"home": {"id": home.id, "events": events}})


async def turn(request: web.Request) -> web.Response:
    """Return a TURN server with credentials; the app fields are optional here."""
    cloud = request.app[CLOUD]
    given = await json_of(request)
    fault = field_error(given, {"client_type": str}, {"app_type": str, "app_version": str})
    if fault or given["client_type"] != "user":
        raise api_error(21, fault or "client_type must be user", violation=True)
    server = {
        "urls": ["turn:turn.example:3478?transport=udp"],
        "username": f"{int(cloud.clock()) + TURN_SECONDS}:u",
        "credential": secrets.token_urlsafe(16),
        "credentialType": "password",
    }
    servers: Json = {"iceServers": [server]}
    return web.json_response(servers if cloud.lists_at == "other" else {"body": servers})


async def _checked(
    request: web.Request, required: Mapping[str, Types], optional: Mapping[str, Types] | None = None
) -> Json:
    """Return the validated fields of a request, the app fields among them."""
    given = await json_of(request)
    if given.get("app_type") != APP_TYPE:
        raise api_error(13, f"app_type is {given.get('app_type', 'missing')}", violation=True)
    fault = field_error(given, {"app_type": str, "app_version": str, **required}, optional)
    if fault:
        raise api_error(21, fault, violation=True)
    return given


async def json_of(request: web.Request) -> Json:
    """Return the JSON object of a request, after checks of token, usage limit and format."""
    cloud = request.app[CLOUD]
    _check_token(cloud, request)
    _check_limit(cloud)
    if request.content_type != "application/json":
        raise api_error(21, f"content type {request.content_type}", violation=True)
    try:
        given = await request.json()
    except ValueError as error:
        raise api_error(21, "invalid JSON", violation=True) from error
    if not isinstance(given, dict):
        raise api_error(21, "not a JSON object", violation=True)
    return given


def _check_token(cloud: Cloud, request: web.Request) -> None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer":
        raise api_error(2, "no bearer token", violation=True)
    code = cloud.account.token_error(token)
    if code is not None:
        raise api_error(code, "the access token is not valid")


def _check_limit(cloud: Cloud) -> None:
    if cloud.limit is None:
        return
    allowed, seconds = cloud.limit
    now = cloud.clock()
    while cloud.request_times and cloud.request_times[0] <= now - seconds:
        cloud.request_times.popleft()
    if len(cloud.request_times) >= allowed:
        raise api_error(26, f"more than {allowed} requests in {seconds} s")
    cloud.request_times.append(now)


def home_of(cloud: Cloud, home_id: object) -> Home:
    """Return a home of the account; any other id is an error."""
    home = cloud.house.home(home_id) if isinstance(home_id, str) else None
    if home is None:
        raise api_error(13, f"no home {home_id} in this account")
    return home


def _commands(cloud: Cloud, sent: object) -> tuple[Home, list[Json]]:
    """Return the home and the validated commands of a setstate request."""
    given = sent if isinstance(sent, dict) else {}
    fault = field_error(given, {"id": str, "timezone": str, "modules": list})
    if fault:
        raise api_error(21, f"home.{fault}", violation=True)
    home = home_of(cloud, given["id"])
    if given["timezone"] != home.timezone:
        cloud.report_violation(
            f"setstate: timezone is {given['timezone']}, the home's is {home.timezone}"
        )
    commands = given["modules"]
    if not commands:
        raise api_error(21, "home.modules is empty", violation=True)
    for command in commands:
        _check_command(home, command)
    return home, commands


def _check_command(home: Home, command: object) -> None:
    given = command if isinstance(command, dict) else {}
    fault = field_error(given, {"id": str, "bridge": str}, COMMANDS)
    if not fault and len(given) != 3:
        fault = "exactly one command is required"
    if fault:
        raise api_error(21, f"modules: {fault}", violation=True)
    if given["id"] not in home.modules:
        raise api_error(9, f"no module {given['id']}")


def _execute(cloud: Cloud, home: Home, command: Json) -> Json | None:
    """Run one command; return its entry in `errors[]` if it failed."""
    if cloud.commands_without_push == "refused" and not cloud.is_push_open:
        return {"code": UNREACHABLE, "id": command["bridge"]}
    module = home.modules[str(command["id"])]
    name = "lock" if "lock" in command else "on"
    error: Json = {"command": name, "id": module.id}
    if command["bridge"] != module.bridge or not home.reaches(module):
        return {"code": UNREACHABLE} | error
    if module.refusal is not None:
        return {"code": module.refusal} | error
    if not module.command(name, command[name] is True, cloud.clock()):
        return {"code": REFUSED_BY_MODULE} | error
    return None


def _described(cloud: Cloud, home: Home, hidden: str | None) -> Json:
    bridged: dict[str, object] = {**home.bridged()}
    if cloud.bridged_as == "objects":
        bridged = {key: [{"id": each} for each in ids] for key, ids in home.bridged().items()}
    modules = [
        module.topology_entry()
        | ({"modules_bridged": bridged[module.id]} if module.id in bridged else {})
        for module in home.modules.values()
        if module.listed and module.type != hidden
    ]
    described: Json = {
        "id": home.id,
        "name": home.name,
        "timezone": home.timezone,
        "coordinates": list(home.coordinates),
        "country": home.country,
    }
    return described | ({"modules": modules} if home.lists_modules else {})


def _status(cloud: Cloud, home: Home, module: Module) -> Json:
    reached = home.reaches(module)
    fields: Json = {"reachable": reached} if module.reports_reachable or not reached else {}
    return module.status(cloud.clock()) | fields


def _ok(
    cloud: Cloud, body: Json, *, timed: bool = False, beside: Json | None = None
) -> web.Response:
    time: Json = {"time_server": int(cloud.clock())} if timed else {}
    return web.json_response({"status": "ok"} | time | {"body": body} | (beside or {}))
