"""What must hold during a random walk, counted apart from the integration."""

from collections import Counter
from dataclasses import dataclass, field
import logging
from typing import TYPE_CHECKING, Any

from homeassistant.const import EVENT_STATE_CHANGED, STATE_UNAVAILABLE, STATE_UNKNOWN

from custom_components.bticino_classe.history.records import session_hash

if TYPE_CHECKING:
    from collections.abc import Iterable

    from homeassistant.core import Event, HomeAssistant

    from custom_components.bticino_classe.history.records import CallRecord
    from tests.integration.live.browser_client import BrowserView
    from tests.simulator.calls import Call


@dataclass(kw_only=True)
class Ring:
    """A call, the event entity that reports its ring, and whether it must, and may, be reported.

    `is_end_pushed` is whether Home Assistant has received its end.
    """

    call: Call
    doorbell: str
    must_ring: bool
    may_ring: bool = True
    is_end_pushed: bool = False
    is_missed: bool = False


@dataclass(kw_only=True)
class View:
    """A view of a camera; `left_after` is how many messages had come when its viewer left.

    `origin` is the line that tells its offer from others.
    """

    origin: str
    messages: list[dict[str, Any]]
    browser_view: BrowserView
    left_after: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has neither been left nor failed."""
        return self.left_after is None and "error" not in self.kinds

    @property
    def kinds(self) -> list[str]:
        """The types of its messages."""
        return [message["type"] for message in self.messages]

    def check(self) -> None:
        """At most one answer and one end, and nothing after the end."""
        assert self.kinds.count("answer") <= 1
        assert "error" not in self.kinds[:-1], f"messages after the end of a view: {self.kinds}"
        assert self.left_after in {None, len(self.messages)}, "a message to a viewer who has left"


@dataclass(kw_only=True)
class Presses:
    """How often a door may have been opened and how often it must have been, since the start."""

    at_least: int = 0
    at_most: int = 0


class Reported:
    """Counts what Home Assistant reports: events by entity and type, openings by lock."""

    def __init__(self, hass: HomeAssistant) -> None:
        self.events: Counter[tuple[str, str]] = Counter()
        self.openings: Counter[str] = Counter()
        hass.bus.async_listen(EVENT_STATE_CHANGED, self._on_change)

    async def _on_change(self, event: Event[Any]) -> None:
        old, new = event.data["old_state"], event.data["new_state"]
        is_restored = old is None or old.state == STATE_UNAVAILABLE
        if new is None or is_restored or new.state in {STATE_UNAVAILABLE, STATE_UNKNOWN}:
            return
        if new.domain == "event":
            self.events[new.entity_id, new.attributes["event_type"]] += 1
        if new.domain == "lock" and new.state == "open":
            self.openings[new.entity_id] += 1


@dataclass(kw_only=True)
class Model:
    """All calls, views and presses of a walk."""

    reported: Reported
    rings: list[Ring] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    presses: dict[str, Presses] = field(default_factory=dict)

    @property
    def open_views(self) -> list[View]:
        """The views that have not ended."""
        return [view for view in self.views if view.is_open]

    def check_rings(self, *, is_quiet: bool) -> None:
        """Each ring was reported at most once; those that must ring have, once it is quiet.

        If a connection is lost between the pushes of a ring, it may be at the intercom, not at the
        panel, so the most is that of all together.
        """
        rang = {entity: n for (entity, kind), n in self.reported.events.items() if kind == "ring"}
        most = sum(ring.may_ring for ring in self.rings)
        assert sum(rang.values()) <= most, f"{rang} instead of at most {most} rings"
        least = Counter(ring.doorbell for ring in self.rings if ring.must_ring)
        if is_quiet:
            assert least <= Counter(rang), f"{rang} instead of at least {least}"

    def check_doors(self, openings: Counter[str]) -> None:
        """No door was opened twice, without a press, or without being reported."""
        for lock, count in openings.items():
            presses = self.presses.get(lock, Presses())
            assert presses.at_least <= count <= presses.at_most, f"{lock} opened {count} times"
            assert presses.at_least <= self.reported.openings[lock] <= count

    def check_ends(self) -> None:
        """Each call that rang ended exactly once, if a missed call counts as one end."""
        events = self.reported.events
        for doorbell in {entity_id for entity_id, kind in events if kind == "ring"}:
            call = doorbell.replace("_doorbell", "_call")
            answered, ended, missed = (
                events[call, kind] for kind in ("answered", "ended", "missed")
            )
            assert max(answered, ended) <= events[doorbell, "ring"] <= ended + missed

    def check_history(self, records: Iterable[CallRecord]) -> None:
        """Each call is stored once, with an outcome that it had."""
        by_session: dict[str, list[CallRecord]] = {}
        for record in records:
            by_session.setdefault(record.session, []).append(record)
        for ring in self.rings:
            stored = by_session.get(session_hash(ring.call.session_id), [])
            assert len(stored) == 1, f"{ring} is stored as {stored}"
            outcomes = {"ended"}
            if ring.is_missed:
                outcomes.add("missed")
            if ring.call.answered or not ring.call.offered:  # dialling the panel answers, too
                outcomes.add("answered")
            assert stored[0].outcome in outcomes


def logged_errors(records: Iterable[logging.LogRecord]) -> list[str]:
    """Return the errors among log records, without requests of browsers that were refused."""
    errors = [each for each in records if each.levelno >= logging.ERROR]
    return [each.getMessage() for each in errors if "websocket_api" not in each.name]
