"""The history of calls: each call once and complete, private, within the limits."""

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
from custom_components.bticino_classe.const import CONF_EXCLUDED_HOMES, CONF_HISTORY
from custom_components.bticino_classe.history.records import DAY, session_hash
from tests.integration.conftest import (
    EventRecorder,
    get_entry,
    reload_entry,
    state_of,
    wait_frames,
    wait_idle,
    wait_online,
    wait_until,
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
from tests.simulator.houses import SEASIDE
from tests.simulator.paths import BLOB, GETEVENTS
from tests.simulator.pictures import jpeg

if TYPE_CHECKING:
    from collections.abc import Collection

    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Call, Simulator

STREET, YARD = "Posto esterno strada", "Posto esterno cortile"
PUSH = "binary_sensor.classe_300x_bell_connection"
MISSED = "sensor.classe_300x_missed_calls"
OUTCOME = "sensor.classe_300x_last_call"
FRAMES = {"miss": 1, "answer_elsewhere": 2, "hang_up": 1}  # pushes of each step


async def called(
    hass: HomeAssistant, simulator: Simulator, panel: str, *then: str, **how: Any
) -> Call:
    """Ring, do the steps, and wait until everything is stored."""
    frames = get_entry(hass).runtime_data.push.socket.counters["frames"]
    call = simulator.ring(panel, **how)
    for step in then:
        getattr(simulator, step)(call)
    await wait_frames(hass, frames + 2 + sum(FRAMES[step] for step in then))
    await wait_idle(hass)
    return call


async def restart_and_catch_up(hass: HomeAssistant) -> None:
    """Restart, and wait until the cloud's list was read."""
    entry = get_entry(hass)
    await reload_entry(hass, entry)
    await wait_online(entry)


async def set_history_options(hass: HomeAssistant, **history: Any) -> None:
    """Set the options of the history in the options form."""
    entry = get_entry(hass)
    form = await hass.config_entries.options.async_init(entry.entry_id)
    chosen = {"pulse_time": 5, CONF_HISTORY: history}
    result = await hass.config_entries.options.async_configure(form["flow_id"], chosen)
    if result.get("step_id") == "delete_history":
        result = await hass.config_entries.options.async_configure(form["flow_id"], {})
    assert result["type"] == "create_entry"
    await wait_idle(hass)
    await wait_online(entry)


@pytest.mark.usefixtures("online_entry")
async def test_each_call_is_stored_once(
    hass: HomeAssistant, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Missed, answered, ended by the visitor, without a picture; the cloud's list adds none."""
    caplog.set_level(logging.DEBUG)
    missed = await called(hass, simulator, STREET, "miss")
    answered = await called(hass, simulator, YARD, "answer_elsewhere", "hang_up")
    ended = await called(hass, simulator, STREET, "hang_up")
    bare = await called(hass, simulator, STREET, "miss", pictures=False)
    before = await new_calls(hass)
    stored_fields = [
        (c.panel_id, c.outcome, c.answered_by, c.ended_by, len(c.pictures)) for c in before
    ]
    assert stored_fields == [
        (missed.panel_id, "missed", None, None, 2),
        (answered.panel_id, "answered", "elsewhere", "elsewhere", 2),
        (ended.panel_id, "ended", None, "elsewhere", 2),
        (bare.panel_id, "missed", None, None, 0),
    ]
    assert all(call.ended_at and call.ended_at >= call.time for call in before)
    assert before[1].duration is not None
    await restart_and_catch_up(hass)
    assert await new_calls(hass) == before
    content = database(hass).read_bytes() + database(hass).with_suffix(".db-wal").read_bytes()
    assert missed.session_id.encode() not in content
    assert b"sig=" not in content + caplog.text.encode()


@pytest.mark.usefixtures("online_entry")
async def test_gap_is_filled_with_pictures(hass: HomeAssistant, simulator: Simulator) -> None:
    """The list has the calls that were not pushed, and the outcome of a call that was ringing."""
    ringing = await called(hass, simulator, STREET)
    simulator.sockets.handshake_status = 502
    simulator.drop_connections()
    await wait_until(lambda: state_of(hass, PUSH) == "off")
    simulator.miss(ringing)
    unpushed = simulator.ring(YARD)
    simulator.answer_elsewhere(unpushed)
    simulator.hang_up(unpushed)
    simulator.sockets.handshake_status = None
    await wait_until(lambda: state_of(hass, PUSH) == "on")
    await wait_online(get_entry(hass))
    first, second = sorted(await new_calls(hass), key=lambda call: call.outcome, reverse=True)
    assert (first.panel_id, first.outcome, len(first.pictures)) == (ringing.panel_id, "missed", 2)
    # The list does not name the panel.
    assert (second.panel_id, second.outcome, len(second.pictures)) == (None, "answered", 2)
    assert second.answered_at is not None


@pytest.mark.usefixtures("freezer", "online_entry")
async def test_long_gap(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
) -> None:
    """If the list does not go back far enough, a longer one is requested once."""
    await called(hass, simulator, STREET, "miss")
    await hass.config_entries.async_unload(get_entry(hass).entry_id)
    freezer.tick(DAY)
    simulator.miss(simulator.ring(YARD))
    for _ in range(60):
        simulator.unplug_bridge()
        simulator.plug_bridge()
    for expected in (2, 1):
        simulator.journal.clear()
        await restart_and_catch_up(hass)
        assert simulator.journal.count(GETEVENTS) == expected
        assert len(await new_calls(hass)) == 2
    await called(hass, simulator, STREET, "miss")
    simulator.journal.clear()
    await restart_and_catch_up(hass)
    assert simulator.journal.count(GETEVENTS) == 1
    assert len(await new_calls(hass)) == 3


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("house_name", ["classe_100x"])
async def test_only_panel_of_an_intercom(hass: HomeAssistant, simulator: Simulator) -> None:
    """A listed call is stored for the only panel, although the list names none."""
    call = simulator.ring(offer=False, status=False)
    await restart_and_catch_up(hass)
    assert (await new_calls(hass))[-1].panel_id == call.panel_id


@pytest.mark.usefixtures("online_entry")
async def test_parts_in_any_order(hass: HomeAssistant, simulator: Simulator) -> None:
    """In any order of the parts, answered wins over missed."""
    for reverse in (False, True):
        call = simulator.ring(STREET, offer=False, status=False, late=60)
        call.add_subevent("missed_call", "m", call.at + 30)
        call.add_subevent("accepted_call", "a", call.at + 31)
        if reverse:
            call.event["subevents"] = list(reversed(call.event["subevents"]))  # type: ignore[call-overload]
    await restart_and_catch_up(hass)
    first, second = await new_calls(hass)
    assert first.outcome == second.outcome == "answered"
    assert first.answered_at == int(call.at + 31)
    assert first.time <= second.time <= call.at
    assert state_of(hass, MISSED) == "0"


@pytest.mark.parametrize("seconds", [1, 7, 60])
@pytest.mark.usefixtures("online_entry")
async def test_only_the_end_was_pushed(
    hass: HomeAssistant, simulator: Simulator, seconds: float
) -> None:
    """The list adds the start, which is before a call that was stored in between."""
    lost = simulator.ring(STREET, offer=False, status=False, late=seconds)
    between = await called(hass, simulator, YARD, "miss", late=seconds / 3)
    ended = CallPush(
        step=CallStep.MISSED, session_id=lost.session_id, bridge_id=lost.bridge_id, home_id=None
    )
    get_entry(hass).runtime_data.calls.async_handle_push(ended)
    lost.add_subevent("missed_call", "m", lost.at + seconds)
    await wait_idle(hass)
    assert [call.panel_id for call in await new_calls(hass)] == [between.panel_id, None]
    await restart_and_catch_up(hass)
    first, second = await new_calls(hass)
    assert (first.panel_id, first.outcome, first.time) == (None, "missed", int(lost.at))
    assert second.panel_id == between.panel_id
    assert state_of(hass, MISSED) == "2"


@pytest.mark.usefixtures("online_entry")
async def test_end_that_overtakes_the_ring(hass: HomeAssistant, simulator: Simulator) -> None:
    """It does not ring, but it is stored with its panel and pictures."""
    call = simulator._call(STREET, 0.0)
    call.create_event()
    simulator.miss(call)
    simulator._begin(call, status_first=False)
    await wait_frames(hass, 4)
    await wait_idle(hass)
    (known,) = await new_calls(hass)
    assert (known.panel_id, known.outcome, len(known.pictures)) == (call.panel_id, "missed", 2)


@pytest.mark.usefixtures("online_entry")
async def test_files_are_private_and_in_backups(hass: HomeAssistant, simulator: Simulator) -> None:
    """Only Home Assistant's user can read the files, and backups include them."""
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


@pytest.mark.usefixtures("online_entry")
async def test_removed_with_the_account(hass: HomeAssistant, simulator: Simulator) -> None:
    """Removing the account removes all files and the folder."""
    await called(hass, simulator, STREET, "miss")
    assert files(hass)
    folder = database(hass).parent
    await hass.config_entries.async_remove(get_entry(hass).entry_id)
    assert not folder.exists()


@pytest.mark.usefixtures("online_entry")
async def test_limit_of_calls(hass: HomeAssistant, simulator: Simulator) -> None:
    """The oldest calls are deleted with their pictures; the cloud's list does not restore them."""
    calls = [await called(hass, simulator, STREET, "miss") for _ in range(12)]
    await set_history_options(hass, keep=True, days=90, calls=10, megabytes=250)
    assert len(await calls_of(hass)) == 10
    assert len(await pictures_of(hass)) == 20
    await restart_and_catch_up(hass)
    await called(hass, simulator, YARD, "miss")
    kept = await calls_of(hass)
    assert len(kept) == 10
    assert {*await pictures_of(hass)} >= {jpeg(calls[-1].picture_id("snapshot"))}
    assert len(await pictures_of(hass)) == 20


@pytest.mark.usefixtures("online_entry")
async def test_limit_of_megabytes(hass: HomeAssistant, simulator: Simulator) -> None:
    """The oldest pictures are deleted and not requested again; their calls stay."""
    simulator.pictures.size = 300_000
    await set_history_options(hass, keep=True, days=90, calls=100, megabytes=1)
    for _ in range(3):
        await called(hass, simulator, STREET, "miss")
        assert sum(map(len, await pictures_of(hass))) <= 1_000_000
    assert [len(call.pictures) for call in await new_calls(hass)] == [0, 0, 2] or [
        len(call.pictures) for call in await new_calls(hass)
    ] == [0, 1, 2]
    simulator.journal.clear()
    await restart_and_catch_up(hass)
    assert simulator.journal.count(BLOB) == 0
    assert len(await new_calls(hass)) == 3


@pytest.mark.usefixtures("freezer", "online_entry")
async def test_limit_of_days(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
) -> None:
    """Old calls are deleted within an hour, also if nobody rings."""
    old = await called(hass, simulator, STREET, "miss")
    (known,) = await new_calls(hass)
    assert known.session == session_hash(old.session_id)
    freezer.tick(89 * DAY)
    async_fire_time_changed(hass)
    assert known.id in {call.id for call in await calls_of(hass)}
    freezer.tick(2 * DAY)
    async_fire_time_changed(hass)
    await wait_idle(hass)
    assert await calls_of(hass) == []
    assert await pictures_of(hass) == []


@pytest.mark.usefixtures("online_entry")
async def test_history_switched_off(hass: HomeAssistant, simulator: Simulator) -> None:
    """The stored calls are deleted, no files are written, and calls work as before."""
    await called(hass, simulator, STREET, "miss", late=5)
    assert await pictures_of(hass)
    await set_history_options(hass, keep=False, days=90, calls=100, megabytes=1)
    call = await called(hass, simulator, STREET, "miss")
    assert files(hass) == []
    assert (state_of(hass, MISSED), state_of(hass, OUTCOME)) == ("1", "missed")
    image = await get_entry(hass).runtime_data.downloads.async_of(call.panel_id)
    assert image.content == jpeg(call.picture_id("snapshot"))
    await restart_and_catch_up(hass)
    assert files(hass) == []


@pytest.mark.usefixtures("online_entry")
async def test_deleted_calls_stay_deleted(hass: HomeAssistant, simulator: Simulator) -> None:
    """The cloud's list restores neither a single deleted call nor all calls."""
    await called(hass, simulator, STREET, "miss")
    other = await called(hass, simulator, YARD, "miss")
    history = history_of(hass)
    first, second = await new_calls(hass)
    assert state_of(hass, MISSED) == "2"
    await history.async_delete([first.id])
    assert len(await pictures_of(hass)) == 2
    await restart_and_catch_up(hass)
    assert await new_calls(hass) == [second]
    assert state_of(hass, MISSED) == "1"

    history = history_of(hass)
    await history.async_delete_all()
    simulator.miss(other)  # a second report
    await wait_idle(hass)
    await restart_and_catch_up(hass)
    assert await calls_of(hass) == []
    assert await pictures_of(hass) == []
    newer = await called(hass, simulator, STREET, "miss")
    assert [call.panel_id for call in await calls_of(hass)] == [newer.panel_id]


@pytest.mark.usefixtures("online_entry")
async def test_call_deleted_during_its_download(hass: HomeAssistant, simulator: Simulator) -> None:
    """The picture is not stored."""
    response = asyncio.Event()
    simulator.fail(BLOB, Failure(until=response), times=2)
    simulator.ring(STREET)
    await wait_until(lambda: simulator.journal.count(BLOB) == 2)
    await history_of(hass).async_delete_all()
    response.set()
    await wait_idle(hass)
    assert [entry.status for entry in simulator.journal.of(BLOB)] == [200, 200]
    assert await pictures_of(hass) == []


@pytest.mark.usefixtures("freezer", "online_entry")
async def test_session_id_that_is_reused(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
) -> None:
    """An intercom that restarts its ids after each reboot: two calls, in order."""
    call_events, steps = get_entry(hass).runtime_data.calls, (CallStep.OFFERED, CallStep.MISSED)
    bridge, panel = simulator.house.bridges()[0], simulator.house.find(STREET)
    for pause in (0, 2 * 3600):
        freezer.tick(pause)
        for step in steps:
            push = CallPush(step=step, session_id="1", bridge_id=bridge.id, panel_id=panel.id)
            call_events.async_handle_push(push)
    await wait_idle(hass)
    first, second = await new_calls(hass)
    assert (first.outcome, second.outcome) == ("missed", "missed")
    assert second.time - first.time >= 2 * 3600
    await restart_and_catch_up(hass)
    assert await new_calls(hass) == [first, second]
    found = history_of(hass).find("1", second.time + 60)
    assert found is not None
    assert found.id == second.id


@pytest.mark.usefixtures("online_entry")
async def test_picture_after_the_account_was_removed(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """The file is not created again."""
    call = await called(hass, simulator, STREET, pictures=False)
    history = history_of(hass)
    known = history.find(call.session_id, call.at)
    assert known is not None
    await hass.config_entries.async_remove(get_entry(hass).entry_id)
    image = StillImage(content=jpeg(call.picture_id("snapshot")), content_type="image/jpeg")
    await history.async_keep(known.id, "snapshot", image)
    with pytest.raises(HomeAssistantError):
        await history.async_mark_seen(call.bridge_id)
    await wait_idle(hass)
    assert files(hass) == []


async def test_listener_that_fails(
    hass: HomeAssistant,
    events: EventRecorder,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The other listeners are still called."""
    notified: list[str] = []

    def fail(_: Collection[str] | None) -> None:
        raise LookupError("on purpose")

    history = history_of(hass)
    history.async_listen(fail)
    history.async_listen(lambda _: notified.append("x"))
    await called(hass, simulator, STREET)
    assert len(events.rings()) == 1
    assert len(notified) > 1
    assert "A change could not be handled" in caplog.text


@pytest.mark.usefixtures("online_entry")
async def test_unusable_times(hass: HomeAssistant, simulator: Simulator) -> None:
    """Times in milliseconds and before 1970 are replaced."""
    for part, at in (("missed_call", 1e12), ("accepted_call", -1e12)):
        simulator.ring(STREET, offer=False, status=False).add_subevent(part, "x", at)
    await restart_and_catch_up(hass)
    now = time.time() + 5
    known = await new_calls(hass)
    assert sorted(call.outcome for call in known) == ["answered", "missed"]
    for call in known:
        assert 0 <= call.time < now
        assert call.ended_at is None or call.time <= call.ended_at < now
        assert call.answered_at is None


@pytest.mark.parametrize("house_name", ["two_homes"])
@pytest.mark.usefixtures("freezer")
async def test_home_that_is_included_again(
    hass: HomeAssistant,
    online_entry: ConfigEntry[Any],
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Nothing of the time it was left out; what is older is shown again, also after restarts."""
    missed = "sensor.classe_300x_missed_calls"
    older = await called(hass, simulator, YARD, "miss")
    for _ in range(2):
        await include_homes(hass, online_entry, without=[SEASIDE])
        for late in (0, 600):
            simulator.miss(simulator.ring(STREET, late=late))
        lost = simulator.ring(STREET, offer=False, status=False)
        freezer.tick(60)
        await include_homes(hass, online_entry, without=[])
        simulator.miss(lost)
        await wait_idle(hass)
        await restart_and_catch_up(hass)
        seaside = [call for call in await calls_of(hass) if call.location.home_id == SEASIDE]
        assert {call.panel_id for call in seaside if call.panel_id} == {older.panel_id}
        assert state_of(hass, missed) == "1"
    freezer.tick(60)
    await called(hass, simulator, STREET, "miss")
    assert state_of(hass, missed) == "2"
    await restart_and_catch_up(hass)
    assert state_of(hass, missed) == "2"


async def include_homes(
    hass: HomeAssistant, entry: ConfigEntry[Any], *, without: list[str]
) -> None:
    """Change the homes that are left out, and wait until the calls are caught up."""
    entry.runtime_data.account.auth.limiter._sent.clear()  # as if hours had passed
    options = {**entry.options, CONF_EXCLUDED_HOMES: without}
    hass.config_entries.async_update_entry(entry, options=options)
    await reload_entry(hass, entry)
    await wait_online(entry)
