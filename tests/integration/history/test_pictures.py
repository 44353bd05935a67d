"""The picture of the last ring: at its panel, and never in the way of the ring."""

import asyncio
import io
import logging
import time
from typing import TYPE_CHECKING

from homeassistant.components.camera import async_get_image
from PIL import Image
import pytest

from custom_components.bticino_classe.client import Picture, pictures as client_room
from custom_components.bticino_classe.client.pictures import StillImage
from custom_components.bticino_classe.client.push import CallPush, CallStep
from custom_components.bticino_classe.history import downloads as room
from custom_components.bticino_classe.history.downloads import PictureDownloads, async_placeholder
from custom_components.bticino_classe.history.records import DAY
from tests.integration.conftest import Happenings, heard, online, restart, settle, the_entry, until
from tests.integration.history.stored import calls_of
from tests.simulator import Failure
from tests.simulator.paths import BLOB, GETEVENTS, SIGNALING
from tests.simulator.pictures import jpeg

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.simulator import Call, Simulator

STREET, YARD = "Posto esterno strada", "Posto esterno cortile"
DOORBELL = "event.posto_esterno_strada_doorbell"
GIVEN_UP = "A call stays without its picture"


@pytest.fixture(name="pictures")
async def _pictures(
    hass: HomeAssistant,
    bell: Happenings,  # noqa: ARG001 - the house hears pushes
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> PictureDownloads:
    """The pictures of a house, where a second try comes at once, with every logger at debug."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(room, "SECOND_TRY_AFTER", 0)
    pictures: PictureDownloads = the_entry(hass).runtime_data.downloads
    return pictures


def shown(call: Call, kind: str = "snapshot") -> StillImage:
    """Return the picture of a call."""
    return StillImage(content=jpeg(call.picture_id(kind)), content_type="image/jpeg")


def picture(simulator: Simulator, picture_id: str) -> Picture:
    """Return a link that lives."""
    until = int(time.time()) + 300
    return Picture(url=simulator.pictures.link(simulator.url, picture_id, until))


async def test_ring_leaves_its_picture(
    hass: HomeAssistant, pictures: PictureDownloads, simulator: Simulator
) -> None:
    """At its panel and at the intercom, each asked for once in a whole call of three phones."""
    assert await pictures.async_of(simulator.house.find(STREET).id) is None
    call = simulator.ring(STREET, receivers=3)
    await heard(hass, 7)
    await settle(hass)
    assert (
        await pictures.async_of(call.panel_id or "")
        == await pictures.async_of(call.bridge_id)
        == shown(call)
    )
    assert await pictures.async_of(simulator.house.find(YARD).id) is None
    simulator.answer_elsewhere(call)
    simulator.hang_up(call)
    await heard(hass, 16)
    await settle(hass)
    assert simulator.journal.count(BLOB) == 2


async def test_each_panel_keeps_its_last(
    hass: HomeAssistant, pictures: PictureDownloads, simulator: Simulator
) -> None:
    """The intercom shows the newest of all."""
    calls = []
    for panel in (STREET, STREET, YARD):
        calls.append(simulator.ring(panel))
        await heard(hass, 1 + 2 * len(calls))
        await settle(hass)
    _, street, yard = calls
    assert await pictures.async_of(street.panel_id or "") == shown(street)
    assert (
        await pictures.async_of(yard.panel_id or "")
        == await pictures.async_of(yard.bridge_id)
        == shown(yard)
    )


@pytest.mark.parametrize("house_name", ["easykit_three_panels"])
async def test_ring_of_no_known_panel(
    hass: HomeAssistant, pictures: PictureDownloads, simulator: Simulator
) -> None:
    """Its picture is the intercom's."""
    call = simulator.ring()
    await heard(hass, 2)
    await settle(hass)
    assert await pictures.async_of(call.bridge_id) == shown(call)
    assert await pictures.async_of(call.panel_id or "") is None


async def test_ring_does_not_wait_for_its_picture(
    hass: HomeAssistant,
    bell: Happenings,
    pictures: PictureDownloads,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not even for one that never comes; unloading does not wait for it either."""
    simulator.fail(BLOB, Failure(until=asyncio.Event()))
    call = simulator.ring(STREET)
    await simulator.journal.wait_for(BLOB)
    assert bell.rings() == [DOORBELL]
    assert await pictures.async_of(call.bridge_id) is None
    entry = the_entry(hass)
    listeners = entry.runtime_data.calls._listeners._listeners
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert GIVEN_UP not in caplog.text  # the download was cancelled and did not time out
    assert [task for task in hass._background_tasks if "picture" in repr(task)] == []
    assert listeners == []


@pytest.mark.parametrize(
    ("failure", "requests", "is_hopeless"),
    [
        (Failure(status=404), 2, False),
        (Failure(status=503, html=True), 2, False),
        (Failure(status=403), 2, False),
        (Failure(status=302), 1, True),
        (Failure(html=True), 2, False),
        (Failure(status=429), 2, False),
        (Failure(cut=True, executed=True), 1, False),
        (Failure(never=True), 1, False),
    ],
    ids=str,
)
async def test_failure_leaves_the_old_picture(
    hass: HomeAssistant,
    pictures: PictureDownloads,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
    *,
    failure: Failure,
    requests: int,
    is_hopeless: bool,
) -> None:
    """It is given up with one line, which does not tell the link; the next start tries again."""
    old = await snapshot_only(hass, simulator)
    simulator.journal.clear()
    simulator.fail(BLOB, failure, times=requests)
    new = await snapshot_only(hass, simulator)
    assert await pictures.async_of(old.bridge_id) == shown(old)
    assert simulator.journal.count(BLOB) == requests
    assert caplog.text.count(GIVEN_UP) == 1
    assert "sig=" not in caplog.text
    entry = the_entry(hass)
    await restart(hass, entry)
    await online(entry)
    image = await entry.runtime_data.downloads.async_of(old.bridge_id)
    assert image == shown(old if is_hopeless else new)


async def test_picture_that_is_too_large(
    hass: HomeAssistant,
    pictures: PictureDownloads,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It does not take the place of one that is not."""
    old = await snapshot_only(hass, simulator)
    monkeypatch.setattr(client_room, "MAX_PICTURE_BYTES", 1000)
    await snapshot_only(hass, simulator)
    assert await pictures.async_of(old.bridge_id) == shown(old)
    assert f"{GIVEN_UP}: The picture could not be downloaded (too large)" in caplog.text


async def test_picture_that_is_written_late(
    hass: HomeAssistant, pictures: PictureDownloads, simulator: Simulator
) -> None:
    """The cloud rings before it has it; a moment later it is there."""
    simulator.fail(BLOB, Failure(status=404))
    call = await snapshot_only(hass, simulator)
    assert await pictures.async_of(call.bridge_id) == shown(call)
    assert simulator.journal.count(BLOB) == 2


async def test_dead_link_is_renewed(
    hass: HomeAssistant,
    pictures: PictureDownloads,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With one look at the events for both pictures of a call."""
    simulator.journal.clear()
    simulator.pictures.push_seconds = -1
    calls = []
    for panel in (STREET, YARD):
        calls.append(simulator.ring(panel))
        await heard(hass, 1 + 2 * len(calls))
        await settle(hass)
    assert [entry.status for entry in simulator.journal.of(BLOB)].count(403) == 4
    assert simulator.journal.count(GETEVENTS) == 2
    for call in calls:
        assert await pictures.async_of(call.panel_id or "") == shown(call)
    assert GIVEN_UP not in caplog.text
    assert "sig=" not in caplog.text


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize("house_name", ["classe_100x"])
async def test_dead_links_of_one_moment(hass: HomeAssistant, simulator: Simulator) -> None:
    """Pushes that come late and all at once cost one look at the events, not one each."""
    simulator.journal.clear()
    simulator.pictures.push_seconds = -1
    calls = [simulator.ring(offer=False, late=late) for late in range(4, 0, -1)]
    await heard(hass, 5)
    await settle(hass)
    assert simulator.journal.count(GETEVENTS) == 1
    stored = (await calls_of(hass))[-len(calls) :]
    assert [len(call.pictures) for call in stored] == [2] * len(calls)


async def test_dead_link_while_the_cloud_is_down(
    hass: HomeAssistant, pictures: PictureDownloads, simulator: Simulator
) -> None:
    """The picture waits for the next start, which finds the call in the cloud's list."""
    simulator.pictures.push_seconds = -1
    simulator.fail(GETEVENTS, Failure(status=503), times=2)
    call = simulator.ring(STREET)
    await heard(hass, 3)
    await settle(hass)
    assert await pictures.async_of(call.bridge_id) is None
    simulator.clear_failures()
    entry = the_entry(hass)
    await restart(hass, entry)
    await online(entry)
    pictures = entry.runtime_data.downloads
    assert await pictures.async_of(call.panel_id or "") == shown(call)


@pytest.mark.parametrize("age", [0, 2 * DAY])
async def test_picture_that_the_cloud_has_no_more(
    hass: HomeAssistant,
    bell: Happenings,  # noqa: ARG001 - a house that rings
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    age: float,
) -> None:
    """After a day it is not asked for again with every start."""
    monkeypatch.setattr(room, "SECOND_TRY_AFTER", 0)
    simulator.ring(STREET, late=age, offer=False, status=False)
    simulator.fail(BLOB, Failure(status=404), times=100)
    entry = the_entry(hass)
    for expected in (4, 0 if age else 4):
        simulator.journal.clear()
        await restart(hass, entry)
        await online(entry)
        assert simulator.journal.count(BLOB) == expected


async def test_link_into_the_house_is_not_followed(
    hass: HomeAssistant,
    pictures: PictureDownloads,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever sends it."""
    take(hass, simulator, snapshot=Picture(url="http://192.168.1.1/cam.jpg?sig=1"))
    await settle(hass)
    assert await pictures.async_of(simulator.house.bridges()[0].id) is None
    assert f"{GIVEN_UP}: The picture could not be downloaded (link must not" in caplog.text
    assert "192.168.1.1" not in caplog.text


@pytest.mark.parametrize("status_first", [False, True])
async def test_older_call_that_is_slower(
    hass: HomeAssistant, pictures: PictureDownloads, simulator: Simulator, status_first: bool
) -> None:
    """Two rings after each other: the second one's picture stays."""
    response = asyncio.Event()
    simulator.fail(BLOB, Failure(until=response))
    simulator.ring(STREET, status_first=status_first, late=5)
    await simulator.journal.wait_for(BLOB)
    newer = simulator.ring(STREET, status_first=status_first)
    await until(lambda: statuses(simulator) == [None, 200, 200, 200])
    response.set()
    await settle(hass)
    assert statuses(simulator) == [200] * 4
    assert await pictures.async_of(newer.bridge_id) == shown(newer)


async def test_close_up_where_there_is_no_whole_view(
    hass: HomeAssistant, pictures: PictureDownloads, simulator: Simulator
) -> None:
    """Until one comes, however late the close-up arrives."""
    bridge_id = simulator.house.bridges()[0].id
    take(hass, simulator, vignette=picture(simulator, "1-vignette"))
    await settle(hass)
    assert await pictures.async_of(bridge_id) == a_jpeg("1-vignette")
    response = asyncio.Event()
    simulator.fail(BLOB, Failure(until=response))
    take(hass, simulator, snapshot=picture(simulator, "1-snapshot"))
    await until(lambda: statuses(simulator) == [200, None])
    assert await pictures.async_of(bridge_id) == a_jpeg("1-vignette")
    response.set()
    await settle(hass)
    assert await pictures.async_of(bridge_id) == a_jpeg("1-snapshot")


async def test_call_that_did_not_ring_has_its_picture(
    hass: HomeAssistant, bell: Happenings, pictures: PictureDownloads, simulator: Simulator
) -> None:
    """A push of long ago is history, and so is its picture while its link lives."""
    call = simulator.ring(YARD, late=120, offer=False)
    await heard(hass, 2)
    await settle(hass)
    assert bell.rings() == []
    assert await pictures.async_of(call.bridge_id) == shown(call)


@pytest.mark.usefixtures("pictures")
async def test_camera_shows_it(hass: HomeAssistant, simulator: Simulator) -> None:
    """Before the first ring something drawn; neither dials the intercom."""
    camera = "camera.posto_esterno_strada"
    drawn, still = await async_get_image(hass, camera), await async_placeholder(hass)
    assert (drawn.content_type, drawn.content) == (still.content_type, still.content)
    call = simulator.ring(STREET)
    await heard(hass, 3)
    await settle(hass)
    image = await async_get_image(hass, camera)
    assert (image.content_type, image.content) == ("image/jpeg", shown(call).content)
    assert simulator.journal.count(SIGNALING) == 0


async def test_placeholder(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
    """As large as the intercom's pictures, small to load, read once."""
    image = await async_placeholder(hass)
    assert image.content_type == "image/jpeg"
    assert len(image.content) < 20_000
    assert Image.open(io.BytesIO(image.content)).size == (640, 480)
    monkeypatch.setattr(room, "PLACEHOLDER_FILE", None)
    assert await async_placeholder(hass) is image


def take(
    hass: HomeAssistant,
    simulator: Simulator,
    *,
    session_id: str = "1",
    snapshot: Picture | None = None,
    vignette: Picture | None = None,
) -> None:
    """Let an intercom say that it rings at the street, with these pictures."""
    the_entry(hass).runtime_data.calls.async_handle_push(
        CallPush(
            step=CallStep.INCOMING,
            session_id=session_id,
            bridge_id=simulator.house.bridges()[0].id,
            panel_id=simulator.house.find(STREET).id,
            snapshot=snapshot,
            vignette=vignette,
        )
    )


async def test_storm_of_rings_opens_few_connections(
    hass: HomeAssistant,
    bell: Happenings,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A picture less costs nobody a ring; memory and connections stay bounded."""
    monkeypatch.setattr(room, "WAITING", 10)
    simulator.fail(BLOB, Failure(until=asyncio.Event()), times=100)
    for _ in range(12):
        simulator.ring(STREET)
    await until(lambda: len(bell.rings()) == 12)
    await until(lambda: simulator.journal.count(BLOB) == room.AT_ONCE)
    await hass.async_block_till_done()
    assert simulator.journal.count(BLOB) == room.AT_ONCE
    assert len(the_entry(hass).runtime_data.downloads._under_way) == 10


async def snapshot_only(hass: HomeAssistant, simulator: Simulator) -> Call:
    """Ring at the street, without a close-up, and wait until all has come of it."""
    frames = the_entry(hass).runtime_data.push.socket.counters["frames"]
    call = simulator.ring(STREET, vignette=False)
    await heard(hass, frames + 2)
    await settle(hass)
    return call


def statuses(simulator: Simulator) -> list[int | None]:
    """Return the status of each download; None while it has no response."""
    return [entry.status for entry in simulator.journal.of(BLOB)]


def a_jpeg(picture_id: str) -> StillImage:
    """Return a picture by its id."""
    return StillImage(content=jpeg(picture_id), content_type="image/jpeg")
