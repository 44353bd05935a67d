"""What a history is worth after a sudden end or a fault: an index and files that may not agree."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..client import CallState
from .picture_files import named
from .records import GONE, KINDS, CallRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .archive import Found, Index
    from .picture_files import Named
    from .records import KeptPicture


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """Calls, oldest first; files that belong to none; what a person should know of a fault."""

    calls: list[CallRecord] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    report: str = ""


def reconciled(found: Found, intercom_of: Callable[[str], str]) -> Recovered:
    """Bring index and files together; a picture without an entry gets one, if nobody deleted it.

    `intercom_of` names the intercom that a module hangs on. A picture that was written when Home
    Assistant was killed has none; so has every one where the index is lost.
    """
    if found.pictures is None:
        return Recovered(calls=list(found.index.calls))
    calls = {call.id: _with_files_there(call, found.pictures) for call in found.index.calls}
    listed = sum(len(call.files) for call in found.index.calls)
    missing = listed - sum(len(call.files) for call in calls.values())
    known, leftovers = len(calls), []
    owned = {file for call in calls.values() for file in call.files}
    for file in found.pictures.keys() - owned:
        if (name := named(file)) is not None:
            picture, call = found.pictures[file], calls.get(name.call_id)
            if adopting := _adopting(call, name, picture, found.index, intercom_of):
                calls[name.call_id] = adopting
            else:
                leftovers.append(file)
    report = ""
    if missing or found.is_damaged:
        report = (
            f"{known} calls can be read, {len(calls) - known} more were found by their pictures, "
            f"{missing} pictures are missing"
        )
    by_time = sorted(calls.values(), key=lambda call: call.time)
    return Recovered(calls=by_time, leftovers=leftovers, report=report)


def _with_files_there(call: CallRecord, pictures: Mapping[str, KeptPicture]) -> CallRecord:
    """Return a call with the pictures that are there, as large as they are."""
    for kind in KINDS:
        listed = call.kept(kind)
        if listed is not None and (there := pictures.get(listed.file)) != listed:
            call = call.pictured(kind, there or GONE)
    return call


def _adopting(
    call: CallRecord | None,
    name: Named,
    picture: KeptPicture,
    index: Index,
    intercom_of: Callable[[str], str],
) -> CallRecord | None:
    """Return a call with a picture that was in no index; None if it is to be removed."""
    if index.deletions.cover(name.call_id, name.time):
        return None
    if call is None:
        bridge_id = intercom_of(name.module_id)
        call = CallRecord(
            id=name.call_id,
            bridge_id=bridge_id,
            panel_id=None if bridge_id == name.module_id else name.module_id,
            time=name.time,
            outcome=CallState.ENDED.value,
            seen=True,
        )
    return call.pictured(name.kind, picture) if call.kept(name.kind) is None else None
