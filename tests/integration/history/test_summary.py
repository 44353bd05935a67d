"""The summary in memory: equal to what is stored, at a cost that does not grow."""

import time
from typing import TYPE_CHECKING

from homeassistant.helpers.entity import Entity
import pytest

from custom_components.bticino_classe.history.records import SNAPSHOT
from custom_components.bticino_classe.history.summary import Summary
from tests.integration.conftest import get_entry, state_of, wait_idle, wait_online, wait_until
from tests.integration.history.stored import history_of, new_calls
from tests.integration.history.test_history import PUSH, STREET, YARD, called, restart_and_catch_up

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator


COUNTED = (
    "SELECT bridge_id, coalesce(panel_id, ''), coalesce(home_id, ''), count(*),"
    " count(iif(outcome = 'missed' AND seen = 0, 1, NULL)),"
    " sum(coalesce(snapshot, 0) + coalesce(vignette, 0)) FROM calls GROUP BY 1, 2, 3"
)


@pytest.fixture(autouse=True)
def _enabled() -> None:
    """Only what is enabled by default."""


async def check_summary(hass: HomeAssistant) -> None:
    """Compare the summary with the database, and the totals in it with its calls."""
    history = history_of(hass)
    await wait_idle(hass)
    stored = await history.async_read(lambda db: Summary.read(db, time.time()))
    assert history._summary == stored
    sql = "SELECT * FROM totals ORDER BY bridge_id, panel_id, home_id"
    totals = await history.async_read(lambda db: db.execute(sql).fetchall())
    assert totals == await history.async_read(lambda db: db.execute(COUNTED).fetchall())


async def count_statements(hass: HomeAssistant, simulator: Simulator) -> int:
    """Return how many statements the calls of a visitor run."""
    statements: list[str] = []
    history = history_of(hass)
    await history.async_read(lambda db: db.set_trace_callback(statements.append))
    await called(hass, simulator, STREET, "miss", pictures=False)
    await history.async_read(lambda db: db.set_trace_callback(None))
    return len(statements)


@pytest.mark.usefixtures("online_entry")
async def test_summary_follows_every_change(hass: HomeAssistant, simulator: Simulator) -> None:
    """After pushes, pictures, the cloud's list, a reset, and deletions."""
    await called(hass, simulator, STREET, "miss")
    await check_summary(hass)
    await called(hass, simulator, YARD, "answer_elsewhere", "hang_up")
    await check_summary(hass)
    ringing = await called(hass, simulator, YARD)
    await check_summary(hass)
    history = history_of(hass)
    missed = (await new_calls(hass))[0]
    await history.async_give_up(missed.id, SNAPSHOT)
    await check_summary(hass)
    simulator.sockets.handshake_status = 502
    simulator.drop_connections()
    await wait_until(lambda: state_of(hass, PUSH) == "off")
    simulator.miss(ringing)
    simulator.miss(simulator.ring(STREET))
    simulator.sockets.handshake_status = None
    await wait_until(lambda: state_of(hass, PUSH) == "on")
    await wait_online(get_entry(hass))
    await check_summary(hass)
    await restart_and_catch_up(hass)
    await check_summary(hass)
    history = history_of(hass)
    await called(hass, simulator, YARD, "miss", pictures=False)
    await history.async_mark_seen(missed.bridge_id)
    await check_summary(hass)
    await history.async_delete([missed.id])
    await check_summary(hass)
    await history.async_delete_all()
    await check_summary(hass)


@pytest.mark.usefixtures("online_entry")
async def test_a_commit_reads_only_what_changed(hass: HomeAssistant, simulator: Simulator) -> None:
    """As much in a house whose other panels have calls too."""
    alone = await count_statements(hass, simulator)
    await called(hass, simulator, YARD, "miss")
    for _ in range(5):
        await called(hass, simulator, STREET, "miss")
    assert await count_statements(hass, simulator) == alone


@pytest.mark.parametrize("house_name", ["panels_10"])
@pytest.mark.usefixtures("online_entry")
async def test_a_call_updates_only_its_own_entities(
    hass: HomeAssistant, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the ring to the stored pictures, the entities of other panels compute no state."""
    await called(hass, simulator, "Ingresso 1", "miss")  # adds the image of the close-up
    computed: set[str] = set()
    write = Entity._async_write_ha_state

    def record(entity: Entity) -> None:
        computed.add(entity.entity_id)
        write(entity)

    monkeypatch.setattr(Entity, "_async_write_ha_state", record)
    await called(hass, simulator, "Ingresso 1", "answer_elsewhere", "hang_up")
    assert "image.ingresso_1_last_call" in computed
    others = {f".ingresso_{number}_" for number in range(2, 11)}
    assert [each for each in computed if any(other in each for other in others)] == []
