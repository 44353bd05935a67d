"""The path to a call's picture: what it answers, to whom, and how long it waits."""

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest

from custom_components.bticino_classe.history import downloads as room, http as views
from custom_components.bticino_classe.history.records import picture_path
from tests.integration.conftest import Happenings, heard, settle, the_entry, until
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
    bell: Happenings,  # noqa: ARG001 - a house that rings
) -> TestClient[Any, Any]:
    """Somebody who is signed in."""
    client: TestClient[Any, Any] = await hass_client()
    return client


def newest(hass: HomeAssistant) -> CallRecord:
    """Return the last call of the history."""
    return max(history_of(hass)._summary.recent, key=lambda call: call.time)


def path(hass: HomeAssistant, **changed: str) -> str:
    """Return the path to the last call's picture, or a wrong one."""
    right = {
        "entry_id": the_entry(hass).entry_id,
        "call_id": newest(hass).id,
        "kind": "snapshot",
    }
    return picture_path(**right | changed)


def told_path(hass: HomeAssistant, entity_id: str = STREET_BELL) -> str | None:
    """Return the path that an event tells."""
    state = hass.states.get(entity_id)
    assert state is not None
    found: str | None = state.attributes.get("picture")
    return found


async def ring(hass: HomeAssistant, simulator: Simulator, **how: Any) -> Call:
    """Ring, and wait until the picture is there."""
    frames = the_entry(hass).runtime_data.push.socket.counters["frames"]
    call = simulator.ring(STREET, **how)
    await heard(hass, frames + 2)
    await settle(hass)
    return call


async def test_picture_is_answered_whole_and_kept_by_the_browser(
    hass: HomeAssistant, browser: TestClient[Any, Any], simulator: Simulator
) -> None:
    """Each of the two, at the path that the ring told."""
    call = await ring(hass, simulator)
    assert told_path(hass) == told_path(hass, STREET_CALL) == path(hass)
    for kind in ("snapshot", "vignette"):
        answer = await browser.get(path(hass, kind=kind))
        assert answer.status == HTTPStatus.OK
        assert answer.content_type == "image/jpeg"
        assert answer.headers["Cache-Control"] == "private, max-age=86400, immutable"
        assert await answer.read() == jpeg(call.picture_id(kind))


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
async def test_nothing_else_can_be_had(
    hass: HomeAssistant,
    browser: TestClient[Any, Any],
    simulator: Simulator,
    wrong: dict[str, str],
) -> None:
    """One answer for whatever is unknown, and the browser does not keep it."""
    await ring(hass, simulator)
    answer = await browser.get(path(hass, **wrong))
    # Home Assistant itself refuses two dots.
    assert answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}
    assert "max-age" not in answer.headers.get("Cache-Control", "")
    assert newest(hass).id not in await answer.text()


async def test_account_that_is_not_set_up_has_none(
    hass: HomeAssistant, browser: TestClient[Any, Any], simulator: Simulator
) -> None:
    """Nor has one that was removed."""
    await ring(hass, simulator)
    found, entry = path(hass), the_entry(hass)
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert (await browser.get(found)).status == HTTPStatus.NOT_FOUND
    await hass.config_entries.async_setup(entry.entry_id)
    assert (await browser.get(found)).status == HTTPStatus.OK
    await hass.config_entries.async_remove(entry.entry_id)
    assert (await browser.get(found)).status == HTTPStatus.NOT_FOUND


async def test_nobody_without_a_sign_in(
    hass: HomeAssistant,
    browser: TestClient[Any, Any],  # noqa: ARG001 - the house
    hass_client_no_auth: ClientSessionGenerator,
    simulator: Simulator,
) -> None:
    """Not even to learn whether there is such a call."""
    await ring(hass, simulator)
    stranger = await hass_client_no_auth()
    for found in (path(hass), path(hass, call_id="0" * 16), f"{path(hass)}?authSig=x"):
        assert (await stranger.get(found)).status == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize(
    ("entities", "status"),
    [
        ({"camera.posto_esterno_cortile": True}, HTTPStatus.UNAUTHORIZED),
        ({"camera.posto_esterno_strada": True}, HTTPStatus.OK),
    ],
    ids=["the other camera", "this camera"],
)
async def test_user_who_may_not_see_the_camera(
    hass: HomeAssistant,
    browser: TestClient[Any, Any],
    hass_admin_user: MockUser,
    simulator: Simulator,
    *,
    entities: dict[str, bool],
    status: HTTPStatus,
) -> None:
    """Its pictures are no more open than itself."""
    await ring(hass, simulator)
    hass_admin_user.groups = []
    hass_admin_user.mock_policy({"entities": {"entity_ids": entities}})
    assert (await browser.get(path(hass))).status == status


@pytest.mark.parametrize("house_name", ["easykit_three_panels"])
@pytest.mark.parametrize("may_see", [True, False])
async def test_ring_of_no_known_panel_is_judged_by_the_intercoms_doorbell(
    hass: HomeAssistant,
    browser: TestClient[Any, Any],
    hass_admin_user: MockUser,
    simulator: Simulator,
    may_see: bool,
) -> None:
    """It has no camera."""
    simulator.ring()
    await heard(hass, 2)
    await settle(hass)
    (doorbell,) = [
        each
        for each in hass.states.async_entity_ids("event")
        if told_path(hass, each) and each.endswith("doorbell")
    ]
    hass_admin_user.groups = []
    hass_admin_user.mock_policy({"entities": {"entity_ids": {doorbell: may_see}}})
    status = HTTPStatus.OK if may_see else HTTPStatus.UNAUTHORIZED
    assert (await browser.get(path(hass))).status == status


async def test_waits_for_a_picture_on_its_way(
    hass: HomeAssistant,
    browser: TestClient[Any, Any],
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A phone asks for what it was told with the ring, before the cloud has given it."""
    monkeypatch.setattr(views, "WAIT_SECONDS", 3600)
    response = asyncio.Event()
    simulator.fail(BLOB, Failure(until=response), times=2)
    call = simulator.ring(STREET)
    await until(lambda: told_path(hass))
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
    listeners = the_entry(hass).runtime_data.history._listeners._listeners
    before = len(listeners)
    task = asyncio.create_task(browser.get(told_path(hass) or ""))
    await until(lambda: len(listeners) > before)
    return task


@pytest.fixture(name="waiting")
async def _waiting(
    hass: HomeAssistant,
    browser: TestClient[Any, Any],
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> asyncio.Task[Any]:
    """Somebody who waits for a picture that never comes, with all the patience there is."""
    monkeypatch.setattr(views, "WAIT_SECONDS", 3600)
    monkeypatch.setattr(room, "LINK_COMES_WITHIN", 3600)
    simulator.fail(BLOB, Failure(until=asyncio.Event()), times=2)
    simulator.ring(STREET)
    await until(lambda: told_path(hass))
    return await _request_picture(hass, browser)


async def test_patience_ends(
    hass: HomeAssistant,
    browser: TestClient[Any, Any],
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However long the cloud takes."""
    monkeypatch.setattr(views, "WAIT_SECONDS", 0.1)
    simulator.fail(BLOB, Failure(until=asyncio.Event()), times=2)
    simulator.ring(STREET)
    await until(lambda: told_path(hass))
    assert (await browser.get(told_path(hass) or "")).status == HTTPStatus.NOT_FOUND


async def test_deletion_ends_the_wait(hass: HomeAssistant, waiting: asyncio.Task[Any]) -> None:
    """There will be no picture of a call that is no more."""
    await history_of(hass).async_delete([newest(hass).id])
    assert (await waiting).status == HTTPStatus.NOT_FOUND


async def test_unload_ends_the_wait(hass: HomeAssistant, waiting: asyncio.Task[Any]) -> None:
    """Nobody fetches it any more."""
    assert await hass.config_entries.async_unload(the_entry(hass).entry_id)
    assert (await waiting).status == HTTPStatus.NOT_FOUND


async def test_who_goes_away_leaves_nothing(
    hass: HomeAssistant, browser: TestClient[Any, Any], waiting: asyncio.Task[Any]
) -> None:
    """A phone that lost its network."""
    listeners = the_entry(hass).runtime_data.history._listeners._listeners
    before = len(listeners)
    waiting.cancel()
    await browser.close()
    await until(lambda: len(listeners) == before - 1)


async def test_failed_download_ends_the_wait(
    hass: HomeAssistant,
    browser: TestClient[Any, Any],
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever waits learns soon that nothing comes."""
    monkeypatch.setattr(views, "WAIT_SECONDS", 3600)
    response = asyncio.Event()
    simulator.fail(BLOB, Failure(until=response, status=302), times=2)
    simulator.ring(STREET)
    await until(lambda: told_path(hass))
    monkeypatch.setattr(room, "LINK_COMES_WITHIN", 0)
    waiting = await _request_picture(hass, browser)
    response.set()
    answer = await waiting
    assert answer.status == HTTPStatus.NOT_FOUND
    assert [entry.status for entry in simulator.journal.of(BLOB)] == [302, 302]


@pytest.mark.parametrize("house_name", ["voice_only"])
@pytest.mark.parametrize("is_known", [True, False])
async def test_panel_without_a_camera(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator, is_known: bool
) -> None:
    """Once somebody has rung without leaving a picture, none is told of."""
    history = history_of(hass)
    assert [call.pictures for call in await calls_of(hass)] == [()]
    if not is_known:
        await history.async_delete_all()
    simulator.ring()
    await until(bell.rings)
    told = None if is_known else path(hass)
    assert told_path(hass, "event.citofono_doorbell") == told
    assert told_path(hass, "event.citofono_call") == told


async def test_whole_life_of_a_call_tells_the_picture(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator
) -> None:
    """Also at its end; a link never stands in any state."""
    call = await ring(hass, simulator)
    simulator.answer_elsewhere(call)
    simulator.hang_up(call)
    await until(lambda: ("event.posto_esterno_strada_call", "ended") in bell.told())
    assert told_path(hass, STREET_CALL) == path(hass)
    states = str([state.as_dict() for state in hass.states.async_all()])
    assert "sig=" not in states
    assert call.session_id not in states


async def test_call_of_a_close_up_alone(
    hass: HomeAssistant, bell: Happenings, browser: TestClient[Any, Any], simulator: Simulator
) -> None:
    """Where the whole view could not be had, the end tells of what there is."""
    simulator.fail(BLOB, Failure(status=302), times=1)
    call = simulator.ring(STREET)
    await heard(hass, 3)
    await settle(hass)
    simulator.miss(call)
    await until(lambda: ("event.posto_esterno_strada_call", "missed") in bell.told())
    assert told_path(hass, STREET_CALL) == path(hass, kind="vignette")
    assert (await browser.get(path(hass, kind="vignette"))).status == HTTPStatus.OK
