"""How long the table keeps a pending request."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.client.errors import NoAnswerError
from custom_components.bticino_classe.client.webrtc.pending import PendingRequests

if TYPE_CHECKING:
    from collections.abc import Callable

SESSION = {"type": "ack", "status": "ok", "session_id": "s1"}
OK = {"type": "ack", "status": "ok"}


class Clock:
    """A clock that stands still."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.mark.parametrize("ack", [OK, {**OK, "correlation_id": "1"}], ids=["by-order", "by-id"])
async def test_request_leaves_with_its_acknowledgement(ack: dict[str, str]) -> None:
    """Once; a second acknowledgement matches nothing."""
    table = PendingRequests()
    request = table.add("1", lifetime=5)
    assert table.match(ack) is request
    assert table.match(ack) is None
    assert len(table) == 0


async def test_request_leaves_with_its_caller() -> None:
    """But an offer stays: its acknowledgement names the session to terminate."""
    table = PendingRequests()
    request, offer = table.add("1", lifetime=5), table.add("2", lifetime=5, is_offer=True)
    for each in (request, offer):
        table.release(each)
        assert each.reply.cancelled()
    assert table.match(OK) is None
    assert table.match(SESSION) is offer


@pytest.mark.parametrize("is_offer", [False, True])
async def test_request_leaves_at_its_deadline(*, is_offer: bool) -> None:
    """Whether or not anybody waits for it."""
    clock = Clock()
    table = PendingRequests(clock)
    table.add("1", lifetime=5, is_offer=is_offer)
    clock.now += 5
    assert table.match({**SESSION, "correlation_id": "1"}) is None
    assert len(table) == 0


async def test_requests_leave_with_the_connection() -> None:
    """Their callers get the error; one that nobody waits for raises nothing anywhere."""
    table = PendingRequests()
    request, abandoned = table.add("1", lifetime=5), table.add("2", lifetime=5)
    abandoned.abandon()
    table.fail_all(lambda: NoAnswerError(sent=True, reason="connection lost"))
    with pytest.raises(NoAnswerError):
        await request.reply
    assert len(table) == 0


async def test_repeated_correlation_id() -> None:
    """The ring's own id is used twice if a ring is answered twice; only the last request counts."""
    table = PendingRequests()
    first, second = table.add("1", lifetime=5), table.add("1", lifetime=5)
    table.release(first)
    assert table.match({**OK, "correlation_id": 1}) is second


async def test_acknowledgement_reaches_session_before_caller() -> None:
    """So that the session is registered before the next frame is handled."""
    seen: list[str] = []
    handler: Callable[[object], None] = lambda _: seen.append("session")  # noqa: E731
    request = PendingRequests().add("1", lifetime=5, on_ack=handler)
    request.reply.add_done_callback(lambda _: seen.append("caller"))
    request.resolve(SESSION)
    await asyncio.sleep(0)
    assert seen == ["session", "caller"]
