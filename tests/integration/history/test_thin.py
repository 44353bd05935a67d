"""One ring, from the push to a committed row, the sensor, the picture and the media browser."""

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from custom_components.bticino_classe.const import DOMAIN
from tests.integration.conftest import heard, settle, state_of, the_entry, restart, online

@pytest.fixture
def hass_storage() -> dict[str, Any]:
    return {}

@pytest.mark.usefixtures("bell")
async def test_thin(hass, simulator, hass_client):
    call = simulator.ring("Posto esterno strada")
    simulator.miss(call)
    await heard(hass, 4)
    await settle(hass)
    entry = the_entry(hass)
    path = Path(hass.config.path(".storage", DOMAIN, f"{entry.entry_id}.db"))
    from contextlib import closing
    with closing(sqlite3.connect(path)) as db:
        print(db.execute("select * from calls").fetchall())
        print(db.execute("select call,kind,length(content) from pictures").fetchall())
    assert state_of(hass, "sensor.classe_300x_missed_calls") == "1"
    client = await hass_client()
    p = hass.states.get("event.posto_esterno_strada_doorbell").attributes["picture"]
    assert (await client.get(p)).status == 200
    await restart(hass, entry)
    await online(entry)
    assert state_of(hass, "sensor.classe_300x_missed_calls") == "1"
    assert (await client.get(p)).status == 200
