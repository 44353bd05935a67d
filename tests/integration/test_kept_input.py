"""What was typed stays in the form while the cloud is away; the password is never sent back."""

from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import SOURCE_RECONFIGURE
from homeassistant.const import CONF_PASSWORD, CONF_USERNAME
from homeassistant.data_entry_flow import FlowResultType
import pytest

from custom_components.bticino_classe.const import CONF_KEEP_PASSWORD, DOMAIN
from tests.integration.conftest import form_fields, sign_in
from tests.integration.test_config_flow import start_flow, start_reauth, submit
from tests.integration.test_discovery import discover
from tests.simulator import Failure, too_many
from tests.simulator.paths import HOMESDATA, TOKEN

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigFlowResult
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

PLACEHOLDER = "__**password_not_changed**__"
FORMS = ["user", "discovered", "reauth_confirm", "reconfigure"]
AWAY = [
    (TOKEN, Failure(status=503, html=True)),
    (TOKEN, Failure(never=True)),
    (TOKEN, too_many(retry_after=0)),
    (TOKEN, Failure(error="invalid_scope")),
    (HOMESDATA, Failure(status=502, html=True)),
    (HOMESDATA, Failure(wrong_json=True)),
]


@pytest.fixture(name="flow_id")
async def _flow_id(hass: HomeAssistant, credentials: dict[str, str], form: str) -> str:
    """A form that was just opened."""
    if form == "user":
        return await start_flow(hass)
    if form == "discovered":
        return (await discover(hass))["flow_id"]
    entry = await sign_in(hass, credentials)
    if form == "reauth_confirm":
        return await start_reauth(hass, entry)
    context: Any = {"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    return (await hass.config_entries.flow.async_init(DOMAIN, context=context))["flow_id"]


def typed(form: str, simulator: Simulator) -> dict[str, Any]:
    """Return what a person types into a form."""
    password = {CONF_PASSWORD: simulator.password}
    if form == "reauth_confirm":
        return password
    return {CONF_USERNAME: simulator.email, CONF_KEEP_PASSWORD: False, **password}


def shown(result: ConfigFlowResult) -> dict[str, Any]:
    """Return what a form shows, which the browser sends back if nothing is changed."""
    fields = form_fields(result)
    return {key: (each or {}).get("suggested_value") for key, each in fields.items()}


def is_success(result: ConfigFlowResult) -> bool:
    """Whether the sign-in has succeeded."""
    return result["type"] is FlowResultType.CREATE_ENTRY or result["reason"] in {
        "reauth_successful",
        "reconfigure_successful",
    }


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("path", "failure"), AWAY)
async def test_submitting_the_form_again_is_enough(  # noqa: PLR0917 - fixtures and cases
    hass: HomeAssistant,
    simulator: Simulator,
    flow_id: str,
    form: str,
    path: str,
    failure: Failure,
) -> None:
    """The flow remembers the password; the browser gets a placeholder for it."""
    values = typed(form, simulator)
    simulator.fail(path, failure, times=2)
    for _ in range(2):
        result = await submit(hass, flow_id, values)
        assert (result["type"], result["step_id"]) == (FlowResultType.FORM, form)
        assert (result["errors"] or {}).keys() == {"base"}
        assert shown(result).keys() == values.keys()
        assert {**shown(result), CONF_PASSWORD: values[CONF_PASSWORD]} == values
        assert shown(result)[CONF_PASSWORD] == PLACEHOLDER
        values = shown(result)
    result = await submit(hass, flow_id, values)
    assert is_success(result)
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    kept = {simulator.password} if form == "reauth_confirm" else {None}
    assert {entry.data.get(CONF_PASSWORD)} == kept


@pytest.mark.parametrize("form", FORMS)
async def test_refused_password_is_not_kept(
    hass: HomeAssistant, simulator: Simulator, flow_id: str, form: str
) -> None:
    """It has to be typed again, also after an outage that followed; the rest is kept."""
    values = {**typed(form, simulator), CONF_PASSWORD: "wrong"}
    result = await submit(hass, flow_id, values)
    assert shown(result) == {**values, CONF_PASSWORD: None}
    expected = "base" if form != "reauth_confirm" else CONF_PASSWORD
    assert (result["errors"] or {}).keys() == {expected}
    right = typed(form, simulator)
    simulator.fail(TOKEN, Failure(status=503, html=True))
    result = await submit(hass, flow_id, right)
    assert is_success(await submit(hass, flow_id, shown(result)))


@pytest.mark.parametrize("form", ["user", "discovered", "reconfigure"])
async def test_other_address_with_the_same_password(
    hass: HomeAssistant, simulator: Simulator, flow_id: str, form: str
) -> None:
    """A mistyped address is corrected without typing the password again."""
    simulator.fail(TOKEN, Failure(status=503, html=True))
    mistyped = {**typed(form, simulator), CONF_USERNAME: "other@example.org"}
    result = await submit(hass, flow_id, mistyped)
    assert shown(result)[CONF_USERNAME] == "other@example.org"
    result = await submit(hass, flow_id, {**shown(result), CONF_USERNAME: simulator.email})
    assert is_success(result)


@pytest.mark.parametrize("form", FORMS)
async def test_placeholder_in_a_new_form_is_a_password(
    hass: HomeAssistant, simulator: Simulator, flow_id: str, form: str
) -> None:
    """Nothing was typed before that it could stand for."""
    simulator.change_password(PLACEHOLDER)
    assert is_success(await submit(hass, flow_id, typed(form, simulator)))
