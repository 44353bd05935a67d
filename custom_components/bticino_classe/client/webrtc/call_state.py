"""The state of a call, its ids, and what it reports."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..errors import BticinoError
    from ..models import Candidate


class SessionState(StrEnum):
    """The state of a call.

    NEW → OFFERED (our offer, or our answer to a ring, is being sent) → ACKED → ANSWERED → ENDED.
    OFFERED, ACKED → RELEASED (the intercom has ended it before it was set up) → OFFERED (next
    attempt at a busy intercom). Every state → ENDED, which is final.
    """

    NEW = "new"
    OFFERED = "offered"
    ACKED = "acked"
    RELEASED = "released"
    ANSWERED = "answered"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionIds:
    """What the cloud calls a session."""

    session_id: str
    tag_id: str | None = None


class CallObserver:
    """What a call reports; each method runs in the event loop and must return at once."""

    def answered(self, sdp: str) -> None:
        """Handle the answer to the viewer's offer; candidates follow it."""

    def candidate(self, candidate: Candidate) -> None:
        """Handle a candidate of the intercom."""

    def candidates_complete(self) -> None:
        """Handle that the intercom has sent all its candidates."""

    def ended(self, error: BticinoError) -> None:
        """Handle the end of a call that was not ended here; called once, and last."""
