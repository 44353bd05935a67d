"""The HTTP view of pictures: responses, permissions, and waiting for downloads."""

import asyncio
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from homeassistant.components.http.auth import async_sign_path
import pytest

from custom_components.bticino_classe.history import downloads as room, http as views
from custom_components.bticino_classe.history.records import picture_path
from tests.integration.conftest import EventRecorder, get_entry, wait_frames, wait_idle, wait_until
from tests.integration.history.stored import calls_of, history_of
from tests.simulator import Failure
from tests.simulator.paths import BLOB
from tests.simulator.pictures import jpeg

if TYPE_CHECKING:
    from aiohttp import ClientResponse
    from aiohttp.test_utils import TestClient
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockUser
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from custom_components.bticino_classe.history.records import CallRecord
    from tests.simulator import Call, Simulator

STREET, YARD = "Posto esterno strada", "Posto esterno cortile"
STREET_BELL, STREET_CALL = (
    "event.posto_esterno_strada_doorbell",
    "event.posto_esterno_strada_call",
)


@pytest.fixture(name="browser")
async def _browser(
    hass_client: ClientSessionGenerator,
    events: EventRecorder,  # noqa: ARG001 - the account is online first
) -> TestClient[Any, Any]:
    """A client that is signed in."""
    client: TestClient[Any, Any] = await hass_client()
    return client


def newest(hass: HomeAssistant) -> CallRecord:
    """Return the last call of the history."""
    return max(history_of(hass)._summary.recent.values(), key=lambda call: call.time)


def path(hass: HomeAssistant, **changed: str) -> str:
    """Return the path to the last call's picture, or a path with other parts."""
    right = {
        "entry_id": get_entry(hass).entry_id,
        "call_id": newest(hass).id,
        "kind": "snapshot",
    }
    return picture_path(**right | changed)


def event_path(hass: HomeAssistant, entity_id: str = STREET_BELL) -> str | None:
    """Return the picture path of an event entity."""
    state = hass.states.get(entity_id)
    assert state is not None
    found: str | None = state.attributes.get("picture")
    return found


async def ring(hass: HomeAssistant, simulator: Simulator, **how: Any) -> Call:
    """Ring, and wait until the pictures are stored."""
    frames = get_entry(hass).runtime_data.push.socket.counters["frames"]
    call = simulator.ring(STREET, **how)
    await wait_frames(hass, frames + 2)
    await wait_idle(hass)
    return call


async def test_pictures_are_served(
    hass: HomeAssistant, browser: TestClient[Any, Any], simulator: Simulator
) -> None:
    """Both pictures, the whole view at the path in the event."""
    call = await ring(hass, simulator)
    assert event_path(hass) == path(hass)
    for kind in ("snapshot", "vignette"):
        answer = await browser.get(path(hass, kind=kind))
        assert answer.status == HTTPStatus.OK
        assert answer.content_type == "image/jpeg"
        assert await answer.read() == jpeg(call.picture_id(kind))


@pytest.mark.parametrize("kind", ["snapshot", "vignette"])
@pytest.mark.parametrize("is_signed", [False, True], ids=["signed in", "signed path"])
async def test_deleted_picture_leaves_the_browser(
    hass: HomeAssistant,
    browser: TestClient[Any, Any],
    hass_client_no_auth: ClientSessionGenerator,
    simulator: Simulator,
    *,
    kind: str,
    is_signed: bool,
) -> None:
    """No response may be kept, and after the deletion none contains the picture."""
    await ring(hass, simulator)
    found = path(hass, kind=kind)
    if is_signed:
        browser = await hass_client_no_auth()
        found = async_sign_path(hass, found, timedelta(days=1), use_content_user=True)
    shown = await browser.get(found)
    assert (shown.status, shown.headers["Cache-Control"]) == (HTTPStatus.OK, "no-store")
    await history_of(hass).async_delete([newest(hass).id])
    gone = await browser.get(found)
    assert (gone.status, gone.headers["Cache-Control"]) == (HTTPStatus.NOT_FOUND, "no-store")


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "video"},
        {"kind": "id"},
        {"kind": "files"},
        {"call_id": "0" * 16},
        {"call_id": "..%2f..%2fsecrets.yaml"},
        {"call_id": "..%5c..%5csecrets.yaml"},
        {"call_id": "*"},
        {"call_id": "%2e%2e"},
        {"entry_id": "nobody"},
        {"entry_id": "..%2f..%2f.storage"},
    ],
    ids=str,
)
async def test_unknown_paths(
    hass: HomeAssistant,
    browser: TestClient[Any, Any],
    simulator: Simulator,
    wrong: dict[str, str],
) -> None:
    """All unknown paths get the same response, which is not cached."""
    await ring(hass, simulator)
    answer = await browser.get(path(hass, **wrong))
    # Home Assistant itself refuses two dots.
    assert answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}
    assert "max-age" not in answer.headers.get("Cache-Control", "")
    assert newest(hass).id not in await answer.text()


async def test_account_that_is_not_loaded(
    hass: HomeAssistant, browser: TestClient[Any, Any], simulator: Simulator
) -> None:
    """Neither unloaded nor removed accounts serve pictures."""
    await ring(hass, simulator)
    found, entry = path(hass), get_entry(hass)
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert (await browser.get(found)).status == HTTPStatus.NOT_FOUND
    await hass.config_entries.async_setup(entry.entry_id)
    assert (await browser.get(found)).status == HTTPStatus.OK
    await hass.config_entries.async_remove(entry.entry_id)
    assert (await browser.get(found)).status == HTTPStatus.NOT_FOUND


async def test_anonymous_requests(
    hass: HomeAssistant,
    browser: TestClient[Any, Any],  # noqa: ARG001 - starts the server
    hass_client_no_auth: ClientSessionGenerator,
    simulator: Simulator,
) -> None:
    """They do not reveal whether a call exists."""
    await ring(hass, simulator)
    anonymous = await hass_client_no_auth()
    for found in (path(hass), path(hass, call_id="0" * 16), f"{path(hass)}?authSig=x"):
        assert (await anonymous.get(found)).status == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize(
    ("entities", "status"),
    [
        ({"camera.posto_esterno_cortile": True}, HTTPStatus.UNAUTHORIZED),
        ({"camera.posto_esterno_strada": True}, HTTPStatus.OK),
    ],
    ids=["the other camera", "this camera"],
)
async def test_user_with_access_to_one_camera(
    hass: HomeAssistant,
    browser: TestClient[Any, Any],
    hass_admin_user: MockUser,
    simulator: Simulator,
    *,
    entities: dict[str, bool],
    status: HTTPStatus,
) -> None:
    """A user needs access to the camera at which the call is shown."""
    await ring(hass, simulator)
    hass_admin_user.groups = []
    hass_admin_user.mock_policy({"entities": {"entity_ids": entities}})
    assert (await browser.get(path(hass))).status == status


@pytest.mark.parametrize("house_name", ["easykit_three_panels"])
@pytest.mark.parametrize("may_see", [True, False])
async def test_permission_for_an_unknown_panel(
    hass: HomeAssistant,
    browser: TestClient[Any, Any],
    hass_admin_user: MockUser,
    simulator: Simulator,
    may_see: bool,
) -> None:
    """The doorbell of the intercom decides, because there is no camera."""
    simulator.ring()
    await wait_frames(hass, 2)
    await wait_idle(hass)
    (doorbell,) = [
        each
        for each in hass.states.async_entity_ids("event")
        if event_path(hass, each) and "doorbell" in each
    ]
    hass_admin_user.groups = []
    hass_admin_user.mock_policy({"entities": {"entity_ids": {doorbell: may_see}}})
    status = HTTPStatus.OK if may_see else HTTPStatus.UNAUTHORIZED
    assert (await browser.get(path(hass))).status == status


async def test_wait_for_a_download(
    hass: HomeAssistant,
    browser: TestClient[Any, Any],
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A phone requests the path of the event before the download has ended."""
    monkeypatch.setattr(views, "WAIT_SECONDS", 3600)
    response = asyncio.Event()
    simulator.fail(BLOB, Failure(until=response), times=2)
    call = simulator.ring(STREET)
    await wait_until(lambda: event_path(hass))
    waiting = [await _request_picture(hass, browser) for _ in range(5)]
    response.set()
    for answer in await asyncio.gather(*waiting):
        assert answer.status == HTTPStatus.OK
        assert await answer.read() == jpeg(call.picture_id("snapshot"))
    assert simulator.journal.count(BLOB) <= 2


async def _request_picture(
    hass: HomeAssistant, browser: TestClient[Any, Any]
) -> asyncio.Task[ClientResponse]:
    """Request the picture of the newest ring; returns once Home Assistant waits for it."""
    listeners = get_entry(hass).runtime_data.history._listeners._listeners
    before = len(listeners)
    task = asyncio.create_task(browser.get(event_path(hass) or ""))
    await wait_until(lambda: len(listeners) > before)
    return task


@pytest.fixture(name="waiting")
async def _waiting(
    hass: HomeAssistant,
    browser: TestClient[Any, Any],
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> asyncio.Task[Any]:
    """A request for a picture whose download never ends, with a very long time-out."""
    monkeypatch.setattr(views, "WAIT_SECONDS", 3600)
    monkeypatch.setattr(room, "LINK_EXPECTED_SECONDS", 3600)
    simulator.fail(BLOB, Failure(until=asyncio.Event()), times=2)
    simulator.ring(STREET)
    await wait_until(lambda: event_path(hass))
    return await _request_picture(hass, browser)


async def test_wait_time_out(
    hass: HomeAssistant,
    browser: TestClient[Any, Any],
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The wait ends after a time-out."""
    monkeypatch.setattr(views, "WAIT_SECONDS", 0.1)
    simulator.fail(BLOB, Failure(until=asyncio.Event()), times=2)
    simulator.ring(STREET)
    await wait_until(lambda: event_path(hass))
    assert (await browser.get(event_path(hass) or "")).status == HTTPStatus.NOT_FOUND


async def test_deletion_ends_the_wait(hass: HomeAssistant, waiting: asyncio.Task[Any]) -> None:
    """A request for a deleted call gets a 404."""
    await history_of(hass).async_delete([newest(hass).id])
    assert (await waiting).status == HTTPStatus.NOT_FOUND


async def test_unload_ends_the_wait(hass: HomeAssistant, waiting: asyncio.Task[Any]) -> None:
    """A request gets a 404 once the account is unloaded."""
    assert await hass.config_entries.async_unload(get_entry(hass).entry_id)
    assert (await waiting).status == HTTPStatus.NOT_FOUND


async def test_cancelled_request(
    hass: HomeAssistant, browser: TestClient[Any, Any], waiting: asyncio.Task[Any]
) -> None:
    """The listener is removed if the client disconnects."""
    listeners = get_entry(hass).runtime_data.history._listeners._listeners
    before = len(listeners)
    waiting.cancel()
    await browser.close()
    await wait_until(lambda: len(listeners) < before)
    assert len(listeners) == before - 1


async def test_failed_download_ends_the_wait(
    hass: HomeAssistant,
    browser: TestClient[Any, Any],
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A failed download ends the wait with a 404."""
    monkeypatch.setattr(views, "WAIT_SECONDS", 3600)
    response = asyncio.Event()
    simulator.fail(BLOB, Failure(until=response, status=302), times=2)
    simulator.ring(STREET)
    await wait_until(lambda: event_path(hass))
    monkeypatch.setattr(room, "LINK_EXPECTED_SECONDS", 0)
    waiting = await _request_picture(hass, browser)
    response.set()
    answer = await waiting
    assert answer.status == HTTPStatus.NOT_FOUND
    assert [entry.status for entry in simulator.journal.of(BLOB)] == [302, 302]


@pytest.mark.parametrize("house_name", ["voice_only"])
@pytest.mark.parametrize("is_known", [True, False])
async def test_panel_without_a_camera(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator, is_known: bool
) -> None:
    """No path is reported after a call without a picture."""
    history = history_of(hass)
    assert [call.pictures for call in await calls_of(hass)] == [()]
    if not is_known:
        await history.async_delete_all()
    simulator.ring()
    await wait_until(events.rings)
    expected = None if is_known else path(hass)
    assert event_path(hass, "event.citofono_doorbell") == expected


async def test_path_at_the_end_of_a_call(
    hass: HomeAssistant, events: EventRecorder, simulator: Simulator
) -> None:
    """The path is also reported at the end; states contain no signed link."""
    call = await ring(hass, simulator)
    simulator.answer_elsewhere(call)
    simulator.hang_up(call)
    await wait_until(lambda: ("event.posto_esterno_strada_call", "ended") in events.recorded())
    assert event_path(hass, STREET_CALL) == path(hass)
    states = str([state.as_dict() for state in hass.states.async_all()])
    assert "sig=" not in states
    assert call.session_id not in states


async def test_call_with_only_a_close_up(
    hass: HomeAssistant, events: EventRecorder, browser: TestClient[Any, Any], simulator: Simulator
) -> None:
    """The end reports the close-up if there is no whole view."""
    simulator.fail(BLOB, Failure(status=302), times=1)
    call = simulator.ring(STREET)
    await wait_frames(hass, 3)
    await wait_idle(hass)
    simulator.miss(call)
    await wait_until(lambda: ("event.posto_esterno_strada_call", "missed") in events.recorded())
    assert event_path(hass, STREET_CALL) == path(hass, kind="vignette")
    assert (await browser.get(path(hass, kind="vignette"))).status == HTTPStatus.OK
