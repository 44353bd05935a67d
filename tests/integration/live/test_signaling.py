"""The endpoint for go2rtc's signaling: frames, who may talk, and what is refused."""

import json
import logging
from typing import TYPE_CHECKING, Any

from aiohttp import WSServerHandshakeError
import pytest

from custom_components.bticino_classe.errors import translated_error
from custom_components.bticino_classe.live import signaling as endpoint
from custom_components.bticino_classe.live.stream_address import SIGNALING_PATH
from tests.client.webrtc.descriptions import problems, sections
from tests.conftest import HANG_TIMEOUT
from tests.integration.conftest import get_entry, is_watched, wait_until
from tests.integration.live.browser_client import STREET, YARD, open_session
from tests.integration.live.conftest import (
    CANDIDATE as VIEWER_CANDIDATE,
    ring_and_wait,
    set_timeouts,
)
from tests.integration.live.signaling_client import (
    CANDIDATE,
    OFFER,
    SignalingSocket,
    signaling,
    signaling_path,
    two_way_offer,
    watch,
)
from tests.integration.live.whep_client import Whep, expect_problem, relay_offer, talk_offer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

MANY = "x" * 70_000


def audio_directions(sdp: str) -> list[str]:
    """Return the directions of the sections of sound."""
    words = ("a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive")
    audio = [section for section in sections(sdp) if section[0].startswith("m=audio")]
    return [next(line[2:] for line in section if line in words) for section in audio]


def viewers(hass: HomeAssistant) -> int:
    """Return the number of viewers."""
    found: int = get_entry(hass).runtime_data.live.viewers
    return found


async def expect_gone(hass: HomeAssistant, simulator: Simulator) -> None:
    """Wait until no view is left, in Home Assistant and at the intercom."""
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    await wait_until(lambda: not viewers(hass))


async def test_view(hass: HomeAssistant, user: Whep, simulator: Simulator) -> None:
    """The answer comes first, then the candidates; without the socket the view goes on."""
    offer = two_way_offer()
    async with signaling(user) as socket:
        await socket.send(OFFER, offer)
        answer = await socket.receive_answer()
        assert list(problems(offer, answer)) == []
        assert audio_directions(answer) == ["sendonly", "recvonly"]
        kind, value = await socket.receive() or ("", "")
        assert kind == CANDIDATE
        assert value.startswith("candidate:")
    await hass.async_block_till_done()
    session = open_session(simulator)
    assert session.sdp.count("m=audio") == 1
    assert is_watched(hass, STREET)
    assert (viewers(hass), simulator.rtc.terminates) == (1, 0)


@pytest.mark.parametrize("is_early", [True, False])
async def test_candidates_of_the_client(
    user: Whep, simulator: Simulator, *, is_early: bool
) -> None:
    """They may precede the offer, and belong to its first section."""
    async with signaling(user) as socket:
        await socket.send("something/else", "")
        if is_early:
            await socket.send(CANDIDATE, VIEWER_CANDIDATE)
        await socket.send(OFFER, two_way_offer())
        await socket.receive_answer()
        if not is_early:
            await socket.send(CANDIDATE, VIEWER_CANDIDATE)
        await socket.send(CANDIDATE, "")
        await socket.send("something/else", "")
        await simulator.rtc.wait_for(lambda: open_session(simulator).candidates)
    (candidate,) = open_session(simulator).candidates
    assert candidate["candidate"] == VIEWER_CANDIDATE
    assert (candidate["sdp_mid"], candidate["sdp_m_line_index"]) == ("0", 0)


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        ("nonsense", "frame"),
        ("[]", "frame"),
        ("{}", "frame"),
        ("[" * 20_000, "frame"),
        ('{"type": "webrtc/offer"}', "frame"),
        ('{"type": "webrtc/offer", "value": {"sdp": "v=0"}}', "frame"),
        ('{"type": 1, "value": "x"}', "frame"),
        (b"\x00", "frame"),
        (json.dumps({"type": OFFER, "value": ""}), "offer"),
        (json.dumps({"type": OFFER, "value": "v=0\r\n"}), "offer"),
        (json.dumps({"type": OFFER, "value": two_way_offer().replace("H264", "VP8")}), "H.264"),
    ],
)
async def test_malformed_frames(
    user: Whep, simulator: Simulator, frame: str | bytes, text: str
) -> None:
    """The client is told what is wrong; the intercom is not called."""
    async with signaling(user) as socket:
        await socket.send_raw(frame)
        assert text in await socket.expect_error()
    assert simulator.rtc.offers == 0


async def test_frame_that_is_too_large(
    hass: HomeAssistant, user: Whep, simulator: Simulator
) -> None:
    """The socket is closed, before or after the answer."""
    async with signaling(user) as socket:
        await socket.send(OFFER, MANY)
        while await socket.receive() is not None:
            pass
    assert simulator.rtc.offers == 0
    async with signaling(user) as socket:
        await socket.send(OFFER, two_way_offer())
        await socket.receive_answer()
        await socket.send(CANDIDATE, MANY)
        while await socket.receive() is not None:
            pass
    await expect_gone(hass, simulator)


@pytest.mark.parametrize("is_answered", [True, False])
async def test_too_many_frames(
    hass: HomeAssistant, user: Whep, simulator: Simulator, *, is_answered: bool
) -> None:
    """A client that floods loses its view."""
    async with signaling(user) as socket:
        if is_answered:
            await socket.send(OFFER, two_way_offer())
            await socket.receive_answer()
        for _ in range(endpoint.MAX_FRAMES + 1):
            await socket.send(CANDIDATE, VIEWER_CANDIDATE)
        frames = [frame async for frame in all_frames(socket)]
    assert frames[-1] == ("error", "There are too many frames.")
    await expect_gone(hass, simulator)


async def all_frames(socket: SignalingSocket) -> Any:
    """Yield the frames until the socket is closed."""
    while (frame := await socket.receive()) is not None:
        yield frame


async def test_silent_client(
    user: Whep, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not keep its socket for ever."""
    monkeypatch.setattr(endpoint, "OFFER_SECONDS", 0.01)
    async with signaling(user) as socket:
        assert await socket.expect_error() == "There was no offer in time."
    assert simulator.rtc.offers == 0


async def test_client_that_keeps_the_socket(
    hass: HomeAssistant, user: Whep, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is closed; the view goes on, as if the client had closed it."""
    monkeypatch.setattr(endpoint, "CONNECTED_SECONDS", 0.01)
    async with signaling(user) as socket:
        await socket.send(OFFER, two_way_offer())
        await socket.receive_answer()
        while await socket.receive() is not None:
            pass
    assert (viewers(hass), len(simulator.rtc.open)) == (1, 1)


async def test_client_that_leaves_before_its_offer(user: Whep, simulator: Simulator) -> None:
    """Nothing happens."""
    async with signaling(user) as socket:
        await socket.send(CANDIDATE, VIEWER_CANDIDATE)
    assert simulator.rtc.offers == 0


async def test_client_that_leaves_before_the_answer(
    hass: HomeAssistant, user: Whep, simulator: Simulator
) -> None:
    """The call is ended."""
    simulator.rtc.settings.silent_answers = True
    async with signaling(user) as socket:
        await socket.send(OFFER, two_way_offer())
        await simulator.rtc.wait_for(lambda: simulator.rtc.open)
    await expect_gone(hass, simulator)
    assert simulator.rtc.terminates == 1


async def test_view_that_ends(hass: HomeAssistant, user: Whep, simulator: Simulator) -> None:
    """A client that still has its socket gets the reason."""
    async with signaling(user) as socket:
        await socket.send(OFFER, two_way_offer())
        await socket.receive_answer()
        simulator.rtc.device_error(open_session(simulator), 0)
        frames = [frame async for frame in all_frames(socket)]
    assert frames[-1][0] == "error"
    await expect_gone(hass, simulator)


@pytest.mark.parametrize(
    ("settings", "key"),
    [({"refuse_offers": 41}, "call_unreachable"), ({"slots": 0}, "call_busy")],
)
async def test_failed_calls(
    hass: HomeAssistant, user: Whep, simulator: Simulator, settings: dict[str, Any], key: str
) -> None:
    """The error is a translated text: go2rtc shows it."""
    for name, value in settings.items():
        setattr(simulator.rtc.settings, name, value)
    async with signaling(user) as socket:
        await socket.send(OFFER, two_way_offer())
        assert await socket.expect_error() == translated_error(hass, key)
    assert viewers(hass) == 0


async def test_stream_address_only_watches(
    hass: HomeAssistant, relay: Whep, simulator: Simulator
) -> None:
    """The section that sends is answered inactive, and the holder is a relay with limits."""
    assert audio_directions(await watch(relay)) == ["sendonly", "inactive"]
    assert "cname:go2rtc" not in open_session(simulator).sdp
    (viewer,) = get_entry(hass).runtime_data.live._viewers.values()
    assert viewer.relay is not None
    assert not viewer.access.may_control
    await watch(relay)  # replaces its own view
    assert (simulator.rtc.offers, simulator.rtc.peak, simulator.rtc.terminates) == (2, 1, 1)


async def test_stream_address_answers_no_ring(
    hass: HomeAssistant, relay: Whep, simulator: Simulator
) -> None:
    """As by the other endpoint."""
    await ring_and_wait(hass, simulator)
    async with signaling(relay) as socket:
        await socket.send(OFFER, two_way_offer())
        assert await socket.expect_error() == translated_error(hass, "call_busy")
    assert (simulator.rtc.offers, simulator.rtc.answers) == (0, 0)


async def test_user_who_talks_answers_the_ring(
    hass: HomeAssistant, user: Whep, simulator: Simulator
) -> None:
    """As by the other endpoint."""
    await ring_and_wait(hass, simulator)
    assert audio_directions(await watch(user)) == ["sendonly", "recvonly"]
    assert (simulator.rtc.offers, simulator.rtc.answers) == (0, 1)


@pytest.mark.parametrize("sdp", [relay_offer, talk_offer])
async def test_other_offers(user: Whep, simulator: Simulator, sdp: Any) -> None:
    """Not only those with three sections."""
    offer = sdp()
    assert list(problems(offer, await watch(user, offer))) == []
    assert len(simulator.rtc.open) == 1


@pytest.mark.parametrize(
    ("entities", "status", "spoken"),
    [
        ({}, 403, ""),
        ({"entity_ids": {YARD: True}}, 403, ""),
        ({"entity_ids": {STREET: {"control": True}}}, 403, ""),
        ({"entity_ids": {STREET: {"read": True}}}, 101, "inactive"),
        ({"entity_ids": {STREET: True}}, 101, "recvonly"),
    ],
    ids=str,
)
async def test_permissions(
    as_guest: Callable[[dict[str, Any]], Awaitable[Whep]],
    simulator: Simulator,
    *,
    entities: dict[str, Any],
    status: int,
    spoken: str,
) -> None:
    """A user who may only watch is heard by nobody."""
    guest = await as_guest(entities)
    if status == 101:
        assert audio_directions(await watch(guest)) == ["sendonly", spoken]
    else:
        with pytest.raises(WSServerHandshakeError) as refused:
            await watch(guest)
        assert refused.value.status == status
        assert simulator.rtc.offers == 0


@pytest.mark.parametrize("change", ["x", "", None])
async def test_wrong_secret(relay: Whep, simulator: Simulator, change: str | None) -> None:
    """There is no WebSocket without authorization."""
    path = signaling_path(relay)
    address = path.partition("?")[0] + (f"?auth={change}" if change is not None else "")
    with pytest.raises(WSServerHandshakeError) as refused:
        async with signaling(relay, address):
            pass
    assert refused.value.status == 401
    assert simulator.rtc.offers == 0


async def test_unknown_camera_and_other_requests(user: Whep, relay: Whep) -> None:
    """They get problems, as from the other endpoint."""
    await expect_problem(await user.http.get(f"{SIGNALING_PATH}/camera.none"), 404)
    await expect_problem(await user.http.get(signaling_path(user)), 426)
    await expect_problem(await relay.http.get(f"{SIGNALING_PATH}/{STREET}"), 401)
    assert (await user.http.post(signaling_path(user), data="v=0")).status == 405


async def test_account_that_is_not_loaded(
    hass: HomeAssistant, relay: Whep, online_entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """Its views end, and its secret still counts."""
    await watch(relay)
    await hass.config_entries.async_unload(online_entry.entry_id)
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    async with signaling(relay) as socket:
        await socket.send(OFFER, two_way_offer())
        assert await socket.expect_error() == "The account is not connected."


async def test_unload_while_a_view_is_set_up(
    hass: HomeAssistant, relay: Whep, online_entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The client gets the reason."""
    simulator.rtc.settings.silent_answers = True
    async with signaling(relay) as socket:
        await socket.send(OFFER, two_way_offer())
        await simulator.rtc.wait_for(lambda: simulator.rtc.open)
        await hass.config_entries.async_unload(online_entry.entry_id)
        await socket.expect_error()


async def test_ring_that_cannot_be_answered_from_here(
    hass: HomeAssistant, user: Whep, simulator: Simulator
) -> None:
    """The client waits for the end of the ring, without another frame."""
    set_timeouts(get_entry(hass), busy=0.01, answered=HANG_TIMEOUT)
    simulator.rtc.settings.busy_while_ringing = True
    call = await ring_and_wait(hass, simulator, offer=False, names_panel=True)
    async with signaling(user) as socket:
        await socket.send(OFFER, two_way_offer())
        live = get_entry(hass).runtime_data.live
        await wait_until(lambda: any(v.waits_for_ring for v in live._viewers.values()))
        simulator.hang_up(call)
        assert audio_directions(await socket.receive_answer()) == ["sendonly", "recvonly"]


async def test_secret_stays_out_of_the_log(relay: Whep, caplog: pytest.LogCaptureFixture) -> None:
    """Even of all requests."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("aiohttp.access").setLevel(logging.INFO)
    await watch(relay)
    await expect_problem(await relay.http.get(signaling_path(relay)), 426)
    await wait_until(lambda: "auth=**REDACTED**" in caplog.text)
    secret = relay.path.rpartition("=")[2]
    assert f"{SIGNALING_PATH}/{STREET}?auth=**REDACTED**" in caplog.text
    own = [each for each in caplog.records if not each.name.startswith("homeassistant.core")]
    assert [each.name for each in own if secret in each.getMessage()] == []
