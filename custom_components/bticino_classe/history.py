"""What became of the calls: the last of each intercom, and those missed since somebody looked."""

from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
import math
from typing import TYPE_CHECKING, Any, Final

from homeassistant.core import callback
from homeassistant.exceptions import UnsupportedStorageVersionError
from homeassistant.helpers.storage import Store

from .client.calls import CallState, Happening
from .const import DOMAIN, LOGGER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from homeassistant.core import HomeAssistant

    from .client import Event
    from .client.calls import CallChange

STORAGE_VERSION: Final = 1
SAVE_DELAY: Final = 2.0  # seconds
REMEMBERED_MISSED: Final = 200
OUTCOMES: Final = tuple(state.value for state in CallState)
_FINAL: Final = (CallState.ANSWERED, CallState.MISSED)
_OUTCOMES_BY_PART: Final = {"accepted_call": CallState.ANSWERED, "missed_call": CallState.MISSED}


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCall:
    """A call as it is remembered; `time` is in seconds since 1970, `seen` that somebody looked."""

    session_id: str
    bridge_id: str
    time: float
    outcome: str
    seen: bool = False


class CallHistory:
    """Survives restarts in a file of its own; times are the cloud's, given by `clock`."""

    def __init__(self, hass: HomeAssistant, entry_id: str, clock: Callable[[], float]) -> None:
        self._store = history_store(hass, entry_id)
        self._clock = clock
        self._last: dict[str, PastCall] = {}
        self._missed: dict[str, PastCall] = {}
        self._begun_at = 0.0

    async def async_load(self) -> None:
        """Take over what was remembered; what happened before the first start counts as seen."""
        try:
            stored = await self._store.async_load() or {}
        except UnsupportedStorageVersionError:
            LOGGER.warning("The history of calls is of a newer version and begins anew")
            stored = {}
        # The cloud's times are whole seconds.
        self._begun_at = stored.get("begun_at", math.floor(self._clock()))
        self._last = {call.bridge_id: _over(call) for call in _restored(stored.get("last"))}
        self._missed = {call.session_id: call for call in _restored(stored.get("missed"))}
        if "begun_at" not in stored:
            self._save()

    async def async_save(self) -> None:
        """Write at once what is still to be written: a reload reads it again."""
        await self._store.async_save(self._as_stored())

    def last(self, bridge_id: str) -> PastCall | None:
        """Return the newest call of an intercom."""
        return self._last.get(bridge_id)

    def missed(self, bridge_id: str) -> int:
        """Count the calls of an intercom that were missed since somebody looked."""
        calls = self._missed.values()
        return sum(call.bridge_id == bridge_id and not call.seen for call in calls)

    @callback
    def async_look(self, bridge_id: str) -> None:
        """Note that somebody has looked at an intercom's missed calls."""
        for session_id, call in self._missed.items():
            if call.bridge_id == bridge_id:
                self._missed[session_id] = replace(call, seen=True)
        self._save()

    @callback
    def async_add(self, change: CallChange) -> None:
        """Take note of what happened to a call."""
        if change.happening is not Happening.ENRICHED:
            call = change.call
            answered = call.answered_at is not None
            self._note(
                PastCall(
                    session_id=call.session_id,
                    bridge_id=call.bridge_id,
                    time=call.began_at,
                    outcome=CallState.ANSWERED if answered else call.state,
                )
            )

    @callback
    def async_add_events(self, events: Iterable[Event]) -> None:
        """Take note of the calls among the cloud's events, in whatever order they come."""
        for event in sorted(events, key=lambda event: event.time):
            if (call := _past_call(event)) is not None and not self._knows_better(call):
                self._note(replace(call, time=min(call.time, self._clock())))

    def _knows_better(self, call: PastCall) -> bool:
        """Whether the last call is this one, and more is known of it than that it was."""
        last = self._last.get(call.bridge_id)
        if last is None or last.session_id != call.session_id:
            return False
        return call.outcome == CallState.ENDED or last.outcome in _FINAL

    def _note(self, call: PastCall) -> None:
        last = self._last.get(call.bridge_id)
        if last is None or call.time >= last.time or call.session_id == last.session_id:
            self._last[call.bridge_id] = call
        if call.outcome == CallState.MISSED and call.time >= self._begun_at:
            self._missed.setdefault(call.session_id, call)
            self._missed = dict(list(self._missed.items())[-REMEMBERED_MISSED:])
        self._save()

    def _save(self) -> None:
        self._store.async_delay_save(self._as_stored, SAVE_DELAY)

    def _as_stored(self) -> dict[str, Any]:
        return {
            "begun_at": self._begun_at,
            "last": [asdict(call) for call in self._last.values()],
            "missed": [asdict(call) for call in self._missed.values()],
        }


def history_store(hass: HomeAssistant, entry_id: str) -> Store[dict[str, Any]]:
    """Return the file of an account's history, which only Home Assistant's user may read."""
    return Store(hass, STORAGE_VERSION, f"{DOMAIN}.{entry_id}", private=True)


def _restored(stored: object) -> Iterator[PastCall]:
    """Yield the calls that can be read: another version may have written others."""
    names = {field.name for field in fields(PastCall)}
    for each in stored if isinstance(stored, list) else ():
        with suppress(TypeError, AttributeError):
            yield PastCall(**{key: value for key, value in each.items() if key in names})


def _over(call: PastCall) -> PastCall:
    """Return a call as it is after a restart: nobody rings any more, whatever became of it."""
    ringing = call.outcome == CallState.RINGING
    return replace(call, outcome=CallState.ENDED) if ringing else call


def _past_call(event: Event) -> PastCall | None:
    """Read a call off an event: it began with its earliest part, and ended as any part says."""
    parts = [part for part in event.parts if part.type in {"incoming_call", *_OUTCOMES_BY_PART}]
    session_id = next((part.session_id for part in parts if part.session_id), None)
    if event.module_id is None or session_id is None:
        return None
    outcomes = {_OUTCOMES_BY_PART[part.type] for part in parts if part.type in _OUTCOMES_BY_PART}
    answered = CallState.ANSWERED in outcomes
    outcome = CallState.ANSWERED if answered else next(iter(outcomes), CallState.ENDED)
    return PastCall(
        session_id=session_id,
        bridge_id=event.module_id,
        time=min(part.time for part in parts),
        outcome=outcome.value,
    )
