"""Actions of the history: hand out a span of calls, delete calls."""

from dataclasses import dataclass
from datetime import MINYEAR, datetime, timedelta
from functools import partial
import math
from typing import TYPE_CHECKING, Any, Final

from homeassistant.const import ATTR_CONFIG_ENTRY_ID, ATTR_DEVICE_ID
from homeassistant.core import SupportsResponse, callback
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.service import async_register_admin_service
from homeassistant.util import dt as dt_util
import voluptuous as vol

from ..client import ModuleKind
from ..const import DOMAIN
from ..errors import refused
from ..service_helpers import async_find_accounts, async_find_module, async_readable_homes
from .formatting import async_call_formatter
from .http import picture_path
from .records import KINDS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse
    from homeassistant.util.json import JsonValueType

    from ..client import Home, Module
    from ..runtime import BticinoConfigEntry
    from .formatting import CallFormatter
    from .records import CallRecord

EXPORT_CALLS: Final = "export_calls"
DELETE_CALLS: Final = "delete_calls"
ATTR_START: Final = "start"
ATTR_END: Final = "end"
ATTR_CALL_ID: Final = "call_id"
ATTR_ALL: Final = "all"
DEFAULT_SPAN: Final = timedelta(days=30)

_EXPORT_SCHEMA: Final = vol.Schema(
    {
        vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string,
        vol.Optional(ATTR_DEVICE_ID): cv.string,
        vol.Optional(ATTR_START): cv.datetime,
        vol.Optional(ATTR_END): cv.datetime,
    }
)
_DELETE_SCHEMA: Final = vol.Schema(
    {
        vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string,
        vol.Optional(ATTR_CALL_ID, default=[]): vol.All(cv.ensure_list, [cv.string]),
        vol.Optional(ATTR_ALL, default=False): cv.boolean,
    }
)


@callback
def async_setup_history_actions(hass: HomeAssistant) -> None:
    """Register the actions; whoever may see the calls in the calendar may also take them along."""
    hass.services.async_register(
        DOMAIN,
        EXPORT_CALLS,
        partial(_export_calls, hass),
        _EXPORT_SCHEMA,
        SupportsResponse.ONLY,
    )
    async_register_admin_service(
        hass, DOMAIN, DELETE_CALLS, partial(_delete_calls, hass), _DELETE_SCHEMA
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """Which calls are asked for: those that began in a span of time, if asked for at a module."""

    since: float
    until: float
    at: Module | None

    def fits(self, call: CallRecord) -> bool:
        """Whether a call is among them."""
        if not self.since <= call.time < self.until:
            return False
        if self.at is None:
            return True
        if self.at.kind is ModuleKind.PANEL:
            return call.panel_id == self.at.id
        return call.bridge_id == self.at.intercom_id


async def _export_calls(hass: HomeAssistant, call: ServiceCall) -> ServiceResponse:
    """Answer with the calls of a span, oldest first, account by account."""
    entries = async_find_accounts(hass, call.data.get(ATTR_CONFIG_ENTRY_ID))
    module = None
    if device_id := call.data.get(ATTR_DEVICE_ID):
        owner, module = async_find_module(hass, device_id)
        entries = [entry for entry in entries if entry.entry_id == owner.entry_id]
    kept = [entry for entry in entries if entry.runtime_data.history.is_kept]
    if entries and not kept:
        raise refused("no_history")
    wanted = _wanted(call.data, module)
    found: list[JsonValueType] = []
    for entry in kept:
        calls, words = (
            entry.runtime_data.history.calls,
            async_call_formatter(entry.runtime_data.coordinator),
        )
        homes = await async_readable_homes(hass, entry, call)
        export = partial(_exported, entry.entry_id, calls, wanted, words, homes)
        found += await hass.async_add_executor_job(export)
    return {"calls": found}


def _seconds(moment: datetime) -> float:
    """Return a moment as the cloud counts; those at the calendar's ends may have no other zone."""
    try:
        return dt_util.as_utc(moment).timestamp()
    except OverflowError, ValueError:
        return -math.inf if moment.year == MINYEAR else math.inf


def _wanted(data: Mapping[str, Any], module: Module | None) -> _Wanted:
    start, end = data.get(ATTR_START), data.get(ATTR_END)
    # Without an end there is none: the cloud's clock may be ahead of ours.
    until = math.inf if end is None else _seconds(end)
    if start is None:
        newest = dt_util.utcnow().timestamp() if end is None else until
        since = newest - DEFAULT_SPAN.total_seconds()
    else:
        since = _seconds(start)
    if since >= until:
        raise refused("end_before_start")
    return _Wanted(since=since, until=until, at=module)


def _exported(
    entry_id: str,
    calls: tuple[CallRecord, ...],
    wanted: _Wanted,
    words: CallFormatter,
    homes: Mapping[str, Home],
) -> list[JsonValueType]:
    in_homes = ((call, homes.get(words.home_id(call) or "")) for call in calls)
    return [
        _told(call, home, words) | {"pictures": _paths(entry_id, call)}
        for call, home in in_homes
        if home is not None and wanted.fits(call)
    ]


def _told(call: CallRecord, home: Home, words: CallFormatter) -> dict[str, JsonValueType]:
    return {
        "id": call.id,
        "home": home.name,
        "panel": words.panel(call),
        "start": _iso(call.time),
        "end": None if call.ended_at is None else _iso(call.ended_at),
        "outcome": call.outcome,
        "answered_by": call.answered_by,
        "ended_by": call.ended_by,
        "duration": None if call.duration is None else round(call.duration),
    }


def _paths(entry_id: str, call: CallRecord) -> list[JsonValueType]:
    return [picture_path(entry_id, call.id, kind) for kind in KINDS if call.kept(kind)]


def _iso(time: float) -> str:
    return dt_util.as_local(dt_util.utc_from_timestamp(time)).isoformat()


@callback
def _delete_calls(hass: HomeAssistant, call: ServiceCall) -> None:
    """Delete single calls, all of which have to be there, or every call."""
    ids, is_all = call.data[ATTR_CALL_ID], call.data[ATTR_ALL]
    if bool(ids) == is_all:
        raise refused("calls_or_all")
    entries = async_find_accounts(hass, call.data.get(ATTR_CONFIG_ENTRY_ID))
    if is_all:
        for entry in entries:
            entry.runtime_data.history.async_delete_all()
    else:
        _delete(entries, ids)


def _delete(entries: Collection[BticinoConfigEntry], ids: Collection[str]) -> None:
    histories = [entry.runtime_data.history for entry in entries]
    found = [[c for i in ids if (c := history.call(i)) is not None] for history in histories]
    if set(ids) - {call.id for calls in found for call in calls}:
        raise refused("call_unknown")
    for history, calls in zip(histories, found, strict=True):
        if calls:
            history.async_delete(calls)
