"""The API of an account: homes, states, events, commands, settings."""

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from . import configs, decode, values
from .const import APP_TYPE
from .error_codes import error_number, module_error
from .errors import (
    ApiError,
    AuthError,
    ForbiddenError,
    InvalidRequestError,
    NoAnswerError,
    NotFoundError,
    OutcomeUnknownError,
    ServerError,
    UnexpectedAnswerError,
)
from .transport import Transport

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from .auth import AuthHandler
    from .clock import CloudClock
    from .configs import Setting, SettingKind, SettingMode, Settings
    from .deadline import Deadline
    from .models import Event, Home, IceServer, Module, ModuleState, Topology

HOMES_PATH: Final = "/api/homesdata"
STATUS_PATH: Final = "/syncapi/v1/homestatus"
COMMAND_PATH: Final = "/syncapi/v1/setstate"
EVENTS_PATH: Final = "/api/getevents"
TURN_PATH: Final = "/api/getcredentials"


class Account:
    """Everything the cloud offers for one account.

    Methods raise AuthError, ApiError or NoAnswerError; a command that was sent but not clearly
    answered raises OutcomeUnknownError. `urgent` requests may use the whole rate limit. A command
    is not sent after its `deadline`: it raises DeadlineExpiredError.
    """

    def __init__(self, auth: AuthHandler) -> None:
        self.auth = auth
        self.transport = Transport(auth)

    @property
    def clock(self) -> CloudClock:
        """The cloud's time."""
        return self.transport.clock

    async def topology(self, *, urgent: bool = False) -> Topology:
        """Return all homes with their modules; `urgent` if a person waits for it.

        A home that is listed without modules has those of its status.
        """
        # A list of device types would hide newer models (protocol.md 3.2).
        body = await self._read(HOMES_PATH, {"sync_measurements": False}, urgent=urgent)
        topology = _required(decode.topology(body))
        return topology if topology.is_cut else await self._completed(topology, urgent=urgent)

    async def states(self, home_id: str) -> Mapping[str, ModuleState]:
        """Return the state of every module of a home that the cloud reports, by module id."""
        body = await self._read(STATUS_PATH, {"home_id": home_id})
        return _required(decode.states(body))

    async def events(self, home_id: str, *, size: int = 100) -> tuple[Event, ...]:
        """Return the newest events of a home, at most `size`."""
        body = await self._read(EVENTS_PATH, {"home_id": home_id, "size": size})
        return _required(decode.events(body, size))

    async def ice_servers(self) -> tuple[IceServer, ...]:
        """Return the TURN servers, with credentials that are valid for about an hour."""
        url = f"{self.auth.endpoints.turn}{TURN_PATH}"
        answer = await self.transport.request(url, {"client_type": "user"})
        return _required(decode.ice_servers(decode.body_of(answer)))

    async def unlock(
        self,
        home: Home,
        door: Module,
        *,
        deadline: Deadline | None = None,
    ) -> None:
        """Open a door; the command is sent once."""
        await self._command(home, door, {"lock": False}, deadline)

    async def switch_light(
        self, home: Home, light: Module, *, on: bool, deadline: Deadline | None = None
    ) -> None:
        """Switch a staircase light; a relay that is wired to a door opens it with `on`."""
        await self._command(home, light, {"on": on}, deadline)

    async def settings(
        self,
        home: Home,
        *,
        bridge: Module | None = None,
        urgent: bool = False,
        deadline: Deadline | None = None,
    ) -> Mapping[str, Settings]:
        """Return the settings of a home's intercoms, or of one of them, by intercom id.

        For models without settings the cloud returns none, or an error.
        """
        bridges = home.bridges if bridge is None else (bridge,)
        request = configs.read_request(home.id, (each.sent_id for each in bridges))
        path = configs.READ_CONFIGS_PATH
        answer = await self._send(path, request, urgent=urgent, deadline=deadline)
        found = configs.settings(decode.body_of(answer))
        if not found:
            _raise_module_error(answer)
        ids = {each.id for each in bridges}
        return {key: each for key, each in _required(found).items() if key in ids}

    async def change_setting(  # noqa: PLR0913 - a change has these parts
        self,
        home: Home,
        bridge: Module,
        kind: SettingKind,
        *,
        mode: SettingMode | None = None,
        duration: int | None = None,
        deadline: Deadline | None = None,
        write_lock: AbstractAsyncContextManager[None] | None = None,
        last_sent: Setting | None = None,
    ) -> Setting:
        """Read a setting, change it and return what was sent; `duration` is in seconds.

        `write_lock` is held while the change is sent. `last_sent` is changed instead if the cloud
        does not show it yet. UnknownModeError: the setting has an unknown mode and was not changed.
        """
        found = await self.settings(home, bridge=bridge, urgent=True, deadline=deadline)
        setting = _required(found.get(bridge.id, {}).get(kind))
        if last_sent is not None and setting.is_replaced_by(last_sent):
            setting = last_sent
        now = self.clock.now()
        changed = setting.changed(now, mode=mode, duration=duration)
        request = configs.write_request(bridge, changed, now)
        async with write_lock or nullcontext():
            await self._send_command(configs.WRITE_CONFIGS_PATH, request, deadline)
        return changed

    async def _completed(self, topology: Topology, *, urgent: bool) -> Topology:
        """Return the homes, those without modules with what their status contains.

        An error is raised only if there is no intercom without the home that failed.
        """
        homes = dict(topology.homes)
        for home in [home for home in homes.values() if not home.modules]:
            try:
                body = await self._read(STATUS_PATH, {"home_id": home.id}, urgent=urgent)
            except ForbiddenError, NotFoundError, InvalidRequestError:
                continue  # the cloud has nothing to say about this home
            except ApiError, NoAnswerError:
                if not any(each.bridges for each in homes.values()):
                    raise
                break
            homes[home.id] = decode.with_reported_modules(home, decode.states(body) or {})
        homes, is_cut = decode.limited_homes(homes)
        return replace(topology, homes=homes, is_cut=is_cut)

    async def _read(
        self, path: str, fields: Mapping[str, Any], *, urgent: bool = False
    ) -> values.JsonObject:
        answer = await self._send(path, self._with_app(fields), urgent=urgent)
        return decode.body_of(answer)

    async def _command(
        self, home: Home, module: Module, change: Mapping[str, bool], deadline: Deadline | None
    ) -> None:
        target = _without_none({"id": module.sent_id, "bridge": module.sent_bridge_id, **change})
        place = _without_none({"id": home.id, "timezone": home.timezone, "modules": [target]})
        await self._send_command(COMMAND_PATH, self._with_app({"home": place}), deadline)

    async def _send_command(
        self, path: str, body: Mapping[str, Any], deadline: Deadline | None
    ) -> None:
        """Send a command once and raise what its answer reports."""
        try:
            answer = await self._send(path, body, urgent=True, deadline=deadline)
        except AuthError:
            raise  # without a token nothing was sent
        except NoAnswerError as err:
            if not err.sent:
                raise
            raise OutcomeUnknownError from err
        except (ServerError, UnexpectedAnswerError) as err:
            raise OutcomeUnknownError from err
        _check(answer)

    async def _send(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        urgent: bool,
        deadline: Deadline | None = None,
    ) -> Mapping[str, Any]:
        url = f"{self.auth.endpoints.api}{path}"
        return await self.transport.request(url, body, urgent=urgent, deadline=deadline)

    def _with_app(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {"app_type": APP_TYPE, "app_version": self.auth.app_version, **fields}


def _without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _required[Decoded](found: Decoded | None) -> Decoded:
    if found is None:
        raise UnexpectedAnswerError
    return found


def _check(answer: Mapping[str, Any]) -> None:
    """Raise the error in a command's answer, whose HTTP status was success."""
    _raise_module_error(answer)
    if answer.get("status") != "ok":
        raise OutcomeUnknownError


def _raise_module_error(answer: Mapping[str, Any]) -> None:
    for error in map(values.as_mapping, decode.command_errors(answer)):
        code = error_number(error.get("code"))
        raise module_error(code)(code=code, module_id=values.as_id(error.get("id")))
