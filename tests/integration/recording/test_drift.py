"""scripts/drift, on recordings that the action makes of a cloud that differs from what is known."""

import json
from pathlib import Path
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings, strategies as st
import pytest
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)

from dev.drift.__main__ import DIFFERENT, SAME, UNUSABLE, main
from dev.drift.checks import PATHS, SECTIONS
from dev.drift.doubts import DOUBTS
from dev.drift.known import FLAG
from tests.client.answers import VALUES
from tests.integration.conftest import (
    call_action,
    expect_refused,
    get_entry,
    wait_idle,
    wait_until,
)
from tests.integration.live.browser_client import STREET as CAMERA, BrowserClient, offer
from tests.integration.recording.recorded import Recording, path_of
from tests.simulator import Failure, Simulator
from tests.simulator.paths import SETSTATE
from tests.simulator.pushes import DEVICE_SDP

if TYPE_CHECKING:
    from collections.abc import Callable

    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import (
        ClientSessionGenerator,
        WebSocketGenerator,
    )

ROOT = Path(__file__).parents[3]
STREET = "Posto esterno strada"
BRIDGE = "00:03:50:30:00:0a"
CONFIGS = "/syncapi/v1/getconfigs"
HEADER = '{"format": "bticino_classe recording", "version": 1}\n'


type Drift = Callable[[Path], tuple[int, str]]


@pytest.fixture(name="drift")
def _drift(capsys: pytest.CaptureFixture[str]) -> Drift:
    """Return the exit code and the report for a file."""

    def run(path: Path) -> tuple[int, str]:
        capsys.readouterr()
        code = main([str(path)])
        return code, capsys.readouterr().out

    return run


def lines_with(text: str, start: str) -> list[str]:
    """Return the lines of a report that begin with a word."""
    return [line.strip() for line in text.splitlines() if line.strip().startswith(start)]


@pytest.mark.usefixtures("online_entry")
async def test_cloud_as_known(
    hass: HomeAssistant,
    simulator: Simulator,
    hass_ws_client: WebSocketGenerator,
    freezer: FrozenDateTimeFactory,
    drift: Drift,
) -> None:
    """A missed call, an answered one, a view, new tokens: no difference, most doubts settled."""
    running = await Recording.start(hass)
    missed = simulator.ring(STREET)
    await wait_pushes(hass, 2)
    freezer.tick(30)
    simulator.miss(missed)
    simulator.answer_elsewhere(simulator.ring(STREET))
    await wait_pushes(hass, 7)
    browser = await BrowserClient.connect(hass_ws_client, CAMERA)
    view = await browser.watch(offer())
    freezer.tick(8)
    await view.close()
    await wait_idle(hass)
    simulator.refuse_access_tokens()
    await call_action(hass, "lock", "open", "lock.cancello")
    await running.end(freezer)
    code, report = drift(path_of(hass))
    assert lines_with(report, "differs:") == []
    assert code == SAME
    settled = "\n".join(lines_with(report, "settled:"))
    for sentence in (
        *("It changes.", "10800 seconds.", "In body.", "Newest first.", "In body.home."),
        *("BNC3: offer, incoming_call, missed_call.", "After 30 seconds."),
        *("incoming_call names no panel.", "A rescind came for a call that was accepted."),
        *("It is repeated.", "8 seconds, ended by Home Assistant.", "udp host. udp srflx."),
        *("In its offer: audio 111, video 109.", "BNC3 has settings."),
    ):
        assert sentence in settled


def differing_in(report: str) -> list[str]:
    """Return the differences in a report, without the numbers of the messages."""
    lines = lines_with(report, "differs:")
    return [line.removeprefix("differs: ").partition(" [")[0] for line in lines]


async def end_now(hass: HomeAssistant, running: Recording) -> None:
    """End a recording by unloading its account."""
    await hass.config_entries.async_unload(get_entry(hass).entry_id)
    await running.result()


async def wait_pushes(hass: HomeAssistant, count: int) -> None:
    """Wait until a number of pushes has arrived."""
    counters = get_entry(hass).runtime_data.push.counters
    await wait_until(lambda: counters.total() >= count)


async def ring_long(
    hass: HomeAssistant, simulator: Simulator, freezer: FrozenDateTimeFactory
) -> None:
    """Ring for a minute and a half; the cloud says that it lasts one minute."""
    call = simulator.ring(STREET, expiry=60)
    await wait_pushes(hass, 2)
    freezer.tick(90)
    simulator.miss(call)
    await wait_pushes(hass, 3)


async def push_unknown(hass: HomeAssistant, simulator: Simulator, _: object) -> None:
    """Push an unknown kind, a frame that is no object, and a step of a call that never rang."""
    simulator.push({"push_type": "BNC3-party", "extra_params": {"device_id": BRIDGE, "mood": 5}})
    simulator.push_raw("[1]")
    extra = {"session_id": "0a1b2c3d-0000-4000-8000-000000000009", "device_id": BRIDGE}
    simulator.push({"push_type": "BNC3-missed_call", "extra_params": extra, "_id": 5})
    await wait_pushes(hass, 2)


async def fail_requests(hass: HomeAssistant, simulator: Simulator, _: object) -> None:
    """Answer commands with an unknown code, with an unknown code of a module, and with HTML."""
    errors: dict[str, object] = {
        "status": "ok",
        "body": {"errors": [{"code": 77, "id": BRIDGE, "why": "x"}]},
    }
    for failure in (Failure(code=88), Failure(body=errors), Failure(html=True, status=502)):
        simulator.fail(SETSTATE, failure)
        await expect_refused(hass, "lock", "open", "lock.cancello")


async def offer_unknown(hass: HomeAssistant, simulator: Simulator, _: object) -> None:
    """Ring with another codec and other line endings."""
    sdp = DEVICE_SDP.replace("H264", "H265").replace("\r\n", "\n")
    call = create_call_offer(simulator, sdp)
    simulator.push(call)
    await wait_pushes(hass, 1)


def create_call_offer(simulator: Simulator, sdp: str) -> dict[str, Any]:
    """Return the push of an offer."""
    description = {"type": "call", "sdp": sdp, "module_id": simulator.house.find(STREET).id}
    extra = {
        "session_id": "0a1b2c3d-0000-4000-8000-00000000000a",
        "device_id": BRIDGE,
        "tag_id": "dGFn",
        "correlation_id": 9_223_372_036_854_770_001,
        "data": {"type": "offer", "session_description": description},
    }
    return {"push_type": "BNC3-rtc", "expiry": 30, "extra_params": extra}


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize(
    "deviation",
    [
        (
            ring_long,
            [
                "a ring lasts 60 s, not 30 s",
                "missed_call 90 s after the ring, not 30 s",
            ],
        ),
        (
            push_unknown,
            [
                "push BNC3-party (party) is not understood",
                "push: extra_params.mood: unknown field (whole number)",
                "push: _id: whole number instead of null or text",
                "a frame is not an object",
                "missed_call without a ring before it",
            ],
        ),
        (
            fail_requests,
            [
                "error 88 is not known",
                "error 77 of a module is not known",
                "/syncapi/v1/setstate: body.errors[].why: unknown field (text)",
                "/syncapi/v1/setstate: status 502 without JSON",
            ],
        ),
        (offer_unknown, ["lines do not end with CR LF", "video without a known codec: h265"]),
    ],
)
async def test_deviations_while_recording(
    hass: HomeAssistant,
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    drift: Drift,
    deviation: tuple[Any, list[str]],
) -> None:
    """Kinds, fields, types, codes, times, order, sizes: each is found once, and nothing else."""
    deviate, differing = deviation
    running = await Recording.start(hass)
    await deviate(hass, simulator, freezer)
    await running.end(freezer)
    code, report = drift(path_of(hass))
    found = differing_in(report)
    assert sorted(found) == sorted(differing)
    assert code == DIFFERENT


def strange_modules(simulator: Simulator) -> None:
    """Add a module of an unknown type, an unknown field, and a field of another type."""
    simulator.add_module(kind="BNZZ", name="Novità")
    simulator.bridges()[0].extra = {"colour": "red", "uptime": "long", "busy": None}


def strange_events(simulator: Simulator) -> None:
    """List an event and a step of unknown types."""
    step = {"id": "65aa00000000000000000009", "type": "party", "time": 1_790_000_000}
    event = {**step, "type": "indoor", "subevents": [step], "rating": 4.5}
    simulator.house.homes[0].events.insert(0, event)


def strange_settings(simulator: Simulator) -> None:
    """Choose an unknown mode."""
    simulator.bridges()[0].configs["do_not_disturb"]["dnd_mode"] = 5
    simulator.bridges()[0].configs["do_not_disturb"]["moon"] = True


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize(
    "deviation",
    [
        (
            strange_modules,
            [
                "module type BNZZ is not known",
                "module BNC3: colour: unknown field (text)",
                "module BNC3: uptime: text instead of null or whole number",
            ],
        ),
        (
            strange_events,
            [
                "/api/getevents: body.home.events[].rating: unknown field (number)",
                "event type indoor is not known",
                "event type party is not known",
            ],
        ),
        (
            strange_settings,
            [
                f"{CONFIGS}: body.home.modules[].do_not_disturb.moon: unknown field ({FLAG})",
                "BNC3: do_not_disturb has the unknown mode 5",
            ],
        ),
    ],
)
async def test_deviations_of_the_house(
    hass: HomeAssistant,
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    drift: Drift,
    deviation: tuple[Any, list[str]],
) -> None:
    """What the first answers of a recording contain."""
    deviate, differing = deviation
    deviate(simulator)
    running = await Recording.start(hass)
    await running.end(freezer)
    code, report = drift(path_of(hass))
    found = differing_in(report)
    assert sorted(found) == sorted(differing)
    assert code == DIFFERENT


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("place", [("body", "In body."), ("top", "At the top.")])
async def test_place_of_errors(
    hass: HomeAssistant,
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    drift: Drift,
    place: tuple[Any, str],
) -> None:
    """One of the things that an owner can settle, by unplugging the intercom."""
    simulator.command_errors_at, sentence = place
    running = await Recording.start(hass)
    simulator.bridges()[0].reachable = False  # the cloud has not told Home Assistant yet
    await expect_refused(hass, "lock", "open", "lock.cancello")
    await running.end(freezer)
    (line,) = lines_with(drift(path_of(hass))[1], "settled: Where is the error")
    assert line.endswith(sentence)


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize(
    "mode",
    [
        ("echo", "It is repeated."),
        ("null", "It is missing or null."),
        ("absent", "It is missing or null."),
    ],
)
async def test_acknowledgements(
    hass: HomeAssistant,
    simulator: Simulator,
    hass_ws_client: WebSocketGenerator,
    drift: Drift,
    mode: tuple[Any, str],
) -> None:
    """Another one: by opening the camera."""
    simulator.rtc.settings.ack_echo, sentence = mode
    running = await Recording.start(hass)
    browser = await BrowserClient.connect(hass_ws_client, CAMERA)
    await (await browser.watch(offer())).close()
    await wait_idle(hass)
    await end_now(hass, running)
    (line,) = lines_with(drift(path_of(hass))[1], "settled: Do acknowledgements")
    assert line.endswith(sentence)


async def test_diagnostics_are_read_as_well(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    hass_client: ClientSessionGenerator,
    tmp_path: Path,
    drift: Drift,
) -> None:
    """That is the file which owners can download."""
    running = await Recording.start(hass)
    await end_now(hass, running)
    report = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    downloaded = tmp_path / "diagnostics.json"
    downloaded.write_text(json.dumps({"home_assistant": {}, "data": report}, indent=2))
    assert drift(downloaded) == drift(path_of(hass))
    report["recording"] = None
    downloaded.write_text(json.dumps({"home_assistant": {}, "data": report}))
    assert drift(downloaded)[0] == UNUSABLE


@pytest.mark.usefixtures("entry")
async def test_cut_recording(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    drift: Drift,
) -> None:
    """Home Assistant was killed: whatever is complete is compared, after any number of bytes."""
    running = await Recording.start(hass)
    await running.end(freezer)
    whole = path_of(hass).read_bytes()
    first = whole.index(b"\n") + 1
    for end in range(first, len(whole) - 1, 97):
        path_of(hass).write_bytes(whole[:end])
        code, report = drift(path_of(hass))
        assert code == SAME
        assert "was cut" in report


def line(**facts: Any) -> str:
    """Return the line of a message."""
    return json.dumps({"n": 1, "t": 0.5, "channel": "push connection", "kind": "received"} | facts)


@pytest.mark.parametrize(
    "content",
    [
        *("", "\n", "text", "null", "[]", "{}", '{"data": {"recording": {"lines": []}}}'),
        *('{"data": []}', "[" * 100_000, '{"format": "another"}', "\x00\xff", '{"lines": [1]}'),
    ],
)
def test_file_that_is_not_a_recording(tmp_path: Path, drift: Drift, content: str) -> None:
    """Anything else has an exit code of its own."""
    path = tmp_path / "file"
    path.write_bytes(content.encode("latin-1"))
    assert drift(path) == (UNUSABLE, "")


def test_no_file(tmp_path: Path, drift: Drift) -> None:
    """A missing file and a folder."""
    assert drift(tmp_path / "none") == (UNUSABLE, "")
    assert drift(tmp_path) == (UNUSABLE, "")


LINE_FIELDS = ["n", "t", "channel", "kind", "request", "path", "status", "text", "size"]


@given(
    lines=st.lists(
        st.dictionaries(
            st.sampled_from(LINE_FIELDS),
            VALUES,
            max_size=4,
        )
        | VALUES,
        max_size=4,
    )
)
@settings(max_examples=60, deadline=None)
def test_hostile_lines(lines: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    """They are counted."""
    path = tmp_path_factory.getbasetemp() / "lines"
    path.write_text(HEADER + "".join(f"{json.dumps(each)}\n" for each in lines))
    assert main([str(path)]) in {SAME, DIFFERENT}


BODIES = st.recursive(
    VALUES,
    lambda inner: st.dictionaries(
        st.sampled_from(
            [
                *("body", "home", "homes", "modules", "events", "subevents", "errors", "error"),
                *("code", "id", "type", "bridge", "modules_bridged", "module_id", "iceServers"),
                *("push_type", "extra_params", "session_id", "device_id", "data", "sdp", "expiry"),
                *("session_description", "ice_candidate", "candidate", "correlation_id", "time"),
                *("do_not_disturb", "dnd_mode", "dnd_days", "refresh_token", "access_token"),
                *("expires_in", "module_ids", "status"),
            ]
        ),
        inner | st.lists(inner, max_size=2),
        max_size=4,
    ),
    max_leaves=12,
)


@given(bodies=st.lists(BODIES, min_size=1, max_size=3), data=st.data())
@settings(max_examples=150, deadline=None)
def test_hostile_bodies(
    bodies: list[Any], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Any message of any kind gets a report."""
    lines = []
    for number, body in enumerate(bodies):
        path = data.draw(st.sampled_from(sorted(PATHS)))
        channel = data.draw(st.sampled_from(["api", "push connection", "signaling connection"]))
        kind = data.draw(st.sampled_from(["request", "answer", "sent", "received"]))
        facts = {"request": 1, "path": path if kind == "request" else "", "status": 200}
        lines.append(line(n=number, channel=channel, kind=kind, body=body, **facts))
        lines.append(line(n=number, channel="api", kind="request", path=path, request=1, body=body))
    file = tmp_path_factory.getbasetemp() / "bodies"
    file.write_text(HEADER + "\n".join(lines))
    assert main([str(file)]) in {SAME, DIFFERENT}


def test_terminal_is_safe(tmp_path: Path, drift: Drift) -> None:
    """A file that somebody posted may contain control characters and endless names."""
    path = tmp_path / "file"
    body = {"push_type": "BNC1-\x1b[2Jx", "extra_params": {"\u202ename\r": 1, "x" * 5000: 1}}
    path.write_text(HEADER + line(body=body))
    code, report = drift(path)
    assert code == DIFFERENT
    assert all(character.isprintable() or character == "\n" for character in report)
    assert max(map(len, report.splitlines())) <= 300


def request(path: str) -> dict[str, Any]:
    """Return the facts of the line of a request."""
    return {"channel": "api", "kind": "request", "path": path, "request": 1}


def answer(**facts: Any) -> dict[str, Any]:
    """Return the facts of the line of its answer."""
    return {"channel": "api", "kind": "answer", "request": 1, "status": 200} | facts


def signaling(kind: str, **body: Any) -> dict[str, Any]:
    """Return the facts of a line of the signaling connection."""
    return {"channel": "signaling connection", "kind": kind, "body": body}


@pytest.mark.parametrize(
    ("lines", "differing"),
    [
        ([signaling("received", data={"type": "dance"})], "message dance is not known"),
        ([signaling("received", data={"type": "answer"})], "an answer without an offer"),
        ([{**signaling("received"), "body": 5}], "a frame is not an object"),
        ([signaling("received", type="ack", error={"code": 99})], "error 99 is not known"),
        ([signaling("received", type="ack", mood="x")], "signaling: mood: unknown field (text)"),
        (
            [{**signaling("sent", data={"sdp": "v=0\r\n"}), "size": 9000}],
            "an offer of more than 8192 bytes",
        ),
        ([{"body": {}, "size": 300_000}], "a frame is larger than 262144 bytes"),
        (
            [request("/api/new"), answer(body={}, t=11.0)],
            "/api/new: took more than 10 s",
        ),
        (
            [request("/api/homesdata"), answer(body={"body": {}})],
            "/api/homesdata: the answer cannot be decoded",
        ),
    ],
)
def test_made_up_messages(
    tmp_path: Path, drift: Drift, lines: list[dict[str, Any]], differing: str
) -> None:
    """Deviations that the simulator does not have."""
    path = tmp_path / "file"
    path.write_text(HEADER + "\n".join(line(**{"n": n, **each}) for n, each in enumerate(lines)))
    code, report = drift(path)
    assert code == DIFFERENT
    assert differing in report


def test_command() -> None:
    """The entry point of the script prints its usage and the exit codes."""
    command = [sys.executable, "-W", "ignore", "-m", "dev.drift", "--help"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - our own
    assert "Exit code: 0 no differences, 1 differences, 2" in " ".join(ran.stdout.split())


def test_document_has_the_sections_and_the_ten_things() -> None:
    """Each thing that an owner can settle is a doubt that a recording can settle."""
    text = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    for section, title in SECTIONS.items():
        assert f"\n### {section} {title}\n" in text
    rows = [row.split(" | ") for row in text.splitlines() if row[2:3].isdigit() and "?" in row]
    things = {int(row[0].strip("| ")): row[-1].strip("| ") for row in rows}
    assert things == {doubt.number: doubt.section for doubt in DOUBTS if doubt.number}
    assert sorted(things) == [*range(1, 11)]
