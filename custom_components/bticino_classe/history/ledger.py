"""The calls that are remembered, in their order, and what is often asked of them."""

from typing import TYPE_CHECKING

from .records import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .records import CallRecord

type _Key = tuple[str, str | None]  # a module, and a kind of picture if it has to have one


class Ledger:
    """Calls by id, oldest first; `size` is how many bytes their pictures take."""

    def __init__(self, calls: Iterable[CallRecord] = ()) -> None:
        self.size = 0
        self._is_sorted = True
        self._calls: dict[str, CallRecord] = {}
        self._unseen: dict[str, str] = {}
        self._newest: dict[_Key, CallRecord] = {}
        for call in calls:
            self.put(call)

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def calls(self) -> tuple[CallRecord, ...]:
        """All of them, oldest first."""
        return tuple(self._in_order().values())

    @property
    def oldest(self) -> CallRecord | None:
        """The first of them."""
        return next(iter(self._in_order().values()), None)

    def get(self, call_id: str) -> CallRecord | None:
        """Return a call by its id."""
        return self._calls.get(call_id)

    def put(self, call: CallRecord) -> None:
        """Add a call, or replace what was known of it."""
        known = self._calls.get(call.id)
        last = next(reversed(self._calls.values())) if self._calls else call
        is_moved = call.time < last.time if known is None else call.time != known.time
        self._is_sorted = self._is_sorted and not is_moved
        self.size += call.size - (0 if known is None else known.size)
        self._calls[call.id] = call
        self._unseen.pop(call.id, None)
        if call.is_unseen_miss:
            self._unseen[call.id] = call.bridge_id
        self._renew(call, known)

    def remove(self, calls: Iterable[CallRecord]) -> None:
        """Forget calls."""
        for call in calls:
            known = self._calls.pop(call.id, None)
            self.size -= 0 if known is None else known.size
            self._unseen.pop(call.id, None)
        for key in [key for key, call in self._newest.items() if call.id not in self._calls]:
            self._seek(key)

    def unseen(self, bridge_id: str) -> tuple[CallRecord, ...]:
        """Return the calls of an intercom that were missed since somebody looked."""
        return tuple(self._calls[key] for key, at in self._unseen.items() if at == bridge_id)

    def number_of_unseen(self, bridge_id: str) -> int:
        """Count the calls of an intercom that were missed since somebody looked."""
        return [*self._unseen.values()].count(bridge_id)

    def newest(self, module_id: str, kind: str | None = None) -> CallRecord | None:
        """Return the newest call of a panel or an intercom, if asked for with such a picture."""
        return self._newest.get((module_id, kind))

    def _renew(self, call: CallRecord, known: CallRecord | None) -> None:
        """Keep the newest calls known: to seek them among all with each change takes long."""
        keys = _keys(call)
        for key in keys if known is None else keys | _keys(known):
            newest = self._newest.get(key)
            if key in keys and (newest is None or newest.time < call.time):
                self._newest[key] = call
            elif newest is not None and (newest.id == call.id or newest.time == call.time):
                self._seek(key)

    def _in_order(self) -> dict[str, CallRecord]:
        """Sort only when the order is asked for: many may come at once."""
        if not self._is_sorted:
            self._calls = {c.id: c for c in sorted(self._calls.values(), key=lambda c: c.time)}
            self._is_sorted = True
        return self._calls

    def _seek(self, key: _Key) -> None:
        calls = reversed(self._in_order().values())
        found = next((call for call in calls if _is_such(call, *key)), None)
        if found is not None:
            self._newest[key] = found
        else:
            self._newest.pop(key, None)


def _keys(call: CallRecord) -> set[_Key]:
    """Return what a call is one of: those of its panel and of its intercom, by their pictures."""
    kinds = [None, *(kind for kind in KINDS if call.kept(kind) is not None)]
    places = {call.bridge_id, call.panel_id or call.bridge_id}
    return {(place, kind) for place in places for kind in kinds}


def _is_such(call: CallRecord, module_id: str, kind: str | None) -> bool:
    is_at = module_id in {call.panel_id, call.bridge_id}
    return is_at and (kind is None or call.kept(kind) is not None)
