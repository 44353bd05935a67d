"""The cloud in the words of the house: homes, their state, doors, lights, what happened."""

from typing import TYPE_CHECKING, Any, Final

from . import configs, decode
from .const import APP_TYPE
from .errors import (
    AuthError,
    CommandRefusedError,
    NoAnswerError,
    OutcomeUnknownError,
    ServerError,
    UnexpectedAnswerError,
)
from .transport import Transport, error_kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .auth import AuthHandler
    from .configs import Setting, SettingKind, SettingMode, Settings
    from .models import Event, Home, IceServer, Module, ModuleState, Topology
    from .rate_limiter import RateLimiter

HOMES_PATH: Final = "/api/homesdata"
STATUS_PATH: Final = "/syncapi/v1/homestatus"
COMMAND_PATH: Final = "/syncapi/v1/setstate"
EVENTS_PATH: Final = "/api/getevents"
TURN_PATH: Final = "/api/getcredentials"


class Account:
    """Everything that the cloud does for one account.

    Every method raises AuthError, ApiError or NoAnswerError, all of them BticinoError; commands
    raise OutcomeUnknownError where they were sent and no clear answer came.
    """

    def __init__(self, auth: AuthHandler, *, budget: RateLimiter | None = None) -> None:
        self.auth = auth
        self.transport = Transport(auth, budget=budget)

    async def topology(self, *, urgent: bool = False) -> Topology:
        """Return all homes with their modules; `urgent` if a person waits for it (see Budget)."""
        # Naming device types here hides newer models (protocol.md 3.2).
        body = await self._read(HOMES_PATH, {"sync_measurements": False}, urgent=urgent)
        return _required(decode.topology(body))

    async def states(self, home_id: str) -> Mapping[str, ModuleState]:
        """Return the state of every module of a home that the cloud tells of, by id."""
        body = await self._read(STATUS_PATH, {"home_id": home_id})
        return _required(decode.states(body))

    async def events(self, home_id: str, *, size: int = 100) -> tuple[Event, ...]:
        """Return the newest events of a home, as many as `size` at the most."""
        body = await self._read(EVENTS_PATH, {"home_id": home_id, "size": size})
        return _required(decode.events(body))

    async def ice_servers(self) -> tuple[IceServer, ...]:
        """Return the media relays, with credentials that live for about an hour."""
        url = f"{self.auth.endpoints.turn}{TURN_PATH}"
        answer = await self.transport.request(url, {"client_type": "user"})
        return _required(decode.ice_servers(decode.as_mapping(answer.get("body"))))

    async def unlock(self, home: Home, door: Module) -> None:
        """Release a door, once."""
        await self._command(home, door, {"lock": False})

    async def switch_light(self, home: Home, light: Module, *, on: bool) -> None:
        """Switch a staircase light; one that is wired as a door opens on `on`."""
        await self._command(home, light, {"on": on})

    async def settings(
        self, home: Home, *, bridge: Module | None = None, urgent: bool = False
    ) -> Mapping[str, Settings]:
        """Return what is set at the intercoms of a home, or at one, by intercom.

        Models without such settings are listed without any, or the cloud refuses.
        """
        asked = home.bridges if bridge is None else (bridge,)
        question = configs.question(home.id, (each.id for each in asked))
        answer = await self._send(configs.READ_CONFIGS_PATH, question, urgent=urgent)
        found = configs.settings(decode.as_mapping(answer.get("body")))
        if not found:
            _raise_complaint(answer)
        return _required(found)

    async def change_setting(
        self,
        home: Home,
        bridge: Module,
        kind: SettingKind,
        *,
        mode: SettingMode | None = None,
        duration: int | None = None,
    ) -> Setting:
        """Read a setting, change it once, and return what was sent; `duration` in seconds.

        UnknownModeError: it is in a mode that is not known, and was left as it is.
        """
        known = (await self.settings(home, bridge=bridge, urgent=True)).get(bridge.id, {})
        now = self.transport.cloud_time()
        changed = _required(known.get(kind)).changed(now, mode=mode, duration=duration)
        await self._send_command(configs.WRITE_CONFIGS_PATH, configs.change(bridge, changed, now))
        return changed

    async def _read(
        self, path: str, fields: Mapping[str, Any], *, urgent: bool = False
    ) -> decode.Record:
        answer = await self._send(path, self._framed(fields), urgent=urgent)
        return decode.as_mapping(answer.get("body"))

    async def _command(self, home: Home, module: Module, change: Mapping[str, bool]) -> None:
        target = {"id": module.id, "bridge": module.bridge_id, **change}
        place = {"id": home.id, "timezone": home.timezone, "modules": [_known(target)]}
        await self._send_command(COMMAND_PATH, self._framed({"home": _known(place)}))

    async def _send_command(self, path: str, body: Mapping[str, Any]) -> None:
        """Send what changes something in the house, once, and judge what is answered."""
        try:
            answer = await self._send(path, body, urgent=True)
        except AuthError:
            raise  # no token, so no command
        except NoAnswerError as err:
            if not err.sent:
                raise
            raise OutcomeUnknownError from err
        except (ServerError, UnexpectedAnswerError) as err:
            raise OutcomeUnknownError from err
        _check(answer)

    async def _send(self, path: str, body: Mapping[str, Any], *, urgent: bool) -> Mapping[str, Any]:
        return await self.transport.request(f"{self.auth.endpoints.api}{path}", body, urgent=urgent)

    def _framed(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {"app_type": APP_TYPE, "app_version": self.auth.app_version, **fields}


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _required[Decoded](found: Decoded | None) -> Decoded:
    if found is None:
        raise UnexpectedAnswerError
    return found


def _check(answer: Mapping[str, Any]) -> None:
    """Raise what a command's answer complains of, although its HTTP status said success."""
    _raise_complaint(answer)
    if answer.get("status") != "ok":
        raise OutcomeUnknownError


def _raise_complaint(answer: Mapping[str, Any]) -> None:
    for error in decode.command_errors(answer):
        code = decode.as_int(decode.as_mapping(error).get("code"))
        raise (error_kind(code) or CommandRefusedError)(code=code)
