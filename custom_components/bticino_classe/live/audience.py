"""The people who watch a camera through Home Assistant's go2rtc, which has one view for all.

go2rtc connects and reconnects by itself, and Home Assistant does not say for whom. So its view has
the permissions of the people who have the camera open in Home Assistant. The offer of each of them
is checked, because go2rtc passes on the sound of all.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from homeassistant.core import callback

from ..client import may_send
from ..permissions import EntityAccess
from .relays import GO2RTC_USER_ID, relay_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..calls.events import CallEvents
    from ..client import Module
    from .relays import Relays
    from .viewer_session import ViewerSession

# After somebody opened a camera; go2rtc connects for them at once, or with its next attempt.
OPENING_SECONDS: Final = 10.0


@dataclass(slots=True, kw_only=True, eq=False)
class _Person:
    """Somebody who has a camera open; `is_served`: go2rtc is connected, or has been since then."""

    camera_id: str
    may_control: bool
    opened_at: float
    is_served: bool = False


class Audience:
    """Who has which camera open through go2rtc, and what go2rtc's next view of it may do.

    `clock` returns seconds that only grow, `find_view` a session that has not ended.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        calls: CallEvents,
        relays: Relays,
        find_view: Callable[[str], ViewerSession | None],
    ) -> None:
        self._clock = clock
        self._calls = calls
        self._relays = relays
        self._find_view = find_view
        self._people: dict[str, _Person] = {}
        self._views: dict[str, str] = {}

    def refusal(self, camera: Module, access: EntityAccess, offer: str) -> str | None:
        """Return why somebody may not open a camera now, as a translation key; None: allowed."""
        if not access.may_read:
            return "call_watch_not_allowed"
        if may_send(offer) and not access.may_control:
            return "call_talk_not_allowed"
        view, is_ringing = self._view_of(camera.id), self._calls.ringing_at(camera) is not None
        if is_ringing and (view is None or view.answered_call is None):
            return None if access.may_control else "call_answer_not_allowed"
        if view is None:
            return self._relays.refusal_of_person(camera, may_control=access.may_control)
        is_silent = not view.access.may_control and bool(self._people_at(camera.id))
        return "call_relay_silent" if is_silent and may_send(offer) else None

    @callback
    def async_open(self, session_id: str, camera: Module, access: EntityAccess) -> None:
        """Register somebody; go2rtc's view ends if they answer a ring, with its next one.

        A person who joins a view is served by it: the next view does not answer a ring for them.
        """
        view = self._view_of(camera.id)
        may_answer = access.may_control and self._calls.ringing_at(camera) is not None
        is_replaced = may_answer and view is not None and view.answered_call is None
        self._people[session_id] = _Person(
            camera_id=camera.id,
            may_control=access.may_control,
            opened_at=self._clock(),
            is_served=view is not None and not is_replaced,
        )
        if view is not None and is_replaced:
            view.end("call_ring_answered")

    @callback
    def async_close(self, session_id: str) -> None:
        """Unregister somebody; the view ends when nobody is left whom it serves.

        A person's view serves those who may talk. go2rtc does not end a view itself.
        """
        if (person := self._people.pop(session_id, None)) is None:
            return
        view = self._view_of(person.camera_id)
        if view is None:
            return
        is_relay = view.relay is not None
        if not any(each.may_control or is_relay for each in self._people_at(person.camera_id)):
            view.leave()

    @callback
    def async_admit(self, camera_id: str) -> tuple[EntityAccess, str | None]:
        """Return what go2rtc's next view may do, and its identity as a relay; None: a person's.

        It is a person's, which answers a ring, only if somebody who may control the camera has just
        opened it: a view that go2rtc begins again by itself answers no ring.
        """
        people, view = self._people_at(camera_id), self._view_of(camera_id)
        since = self._clock() - OPENING_SECONDS
        # It connects although it has a view, which it has lost in a restart.
        is_lost = view is not None and self._calls.ringing_at(view.camera) is None
        is_persons = any(
            each.may_control and (is_lost or not each.is_served) and each.opened_at >= since
            for each in people
        )
        for each in people:
            each.is_served = True
        access = EntityAccess(
            user_id=GO2RTC_USER_ID,
            may_read=True,
            may_control=any(each.may_control for each in people),
        )
        return access, None if is_persons else relay_id(GO2RTC_USER_ID, camera_id)

    @callback
    def async_begin(self, camera_id: str, view_id: str) -> None:
        """Register go2rtc's view; it has left the one before without ending it."""
        previous = self._view_of(camera_id)
        self._views[camera_id] = view_id
        if previous is not None and previous.relay is None:
            previous.leave()

    def _view_of(self, camera_id: str) -> ViewerSession | None:
        """Return go2rtc's view of a camera that has not ended."""
        return self._find_view(self._views.get(camera_id, ""))

    def _people_at(self, camera_id: str) -> list[_Person]:
        return [each for each in self._people.values() if each.camera_id == camera_id]
