"""Switching the history off asks once more, with what will be deleted."""

from typing import TYPE_CHECKING, Any

from homeassistant.data_entry_flow import FlowResultType
import pytest

from custom_components.bticino_classe.const import CONF_DOOR_CODES, CONF_HISTORY
from custom_components.bticino_classe.history.database import Database, UnusableError
from tests.integration.conftest import get_entry, wait_idle, wait_online
from tests.integration.history.stored import calls_of, files, new_calls, pictures_of
from tests.integration.history.test_calendar import set_options
from tests.integration.history.test_history import STREET, called

if TYPE_CHECKING:
    from collections.abc import Callable
    import sqlite3

    from homeassistant.config_entries import ConfigFlowResult
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

OFF: dict[str, Any] = {"pulse_time": 5, CONF_HISTORY: {"keep": False}}


async def submit(
    hass: HomeAssistant, values: dict[str, Any], flow_id: str | None = None
) -> ConfigFlowResult:
    """Submit a form of the options; without a flow, the first form of a new one."""
    options = hass.config_entries.options
    if flow_id is None:
        flow_id = (await options.async_init(get_entry(hass).entry_id))["flow_id"]
    return await options.async_configure(flow_id, values)


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize(
    ("rings", "size", "shown"),
    [
        (0, 1000, {"calls": "1", "pictures": "0", "megabytes": "0"}),
        (1, 40_000, {"calls": "2", "pictures": "2", "megabytes": "1"}),
        (3, 500_000, {"calls": "4", "pictures": "6", "megabytes": "3"}),
    ],
)
async def test_numbers_are_shown_before_anything_is_deleted(
    hass: HomeAssistant, simulator: Simulator, rings: int, size: int, shown: dict[str, str]
) -> None:
    """The cloud lists one call from before the set-up."""
    simulator.pictures.size = size
    for _ in range(rings):
        await called(hass, simulator, STREET, "miss")
    form = await submit(hass, OFF)
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "delete_history")
    assert form["description_placeholders"] == shown
    assert len(await new_calls(hass)) == rings
    assert len(await pictures_of(hass)) == 2 * rings

    result = await submit(hass, {}, form["flow_id"])
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"][CONF_HISTORY]["keep"] is False
    assert files(hass) == []
    await wait_idle(hass)
    await wait_online(get_entry(hass))


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize("is_closed", [True, False])
async def test_nothing_is_deleted_without_a_confirmation(
    hass: HomeAssistant, simulator: Simulator, is_closed: bool
) -> None:
    """Neither if the dialog is closed, nor while it stays open."""
    await called(hass, simulator, STREET, "miss")
    form = await submit(hass, OFF)
    if is_closed:
        hass.config_entries.options.async_abort(form["flow_id"])
    await wait_idle(hass)
    await hass.config_entries.async_reload(get_entry(hass).entry_id)
    await wait_online(get_entry(hass))
    assert len(await new_calls(hass)) == 1
    assert len(await pictures_of(hass)) == 2
    assert CONF_HISTORY not in get_entry(hass).options


@pytest.mark.usefixtures("online_entry")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {}),
        ({}, {"keep": True, "days": 10}),
        ({"keep": False}, {"keep": False}),
        ({"keep": False}, {"keep": True}),
    ],
)
async def test_other_options_are_stored_at_once(
    hass: HomeAssistant, before: dict[str, Any], after: dict[str, Any]
) -> None:
    """There is no question if the history stays on, stays off, or is switched on."""
    await set_options(hass, history=before)
    result = await submit(hass, {"pulse_time": 7, CONF_HISTORY: after})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await wait_idle(hass)
    await wait_online(get_entry(hass))


@pytest.mark.usefixtures("online_entry")
async def test_codes_of_doors_are_asked_first(hass: HomeAssistant) -> None:
    """The last question is about the history, and its answer stores everything."""
    form = await hass.config_entries.options.async_init(get_entry(hass).entry_id)
    assert form["data_schema"] is not None
    door = form["data_schema"].schema["doors_with_code"].config["options"][0]["value"]
    result = await submit(hass, {**OFF, "doors_with_code": [door]}, form["flow_id"])
    assert result["step_id"] == "door_code"
    result = await submit(hass, {"code": "1234"}, form["flow_id"])
    assert result["step_id"] == "delete_history"
    result = await submit(hass, {}, form["flow_id"])
    assert result["data"][CONF_HISTORY]["keep"] is False
    assert result["data"][CONF_DOOR_CODES] == {door: "1234"}
    await wait_idle(hass)
    await wait_online(get_entry(hass))


@pytest.mark.usefixtures("online_entry")
async def test_account_that_is_unloaded_meanwhile(
    hass: HomeAssistant, simulator: Simulator
) -> None:
    """Nothing is deleted."""
    await called(hass, simulator, STREET, "miss")
    form = await submit(hass, OFF)
    await hass.config_entries.async_unload(get_entry(hass).entry_id)
    result = await submit(hass, {}, form["flow_id"])
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "not_loaded")
    await hass.config_entries.async_setup(get_entry(hass).entry_id)
    await wait_online(get_entry(hass))
    assert len(await new_calls(hass)) == 1


@pytest.mark.usefixtures("online_entry")
async def test_history_that_cannot_be_read(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can still be deleted; the numbers are not known."""

    async def fail(_self: Database, _query: Callable[[sqlite3.Connection], object]) -> None:
        reason = "SQLITE_IOERR"
        raise UnusableError(reason)

    unknown = dict.fromkeys(("calls", "pictures", "megabytes"), "?")
    with monkeypatch.context() as patched:
        patched.setattr(Database, "read", fail)
        form = await submit(hass, OFF)
        assert form["description_placeholders"] == unknown
        result = await submit(hass, {}, form["flow_id"])
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await wait_idle(hass)
    await wait_online(get_entry(hass))
    assert files(hass) == []
    assert await calls_of(hass) == []
