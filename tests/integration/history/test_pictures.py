"""Downloads of the pictures of calls: at their panel, and never delaying a ring."""

import asyncio
import io
import logging
import socket
import time
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

from homeassistant.components.camera import async_get_image
from homeassistant.components.network import util as network_adapters
from PIL import Image
import pytest

from custom_components.bticino_classe.client import Picture, PictureError, pictures as client_room
from custom_components.bticino_classe.client.pictures import StillImage
from custom_components.bticino_classe.client.push import CallPush, CallStep
from custom_components.bticino_classe.history import downloads as room
from custom_components.bticino_classe.history.downloads import PictureDownloads, async_placeholder
from custom_components.bticino_classe.history.records import DAY
from tests.integration.conftest import (
    EventRecorder,
    get_entry,
    reload_entry,
    wait_frames,
    wait_idle,
    wait_online,
    wait_until,
)
from tests.integration.history.stored import calls_of
from tests.integration.history.test_history import called
from tests.simulator import Failure
from tests.simulator.paths import BLOB, GETEVENTS, SIGNALING
from tests.simulator.pictures import jpeg

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant

    from tests.simulator import Call, Simulator

STREET, YARD = "Posto esterno strada", "Posto esterno cortile"
DOORBELL = "event.posto_esterno_strada_doorbell"
FAILED = "A picture could not be downloaded"


@pytest.fixture(name="pictures")
async def _pictures(
    hass: HomeAssistant,
    events: EventRecorder,  # noqa: ARG001 - the account is online first
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> PictureDownloads:
    """The downloads of an account that retries without a delay, with debug logging."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(room, "RETRY_SECONDS", 0)
    pictures: PictureDownloads = get_entry(hass).runtime_data.downloads
    return pictures


def shown(call: Call, kind: str = "snapshot") -> StillImage:
    """Return the picture of a call."""
    return StillImage(content=jpeg(call.picture_id(kind)), content_type="image/jpeg")


def picture(simulator: Simulator, picture_id: str) -> Picture:
    """Return a valid link."""
    until = int(time.time()) + 300
    return Picture(url=simulator.pictures.link(simulator.url, picture_id, until))


async def test_picture_of_a_ring(
    hass: HomeAssistant, pictures: PictureDownloads, simulator: Simulator
) -> None:
    """It is shown at panel and intercom, and requested once in a call with three phones."""
    assert await pictures.async_of(simulator.house.find(STREET).id) is None
    call = simulator.ring(STREET, receivers=3)
    await wait_frames(hass, 7)
    await wait_idle(hass)
    assert (
        await pictures.async_of(call.panel_id or "")
        == await pictures.async_of(call.bridge_id)
        == shown(call)
    )
    assert await pictures.async_of(simulator.house.find(YARD).id) is None
    simulator.answer_elsewhere(call)
    simulator.hang_up(call)
    await wait_frames(hass, 16)
    await wait_idle(hass)
    assert simulator.journal.count(BLOB) == 2


async def test_last_picture_of_each_panel(
    hass: HomeAssistant, pictures: PictureDownloads, simulator: Simulator
) -> None:
    """The intercom shows the newest picture of all panels."""
    calls = []
    for panel in (STREET, STREET, YARD):
        calls.append(simulator.ring(panel))
        await wait_frames(hass, 1 + 2 * len(calls))
        await wait_idle(hass)
    _, street, yard = calls
    assert await pictures.async_of(street.panel_id or "") == shown(street)
    assert (
        await pictures.async_of(yard.panel_id or "")
        == await pictures.async_of(yard.bridge_id)
        == shown(yard)
    )


@pytest.mark.parametrize("house_name", ["easykit_three_panels"])
async def test_ring_of_an_unknown_panel(
    hass: HomeAssistant, pictures: PictureDownloads, simulator: Simulator
) -> None:
    """Its picture is shown at the intercom."""
    call = simulator.ring()
    await wait_frames(hass, 2)
    await wait_idle(hass)
    assert await pictures.async_of(call.bridge_id) == shown(call)
    assert await pictures.async_of(call.panel_id or "") is None


async def test_ring_does_not_wait_for_its_picture(
    hass: HomeAssistant,
    events: EventRecorder,
    pictures: PictureDownloads,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither a ring nor an unload waits for a download that never ends."""
    simulator.fail(BLOB, Failure(until=asyncio.Event()))
    call = simulator.ring(STREET)
    await simulator.journal.wait_for(BLOB)
    assert events.rings() == [DOORBELL]
    assert await pictures.async_of(call.bridge_id) is None
    entry = get_entry(hass)
    listeners = entry.runtime_data.calls._listeners._listeners
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert FAILED not in caplog.text  # the download was cancelled and did not time out
    assert [task for task in hass._background_tasks if "picture" in repr(task)] == []
    assert listeners == []


@pytest.mark.parametrize(
    ("failure", "requests", "is_final"),
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
async def test_failed_download(
    hass: HomeAssistant,
    pictures: PictureDownloads,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
    *,
    failure: Failure,
    requests: int,
    is_final: bool,
) -> None:
    """The old picture stays; one log line without the link; the next start tries again."""
    old = await snapshot_only(hass, simulator)
    simulator.journal.clear()
    simulator.fail(BLOB, failure, times=requests)
    new = await snapshot_only(hass, simulator)
    assert await pictures.async_of(old.bridge_id) == shown(old)
    assert simulator.journal.count(BLOB) == requests
    assert caplog.text.count(FAILED) == 1
    assert "sig=" not in caplog.text
    entry = get_entry(hass)
    await reload_entry(hass, entry)
    await wait_online(entry)
    image = await entry.runtime_data.downloads.async_of(old.bridge_id)
    assert image == shown(old if is_final else new)


async def test_picture_that_is_too_large(
    hass: HomeAssistant,
    pictures: PictureDownloads,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It does not replace the old picture."""
    old = await snapshot_only(hass, simulator)
    monkeypatch.setattr(client_room, "MAX_PICTURE_BYTES", 1000)
    await snapshot_only(hass, simulator)
    assert await pictures.async_of(old.bridge_id) == shown(old)
    assert f"{FAILED}: The picture could not be downloaded (too large)" in caplog.text


async def test_picture_that_is_not_written_yet(
    hass: HomeAssistant, pictures: PictureDownloads, simulator: Simulator
) -> None:
    """The cloud may ring before it has the picture; it is requested again."""
    simulator.fail(BLOB, Failure(status=404))
    call = await snapshot_only(hass, simulator)
    assert await pictures.async_of(call.bridge_id) == shown(call)
    assert simulator.journal.count(BLOB) == 2


async def test_expired_links(
    hass: HomeAssistant,
    pictures: PictureDownloads,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One request for events renews the links of both pictures of a call."""
    simulator.journal.clear()
    simulator.pictures.push_seconds = -1
    calls = []
    for panel in (STREET, YARD):
        calls.append(simulator.ring(panel))
        await wait_frames(hass, 1 + 2 * len(calls))
        await wait_idle(hass)
    assert [entry.status for entry in simulator.journal.of(BLOB)].count(403) == 4
    assert simulator.journal.count(GETEVENTS) == 2
    for call in calls:
        assert await pictures.async_of(call.panel_id or "") == shown(call)
    assert FAILED not in caplog.text
    assert "sig=" not in caplog.text


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize("house_name", ["classe_100x"])
async def test_expired_links_of_several_calls(hass: HomeAssistant, simulator: Simulator) -> None:
    """Several late pushes need one request for events."""
    simulator.journal.clear()
    simulator.pictures.push_seconds = -1
    calls = [simulator.ring(offer=False, late=late) for late in range(4, 0, -1)]
    await wait_frames(hass, 5)
    await wait_idle(hass)
    assert simulator.journal.count(GETEVENTS) == 1
    stored = (await calls_of(hass))[-len(calls) :]
    assert [len(call.pictures) for call in stored] == [2] * len(calls)


async def test_expired_link_in_an_outage(
    hass: HomeAssistant, pictures: PictureDownloads, simulator: Simulator
) -> None:
    """The picture is downloaded after the next start."""
    simulator.pictures.push_seconds = -1
    simulator.fail(GETEVENTS, Failure(status=503), times=2)
    call = simulator.ring(STREET)
    await wait_frames(hass, 3)
    await wait_idle(hass)
    assert await pictures.async_of(call.bridge_id) is None
    simulator.clear_failures()
    entry = get_entry(hass)
    await reload_entry(hass, entry)
    await wait_online(entry)
    pictures = entry.runtime_data.downloads
    assert await pictures.async_of(call.panel_id or "") == shown(call)


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("age", [0, 2 * DAY])
async def test_picture_that_the_cloud_has_deleted(
    hass: HomeAssistant,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    age: float,
) -> None:
    """After a day, it is no longer requested at each start."""
    monkeypatch.setattr(room, "RETRY_SECONDS", 0)
    simulator.ring(STREET, late=age, offer=False, status=False)
    simulator.fail(BLOB, Failure(status=404), times=100)
    entry = get_entry(hass)
    for expected in (4, 0 if age else 4):
        simulator.journal.clear()
        await reload_entry(hass, entry)
        await wait_online(entry)
        assert simulator.journal.count(BLOB) == expected


async def test_link_to_the_local_network(
    hass: HomeAssistant,
    pictures: PictureDownloads,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is not requested."""
    push_pictures(hass, simulator, snapshot=Picture(url="http://192.168.1.1/cam.jpg?sig=1"))
    await wait_idle(hass)
    assert await pictures.async_of(simulator.house.bridges()[0].id) is None
    assert f"{FAILED}: The picture could not be downloaded (link must not" in caplog.text
    assert "192.168.1.1" not in caplog.text


@pytest.mark.parametrize("status_first", [False, True])
async def test_slow_download_of_an_older_call(
    hass: HomeAssistant, pictures: PictureDownloads, simulator: Simulator, status_first: bool
) -> None:
    """The picture of the newer call stays."""
    response = asyncio.Event()
    simulator.fail(BLOB, Failure(until=response))
    simulator.ring(STREET, status_first=status_first, late=5)
    await simulator.journal.wait_for(BLOB)
    newer = simulator.ring(STREET, status_first=status_first)
    await wait_until(lambda: statuses(simulator) == [None, 200, 200, 200])
    response.set()
    await wait_idle(hass)
    assert statuses(simulator) == [200] * 4
    assert await pictures.async_of(newer.bridge_id) == shown(newer)


async def test_close_up_without_a_whole_view(
    hass: HomeAssistant, pictures: PictureDownloads, simulator: Simulator
) -> None:
    """The close-up is shown until there is a whole view."""
    bridge_id = simulator.house.bridges()[0].id
    push_pictures(hass, simulator, vignette=picture(simulator, "1-vignette"))
    await wait_idle(hass)
    assert await pictures.async_of(bridge_id) == image_of("1-vignette")
    response = asyncio.Event()
    simulator.fail(BLOB, Failure(until=response))
    push_pictures(hass, simulator, snapshot=picture(simulator, "1-snapshot"))
    await wait_until(lambda: statuses(simulator) == [200, None])
    assert await pictures.async_of(bridge_id) == image_of("1-vignette")
    response.set()
    await wait_idle(hass)
    assert await pictures.async_of(bridge_id) == image_of("1-snapshot")


async def test_picture_of_a_late_push(
    hass: HomeAssistant, events: EventRecorder, pictures: PictureDownloads, simulator: Simulator
) -> None:
    """The picture of a call that did not ring is downloaded."""
    call = simulator.ring(YARD, late=120, offer=False)
    await wait_frames(hass, 2)
    await wait_idle(hass)
    assert events.rings() == []
    assert await pictures.async_of(call.bridge_id) == shown(call)


@pytest.mark.usefixtures("pictures")
async def test_camera_image(hass: HomeAssistant, simulator: Simulator) -> None:
    """The camera shows a placeholder or the last picture, without dialling the intercom."""
    camera = "camera.posto_esterno_strada"
    image, placeholder = await async_get_image(hass, camera), await async_placeholder(hass)
    assert (image.content_type, image.content) == (placeholder.content_type, placeholder.content)
    call = simulator.ring(STREET)
    await wait_frames(hass, 3)
    await wait_idle(hass)
    image = await async_get_image(hass, camera)
    assert (image.content_type, image.content) == ("image/jpeg", shown(call).content)
    assert simulator.journal.count(SIGNALING) == 0


async def test_placeholder(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the size of the intercom's pictures, is small, and is read once."""
    image = await async_placeholder(hass)
    assert image.content_type == "image/jpeg"
    assert len(image.content) < 20_000
    assert Image.open(io.BytesIO(image.content)).size == (640, 480)
    monkeypatch.setattr(room, "PLACEHOLDER_FILE", None)
    assert await async_placeholder(hass) is image


def push_pictures(
    hass: HomeAssistant,
    simulator: Simulator,
    *,
    session_id: str = "1",
    snapshot: Picture | None = None,
    vignette: Picture | None = None,
) -> None:
    """Push a ring at the street panel with these pictures."""
    get_entry(hass).runtime_data.calls.async_handle_push(
        CallPush(
            step=CallStep.INCOMING,
            session_id=session_id,
            bridge_id=simulator.house.bridges()[0].id,
            panel_id=simulator.house.find(STREET).id,
            snapshot=snapshot,
            vignette=vignette,
        )
    )


async def test_many_rings_at_once(
    hass: HomeAssistant,
    events: EventRecorder,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every ring is reported; the number of downloads is limited."""
    monkeypatch.setattr(room, "MAX_WAITING", 10)
    simulator.fail(BLOB, Failure(until=asyncio.Event()), times=100)
    for _ in range(12):
        simulator.ring(STREET)
    await wait_until(lambda: len(events.rings()) == 12)
    await wait_until(lambda: simulator.journal.count(BLOB) == room.MAX_PARALLEL)
    await hass.async_block_till_done()
    assert simulator.journal.count(BLOB) == room.MAX_PARALLEL
    assert len(get_entry(hass).runtime_data.downloads._in_progress) == 10


async def snapshot_only(hass: HomeAssistant, simulator: Simulator) -> Call:
    """Ring at the street without a close-up, and wait until everything is stored."""
    frames = get_entry(hass).runtime_data.push.socket.counters["frames"]
    call = simulator.ring(STREET, vignette=False)
    await wait_frames(hass, frames + 2)
    await wait_idle(hass)
    return call


def statuses(simulator: Simulator) -> list[int | None]:
    """Return the status of each download; None while it has no response."""
    return [entry.status for entry in simulator.journal.of(BLOB)]


def image_of(picture_id: str) -> StillImage:
    """Return the picture with an id."""
    return StillImage(content=jpeg(picture_id), content_type="image/jpeg")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("2a02:1234:5678:1::1", "host in the local network"),
        ("fd00::1", "host in the local network"),
        ("2a02:1235::1", "ClientConnectorError"),
    ],
)
async def test_address_in_the_house(
    hass: HomeAssistant,
    pictures: PictureDownloads,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    reason: str,
) -> None:
    """The house's provider has given it global addresses, and now others than at the start."""
    adapter = Mock(nice_name="eth0", index=0)
    adapter.ips = [
        Mock(is_IPv6=False, ip="192.168.1.2", network_prefix=24),
        Mock(is_IPv6=True, ip=("2a02:1234:5678:9a01::20", 0, 2), network_prefix=64),
    ]
    monkeypatch.setattr(network_adapters.ifaddr, "get_adapters", lambda: [adapter])

    async def resolve(*_: object, **__: object) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, 0, 0, 0))]

    async def unreachable(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(hass.loop, "getaddrinfo", resolve)
    monkeypatch.setattr(hass.loop, "sock_connect", unreachable)
    with pytest.raises(PictureError) as caught:
        await pictures._get(Picture(url="https://store.example/1?sig=1"))
    assert caught.value.reason == reason


@pytest.mark.usefixtures("freezer", "online_entry")
async def test_networks_are_read_at_most_once_a_minute(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Reading them takes the event loop a millisecond, and rings come in bursts."""
    read = Mock(return_value=[])
    monkeypatch.setattr(network_adapters.ifaddr, "get_adapters", read)
    for expected in (1, 2):
        freezer.tick(61)
        for _ in range(2):
            await called(hass, simulator, STREET, "miss")
        assert read.call_count == expected
