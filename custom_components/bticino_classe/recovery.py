"""What a history is worth after a sudden end or a fault: an index and files that may not agree."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .client.calls import CallState
from .past_calls import GONE, KINDS, PastCall
from .picture_files import named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .archive import Found, Index
    from .past_calls import KeptPicture
    from .picture_files import Named


@dataclass(slots=True, kw_only=True)
class Recovered:
    """Calls, oldest first; files that belong to none; what a person should know of a fault."""

    calls: list[PastCall] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    report: str = ""


def reconciled(found: Found, intercom_of: Callable[[str], str]) -> Recovered:
    """Bring index and files together; a picture without an entry gets one, if nobody deleted it.

    `intercom_of` names the intercom that a module hangs on. A picture that was written when Home
    Assistant was killed has none; so has every one where the index is lost.
    """
    if found.pictures is None:
        return Recovered(calls=list(found.index.calls))
    recovered, missing = Recovered(), 0
    calls: dict[str, PastCall] = {}
    for call in found.index.calls:
        calls[call.id] = kept = _with_files_there(call, found.pictures)
        missing += len(call.files) - len(kept.files)
    known = len(calls)
    owned = {file for call in calls.values() for file in call.files}
    for file, picture in found.pictures.items():
        name = named(file)
        if file in owned or name is None:
            continue
        adopting = _adopting(calls.get(name.call_id), name, picture, found.index, intercom_of)
        if adopting is None:
            recovered.leftovers.append(file)
        else:
            calls[name.call_id] = adopting
    recovered.calls = sorted(calls.values(), key=lambda call: call.time)
    if missing or found.is_damaged:
        recovered.report = (
            f"{known} calls can be read, {len(calls) - known} more were found by their pictures, "
            f"{missing} pictures are missing"
        )
    return recovered


def _with_files_there(call: PastCall, pictures: Mapping[str, KeptPicture]) -> PastCall:
    """Return a call with the pictures that are there, as large as they are."""
    for kind in KINDS:
        listed = call.kept(kind)
        if listed is not None and (there := pictures.get(listed.file)) != listed:
            call = call.pictured(kind, there or GONE)
    return call


def _adopting(
    call: PastCall | None,
    name: Named,
    picture: KeptPicture,
    index: Index,
    intercom_of: Callable[[str], str],
) -> PastCall | None:
    """Return a call with a picture that was in no index; None if it is to be removed."""
    if name.call_id in index.deleted or name.time <= index.deleted_until:
        return None
    if call is None:
        bridge_id = intercom_of(name.module_id)
        call = PastCall(
            id=name.call_id,
            bridge_id=bridge_id,
            panel_id=None if bridge_id == name.module_id else name.module_id,
            time=name.time,
            outcome=CallState.ENDED.value,
            seen=True,
        )
    return call.pictured(name.kind, picture) if call.kept(name.kind) is None else None
