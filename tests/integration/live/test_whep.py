"""The WHEP endpoint: requests and responses, and what is refused."""

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest
from webrtc_models import RTCIceServer

from custom_components.bticino_classe.live import whep
from custom_components.bticino_classe.live.stream_address import WHEP_PATH
from tests.client.webrtc.descriptions import problems
from tests.conftest import HANG_TIMEOUT
from tests.integration.conftest import get_entry, is_watched, wait_until
from tests.integration.live.browser_client import STREET, YARD, open_session, panel_id
from tests.integration.live.conftest import CANDIDATE, quiet, set_timeouts
from tests.integration.live.whep_client import (
    Whep,
    expect_problem,
    relay_offer,
    talk_offer,
)
from tests.simulator import scripted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator


LINK = re.compile(
    r'<turns?:[^>]+>; rel="ice-server"; username="[^"]+"; credential="[^"]+";'
    r' credential-type="password"'
)


async def test_view(hass: HomeAssistant, relay: Whep, simulator: Simulator) -> None:
    """The answer is complete, and DELETE ends the call."""
    sent = relay_offer()
    response = await relay.post(sent)
    assert response.status == 201
    assert response.content_type == "application/sdp"
    answer = await response.text()
    assert list(problems(sent, answer)) == []
    assert answer.count("a=candidate:") == 2
    assert answer.count("a=end-of-candidates") == 2
    assert response.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"
    assert re.fullmatch('"[0-9a-f]{16}"', response.headers["ETag"])
    assert response.headers["Cache-Control"] == "no-store"
    location = response.headers["Location"]
    assert re.fullmatch(rf"{WHEP_PATH}/{STREET}/[\w-]{{32}}", location)
    await hass.async_block_till_done()
    assert is_watched(hass, STREET)
    session = open_session(simulator)
    assert session.panel_id == panel_id(simulator, "Posto esterno strada")
    assert session.sdp_size < 2600
    assert (await relay.http.get(location)).status == 204
    assert (await relay.http.delete(location)).status == 200
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    assert (simulator.rtc.offers, simulator.rtc.terminates) == (1, 1)
    await expect_problem(await relay.http.get(location), 404)
    await expect_problem(await relay.http.delete(location), 404)


@pytest.mark.parametrize("is_complete", [True, False])
async def test_candidates_in_the_answer_of_the_intercom(
    relay: Whep, monkeypatch: pytest.MonkeyPatch, *, is_complete: bool
) -> None:
    """A complete answer is passed on at once, another one when no more candidates come."""
    monkeypatch.setattr(whep, "QUIET_SECONDS", quiet(HANG_TIMEOUT if is_complete else 0.1))
    lines = (f"a={CANDIDATE}", *(["a=end-of-candidates"] if is_complete else []))
    monkeypatch.setattr(scripted, "SECURITY", (*scripted.SECURITY, *lines))
    monkeypatch.setattr(scripted, "CANDIDATES", ())
    response = await relay.post()
    assert response.status == 201
    answer = await response.text()
    assert answer.count(f"a={CANDIDATE}") == answer.count("a=end-of-candidates") == 2


async def test_intercom_without_candidates(
    relay: Whep, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait for them is bounded."""
    monkeypatch.setattr(whep, "GATHER_SECONDS", 0.05)
    monkeypatch.setattr(scripted, "CANDIDATES", ())
    response = await relay.post()
    assert response.status == 201
    answer = await response.text()
    assert "a=candidate" not in answer
    assert "a=end-of-candidates" in answer
    assert len(simulator.rtc.open) == 1


async def test_ice_servers(relay: Whep) -> None:
    """Only who may watch gets them: with the answer, and before the offer."""
    path, _, _ = relay.path.partition("?")
    response = await relay.post()
    for found in (response, await relay.http.options(relay.path)):
        links = found.headers.getall("Link")
        assert links
        assert all(LINK.fullmatch(link) for link in links)
    for address in (path, f"{path}?auth=wrong", f"{WHEP_PATH}/camera.none"):
        refused = await relay.http.options(address)
        assert refused.status == 200
        assert refused.headers["Accept-Post"] == "application/sdp"
        assert "Link" not in refused.headers


@pytest.mark.parametrize(
    ("server", "links"),
    [
        (
            {"urls": ["turn:a", "stun:b"]},
            ['<turn:a>; rel="ice-server"', '<stun:b>; rel="ice-server"'],
        ),
        ({"urls": "turn:a", "username": "u"}, ['<turn:a>; rel="ice-server"']),
        (
            {"urls": "turn:a", "username": 'u"', "credential": "\\"},
            [
                (
                    '<turn:a>; rel="ice-server"; username="u\\""; credential="\\\\";'
                    ' credential-type="password"'
                )
            ],
        ),
        ({"urls": "turn:a\r\nSet-Cookie: x"}, []),
        ({"urls": "turn:a", "username": "ü", "credential": "x"}, []),
    ],
)
def test_link_headers(server: dict[str, Any], links: list[str]) -> None:
    """One for each address; none that would break the response."""
    servers = [RTCIceServer(**server)]
    assert [link for _, link in whep._ice_links(servers)] == links


async def test_trickled_candidates(relay: Whep, simulator: Simulator) -> None:
    """Useful ones are passed on to the intercom."""
    response = await relay.post()
    location, etag = response.headers["Location"], response.headers["ETag"]
    tcp = CANDIDATE.replace("udp", "tcp")
    fragment = f"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:1\r\na={CANDIDATE}\r\na={tcp}\r\n"
    found = await relay.patch(location, fragment, **{"If-Match": etag})
    assert found.status == 204
    assert "ETag" not in found.headers
    await simulator.rtc.wait_for(lambda: open_session(simulator).candidates)
    assert open_session(simulator).candidates == [
        {"candidate": CANDIDATE, "sdp_mid": "1", "sdp_m_line_index": 1}
    ]


@pytest.mark.parametrize(
    ("fragment", "if_match", "content_type", "status"),
    [
        ("a=mid:0\r\n", None, None, 428),
        ("a=mid:0\r\n", "", None, 428),
        ("a=mid:0\r\n", '"other"', None, 412),
        ("a=mid:0\r\n", "W/{etag}", None, 412),
        ("a=mid:0\r\n", "{etag}", None, 204),
        ("a=mid:0\r\n", '"other", {etag}', None, 204),
        ("a=mid:0\r\n", "*", None, 204),
        ("a=mid:0\r\n", '"*"', None, 204),
        ("", "{etag}", None, 400),
        ("nonsense\r\n", "{etag}", None, 400),
        ("a=mid:0\r\n", "{etag}", "application/sdp", 415),
        ("a=ice-ufrag:new\r\na=ice-pwd:new\r\n", "*", None, 422),
        ("a=x\r\n" * 30_000, "{etag}", None, 413),
    ],
)
async def test_patch(
    relay: Whep, fragment: str, if_match: str | None, content_type: str | None, status: int
) -> None:
    """What cannot be done is refused, and the view goes on."""
    response = await relay.post()
    location, etag = response.headers["Location"], response.headers["ETag"]
    headers = {} if if_match is None else {"If-Match": if_match.format(etag=etag)}
    headers |= {"Content-Type": content_type} if content_type else {}
    found = await relay.patch(location, fragment, **headers)
    if status == 204:
        assert found.status == 204
    else:
        await expect_problem(found, status)
    assert (await relay.http.get(location)).status == 204


async def test_methods(relay: Whep) -> None:
    """Both addresses say what they take."""
    location = await relay.watch()
    for address in (relay.path, location):
        assert (await relay.http.put(address)).status == 405
        assert (await relay.http.options(address)).status == 200
    assert (await relay.http.get(relay.path)).status == 204
    assert (await relay.http.patch(relay.path)).status == 405
    assert (await relay.http.post(location)).status == 405
    options = await relay.http.options(location)
    assert options.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("nonsense", "application/sdp", 400),
        ("", "application/sdp", 400),
        (b"v=0\r\n\xff\xff", "application/sdp", 400),
        (relay_offer().replace("a=fingerprint", "a=nothing"), "application/sdp", 400),
        (relay_offer(), "application/json", 415),
        (relay_offer(), "text/plain", 415),
        (relay_offer().replace("H264/90000", "VP8/90000"), "application/sdp", 422),
        (relay_offer().replace("opus/48000/2", "G722/8000"), "application/sdp", 422),
        (relay_offer() + "a=x-ballast:" + "x" * 8000 + "\r\n", "application/sdp", 422),
        (relay_offer() + "a=x-ballast:" + "x" * 66_000 + "\r\n", "application/sdp", 413),
    ],
)
async def test_unusable_offers(
    relay: Whep, simulator: Simulator, body: str | bytes, content_type: str, status: int
) -> None:
    """Nothing is sent to the intercom."""
    headers = {"Content-Type": content_type}
    found = await relay.http.post(relay.path, data=body, headers=headers)
    await expect_problem(found, status)
    assert simulator.rtc.offers == 0


async def test_body_without_a_length_is_bounded(relay: Whep, simulator: Simulator) -> None:
    """No more is read than is needed to refuse it."""
    sent = 0

    async def body() -> Any:
        nonlocal sent
        for _ in range(1000):
            sent += 65_000
            yield b"x" * 65_000
            await asyncio.sleep(0.001)

    headers = {"Content-Type": "application/sdp"}
    found = await relay.http.post(relay.path, data=body(), headers=headers)
    await expect_problem(found, 413)
    assert sent < 1000 * 65_000
    assert simulator.rtc.offers == 0


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({"refuse_offers": 41}, 503),
        ({"refuse_offers": 26}, 503),
        ({"refuse_offers": 99}, 503),
        ({"slots": 0}, 409),
    ],
)
async def test_failed_calls(
    hass: HomeAssistant, relay: Whep, simulator: Simulator, settings: dict[str, Any], status: int
) -> None:
    """The client is told to try again later."""
    for name, value in settings.items():
        setattr(simulator.rtc.settings, name, value)
    response = await relay.post()
    await expect_problem(response, status)
    assert int(response.headers["Retry-After"]) >= 10
    assert get_entry(hass).runtime_data.live.viewers == 0


@pytest.mark.parametrize("time_out", ["acknowledged", "answered"])
async def test_intercom_that_does_not_answer(
    relay: Whep, online_entry: ConfigEntry[Any], simulator: Simulator, time_out: str
) -> None:
    """The client is told so once the time is over."""
    simulator.rtc.settings.silent_acks = time_out == "acknowledged"
    simulator.rtc.settings.silent_answers = time_out == "answered"
    set_timeouts(online_entry, **{time_out: 0.05})
    await expect_problem(await relay.post(), 503)


@pytest.mark.parametrize("moment", ["answer", "candidates"])
async def test_client_that_goes_while_it_is_connected(
    hass: HomeAssistant,
    relay: Whep,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    """The call is ended."""
    live = get_entry(hass).runtime_data.live
    monkeypatch.setattr(whep, "QUIET_SECONDS", quiet(HANG_TIMEOUT))
    simulator.rtc.settings.silent_answers = moment == "answer"
    posting = asyncio.create_task(relay.post())
    await simulator.rtc.wait_for(lambda: simulator.rtc.open)
    if moment == "candidates":
        await wait_until(lambda: live.is_watched(open_session(simulator).panel_id))
    posting.cancel()
    await asyncio.gather(posting, return_exceptions=True)
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    assert simulator.rtc.terminates == 1
    assert live.viewers == 0


async def test_user(user: Whep, simulator: Simulator) -> None:
    """Home Assistant's own authorization needs no secret."""
    location = await user.watch()
    assert len(simulator.rtc.open) == 1
    assert (await user.http.delete(location)).status == 200
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)


async def test_user_talks(user: Whep, simulator: Simulator) -> None:
    """A user who may control the camera may send sound, and answers a ring with it."""
    sent = talk_offer()
    response = await user.post(sent)
    assert response.status == 201
    assert "a=sendrecv" in await response.text()
    assert "a=sendrecv" in open_session(simulator).sdp


@pytest.mark.parametrize(
    ("entities", "sdp", "status"),
    [
        ({}, relay_offer(), 403),
        ({"entity_ids": {YARD: True}}, relay_offer(), 403),
        ({"entity_ids": {STREET: {"control": True}}}, relay_offer(), 403),
        ({"entity_ids": {STREET: {"read": True}}}, relay_offer(), 201),
        ({"entity_ids": {STREET: {"read": True}}}, talk_offer(), 403),
        ({"entity_ids": {STREET: True}}, talk_offer(), 201),
    ],
)
async def test_permissions(
    *,
    as_guest: Callable[[dict[str, Any]], Awaitable[Whep]],
    simulator: Simulator,
    entities: dict[str, Any],
    sdp: str,
    status: int,
) -> None:
    """Watching requires the permission to read, talking the one to control."""
    guest = await as_guest(entities)
    response = await guest.post(sdp)
    assert response.status == status
    assert simulator.rtc.offers == (status == 201)


async def test_sessions_belong_to_who_began_them(
    relay: Whep, user: Whep, simulator: Simulator
) -> None:
    """Another camera's address, or an invented one, leads nowhere."""
    location = await relay.watch()
    name = location.rpartition("/")[2]
    for address in (
        f"{WHEP_PATH}/{YARD}/{name}",
        f"{WHEP_PATH}/{STREET}/invented",
        f"{WHEP_PATH}/x/{name}",
    ):
        for method in (user.http.get, user.http.delete, user.http.options):
            await expect_problem(await method(address), 404)
        await expect_problem(await user.patch(address, "a=mid:0\r\n"), 404)
    assert len(simulator.rtc.open) == 1


@pytest.mark.parametrize(
    "camera", ["camera.none", "lock.portone", "sensor.classe_300x_missed_calls"]
)
async def test_unknown_cameras(user: Whep, relay: Whep, camera: str) -> None:
    """Only a user learns that there is none."""
    secret = relay.path.partition("?")[2]
    path = f"{WHEP_PATH}/{camera}"
    await expect_problem(await Whep(http=user.http, path=path).post(), 404)
    await expect_problem(await Whep(http=relay.http, path=f"{path}?{secret}").post(), 401)


async def test_account_that_is_not_loaded(
    hass: HomeAssistant, relay: Whep, online_entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """Its views end, and its relays try again later; the secret still counts."""
    location = await relay.watch()
    await hass.config_entries.async_unload(online_entry.entry_id)
    await simulator.rtc.wait_for(lambda: not simulator.rtc.open)
    response = await relay.post()
    await expect_problem(response, 503)
    assert int(response.headers["Retry-After"]) == 60
    await expect_problem(await relay.http.get(location), 404)
    await expect_problem(await Whep(http=relay.http, path=f"{relay.path}x").post(), 401)


async def test_unload_while_a_view_is_set_up(
    hass: HomeAssistant, relay: Whep, online_entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The client is told to try again later."""
    simulator.rtc.settings.silent_answers = True
    posting = asyncio.create_task(relay.post())
    await simulator.rtc.wait_for(lambda: simulator.rtc.open)
    await hass.config_entries.async_unload(online_entry.entry_id)
    await expect_problem(await posting, 503)
