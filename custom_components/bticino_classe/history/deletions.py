"""Which calls a person has deleted, so that neither the cloud nor a left file brings them back."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ..client import SESSION_REUSE_SECONDS
from .records import DAY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .records import CallRecord

REMEMBERED_DAYS: Final = 90  # at the least: the cloud's list may reach back that far


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """When a call was, and when it was deleted; in seconds since 1970."""

    called_at: float
    deleted_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletions:
    """Single calls by id, and the time up to which all were deleted at once."""

    by_id: Mapping[str, Deletion]
    until: float = 0.0

    def of(self, calls: Iterable[CallRecord], now: float) -> Deletions:
        """Return them with some calls more."""
        new = {call.id: Deletion(called_at=call.time, deleted_at=now) for call in calls}
        return replace(self, by_id={**self.by_id, **new})

    def of_all(self, calls: Iterable[CallRecord], now: float) -> Deletions:
        """Return them with all calls: those of the last hours by id, since clocks differ.

        A call that rings in this moment is a new one.
        """
        until = now - SESSION_REUSE_SECONDS
        recent = (call for call in calls if call.time > until - SESSION_REUSE_SECONDS)
        return replace(self.of(recent, now), until=until)

    def cover(self, call_id: str, time: float) -> bool:
        """Whether a call of this id, or of this time, was deleted."""
        return call_id in self.by_id or time <= self.until

    def recent(self, now: float, days: int) -> Deletions:
        """Return those that are worth remembering where calls are kept for so many days."""
        oldest = now - max(days, REMEMBERED_DAYS) * DAY
        kept = {key: each for key, each in self.by_id.items() if each.deleted_at > oldest}
        return self if len(kept) == len(self.by_id) else replace(self, by_id=kept)
