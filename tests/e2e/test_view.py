"""See and talk in Home Assistant's own player: pixels and sound, not the existence of elements."""

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.e2e.operating import Operator
from tests.e2e.player import Player, hears_tone, new_page, until
from tests.e2e.visitor import Visitor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp
    from playwright.async_api import Browser

    from dev.owner import Owner
    from tests.e2e.development import Development

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("house"),
]

STREET, COURT = "Posto esterno strada", "Posto esterno cortile"
EVENT = "event.posto_esterno_strada_call"


@pytest_asyncio.fixture(loop_scope="session")
async def operator(house: Development, session: aiohttp.ClientSession) -> AsyncIterator[Operator]:
    """The operator of the house; in the end each call of the test was ended once."""
    operator = Operator(session, house.ready["operator"])
    await operator.do("reset_rtc")
    await operator.do("rtc", view_seconds=600)
    await operator.count_calls_from_now()
    yield operator
    await _expect_nothing_left(operator)
    assert house.logged_problems() == []


async def _expect_nothing_left(operator: Operator) -> None:
    calls = await operator.wait_for_calls(lambda found: not found["held_slots"])
    ended = [call["ended_by"] for call in calls["sessions"]]
    assert ended
    assert all(ended)
    assert calls["terminates"] == ended.count("client")
    assert calls["peak"] == 1
    assert await operator.violations() == []


async def test_view_and_talk(house: Development, running: Browser, operator: Operator) -> None:
    """From the device's page to a conversation, and nothing is left of it."""
    visitor, player = await somebody(house, running)
    await player.open_from_device(STREET)
    await player.plays()
    await player.hears(loud=False)
    await visitor.picture("view")
    await player.start_talking()
    await player.plays()
    await player.hears(loud=True)
    await visitor.picture("talk")
    calls = await operator.wait_for_calls(hears_tone)
    assert (calls["offers"], calls["terminates"]) == (2, 1)
    await player.stop_talking()
    await player.plays()
    sent = (await player.stats())["sent"]
    await player.plays()
    assert (await player.stats())["sent"] == sent
    await player.start_talking()
    await until_sends_more(player, sent)
    assert (await operator.calls())["offers"] == 2
    await player.close()
    await operator.wait_for_calls(lambda found: found["terminates"] == 2)


async def test_ring_is_answered_by_opening_the_camera(
    house: Development, running: Browser, operator: Operator
) -> None:
    """The ringing call is joined, and pressing talk does not end it for the house."""
    visitor, player = await somebody(house, running)
    await visitor.open_device(STREET)
    await operator.do("ring", panel=STREET)
    async with house.owner() as owner:
        await owner.sign_in()
        await until_state(owner, "binary_sensor.posto_esterno_strada_bell", "on")
        await player.open_on_this_page(STREET)
        await player.plays()
        calls = await operator.calls()
        assert (calls["offers"], calls["answers"]) == (0, 1)
        since = (await until_event(owner, "answered"))["last_changed"]
        await visitor.picture("answered")
        await player.start_talking()
        await operator.wait_for_calls(hears_tone)
        assert (await until_event(owner, "answered"))["last_changed"] == since
        await player.close()
        await until_event(owner, "ended")


async def test_door_is_opened_while_somebody_talks(
    house: Development, running: Browser, operator: Operator
) -> None:
    """On the page of docs/dashboards.md: picture, sound, microphone, and the doors below."""
    visitor, _ = await somebody(house, running)
    await visitor.open_dashboard()
    await operator.do("ring", panel=STREET)
    async with house.owner() as owner:
        await owner.sign_in()
        await until_state(owner, "binary_sensor.posto_esterno_strada_bell", "on")
        player = Player(visitor, await visitor.talk_and_open())
        await player.plays()
        calls = await operator.calls()
        assert (calls["offers"], calls["answers"]) == (0, 1)
        await player.start_talking()
        await player.plays()
        await player.hears(loud=True)
        await operator.wait_for_calls(hears_tone)
        await visitor.open_from_dashboard("Portone")
        await visitor.expect_locked("Portone", locked=False)
        await player.plays()
        await visitor.picture("talk-and-open")
        await until_event(owner, "answered")
        await visitor.page.locator("hui-root ha-icon-button-arrow-prev").click()
        await visitor.page.locator("hui-iframe-card").wait_for(state="detached")
        await until_event(owner, "ended")


async def test_two_viewers(house: Development, running: Browser, operator: Operator) -> None:
    """The second viewer gets a busy message; the first is not disturbed."""
    _, first = await somebody(house, running)
    await first.open_from_device(STREET)
    await first.plays()
    visitor, second = await somebody(house, running)
    await second.open_from_device(STREET)
    await second.says("Somebody else is on the line")
    await visitor.picture("busy")
    await first.plays()
    await second.close()
    await first.close()
    await operator.wait_for_calls(lambda found: not found["held_slots"])
    await second.open_on_this_page(STREET)
    await second.plays()
    await operator.do("end_view")
    await second.says("The intercom has ended the call")
    await visitor.picture("ended-by-the-intercom")
    await second.close()
    await operator.do("rtc", view_seconds=1)
    await second.open_on_this_page(STREET)
    await second.says("The intercom has ended the call")
    await second.close()


async def test_line_is_cut_in_mid_call(
    house: Development, running: Browser, operator: Operator
) -> None:
    """Video continues; the terminate is sent later. Without the intercom, the reason is shown."""
    visitor, player = await somebody(house, running)
    await player.open_from_device(COURT)
    await player.plays()
    await operator.do("drop_connections")
    await player.plays(40)
    await player.close()
    await operator.wait_for_calls(lambda found: found["terminates"] == 1)
    await operator.do("unplug")
    await player.open_on_this_page(COURT)
    await player.says("no connection to the cloud")
    await visitor.picture("unreachable")
    await player.close()
    await operator.do("plug")


async def somebody(house: Development, running: Browser) -> tuple[Visitor, Player]:
    """Return a signed-in visitor with a new browser page, and its player."""
    visitor = Visitor(await new_page(running, house.signed_in), house)
    if house.signed_in is None:
        await visitor.sign_in()
    return visitor, Player(visitor)


async def until_sends_more(player: Player, packets: int) -> None:
    """Wait until the browser sends audio again."""

    async def is_so() -> bool:
        found = await player.stats()
        return bool(found["sent"] > packets)

    await until(is_so)


async def until_state(owner: Owner, entity_id: str, wanted: str) -> dict[str, Any]:
    """Wait until an entity is in a state, and return it."""
    found: dict[str, Any] = {}

    async def is_so() -> bool:
        found.update(await owner.call("get", f"api/states/{entity_id}"))
        return bool(found["state"] == wanted)

    await until(is_so)
    return found


async def until_event(owner: Owner, wanted: str) -> dict[str, Any]:
    """Wait until the panel's last call event is of a type, and return its state."""
    found: dict[str, Any] = {}

    async def is_so() -> bool:
        found.update(await owner.call("get", f"api/states/{EVENT}"))
        return bool(found["attributes"]["event_type"] == wanted)

    await until(is_so)
    return found
