"""The history of calls: each once, whole, at home, and no more of it than is wanted."""

from fnmatch import fnmatch
import json
import logging
from pathlib import Path
import time
from typing import TYPE_CHECKING, Any

from homeassistant.components.backup.const import EXCLUDE_FROM_BACKUP
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.bticino_classe.client.pictures import StillImage
from custom_components.bticino_classe.client.push import CallPush, CallStep
from custom_components.bticino_classe.const import CONF_HISTORY, DOMAIN
from custom_components.bticino_classe.history.records import DAY, CallRecord
from tests.integration.conftest import (
    Happenings,
    heard,
    online,
    restart,
    settle,
    state_of,
    the_entry,
    until,
)
from tests.simulator import Failure
from tests.simulator.paths import BLOB, GETEVENTS
from tests.simulator.pictures import jpeg

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant

    from custom_components.bticino_classe.history.history import CallHistory
    from tests.simulator import Call, Simulator

STREET, YARD = "Posto esterno strada", "Posto esterno cortile"
PUSH = "binary_sensor.classe_300x_push_connection"
MISSED = "sensor.classe_300x_missed_calls"
OUTCOME = "sensor.classe_300x_outcome_of_the_last_call"
FRAMES = {"miss": 1, "answer_elsewhere": 2, "hang_up": 1}  # what is pushed of each
DAMAGED = "The history of calls was damaged"


@pytest.fixture
def hass_storage() -> dict[str, Any]:
    """Home Assistant's storage is real here: on disk, in the test's own folder."""
    return {}


def history_of(hass: HomeAssistant) -> CallHistory:
    """Return the history of the account."""
    history: CallHistory = the_entry(hass).runtime_data.history
    return history


def new_calls(hass: HomeAssistant) -> list[CallRecord]:
    """Return the calls, oldest first, without the one that the house begins with."""
    return list(history_of(hass).calls)[1:]


def folder(hass: HomeAssistant) -> Path:
    """Return where the account's pictures are."""
    return Path(hass.config.path(".storage", DOMAIN, the_entry(hass).entry_id))


def index(hass: HomeAssistant) -> Path:
    """Return the file of the index."""
    return Path(hass.config.path(".storage", f"{DOMAIN}.{the_entry(hass).entry_id}"))


def files(hass: HomeAssistant) -> list[Path]:
    """Return the pictures on disk."""
    return sorted(path for path in folder(hass).rglob("*") if path.is_file())


async def called(
    hass: HomeAssistant, simulator: Simulator, panel: str, *then: str, **how: Any
) -> Call:
    """Ring, let it go on, and wait until all has come of it."""
    frames = the_entry(hass).runtime_data.push.socket.counters["frames"]
    call = simulator.ring(panel, **how)
    for step in then:
        getattr(simulator, step)(call)
    await heard(hass, frames + 2 + sum(FRAMES[step] for step in then))
    await settle(hass)
    return call


async def start_again(hass: HomeAssistant) -> None:
    """Restart, and wait until the cloud's list has been looked at."""
    entry = the_entry(hass)
    await restart(hass, entry)
    await online(entry)


async def with_options(hass: HomeAssistant, **history: Any) -> None:
    """Choose what is kept, as the options form does."""
    entry = the_entry(hass)
    form = await hass.config_entries.options.async_init(entry.entry_id)
    chosen = {"pulse_time": 5, CONF_HISTORY: history}
    result = await hass.config_entries.options.async_configure(form["flow_id"], chosen)
    assert result["type"] == "create_entry"
    await settle(hass)
    await online(entry)


@pytest.mark.usefixtures("bell")
async def test_every_call_once(
    hass: HomeAssistant, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Missed, answered, ended by the visitor, without a picture; the cloud's list adds none."""
    caplog.set_level(logging.DEBUG)
    missed = await called(hass, simulator, STREET, "miss")
    answered = await called(hass, simulator, YARD, "answer_elsewhere", "hang_up")
    ended = await called(hass, simulator, STREET, "hang_up")
    bare = await called(hass, simulator, STREET, "miss", pictures=False)
    before = new_calls(hass)
    told = [(c.panel_id, c.outcome, c.answered_by, c.ended_by, len(c.files)) for c in before]
    assert told == [
        (missed.panel_id, "missed", None, None, 2),
        (answered.panel_id, "answered", "elsewhere", "elsewhere", 2),
        (ended.panel_id, "ended", None, "elsewhere", 2),
        (bare.panel_id, "missed", None, None, 0),
    ]
    assert all(call.ended_at and call.ended_at >= call.time for call in before)
    assert before[1].duration is not None
    await start_again(hass)
    assert new_calls(hass) == before
    assert missed.session_id not in index(hass).read_text()
    assert "sig=" not in index(hass).read_text() + caplog.text


@pytest.mark.usefixtures("bell")
async def test_gap_is_filled_with_pictures(hass: HomeAssistant, simulator: Simulator) -> None:
    """What nobody pushed is in the list, and so is what became of a call that was heard ringing."""
    begun = await called(hass, simulator, STREET)
    simulator.sockets.handshake_status = 502
    simulator.drop_connections()
    await until(lambda: state_of(hass, PUSH) == "off")
    simulator.miss(begun)
    unheard = simulator.ring(YARD)
    simulator.answer_elsewhere(unheard)
    simulator.hang_up(unheard)
    simulator.sockets.handshake_status = None
    await until(lambda: state_of(hass, PUSH) == "on")
    await online(the_entry(hass))
    first, second = sorted(new_calls(hass), key=lambda call: call.outcome, reverse=True)
    assert (first.panel_id, first.outcome, len(first.files)) == (begun.panel_id, "missed", 2)
    # Which panel it was is nowhere in the list.
    assert (second.panel_id, second.outcome, len(second.files)) == (None, "answered", 2)
    assert second.answered_at is not None


async def test_long_gap(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    bell: Happenings,  # noqa: ARG001 - a house that rings
    simulator: Simulator,
) -> None:
    """Weeks of poor Wi-Fi fill the list: more of it is asked for, once."""
    await called(hass, simulator, STREET, "miss")
    await hass.config_entries.async_unload(the_entry(hass).entry_id)
    freezer.tick(DAY)
    simulator.miss(simulator.ring(YARD))
    for _ in range(60):
        simulator.unplug_bridge()
        simulator.plug_bridge()
    for expected in (2, 1):
        simulator.journal.clear()
        await start_again(hass)
        assert simulator.journal.count(GETEVENTS) == expected
        assert len(new_calls(hass)) == 2
    await called(hass, simulator, STREET, "miss")
    simulator.journal.clear()
    await start_again(hass)
    assert simulator.journal.count(GETEVENTS) == 1
    assert len(new_calls(hass)) == 3


@pytest.mark.usefixtures("bell")
@pytest.mark.parametrize("house_name", ["classe_100x"])
async def test_only_panel_is_who_rang(hass: HomeAssistant, simulator: Simulator) -> None:
    """Although the list names nobody."""
    call = simulator.ring(offer=False, status=False)
    await start_again(hass)
    assert new_calls(hass)[-1].panel_id == call.panel_id


@pytest.mark.usefixtures("bell")
async def test_parts_in_any_order(hass: HomeAssistant, simulator: Simulator) -> None:
    """Newest first, oldest first, and answered after it was missed: what was worth most stands."""
    for reverse in (False, True):
        call = simulator.ring(STREET, offer=False, status=False, late=60)
        call.add_subevent("missed_call", "m", call.at + 30)
        call.add_subevent("accepted_call", "a", call.at + 31)
        if reverse:
            call.event["subevents"] = list(reversed(call.event["subevents"]))  # type: ignore[call-overload]
    await start_again(hass)
    first, second = new_calls(hass)
    assert first.outcome == second.outcome == "answered"
    assert first.answered_at == int(call.at + 31)
    assert first.time <= second.time <= call.at
    assert state_of(hass, MISSED) == "0"


@pytest.mark.usefixtures("bell")
async def test_only_the_end_was_pushed(hass: HomeAssistant, simulator: Simulator) -> None:
    """The list tells when it began; what came between stands behind it then."""
    lost = simulator.ring(STREET, offer=False, status=False, late=60)
    between = await called(hass, simulator, YARD, "miss", late=20)
    ended = CallPush(
        step=CallStep.MISSED, session_id=lost.session_id, bridge_id=lost.bridge_id, home_id=None
    )
    the_entry(hass).runtime_data.calls.async_handle_push(ended)
    lost.add_subevent("missed_call", "m", lost.at + 60)
    await settle(hass)
    assert [call.panel_id for call in new_calls(hass)] == [between.panel_id, None]
    await start_again(hass)
    first, second = new_calls(hass)
    assert (first.panel_id, first.outcome, first.time) == (None, "missed", int(lost.at))
    assert second.panel_id == between.panel_id
    assert state_of(hass, MISSED) == "2"


@pytest.mark.usefixtures("bell")
async def test_end_that_overtakes_the_ring(hass: HomeAssistant, simulator: Simulator) -> None:
    """It rings no more, and is known to have been at its panel, with its pictures."""
    call = simulator._call(STREET, 0.0)
    call.create_event()
    simulator.miss(call)
    simulator._begin(call, status_first=False)
    await heard(hass, 4)
    await settle(hass)
    (known,) = new_calls(hass)
    assert (known.panel_id, known.outcome, len(known.files)) == (call.panel_id, "missed", 2)


@pytest.mark.usefixtures("bell")
async def test_kept_private_and_in_backups(hass: HomeAssistant, simulator: Simulator) -> None:
    """Nobody but Home Assistant's user reads it, and a backup has all of it."""
    call = await called(hass, simulator, STREET, "miss")
    assert [path.read_bytes() for path in files(hass)] == [
        jpeg(call.picture_id("snapshot")),
        jpeg(call.picture_id("vignette")),
    ]
    assert {path.stat().st_mode & 0o777 for path in (*files(hass), index(hass))} == {0o600}
    assert {path.stat().st_mode & 0o077 for path in folder(hass).iterdir()} == {0}
    for path in (*files(hass), index(hass)):
        inside = path.relative_to(hass.config.config_dir).as_posix()
        assert not any(fnmatch(inside, pattern) for pattern in EXCLUDE_FROM_BACKUP)


@pytest.mark.usefixtures("bell")
async def test_removed_with_the_account(hass: HomeAssistant, simulator: Simulator) -> None:
    """Index, pictures, folder."""
    await called(hass, simulator, STREET, "miss")
    gone = (folder(hass), index(hass))
    assert all(path.exists() for path in gone)
    await hass.config_entries.async_remove(the_entry(hass).entry_id)
    assert not any(path.exists() for path in gone)


@pytest.mark.usefixtures("bell")
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b'{"version": 1, "data": 7}', b'{"version": 1, "data": {}}'],
)
async def test_damaged_index(
    hass: HomeAssistant,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
    content: bytes,
) -> None:
    """The pictures and the cloud's list tell most of it again, each call once; one warning."""
    missed = await called(hass, simulator, STREET, "miss")
    await called(hass, simulator, YARD, "answer_elsewhere", "hang_up")
    known = new_calls(hass)
    entry = the_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    index(hass).write_bytes(content)
    caplog.clear()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await online(entry)
    again = new_calls(hass)
    told = {(c.id, c.panel_id, c.outcome, c.files) for c in again}
    assert len(again) == 2
    assert told == {(c.id, c.panel_id, c.outcome, c.files) for c in known}
    assert caplog.text.count(DAMAGED) == 1
    assert missed.session_id not in caplog.text
    caplog.clear()
    await start_again(hass)
    assert new_calls(hass) == again
    assert DAMAGED not in caplog.text


@pytest.mark.usefixtures("bell")
async def test_row_that_cannot_be_read(
    hass: HomeAssistant, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """It costs that row, and its pictures tell of the call."""
    await called(hass, simulator, STREET, "miss")
    await called(hass, simulator, STREET, "miss")
    known, entry = new_calls(hass), the_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    stored = json.loads(index(hass).read_text())
    stored["data"]["calls"][-1]["time"] = "yesterday"
    index(hass).write_text(json.dumps(stored))
    simulator.fail(GETEVENTS, Failure(status=503), times=9)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await online(entry)
    first, second = sorted(new_calls(hass), key=lambda call: call.id != known[0].id)
    assert first == known[0]
    assert (second.id, second.files, second.outcome) == (known[1].id, known[1].files, "ended")
    assert caplog.text.count(DAMAGED) == 1


@pytest.mark.usefixtures("bell")
async def test_missing_files(
    hass: HomeAssistant, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """The call stays, without its picture, which is not asked for again; one warning."""
    call = await called(hass, simulator, STREET, "miss")
    files(hass)[0].unlink()
    simulator.journal.clear()
    await start_again(hass)
    (known,) = new_calls(hass)
    assert (known.outcome, len(known.files)) == ("missed", 1)
    assert caplog.text.count(DAMAGED) == 1
    assert simulator.journal.count(BLOB) == 0
    image = await the_entry(hass).runtime_data.downloads.async_of(call.panel_id)
    assert image.content == jpeg(call.picture_id("vignette"))
    caplog.clear()
    await start_again(hass)
    assert DAMAGED not in caplog.text


@pytest.mark.usefixtures("bell")
async def test_what_a_sudden_end_left(
    hass: HomeAssistant, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """A picture that was written and not yet listed is found; half of one is removed."""
    await called(hass, simulator, STREET, "miss")
    entry = the_entry(hass)
    known = new_calls(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    stored = json.loads(index(hass).read_text())
    del stored["data"]["calls"][-1]["snapshot"]
    index(hass).write_text(json.dumps(stored))
    half, strange = (files(hass)[0].with_name(name) for name in (".unfinished-x", "notes.txt"))
    half.write_bytes(b"x")
    strange.write_bytes(b"x")
    simulator.journal.clear()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await online(entry)
    assert new_calls(hass) == known
    assert simulator.journal.count(BLOB) == 0
    assert (half.exists(), strange.exists()) == (False, True)
    assert DAMAGED not in caplog.text


@pytest.mark.usefixtures("bell")
async def test_never_more_calls_than_wanted(hass: HomeAssistant, simulator: Simulator) -> None:
    """The oldest go, with their pictures, and the cloud's list does not bring them back."""
    calls = [await called(hass, simulator, STREET, "miss") for _ in range(12)]
    await with_options(hass, keep=True, days=90, calls=10, megabytes=250)
    assert len(history_of(hass).calls) == 10
    assert len(files(hass)) == 20
    await start_again(hass)
    await called(hass, simulator, YARD, "miss")
    kept = history_of(hass).calls
    assert len(kept) == 10
    assert {path.read_bytes() for path in files(hass)} >= {jpeg(calls[-1].picture_id("snapshot"))}
    assert len(files(hass)) == 20


@pytest.mark.usefixtures("bell")
async def test_never_more_megabytes_than_wanted(hass: HomeAssistant, simulator: Simulator) -> None:
    """The oldest pictures go; their calls stay, and nobody asks for the pictures again."""
    simulator.pictures.size = 300_000
    await with_options(hass, keep=True, days=90, calls=100, megabytes=1)
    for _ in range(3):
        await called(hass, simulator, STREET, "miss")
        assert sum(path.stat().st_size for path in files(hass)) <= 1_000_000
    assert [len(call.files) for call in new_calls(hass)] == [0, 0, 2] or [
        len(call.files) for call in new_calls(hass)
    ] == [0, 1, 2]
    simulator.journal.clear()
    await start_again(hass)
    assert simulator.journal.count(BLOB) == 0
    assert len(new_calls(hass)) == 3


async def test_never_older_than_wanted(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    bell: Happenings,  # noqa: ARG001 - a house that rings
    simulator: Simulator,
) -> None:
    """Within the hour, although nobody rings."""
    old = await called(hass, simulator, STREET, "miss")
    history = history_of(hass)
    assert history.call(history.known_as(old.session_id, old.at))
    freezer.tick(89 * DAY)
    async_fire_time_changed(hass)
    await settle(hass)
    assert history.call(history.known_as(old.session_id, old.at))
    freezer.tick(2 * DAY)
    async_fire_time_changed(hass)
    await settle(hass)
    assert history.calls == ()
    assert files(hass) == []


@pytest.mark.usefixtures("bell")
async def test_no_history(hass: HomeAssistant, simulator: Simulator) -> None:
    """What is there is deleted, nothing is written any more, and the bell goes on as ever."""
    await called(hass, simulator, STREET, "miss", late=5)
    assert files(hass)
    await with_options(hass, keep=False, days=90, calls=100, megabytes=1)
    call = await called(hass, simulator, STREET, "miss")
    assert not folder(hass).exists()
    assert not index(hass).exists()
    assert (state_of(hass, MISSED), state_of(hass, OUTCOME)) == ("1", "missed")
    image = await the_entry(hass).runtime_data.downloads.async_of(call.panel_id)
    assert image.content == jpeg(call.picture_id("snapshot"))
    await start_again(hass)
    assert not folder(hass).exists()
    assert not index(hass).exists()


@pytest.mark.usefixtures("bell")
async def test_deleted_is_deleted(hass: HomeAssistant, simulator: Simulator) -> None:
    """One, then all: neither the cloud's list nor a file that was left brings them back."""
    await called(hass, simulator, STREET, "miss")
    other = await called(hass, simulator, YARD, "miss")
    history = history_of(hass)
    first, second = new_calls(hass)
    left = files(hass)[0]
    content = left.read_bytes()
    assert state_of(hass, MISSED) == "2"
    history.async_delete([first])
    await settle(hass)
    assert not left.exists()
    left.write_bytes(content)
    await start_again(hass)
    assert new_calls(hass) == [second]
    assert not left.exists()
    assert state_of(hass, MISSED) == "1"

    history = history_of(hass)
    history.async_delete_all()
    simulator.miss(other)  # said a second time
    await settle(hass)
    await start_again(hass)
    assert history_of(hass).calls == ()
    assert files(hass) == []
    newer = await called(hass, simulator, STREET, "miss")
    assert [call.panel_id for call in history_of(hass).calls] == [newer.panel_id]


@pytest.mark.usefixtures("bell")
async def test_deleted_while_its_picture_comes(hass: HomeAssistant, simulator: Simulator) -> None:
    """The picture is not kept."""
    simulator.fail(BLOB, Failure(delay=0.2), times=2)
    simulator.ring(STREET)
    await until(lambda: simulator.journal.count(BLOB) == 2)
    history_of(hass).async_delete_all()
    await settle(hass)
    assert [entry.status for entry in simulator.journal.of(BLOB)] == [200, 200]
    assert files(hass) == []


@pytest.mark.usefixtures("bell")
async def test_folder_that_cannot_be_written(
    hass: HomeAssistant, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning and one line when it can be again; the calls are kept."""
    folder(hass).parent.mkdir(exist_ok=True)
    folder(hass).write_text("a file is in the way")
    for _ in range(2):
        await called(hass, simulator, STREET, "miss")
    assert caplog.text.count("Pictures of calls cannot be kept") == 1
    assert [call.outcome for call in new_calls(hass)] == ["missed"] * 2
    folder(hass).unlink()
    await called(hass, simulator, STREET, "miss")
    assert caplog.text.count("Pictures of calls can be kept again") == 1
    assert len(files(hass)) == 2


async def test_session_that_comes_again(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    bell: Happenings,  # noqa: ARG001 - a house that rings
    simulator: Simulator,
) -> None:
    """An intercom that counts its calls from the start after each reboot: two calls, in order."""
    bell_of, steps = the_entry(hass).runtime_data.calls, (CallStep.OFFERED, CallStep.MISSED)
    bridge, panel = simulator.house.bridges()[0], simulator.house.find(STREET)
    for pause in (0, 2 * 3600):
        freezer.tick(pause)
        for step in steps:
            push = CallPush(step=step, session_id="1", bridge_id=bridge.id, panel_id=panel.id)
            bell_of.async_handle_push(push)
    await settle(hass)
    first, second = new_calls(hass)
    assert (first.outcome, second.outcome) == ("missed", "missed")
    assert second.time - first.time >= 2 * 3600
    await start_again(hass)
    assert new_calls(hass) == [first, second]
    history = history_of(hass)
    assert history.known_as("1", second.time + 60) == second.id
    assert history.known_as("1", first.time) == first.id


@pytest.mark.usefixtures("bell")
async def test_picture_that_comes_after_the_account_was_removed(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """Neither index nor folder comes back."""
    call = await called(hass, simulator, STREET, pictures=False)
    history, gone = history_of(hass), (folder(hass), index(hass))
    known_as = history.known_as(call.session_id, call.at)
    await hass.config_entries.async_remove(the_entry(hass).entry_id)
    image = StillImage(content=jpeg(call.picture_id("snapshot")), content_type="image/jpeg")
    await history.async_keep(known_as, "snapshot", image)
    history.async_mark_seen(call.bridge_id)
    await settle(hass)
    assert not any(path.exists() for path in gone)


@pytest.mark.usefixtures("bell")
async def test_folder_that_cannot_be_read(
    hass: HomeAssistant, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk that is not there costs nothing that is listed."""
    await called(hass, simulator, STREET, "miss")
    known, entry = new_calls(hass), the_entry(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    elsewhere = folder(hass).rename(folder(hass).with_name("elsewhere"))
    folder(hass).write_text("a file is in the way")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await online(entry)
    assert new_calls(hass) == known
    assert caplog.text.count("Pictures of calls cannot be looked at") == 1
    folder(hass).unlink()
    elsewhere.rename(folder(hass))
    await start_again(hass)
    assert new_calls(hass) == known


async def test_listener_that_fails(
    hass: HomeAssistant, bell: Happenings, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """It costs nobody else the call."""
    told: list[str] = []

    def fail() -> None:
        raise LookupError("on purpose")

    history = history_of(hass)
    history.async_listen(fail)
    history.async_listen(lambda: told.append("x"))
    await called(hass, simulator, STREET)
    assert len(bell.rings()) == 1
    assert len(told) > 1
    assert "A change of the history could not be shown" in caplog.text


@pytest.mark.usefixtures("bell")
async def test_times_that_are_none(hass: HomeAssistant, simulator: Simulator) -> None:
    """Milliseconds where seconds should be, and times before there were any clocks."""
    for part, at in (("missed_call", 1e12), ("accepted_call", -1e12)):
        simulator.ring(STREET, offer=False, status=False).add_subevent(part, "x", at)
    await start_again(hass)
    now = time.time() + 5
    known = new_calls(hass)
    assert sorted(call.outcome for call in known) == ["answered", "missed"]
    for call in known:
        assert 0 <= call.time < now
        assert call.ended_at is None or call.time <= call.ended_at < now
        assert call.answered_at is None
