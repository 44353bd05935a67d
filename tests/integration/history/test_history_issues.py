"""Repair issues about the file of the history, and what ends them."""

from typing import TYPE_CHECKING, Any

from homeassistant.setup import async_setup_component
import pytest

from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.history.history import CLEANUP_INTERVAL
from custom_components.bticino_classe.history.records import DAY
from custom_components.bticino_classe.history.store import async_freeze_histories
from tests.integration.conftest import advance, reload_entry, wait_idle
from tests.integration.history.stored import database, files, history_of
from tests.integration.history.test_database import allow_writes, refuse_writes
from tests.integration.history.test_history import STREET, called
from tests.integration.issues import issues_of, texts_of

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from tests.simulator import Simulator

HOUR_SECONDS = CLEANUP_INTERVAL.total_seconds() + 1
DAMAGED = "history_damaged"


@pytest.fixture(name="damaged")
async def _damaged(hass: HomeAssistant, entry: ConfigEntry[Any]) -> ConfigEntry[Any]:
    """An account whose file was damaged; it was renamed, and its issue is shown."""
    await hass.config_entries.async_unload(entry.entry_id)
    database(hass).write_bytes(b"{" * 5000)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_idle(hass)
    assert copies(hass)
    assert issues_of(hass, entry).keys() == {DAMAGED}
    return entry


def copies(hass: HomeAssistant) -> list[str]:
    """Return the names of the renamed files."""
    return [name for name in files(hass) if ".damaged-" in name]


class FixFlow:
    """The dialog of an issue, as Home Assistant's frontend opens it."""

    def __init__(self, hass: HomeAssistant, hass_client: ClientSessionGenerator) -> None:
        self._hass = hass
        self._client = hass_client
        self._flow = ""

    async def open(self, issue_id: str) -> dict[str, Any]:
        """Open the dialog of an issue."""
        assert await async_setup_component(self._hass, "repairs", {})
        found = await self._post("", {"handler": DOMAIN, "issue_id": issue_id})
        self._flow = found["flow_id"]
        return found

    async def submit(self) -> dict[str, Any]:
        """Confirm."""
        return await self._post(f"/{self._flow}", {})

    async def _post(self, path: str, data: dict[str, str]) -> dict[str, Any]:
        client = await self._client()
        response = await client.post(f"/api/repairs/issues/fix{path}", json=data)
        assert response.status == 200, await response.text()
        found: dict[str, Any] = await response.json()
        return found


@pytest.fixture(name="fix_flow")
def _fix_flow(hass: HomeAssistant, hass_client: ClientSessionGenerator) -> FixFlow:
    return FixFlow(hass, hass_client)


async def test_damaged_file_is_deleted_by_a_click(
    hass: HomeAssistant, damaged: ConfigEntry[Any], fix_flow: FixFlow
) -> None:
    """The issue stays over reloads until the renamed file is gone."""
    await reload_entry(hass, damaged)
    issue = issues_of(hass, damaged)[DAMAGED]
    assert all(damaged.title in text for text in texts_of(issue)[1::2])
    form = await fix_flow.open(issue.issue_id)
    assert (form["type"], form["step_id"]) == ("form", "confirm")
    assert form["description_placeholders"] == issue.translation_placeholders
    assert copies(hass)
    assert (await fix_flow.submit())["type"] == "create_entry"
    assert copies(hass) == []
    assert database(hass).exists()
    assert issues_of(hass, damaged) == {}
    await reload_entry(hass, damaged)
    assert issues_of(hass, damaged) == {}


async def test_damaged_file_that_cannot_be_deleted(
    hass: HomeAssistant, damaged: ConfigEntry[Any], fix_flow: FixFlow
) -> None:
    """Nothing is deleted during a backup: the issue stays, and a later click succeeds."""
    await async_freeze_histories(hass, frozen=True)
    for is_frozen in (True, False):
        await fix_flow.open(issues_of(hass, damaged)[DAMAGED].issue_id)
        await async_freeze_histories(hass, frozen=is_frozen)
        result = await fix_flow.submit()
        assert result.get("reason") == ("not_deleted" if is_frozen else None)
        assert bool(copies(hass)) is is_frozen
        assert (DAMAGED in issues_of(hass, damaged)) is is_frozen


async def test_account_that_is_unloaded_during_the_dialog(
    hass: HomeAssistant, damaged: ConfigEntry[Any], fix_flow: FixFlow
) -> None:
    """The file stays, and so does the issue when the account is loaded again."""
    await fix_flow.open(issues_of(hass, damaged)[DAMAGED].issue_id)
    await hass.config_entries.async_unload(damaged.entry_id)
    assert issues_of(hass, damaged) == {}
    assert (await fix_flow.submit())["reason"] == "not_deleted"
    assert copies(hass)
    await hass.config_entries.async_setup(damaged.entry_id)
    await wait_idle(hass)
    assert issues_of(hass, damaged).keys() == {DAMAGED}


@pytest.mark.parametrize("how", ["age", "deletion", "removal", "switched off"])
async def test_damaged_file_that_is_gone(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, damaged: ConfigEntry[Any], how: str
) -> None:
    """The issue goes with it."""
    if how == "age":
        await advance(hass, freezer, HOUR_SECONDS)
        assert DAMAGED in issues_of(hass, damaged)
        freezer.tick(91 * DAY)
        await advance(hass, freezer, HOUR_SECONDS)
    elif how == "deletion":
        await hass.services.async_call(DOMAIN, "delete_calls", {"all": True}, blocking=True)
    elif how == "removal":
        await hass.config_entries.async_remove(damaged.entry_id)
    else:
        options = {**damaged.options, "history": {"keep": False}}
        hass.config_entries.async_update_entry(damaged, options=options)
        await reload_entry(hass, damaged)
    assert files(hass) == [] or how in {"age", "deletion"}
    assert copies(hass) == []
    assert DAMAGED not in issues_of(hass, damaged)


@pytest.mark.parametrize("end", ["write", "unload", "removal"])
async def test_disk_that_cannot_be_written(
    hass: HomeAssistant, online_entry: ConfigEntry[Any], simulator: Simulator, end: str
) -> None:
    """One issue, until the next successful write, or until the account is unloaded."""
    await refuse_writes(hass, "read-only")
    for _ in range(2):
        await called(hass, simulator, STREET, "miss")
    (issue,) = issues_of(hass, online_entry).values()
    assert issue.translation_key == "history_not_stored"
    if end == "write":
        await allow_writes(hass)
        await called(hass, simulator, STREET, "miss")
        await history_of(hass).async_settle()
    elif end == "unload":
        await hass.config_entries.async_unload(online_entry.entry_id)
    else:
        await hass.config_entries.async_remove(online_entry.entry_id)
    assert issues_of(hass, online_entry) == {}


async def test_newer_file(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """It stays over reloads as long as the file is newer."""
    await hass.config_entries.async_unload(entry.entry_id)
    content = database(hass).read_bytes()
    newer = bytearray(content)
    newer[60:64] = (99).to_bytes(4)
    database(hass).write_bytes(newer)
    for _ in range(2):
        await reload_entry(hass, entry)
        assert issues_of(hass, entry).keys() == {"history_newer"}
        (issue,) = issues_of(hass, entry).values()
        assert all(entry.title in text for text in texts_of(issue)[1::2])
    await hass.config_entries.async_unload(entry.entry_id)
    database(hass).write_bytes(content)
    await reload_entry(hass, entry)
    assert issues_of(hass, entry) == {}
