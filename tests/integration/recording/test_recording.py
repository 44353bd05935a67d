"""The action that records what the cloud says: its file, its end, and who may call it."""

import asyncio
from itertools import pairwise
import json
from pathlib import Path
import signal
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)
import voluptuous as vol

from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.recording import recorder
from tests.integration.conftest import (
    advance,
    call_action,
    expect_refused,
    get_entry,
    reload_entry,
    sign_in,
    skip_backoff,
    wait_frames,
    wait_idle,
    wait_online,
    wait_until,
)
from tests.integration.live.browser_client import BrowserClient, offer
from tests.integration.recording.recorded import (
    MINUTES,
    Recording,
    Wire,
    bodies,
    lines_of,
    messages_of,
    path_of,
    record,
)
from tests.simulator import Failure, Simulator
from tests.simulator.paths import SETSTATE

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.auth.models import User
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import (
        ClientSessionGenerator,
        WebSocketGenerator,
    )

    from custom_components.bticino_classe.client.traffic import TrafficTap

STREET = "Posto esterno strada"
PUSH, SIGNALING = "push connection", "signaling connection"
DAY = 86_400.0


@pytest.fixture(name="wire")
def _wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return Wire(monkeypatch)


def add_personal_extras(simulator: Simulator) -> None:
    """Let the cloud send what it was never seen to send: names and ids as keys, unknown fields."""
    home, bridge = simulator.house.homes[0], simulator.bridges()[0]
    for number, each in enumerate(simulator.house.homes):
        each.coordinates = (9.18273 + number, 45.46427 + number)
    bridge.extra = {
        "note": f"{simulator.email} {home.name}",
        home.name: home.id.upper(),
        bridge.id: [45.46427, {"street": "Via Roma 5"}],
    }


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("house_name", ["classe_300x", "two_homes", "strange", "easykit"])
async def test_nothing_personal_is_recorded(
    hass: HomeAssistant,
    wire: Wire,
    simulator: Simulator,
    hass_ws_client: WebSocketGenerator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Rings, calls, views, commands, errors and new tokens: neither in the file nor elsewhere."""
    add_personal_extras(simulator)
    running = await Recording.start(hass)
    for end in (simulator.miss, simulator.answer_elsewhere, simulator.hang_up):
        end(simulator.ring(receivers=2))
        await wait_idle(hass)
    simulator.refuse_access_tokens()
    door, camera = (hass.states.async_entity_ids(domain)[0] for domain in ("lock", "camera"))
    await call_action(hass, "lock", "open", door)
    simulator.fail(SETSTATE, Failure(error=simulator.password))
    await expect_refused(hass, "lock", "open", door)
    simulator.push({"push_type": "BNC3-party", "extra_params": {"guest": simulator.email}})
    browser = await BrowserClient.connect(hass_ws_client, camera)
    view = await browser.watch(offer("chromium_talk"))
    await view.close()
    response = await running.end(freezer)

    wire.add_account(simulator)
    wire.secrets.add("Via Roma 5")
    assert len(wire.secrets) > 60
    assert wire.found_in(path_of(hass).read_text("utf-8")) == []
    assert wire.found_in(json.dumps(response)) == []
    channels = {line["channel"] for line in messages_of(hass)}
    assert channels == {"api", PUSH, SIGNALING}
    assert response["redacted"].keys() >= {"token", "session", "sdp", "coordinate", "email"}


async def test_first_answers(
    hass: HomeAssistant, online_entry: ConfigEntry[Any], freezer: FrozenDateTimeFactory
) -> None:
    """A recording begins with one answer of each kind."""
    running = await Recording.start(hass)
    response = await running.end(freezer)
    first, *lines, last = lines_of(hass)
    assert first["format"] == "bticino_classe recording"
    assert {line["path"] for line in lines if "path" in line} == {
        *("/api/homesdata", "/syncapi/v1/homestatus", "/api/getevents"),
        *("/syncapi/v1/getconfigs", "/api/getcredentials"),
    }
    (request,) = bodies(lines, "api", "request", "/api/homesdata")
    assert request["app_version"] == online_entry.runtime_data.account.auth.app_version
    (home,) = bodies(lines, "api", "answer", "/api/homesdata")[0]["body"]["homes"]
    assert home["modules"][0]["type"] == "BNC3"
    assert home["modules"][0]["id"].startswith("<bridge-")
    assert bodies(lines, PUSH, "received")[0] == {"status": "ok"}
    assert response["ended"] == last["end"] == "time"
    assert {name: response[name] for name in ("messages", "redacted")} == {
        name: last[name] for name in ("messages", "redacted")
    }
    assert sum(response["messages"].values()) == len(lines)
    assert response["size"] == path_of(hass).stat().st_size
    assert online_entry.runtime_data.account.auth.tap.observer is None


@pytest.mark.usefixtures("online_entry")
async def test_ring(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory
) -> None:
    """Pushes are recorded in their order, with relative times and sizes."""
    running = await Recording.start(hass)
    freezer.tick(5)
    simulator.miss(simulator.ring(STREET))
    await wait_frames(hass, 5)
    await running.end(freezer)
    lines = messages_of(hass)
    assert [line["n"] for line in lines] == [*range(1, len(lines) + 1)]
    assert all(before["t"] <= after["t"] for before, after in pairwise(lines))
    rings = [line for line in lines if "push_type" in (line.get("body") or {})]
    kinds = [line["body"]["push_type"].partition("-")[2] for line in rings]
    assert kinds == ["rtc", "incoming_call", "missed_call"]
    assert {line["t"] for line in rings} == {5.0}
    assert rings[0]["size"] > 1000
    assert "m=video 9 UDP/TLS/RTP/SAVPF 109" in json.dumps(rings[0]["body"])
    (home,) = bodies(lines, "api", "answer", "/api/homesdata")[0]["body"]["homes"]
    assert rings[1]["body"]["extra_params"]["device_id"] == home["modules"][0]["id"]


@pytest.mark.usefixtures("online_entry")
async def test_door_opens_although_the_recorder_fails(
    hass: HomeAssistant, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command does not depend on its observer, which is removed; the log has no message."""
    tap: TrafficTap = get_entry(hass).runtime_data.account.auth.tap

    def fail(traffic: object) -> None:
        raise ValueError(traffic)

    monkeypatch.setattr(tap, "observer", fail)
    await call_action(hass, "lock", "open", "lock.cancello")
    assert len(simulator.openings) == 1
    assert tap.observer is None
    assert tap.counters["faults"] == 1


@pytest.mark.usefixtures("entry")
async def test_file_is_private(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Nobody but Home Assistant's user can read it, and it is not in backups."""
    running = await Recording.start(hass)
    response = await running.end(freezer)
    path = path_of(hass)
    assert hass.config.path(response["file"]) == str(path)
    assert response["file"].startswith(".cache/")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.usefixtures("entry")
@pytest.mark.parametrize("minutes", [1, 2.5, 60])
async def test_recording_ends_by_itself(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, minutes: float
) -> None:
    """After the chosen time, not before."""
    running = await Recording.start(hass, minutes=minutes)
    await advance(hass, freezer, minutes * 60 - 2)
    assert not running.task.done()
    await advance(hass, freezer, 3)
    assert (await running.result())["ended"] == "time"


async def test_action_in_the_browser(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    hass_ws_client: WebSocketGenerator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The developer tools show the response when the recording is over."""
    browser = await hass_ws_client(hass)
    call = {"type": "call_service", "domain": DOMAIN, "service": "record_protocol"}
    await browser.send_json_auto_id({**call, "service_data": {}, "return_response": True})
    path = path_of(hass, entry)
    await wait_until(lambda: path.exists() and "getconfigs" in path.read_text("utf-8"))
    freezer.tick(MINUTES * 60 + 1)
    async_fire_time_changed(hass)
    result = await browser.receive_json()
    assert result["success"]
    (recording,) = result["result"]["response"]["recordings"]
    assert recording["file"].endswith(f"{entry.entry_id}.jsonl")
    assert recording["redacted"]["coordinate"] == 2


@pytest.mark.usefixtures("entry")
@pytest.mark.parametrize("minutes", [0, -1, 61, "x"])
async def test_invalid_time(hass: HomeAssistant, minutes: object) -> None:
    """From a minute to an hour."""
    with pytest.raises(vol.Invalid):
        await record(hass, minutes=minutes)


@pytest.mark.usefixtures("entry")
async def test_only_administrators(hass: HomeAssistant, hass_read_only_user: User) -> None:
    """Nothing is recorded for another user."""
    with pytest.raises(Unauthorized):
        await record(hass, hass_read_only_user)
    assert not path_of(hass).exists()


async def test_no_account(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """There is nothing to record."""
    await hass.config_entries.async_unload(entry.entry_id)
    with pytest.raises(ServiceValidationError) as caught:
        await record(hass)
    assert caught.value.translation_key == "no_account"


@pytest.mark.usefixtures("entry")
async def test_second_call_joins(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Both get the same response; the next one is a recording of its own."""
    first = await Recording.start(hass, minutes=MINUTES)
    second = await Recording.start(hass, minutes=60)
    response = await first.end(freezer)
    assert await second.result() == response
    third = await Recording.start(hass)
    await third.end(freezer)
    assert len([line for line in lines_of(hass) if "format" in line]) == 1


@pytest.mark.usefixtures("entry")
async def test_caller_goes_away(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """A closed browser does not end the recording."""
    running = await Recording.start(hass)
    running.task.cancel()
    await advance(hass, freezer, MINUTES * 60 + 1)
    assert lines_of(hass)[-1]["end"] == "time"


async def test_reload_ends_it(
    hass: HomeAssistant, entry: ConfigEntry[Any], freezer: FrozenDateTimeFactory
) -> None:
    """Its file is complete, and a new recording can begin."""
    running = await Recording.start(hass)
    await reload_entry(hass, entry)
    assert (await running.result())["ended"] == "unloaded"
    assert lines_of(hass)[-1]["end"] == "unloaded"
    again = await Recording.start(hass)
    assert (await again.end(freezer))["ended"] == "time"


@pytest.mark.usefixtures("entry")
async def test_stop_of_home_assistant_ends_it(hass: HomeAssistant) -> None:
    """Its file is complete."""
    running = await Recording.start(hass)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
    await hass.async_block_till_done()
    assert (await running.result())["ended"] == "stopped"
    assert lines_of(hass)[-1]["end"] == "stopped"


@pytest.mark.usefixtures("online_entry")
async def test_size_is_limited(
    hass: HomeAssistant, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recording ends before its file is too large."""
    monkeypatch.setattr(recorder, "MAX_BYTES", 20_000)
    running = await Recording.start(hass)
    while not running.task.done():
        simulator.push({"push_type": "BNC3-party", "extra_params": {"list": ["x"] * 90}})
        await wait_idle(hass)
    response = await running.result()
    assert response["ended"] == "size"
    assert 18_000 < path_of(hass).stat().st_size < 21_000
    assert lines_of(hass)[-1]["end"] == "size"


def block_folder(hass: HomeAssistant) -> Path:
    """Put a file where the folder of the recordings should be."""
    folder = path_of(hass).parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("in the way")
    return folder


async def test_disk_cannot_be_written(
    hass: HomeAssistant, entry: ConfigEntry[Any], freezer: FrozenDateTimeFactory
) -> None:
    """The action says so; nothing is observed any more."""
    folder = block_folder(hass)
    with pytest.raises(HomeAssistantError) as caught:
        await record(hass)
    assert caught.value.translation_key == "recording_not_written"
    assert entry.runtime_data.account.auth.tap.observer is None
    folder.unlink()
    running = await Recording.start(hass)
    assert (await running.end(freezer))["ended"] == "time"


async def test_file_cannot_be_reached(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    hass_client: ClientSessionGenerator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The account starts, its diagnostics say why, and it can be removed."""
    block_folder(hass)
    await reload_entry(hass, entry)
    report = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert report["recording"] == {
        "file": f".cache/{DOMAIN}/recordings/{entry.entry_id}.jsonl",
        "error": "Not a directory",
    }
    await hass.config_entries.async_remove(entry.entry_id)
    assert "could not be deleted: Not a directory" in caplog.text


async def test_diagnostics_contain_the_recording(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    hass_client: ClientSessionGenerator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """So that it can be downloaded in the browser, also while the account is not loaded."""
    report = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert report["recording"] is None
    running = await Recording.start(hass)
    report = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert "end" not in report["recording"]["lines"][-1]
    response = await running.end(freezer)
    await hass.config_entries.async_unload(entry.entry_id)
    report = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert report["recording"] == {"file": response["file"], "lines": lines_of(hass)}
    path_of(hass).write_bytes(path_of(hass).read_bytes()[:-20])
    report = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert (
        len(report["recording"]["lines"])
        == len(response and path_of(hass).read_text().splitlines()) - 1
    )


async def test_file_is_deleted_after_some_days(
    hass: HomeAssistant, entry: ConfigEntry[Any], freezer: FrozenDateTimeFactory
) -> None:
    """While Home Assistant runs, and at the next start."""
    for restart in (False, True):
        running = await Recording.start(hass)
        await running.end(freezer)
        if restart:
            await hass.config_entries.async_unload(entry.entry_id)
        await advance(hass, freezer, 6.5 * DAY)
        assert path_of(hass).exists()
        await advance(hass, freezer, 0.6 * DAY)
        if restart:
            assert path_of(hass).exists()
            await hass.config_entries.async_setup(entry.entry_id)
        await wait_until(lambda: not path_of(hass).exists())
        await wait_idle(hass)


async def test_file_is_deleted_with_the_account(
    hass: HomeAssistant, entry: ConfigEntry[Any], freezer: FrozenDateTimeFactory
) -> None:
    """Nothing of it is left."""
    running = await Recording.start(hass)
    await running.end(freezer)
    path = path_of(hass)
    await hass.config_entries.async_remove(entry.entry_id)
    assert not path.exists()


async def test_two_accounts(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """One can be chosen; without a choice both are recorded, each in its own file."""
    simulator.account.email, simulator.account.user_id = (
        "guest@example.org",
        "5f00aa11bb22cc33dd44ee66",
    )
    simulator.use_house("two_homes")
    other = await sign_in(hass, {"username": simulator.email, "password": simulator.password})
    running = await Recording.start(hass, config_entry_id=other.entry_id)
    assert (await running.end(freezer))["config_entry_id"] == other.entry_id
    assert not path_of(hass, entry).exists()
    call = hass.services.async_call(
        DOMAIN, "record_protocol", {}, blocking=True, return_response=True
    )
    task = asyncio.create_task(call)
    await wait_until(lambda: path_of(hass, entry).exists())
    await advance(hass, freezer, MINUTES * 60 + 1)
    answer = await task
    assert answer is not None
    found = {each["config_entry_id"] for each in answer["recordings"]}  # type: ignore[index, union-attr, call-overload]
    assert found == {entry.entry_id, other.entry_id}


async def test_outage(
    hass: HomeAssistant,
    online_entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Failed requests, unreadable frames and lost connections are recorded as well."""
    running = await Recording.start(hass)
    for failure in (Failure(drop=True), Failure(html=True)):
        simulator.fail(SETSTATE, failure)
        await expect_refused(hass, "lock", "open", "lock.cancello")
    for data in ("no JSON", b"binary", "[1]"):
        simulator.push_raw(data)
    await wait_frames(hass, 4)
    skip_backoff(online_entry.runtime_data.push)
    simulator.drop_connections()
    await wait_until(lambda: not online_entry.runtime_data.push.is_online)
    await wait_online(online_entry)
    await running.end(freezer)
    lines = messages_of(hass)
    of_kind = {
        line["kind"]: [each for each in lines if each["kind"] == line["kind"]] for line in lines
    }
    assert [line["text"] for line in of_kind["failure"]] == ["NoAnswerError"]
    assert {line["text"] for line in of_kind["state"]} >= {"online", "waiting"}
    assert [line["text"].partition(" ")[0] for line in of_kind["disconnect"]] == ["closed"]
    received = {(line["size"], repr(line.get("body"))) for line in of_kind["received"]}
    assert received >= {(7, "None"), (6, "None"), (3, "[1]")}
    (html,) = [line for line in of_kind["answer"] if "body" not in line]
    assert html["size"] > 10


@pytest.mark.usefixtures("online_entry")
async def test_new_tokens(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory
) -> None:
    """Whether a refresh token changes can be seen without seeing it, nor the password."""
    running = await Recording.start(hass)
    for end_tokens in (simulator.refuse_access_tokens, simulator.revoke):
        end_tokens()
        await call_action(hass, "lock", "open", "lock.cancello")
    await running.end(freezer)
    lines = messages_of(hass)
    first, second, third = bodies(lines, "api", "request", "/oauth2/token")
    answers = bodies(lines, "api", "answer", "/oauth2/token")
    assert [each["grant_type"] for each in (first, second)] == ["refresh_token"] * 2
    assert first["refresh_token"].startswith("<token-")
    assert answers[0]["refresh_token"] == second["refresh_token"] != first["refresh_token"]
    assert answers[0]["expires_in"] == 10_800
    assert answers[1] == {"error": "invalid_grant"}
    assert third["grant_type"] == "password"
    assert third["username"].startswith("<email-")
    assert third["password"] == third["client_secret"] == "<secret>"


def test_kill(tmp_path: Path) -> None:
    """Every line that was written is complete; only the last one may be cut."""
    program = (
        "import sys; from types import SimpleNamespace as N;"
        "from custom_components.bticino_classe.recording.file import RecordingFile;"
        "file = RecordingFile(N(config=N(path=lambda name: f'{sys.argv[1]}/{name}')), 'x');"
        "[(file.write(b'{\"n\":1}\\n'), print(flush=True)) for _ in iter(int, 1)]"
    )
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-W", "ignore", "-c", program, str(tmp_path)],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    for _ in range(50):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    lines = (tmp_path / f".cache/{DOMAIN}/recordings/x.jsonl").read_bytes().splitlines()
    assert len(lines) >= 50
    assert [json.loads(line) for line in lines[:-1]] == [{"n": 1}] * (len(lines) - 1)
