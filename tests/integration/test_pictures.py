"""The picture of the last ring: at its panel, and never in the way of the ring."""

import io
import logging
import time
from typing import TYPE_CHECKING

from homeassistant.components.camera import async_get_image
from PIL import Image
import pytest

from custom_components.bticino_classe import pictures as room
from custom_components.bticino_classe.client import Picture, pictures as client_room
from custom_components.bticino_classe.client.push import CallPush, CallStep
from custom_components.bticino_classe.pictures import LastPictures, StillImage, async_placeholder
from tests.integration.conftest import Happenings, heard, settle, the_entry, until
from tests.simulator import Failure
from tests.simulator.paths import BLOB, SIGNALING
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
) -> LastPictures:
    """The pictures of a house, where a second try comes at once, with every logger at debug."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(room, "SECOND_TRY_AFTER", 0)
    pictures: LastPictures = the_entry(hass).runtime_data.pictures
    return pictures


def shown(call: Call, kind: str = "snapshot") -> StillImage:
    """Return the picture of a call."""
    return StillImage(content=jpeg(call.picture_id(kind)), content_type="image/jpeg")


def picture(simulator: Simulator, picture_id: str) -> Picture:
    """Return a link that lives."""
    until = int(time.time()) + 300
    return Picture(url=simulator.pictures.link(simulator.url, picture_id, until))


async def test_ring_leaves_its_picture(
    hass: HomeAssistant, pictures: LastPictures, simulator: Simulator
) -> None:
    """At its panel and at the intercom, with one request for three phones and a whole call."""
    assert pictures.of(simulator.house.find(STREET).id) is None
    call = simulator.ring(STREET, receivers=3)
    await heard(hass, 7)
    await settle(hass)
    assert pictures.of(call.panel_id or "") == pictures.of(call.bridge_id) == shown(call)
    assert pictures.of(simulator.house.find(YARD).id) is None
    simulator.answer_elsewhere(call)
    simulator.hang_up(call)
    await heard(hass, 16)
    await settle(hass)
    assert simulator.journal.count(BLOB) == 1


async def test_each_panel_keeps_its_last(
    hass: HomeAssistant, pictures: LastPictures, simulator: Simulator
) -> None:
    """The intercom shows the newest of all."""
    calls = []
    for panel in (STREET, STREET, YARD):
        calls.append(simulator.ring(panel))
        await heard(hass, 1 + 2 * len(calls))
        await settle(hass)
    _, street, yard = calls
    assert pictures.of(street.panel_id or "") == shown(street)
    assert pictures.of(yard.panel_id or "") == pictures.of(yard.bridge_id) == shown(yard)
    assert len(pictures._kept) == 2


@pytest.mark.parametrize("house_name", ["easykit_three_panels"])
async def test_ring_of_no_known_panel(
    hass: HomeAssistant, pictures: LastPictures, simulator: Simulator
) -> None:
    """Its picture is the intercom's."""
    call = simulator.ring()
    await heard(hass, 2)
    await settle(hass)
    assert pictures.of(call.bridge_id) == shown(call)
    assert list(pictures._kept) == [call.bridge_id]


async def test_ring_does_not_wait_for_its_picture(
    hass: HomeAssistant, bell: Happenings, pictures: LastPictures, simulator: Simulator
) -> None:
    """Not even for one that never comes; unloading does not wait for it either."""
    simulator.fail(BLOB, Failure(never=True))
    call = simulator.ring(STREET)
    await simulator.journal.arrival(BLOB)
    assert bell.rings() == [DOORBELL]
    assert pictures.of(call.bridge_id) is None
    entry, before = the_entry(hass), time.monotonic()
    listeners = entry.runtime_data.bell._listeners
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert time.monotonic() - before < 0.5
    assert [task for task in hass._background_tasks if "picture" in repr(task)] == []
    assert listeners == []


@pytest.mark.parametrize(
    ("failure", "requests"),
    [
        (Failure(status=404), 2),
        (Failure(status=503, html=True), 2),
        (Failure(status=403), 1),
        (Failure(status=302), 1),
        (Failure(html=True), 1),
        (Failure(cut=True, executed=True), 1),
        (Failure(never=True), 1),
    ],
    ids=str,
)
async def test_failure_leaves_the_old_picture(
    hass: HomeAssistant,
    pictures: LastPictures,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
    *,
    failure: Failure,
    requests: int,
) -> None:
    """It is given up with one line, which does not tell the link."""
    old = simulator.ring(STREET)
    await heard(hass, 3)
    await settle(hass)
    simulator.journal.clear()
    simulator.fail(BLOB, failure, times=requests)
    simulator.ring(STREET)
    await heard(hass, 5)
    await settle(hass)
    assert pictures.of(old.bridge_id) == shown(old)
    assert simulator.journal.count(BLOB) == requests
    assert caplog.text.count(GIVEN_UP) == 1
    assert "sig=" not in caplog.text


async def test_picture_that_is_too_large(
    hass: HomeAssistant,
    pictures: LastPictures,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It does not take the place of one that is not."""
    old = simulator.ring(STREET)
    await heard(hass, 3)
    await settle(hass)
    monkeypatch.setattr(client_room, "MAX_PICTURE_BYTES", 1000)
    simulator.ring(STREET)
    await heard(hass, 5)
    await settle(hass)
    assert pictures.of(old.bridge_id) == shown(old)
    assert f"{GIVEN_UP}: The picture could not be had (too large)" in caplog.text


async def test_picture_that_is_written_late(
    hass: HomeAssistant, pictures: LastPictures, simulator: Simulator
) -> None:
    """The cloud rings before it has it; a moment later it is there."""
    simulator.fail(BLOB, Failure(status=404))
    call = simulator.ring(STREET)
    await heard(hass, 3)
    await settle(hass)
    assert pictures.of(call.bridge_id) == shown(call)
    assert simulator.journal.count(BLOB) == 2


async def test_link_into_the_house_is_not_followed(
    hass: HomeAssistant,
    pictures: LastPictures,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever sends it."""
    take(hass, simulator, snapshot=Picture(url="http://192.168.1.1/cam.jpg?sig=1"))
    await settle(hass)
    assert pictures._kept == {}
    assert f"{GIVEN_UP}: The picture could not be had (a link that must not" in caplog.text
    assert "192.168.1.1" not in caplog.text


@pytest.mark.parametrize("status_first", [False, True])
async def test_older_call_that_is_slower(
    hass: HomeAssistant, pictures: LastPictures, simulator: Simulator, status_first: bool
) -> None:
    """Two rings within a second: the second one's picture stays."""
    simulator.fail(BLOB, Failure(delay=0.3))
    simulator.ring(STREET, status_first=status_first)
    await simulator.journal.arrival(BLOB)
    newer = simulator.ring(STREET, status_first=status_first)
    await until(lambda: pictures.of(newer.bridge_id))
    assert pictures.of(newer.bridge_id) == shown(newer)
    await settle(hass)
    assert simulator.journal.count(BLOB) == 2
    assert [entry.status for entry in simulator.journal.of(BLOB)] == [200, 200]
    assert pictures.of(newer.bridge_id) == shown(newer)


async def test_close_up_where_there_is_no_whole_view(
    hass: HomeAssistant, pictures: LastPictures, simulator: Simulator
) -> None:
    """Until one comes, and not again after that, however late the close-up arrives."""
    simulator.fail(BLOB, Failure(delay=0.3))
    take(hass, simulator, vignette=picture(simulator, "1-vignette"))
    await simulator.journal.arrival(BLOB)
    take(hass, simulator, snapshot=picture(simulator, "1-snapshot"))
    bridge_id = simulator.house.bridges()[0].id
    await settle(hass)
    assert simulator.journal.count(BLOB) == 2
    image = pictures.of(bridge_id)
    assert image is not None
    assert image.content == jpeg("1-snapshot")

    take(hass, simulator, vignette=picture(simulator, "2-vignette"), session_id="2")
    await settle(hass)
    image = pictures.of(bridge_id)
    assert image is not None
    assert image.content == jpeg("2-vignette")


async def test_call_that_did_not_ring_shows_nothing(
    hass: HomeAssistant, pictures: LastPictures, simulator: Simulator
) -> None:
    """A push of long ago is history."""
    simulator.ring(YARD, late=120, offer=False)
    await heard(hass, 2)
    await settle(hass)
    assert pictures._kept == {}
    assert simulator.journal.count(BLOB) == 0


async def test_memory_is_bounded(
    hass: HomeAssistant, pictures: LastPictures, simulator: Simulator
) -> None:
    """However often somebody rings; each ring still comes after the one before."""
    for number in range(2 * room.REMEMBERED_RINGS):
        take(hass, simulator, session_id=str(number))
    assert len(set(pictures._rings.values())) == len(pictures._rings) == room.REMEMBERED_RINGS
    take(hass, simulator, snapshot=picture(simulator, "1-snapshot"), session_id="new")
    await settle(hass)
    assert pictures.of(simulator.house.bridges()[0].id) is not None


async def test_camera_shows_it(
    hass: HomeAssistant, pictures: LastPictures, simulator: Simulator
) -> None:
    """Before the first ring something drawn; neither dials the intercom."""
    camera = "camera.posto_esterno_strada"
    drawn, still = await async_get_image(hass, camera), await async_placeholder(hass)
    assert (drawn.content_type, drawn.content) == (still.content_type, still.content)
    call = simulator.ring(STREET)
    await until(lambda: pictures.of(call.bridge_id))
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
    the_entry(hass).runtime_data.bell.async_take(
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
    hass: HomeAssistant, bell: Happenings, simulator: Simulator
) -> None:
    """A picture less costs nobody a ring; memory and connections stay bounded."""
    simulator.fail(BLOB, Failure(never=True), times=100)
    for _ in range(3 * room.AT_ONCE):
        simulator.ring("Posto esterno strada")
    await until(lambda: len(bell.rings()) == 3 * room.AT_ONCE)
    await until(lambda: simulator.journal.count(BLOB) == room.AT_ONCE)
    await hass.async_block_till_done()
    assert simulator.journal.count(BLOB) == room.AT_ONCE
