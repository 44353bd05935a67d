"""The history of calls: each once, whole, at home, and no more of it than is wanted."""

import asyncio
from fnmatch import fnmatch
import logging
import time
from typing import TYPE_CHECKING, Any

from homeassistant.components.backup.const import EXCLUDE_FROM_BACKUP
from homeassistant.exceptions import HomeAssistantError
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.bticino_classe.client.pictures import StillImage
from custom_components.bticino_classe.client.push import CallPush, CallStep
from custom_components.bticino_classe.const import CONF_HISTORY
from custom_components.bticino_classe.history.records import DAY, session_hash
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
from tests.integration.history.stored import (
    calls_of,
    database,
    files,
    history_of,
    new_calls,
    pictures_of,
)
from tests.simulator import Failure
from tests.simulator.paths import BLOB, GETEVENTS
from tests.simulator.pictures import jpeg

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant

    from tests.simulator import Call, Simulator

STREET, YARD = "Posto esterno strada", "Posto esterno cortile"
PUSH = "binary_sensor.classe_300x_push_connection"
MISSED = "sensor.classe_300x_missed_calls"
OUTCOME = "sensor.classe_300x_outcome_of_the_last_call"
FRAMES = {"miss": 1, "answer_elsewhere": 2, "hang_up": 1}  # what is pushed of each


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
    before = await new_calls(hass)
    told = [(c.panel_id, c.outcome, c.answered_by, c.ended_by, len(c.pictures)) for c in before]
    assert told == [
        (missed.panel_id, "missed", None, None, 2),
        (answered.panel_id, "answered", "elsewhere", "elsewhere", 2),
        (ended.panel_id, "ended", None, "elsewhere", 2),
        (bare.panel_id, "missed", None, None, 0),
    ]
    assert all(call.ended_at and call.ended_at >= call.time for call in before)
    assert before[1].duration is not None
    await start_again(hass)
    assert await new_calls(hass) == before
    stored = database(hass).read_bytes() + database(hass).with_suffix(".db-wal").read_bytes()
    assert missed.session_id.encode() not in stored
    assert b"sig=" not in stored + caplog.text.encode()


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
    first, second = sorted(await new_calls(hass), key=lambda call: call.outcome, reverse=True)
    assert (first.panel_id, first.outcome, len(first.pictures)) == (begun.panel_id, "missed", 2)
    # Which panel it was is nowhere in the list.
    assert (second.panel_id, second.outcome, len(second.pictures)) == (None, "answered", 2)
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
        assert len(await new_calls(hass)) == 2
    await called(hass, simulator, STREET, "miss")
    simulator.journal.clear()
    await start_again(hass)
    assert simulator.journal.count(GETEVENTS) == 1
    assert len(await new_calls(hass)) == 3


@pytest.mark.usefixtures("bell")
@pytest.mark.parametrize("house_name", ["classe_100x"])
async def test_only_panel_is_who_rang(hass: HomeAssistant, simulator: Simulator) -> None:
    """Although the list names nobody."""
    call = simulator.ring(offer=False, status=False)
    await start_again(hass)
    assert (await new_calls(hass))[-1].panel_id == call.panel_id


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
    first, second = await new_calls(hass)
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
    assert [call.panel_id for call in await new_calls(hass)] == [between.panel_id, None]
    await start_again(hass)
    first, second = await new_calls(hass)
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
    (known,) = await new_calls(hass)
    assert (known.panel_id, known.outcome, len(known.pictures)) == (call.panel_id, "missed", 2)


@pytest.mark.usefixtures("bell")
async def test_kept_private_and_in_backups(hass: HomeAssistant, simulator: Simulator) -> None:
    """Nobody but Home Assistant's user reads it, and a backup has all of it."""
    call = await called(hass, simulator, STREET, "miss")
    assert await pictures_of(hass) == [
        jpeg(call.picture_id("snapshot")),
        jpeg(call.picture_id("vignette")),
    ]
    folder = database(hass).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    name = database(hass).name
    assert files(hass) == [name, f"{name}-shm", f"{name}-wal"]
    for path in (database(hass), database(hass).with_name(f"{name}-wal")):
        inside = path.relative_to(hass.config.config_dir).as_posix()
        assert not any(fnmatch(inside, pattern) for pattern in EXCLUDE_FROM_BACKUP)


@pytest.mark.usefixtures("bell")
async def test_removed_with_the_account(hass: HomeAssistant, simulator: Simulator) -> None:
    """The file, what belongs to it, and the folder."""
    await called(hass, simulator, STREET, "miss")
    assert files(hass)
    folder = database(hass).parent
    await hass.config_entries.async_remove(the_entry(hass).entry_id)
    assert not folder.exists()


@pytest.mark.usefixtures("bell")
async def test_never_more_calls_than_wanted(hass: HomeAssistant, simulator: Simulator) -> None:
    """The oldest go, with their pictures, and the cloud's list does not bring them back."""
    calls = [await called(hass, simulator, STREET, "miss") for _ in range(12)]
    await with_options(hass, keep=True, days=90, calls=10, megabytes=250)
    assert len(await calls_of(hass)) == 10
    assert len(await pictures_of(hass)) == 20
    await start_again(hass)
    await called(hass, simulator, YARD, "miss")
    kept = await calls_of(hass)
    assert len(kept) == 10
    assert {*await pictures_of(hass)} >= {jpeg(calls[-1].picture_id("snapshot"))}
    assert len(await pictures_of(hass)) == 20


@pytest.mark.usefixtures("bell")
async def test_never_more_megabytes_than_wanted(hass: HomeAssistant, simulator: Simulator) -> None:
    """The oldest pictures go; their calls stay, and nobody asks for the pictures again."""
    simulator.pictures.size = 300_000
    await with_options(hass, keep=True, days=90, calls=100, megabytes=1)
    for _ in range(3):
        await called(hass, simulator, STREET, "miss")
        assert sum(map(len, await pictures_of(hass))) <= 1_000_000
    assert [len(call.pictures) for call in await new_calls(hass)] == [0, 0, 2] or [
        len(call.pictures) for call in await new_calls(hass)
    ] == [0, 1, 2]
    simulator.journal.clear()
    await start_again(hass)
    assert simulator.journal.count(BLOB) == 0
    assert len(await new_calls(hass)) == 3


async def test_never_older_than_wanted(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    bell: Happenings,  # noqa: ARG001 - a house that rings
    simulator: Simulator,
) -> None:
    """Within the hour, although nobody rings."""
    old = await called(hass, simulator, STREET, "miss")
    (known,) = await new_calls(hass)
    assert known.session == session_hash(old.session_id)
    freezer.tick(89 * DAY)
    async_fire_time_changed(hass)
    assert known in await calls_of(hass)
    freezer.tick(2 * DAY)
    async_fire_time_changed(hass)
    await settle(hass)
    assert await calls_of(hass) == []
    assert await pictures_of(hass) == []


@pytest.mark.usefixtures("bell")
async def test_no_history(hass: HomeAssistant, simulator: Simulator) -> None:
    """What is there is deleted, nothing is written any more, and the bell goes on as ever."""
    await called(hass, simulator, STREET, "miss", late=5)
    assert await pictures_of(hass)
    await with_options(hass, keep=False, days=90, calls=100, megabytes=1)
    call = await called(hass, simulator, STREET, "miss")
    assert files(hass) == []
    assert (state_of(hass, MISSED), state_of(hass, OUTCOME)) == ("1", "missed")
    image = await the_entry(hass).runtime_data.downloads.async_of(call.panel_id)
    assert image.content == jpeg(call.picture_id("snapshot"))
    await start_again(hass)
    assert files(hass) == []


@pytest.mark.usefixtures("bell")
async def test_deleted_is_deleted(hass: HomeAssistant, simulator: Simulator) -> None:
    """One, then all: the cloud's list does not bring them back."""
    await called(hass, simulator, STREET, "miss")
    other = await called(hass, simulator, YARD, "miss")
    history = history_of(hass)
    first, second = await new_calls(hass)
    assert state_of(hass, MISSED) == "2"
    await history.async_delete([first.id])
    assert len(await pictures_of(hass)) == 2
    await start_again(hass)
    assert await new_calls(hass) == [second]
    assert state_of(hass, MISSED) == "1"

    history = history_of(hass)
    await history.async_delete_all()
    simulator.miss(other)  # said a second time
    await settle(hass)
    await start_again(hass)
    assert await calls_of(hass) == []
    assert await pictures_of(hass) == []
    newer = await called(hass, simulator, STREET, "miss")
    assert [call.panel_id for call in await calls_of(hass)] == [newer.panel_id]


@pytest.mark.usefixtures("bell")
async def test_deleted_while_its_picture_comes(hass: HomeAssistant, simulator: Simulator) -> None:
    """The picture is not kept."""
    response = asyncio.Event()
    simulator.fail(BLOB, Failure(until=response), times=2)
    simulator.ring(STREET)
    await until(lambda: simulator.journal.count(BLOB) == 2)
    await history_of(hass).async_delete_all()
    response.set()
    await settle(hass)
    assert [entry.status for entry in simulator.journal.of(BLOB)] == [200, 200]
    assert await pictures_of(hass) == []


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
    first, second = await new_calls(hass)
    assert (first.outcome, second.outcome) == ("missed", "missed")
    assert second.time - first.time >= 2 * 3600
    await start_again(hass)
    assert await new_calls(hass) == [first, second]
    found = history_of(hass).find("1", second.time + 60)
    assert found is not None
    assert found.id == second.id


@pytest.mark.usefixtures("bell")
async def test_picture_that_comes_after_the_account_was_removed(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """The file does not come back."""
    call = await called(hass, simulator, STREET, pictures=False)
    history = history_of(hass)
    known = history.find(call.session_id, call.at)
    assert known is not None
    await hass.config_entries.async_remove(the_entry(hass).entry_id)
    image = StillImage(content=jpeg(call.picture_id("snapshot")), content_type="image/jpeg")
    await history.async_keep(known.id, "snapshot", image)
    with pytest.raises(HomeAssistantError):
        await history.async_mark_seen(call.bridge_id)
    await settle(hass)
    assert files(hass) == []


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
    assert "A change could not be handled" in caplog.text


@pytest.mark.usefixtures("bell")
async def test_times_that_are_none(hass: HomeAssistant, simulator: Simulator) -> None:
    """Milliseconds where seconds should be, and times before there were any clocks."""
    for part, at in (("missed_call", 1e12), ("accepted_call", -1e12)):
        simulator.ring(STREET, offer=False, status=False).add_subevent(part, "x", at)
    await start_again(hass)
    now = time.time() + 5
    known = await new_calls(hass)
    assert sorted(call.outcome for call in known) == ["answered", "missed"]
    for call in known:
        assert 0 <= call.time < now
        assert call.ended_at is None or call.time <= call.ended_at < now
        assert call.answered_at is None
