"""The cloud lists more modules than an account can have: a limit, a repair issue, and back."""

import json
from typing import TYPE_CHECKING, Any

from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
from homeassistant.helpers.update_coordinator import REQUEST_REFRESH_DEFAULT_COOLDOWN
import pytest

from custom_components.bticino_classe.client import decode
from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.known_homes import TOPOLOGY_INTERVAL
from tests.integration.conftest import (
    advance,
    call_action,
    poll,
    restart_entry,
    sign_in,
    state_of,
    wait_frames,
)
from tests.simulator import Failure
from tests.simulator.house import Door
from tests.simulator.paths import HOMESDATA, HOMESTATUS

if TYPE_CHECKING:
    from collections.abc import Callable

    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

LIMIT = 30
LOCK = "lock.cancello"


@pytest.fixture(autouse=True)
def _limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that is reached with fewer devices; that of the product is tested in the client."""
    monkeypatch.setattr(decode, "MAX_MODULES", LIMIT)


def flood(simulator: Simulator, *, is_listed: bool) -> Callable[[], None]:
    """Add doors before the others, to the list of modules or to the states only; returns undo."""
    home, bridge = simulator.house.homes[0], simulator.house.bridges()[0].id
    own = dict(home.modules)
    doors = {
        f"d{n}": Door(id=f"d{n}", type="BNDL", bridge=bridge, listed=is_listed) for n in range(100)
    }
    home.modules.clear()
    home.modules.update(doors | own)

    def undo() -> None:
        for door in doors:
            home.modules.pop(door)

    return undo


def issues(hass: HomeAssistant) -> list[str]:
    """Return the repair issues of this kind."""
    return [key for _, key in ir.async_get(hass).issues if key.startswith("too_many_modules")]


def registered(hass: HomeAssistant, entry: ConfigEntry[Any]) -> tuple[set[str], set[str]]:
    """Return the names of the devices, and the entities, of an account."""
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    return {str(each.name) for each in devices}, {each.entity_id for each in entities}


@pytest.mark.parametrize("is_restarted", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize("is_listed", [True, False], ids=["listed", "reported"])
async def test_flood(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
    entry: ConfigEntry[Any],
    is_listed: bool,
    is_restarted: bool,
) -> None:
    """What was there works; the rest has a limit and an issue, and goes with the answer."""
    before = registered(hass, entry)
    undo = flood(simulator, is_listed=is_listed)
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    devices, entities = registered(hass, entry)
    assert len(devices) == LIMIT
    assert entities > before[1]
    assert issues(hass) == [f"too_many_modules_{entry.entry_id}"]
    await call_action(hass, "lock", "open", LOCK)
    assert len(simulator.openings) == 1
    await poll(hass, freezer)  # only the states
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert registered(hass, entry) == (devices, entities)
    assert issues(hass)
    undo()
    if is_restarted:
        await restart_entry(hass, entry)
    else:
        await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert registered(hass, entry) == before
    assert issues(hass) == []
    assert state_of(hass, LOCK) == "locked"


@pytest.mark.parametrize("is_listed", [True, False], ids=["listed", "reported"])
async def test_flood_at_the_first_setup(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
    credentials: dict[str, str],
    *,
    is_listed: bool,
) -> None:
    """The intercom is among what is taken; afterwards there is what the account has."""
    undo = flood(simulator, is_listed=is_listed)
    entry = await sign_in(hass, credentials)
    assert len(registered(hass, entry)[0]) == LIMIT
    assert issues(hass) == [f"too_many_modules_{entry.entry_id}"]
    undo()
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert issues(hass) == []
    house = simulator.house.homes[0].modules.values()
    assert len(registered(hass, entry)[0]) == len(list(house))
    assert state_of(hass, LOCK) == "locked"


async def test_name_in_the_issue(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """It is that of a home, and Home Assistant renders the issue as Markdown."""
    simulator.house.homes[0].name = "![x](//evil.example)"
    flood(simulator, is_listed=True)
    entry = await sign_in(hass, credentials)
    issue = ir.async_get(hass).async_get_issue(DOMAIN, f"too_many_modules_{entry.entry_id}")
    assert issue is not None
    assert issue.translation_placeholders == {"title": r"\!\[x\]\(\/\/evil\.example\)"}


async def test_issue_of_a_removed_account(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """It goes with the account."""
    flood(simulator, is_listed=True)
    entry = await sign_in(hass, credentials)
    assert issues(hass)
    await hass.config_entries.async_remove(entry.entry_id)
    assert issues(hass) == []


async def test_states_of_unknown_modules(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
    entry: ConfigEntry[Any],
) -> None:
    """Other ids in each answer do not add up, and what is known keeps its state."""
    coordinator = entry.runtime_data.coordinator
    before = coordinator.data.states.keys()
    for number in range(5):
        modules = [{"id": f"x{number}-{n}", "reachable": True} for n in range(3000)]
        answer: dict[str, object] = {"body": {"home": {"modules": modules}}}
        simulator.fail(HOMESTATUS, Failure(body=answer))
        await poll(hass, freezer)
    assert coordinator.data.states.keys() == before
    await poll(hass, freezer)
    assert state_of(hass, LOCK) == "locked"


async def test_pushes_of_unknown_modules(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
    online_entry: ConfigEntry[Any],
) -> None:
    """Each asks for the list of modules once, and not more than some hundreds do."""
    frames = online_entry.runtime_data.push.socket.counters["frames"]

    async def push(*module_ids: str) -> int:
        nonlocal frames
        before = simulator.journal.count(HOMESDATA)
        for module_id in module_ids:
            extra = {"device_id": module_id, "session_id": module_id, "data": {"type": "offer"}}
            simulator.push_raw(json.dumps({"push_type": "BNC1-rtc", "extra_params": extra}))
        frames += len(module_ids)
        await wait_frames(hass, frames)
        await advance(hass, freezer, REQUEST_REFRESH_DEFAULT_COOLDOWN)
        return simulator.journal.count(HOMESDATA) - before

    assert await push("new-1") >= 1
    assert await push("new-1") == 0
    assert await push(*(f"other-{n}" for n in range(1000))) >= 1
    assert await push("new-2") == 0
    assert len(online_entry.runtime_data.coordinator._requested_modules) < 300
    home, bridge = simulator.house.homes[0], simulator.house.bridges()[0].id
    home.modules["new-2"] = Door(id="new-2", type="BNDL", bridge=bridge, name="Nuova")
    await poll(hass, freezer, 2 * TOPOLOGY_INTERVAL)
    assert state_of(hass, "lock.nuova") == "locked"
