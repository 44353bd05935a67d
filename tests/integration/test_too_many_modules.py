"""The cloud lists more modules than an account can have: a limit, a repair issue, and back."""

from typing import TYPE_CHECKING, Any

from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
import pytest

from custom_components.bticino_classe.client import decode
from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.coordinator import TOPOLOGY_INTERVAL
from tests.integration.conftest import call_action, poll, restart_entry, sign_in, state_of
from tests.simulator.house import Door

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
    """Return the repair issues of the integration."""
    return [key for domain, key in ir.async_get(hass).issues if domain == DOMAIN]


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
