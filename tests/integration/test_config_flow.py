"""Signing in, as a person does it in the UI."""

from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import SOURCE_USER, ConfigEntry, ConfigEntryState
from homeassistant.const import CONF_PASSWORD, CONF_TOKEN, CONF_USERNAME
from homeassistant.data_entry_flow import FlowResultType
import pytest

from custom_components.bticino_classe.const import DOMAIN
from tests.integration.conftest import fields, sign_in
from tests.simulator import Failure, too_many
from tests.simulator.paths import HOMESDATA, TOKEN

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigFlowResult
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

TROUBLES = [
    (TOKEN, Failure(status=503, html=True), "cannot_connect"),
    (TOKEN, Failure(never=True), "cannot_connect"),
    (TOKEN, Failure(drop=True), "cannot_connect"),
    (TOKEN, Failure(cut=True, executed=True), "cannot_connect"),
    (TOKEN, Failure(html=True), "cannot_connect"),
    (TOKEN, too_many(retry_after=0), "too_many_requests"),
    (TOKEN, Failure(code=26), "too_many_requests"),
    (TOKEN, Failure(error="invalid_client"), "app_client_refused"),
    (TOKEN, Failure(error="invalid_scope"), "unexpected_answer"),
    (HOMESDATA, Failure(status=502, html=True), "cannot_connect"),
    (HOMESDATA, Failure(never=True), "cannot_connect"),
    (HOMESDATA, Failure(status=429), "too_many_requests"),
    (HOMESDATA, Failure(code=13), "unexpected_answer"),
    (HOMESDATA, Failure(wrong_json=True), "unexpected_answer"),
    (HOMESDATA, Failure(body={"status": "ok", "body": {}}), "unexpected_answer"),
]


async def start(hass: HomeAssistant) -> str:
    """Open the form."""
    result = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "user"
    assert result["errors"] == {}
    return result["flow_id"]


async def submit(hass: HomeAssistant, flow_id: str, values: dict[str, Any]) -> ConfigFlowResult:
    """Send the form."""
    result = await hass.config_entries.flow.async_configure(flow_id, values)
    await hass.async_block_till_done()
    return result


async def test_sign_in_makes_one_login_and_keeps_its_tokens(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """The entry holds what a restart needs, and set-up signs in no second time."""
    result = await submit(hass, await start(hass), credentials)

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "Casa"
    entry = result["result"]
    assert entry.unique_id == simulator.user_id
    assert entry.state is ConfigEntryState.LOADED
    assert {key: entry.data[key] for key in credentials} == credentials
    assert set(entry.data[CONF_TOKEN]) == {"access_token", "refresh_token", "expires_at"}
    assert simulator.journal.count(TOKEN) == simulator.account.logins == 1
    assert simulator.violations == []


async def test_form_hides_the_password_and_helps_to_fill_in(hass: HomeAssistant) -> None:
    """Browsers and password managers know what the two fields are."""
    flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    schema = flow["data_schema"]
    assert schema is not None
    selectors = {str(key): value.config for key, value in schema.schema.items()}
    assert selectors[CONF_USERNAME] == {
        "type": "email",
        "autocomplete": "username",
        "multiline": False,
        "multiple": False,
    }
    assert selectors[CONF_PASSWORD]["type"] == "password"
    assert selectors[CONF_PASSWORD]["autocomplete"] == "current-password"


@pytest.mark.parametrize(("path", "failure", "error"), TROUBLES)
async def test_trouble_is_named_and_gone_when_it_is_over(  # noqa: PLR0917 - a table's columns
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    path: str,
    failure: Failure,
    error: str,
) -> None:
    """Every trouble has a text of its own; sending the form again is enough afterwards."""
    flow_id = await start(hass)
    simulator.fail(path, failure)
    result = await submit(hass, flow_id, credentials)
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {"base": error}

    result = await submit(hass, flow_id, credentials)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_cloud_that_is_not_there(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """No route to the cloud is no fault of the password."""
    flow_id = await start(hass)
    await simulator.stop()
    result = await submit(hass, flow_id, credentials)
    assert result["errors"] == {"base": "cannot_connect"}


async def test_wrong_password_then_right(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """The e-mail stays in the form, the password does not."""
    flow_id = await start(hass)
    result = await submit(hass, flow_id, {**credentials, CONF_PASSWORD: "wrong"})
    assert result["errors"] == {"base": "invalid_auth"}
    suggested = {"suggested_value": credentials[CONF_USERNAME]}
    assert fields(result) == {CONF_USERNAME: suggested, CONF_PASSWORD: None}

    result = await submit(hass, flow_id, credentials)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert simulator.account.logins == 1


@pytest.mark.parametrize("house", ["no_intercom", "empty"])
async def test_account_without_an_intercom(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str], house: str
) -> None:
    """The person is told, and may add the intercom in the app and go on."""
    simulator.use_house(house)
    flow_id = await start(hass)
    result = await submit(hass, flow_id, credentials)
    assert result["errors"] == {"base": "no_intercom"}

    simulator.use_house("classe_100x")
    result = await submit(hass, flow_id, credentials)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_same_form_again_signs_in_only_once(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """Each login mails the owner: a fault behind the login must not repeat it."""
    flow_id = await start(hass)
    simulator.fail(HOMESDATA, Failure(status=503, html=True), times=3)
    for _ in range(3):
        await submit(hass, flow_id, credentials)
    result = await submit(hass, flow_id, credentials)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert simulator.journal.count(TOKEN) == 1


@pytest.mark.usefixtures("entry")
async def test_same_address_is_refused_without_a_login(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """An account that is there is recognised before anybody is mailed."""
    spelled = {**credentials, CONF_USERNAME: f" {credentials[CONF_USERNAME].upper()} "}
    for values in (credentials, spelled):
        result = await submit(hass, await start(hass), values)
        assert result["type"] is FlowResultType.ABORT
        assert result["reason"] == "already_configured"
    assert simulator.journal.count(TOKEN) == 0


@pytest.mark.usefixtures("entry")
async def test_same_account_under_another_address_is_refused(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """It is the account that counts, not how it is called."""
    simulator.account.email = "new@example.org"
    result = await submit(
        hass, await start(hass), {**credentials, CONF_USERNAME: "new@example.org"}
    )
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"


async def test_cloud_that_names_no_user(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """Without a user id the lower-cased address tells accounts apart."""
    simulator.account.user_id = ""
    result = await submit(
        hass, await start(hass), {**credentials, CONF_USERNAME: "Owner@Example.org"}
    )
    assert result["result"].unique_id == "owner@example.org"


async def test_home_without_a_name(hass: HomeAssistant, simulator: Simulator) -> None:
    """The entry is named after the product then."""
    simulator.house.homes[0].name = ""
    entry = await sign_in(hass, {CONF_USERNAME: simulator.email, CONF_PASSWORD: simulator.password})
    assert entry.title == "BTicino Classe"


async def test_reauth_asks_for_the_password_only(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The account is shown; the new password is proved, stored, and used at once."""
    simulator.change_password("new-password")
    entry.async_start_reauth(hass)
    await hass.async_block_till_done()
    (progress,) = hass.config_entries.flow.async_progress()
    assert progress["step_id"] == "reauth_confirm"
    result = await hass.config_entries.flow.async_configure(progress["flow_id"])
    assert (result["description_placeholders"] or {})["username"] == simulator.email
    assert list(fields(result)) == [CONF_PASSWORD]

    result = await submit(hass, progress["flow_id"], {CONF_PASSWORD: "wrong"})
    assert result["errors"] == {"base": "invalid_auth"}
    result = await submit(hass, progress["flow_id"], {CONF_PASSWORD: "new-password"})

    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "reauth_successful"
    assert entry.data[CONF_PASSWORD] == "new-password"
    assert entry.state is ConfigEntryState.LOADED
    assert simulator.account.logins == 2


async def test_reauth_refuses_another_account(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """A password that opens somebody else's house changes nothing."""
    before = dict(entry.data)
    entry.async_start_reauth(hass)
    await hass.async_block_till_done()
    (progress,) = hass.config_entries.flow.async_progress()
    simulator.account.user_id = "somebody else"
    result = await submit(hass, progress["flow_id"], {CONF_PASSWORD: simulator.password})
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "wrong_account"
    assert dict(entry.data) == before


async def test_reauth_while_the_cloud_is_down(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The form stays open and says that it is not the password."""
    entry.async_start_reauth(hass)
    await hass.async_block_till_done()
    (progress,) = hass.config_entries.flow.async_progress()
    simulator.take_down()
    result = await submit(hass, progress["flow_id"], {CONF_PASSWORD: simulator.password})
    assert result["errors"] == {"base": "cannot_connect"}


async def test_reconfigure_takes_a_new_address(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The same account under another address and password is stored and used."""
    simulator.account.email = "new@example.org"
    simulator.change_password("new-password")
    flow = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": "reconfigure", "entry_id": entry.entry_id}
    )
    assert flow["step_id"] == "reconfigure"
    suggested = {"suggested_value": entry.data[CONF_USERNAME]}
    assert fields(flow) == {CONF_USERNAME: suggested, CONF_PASSWORD: None}

    new = {CONF_USERNAME: "new@example.org", CONF_PASSWORD: "new-password"}
    result = await submit(hass, flow["flow_id"], {**new, CONF_PASSWORD: "wrong"})
    assert result["errors"] == {"base": "invalid_auth"}
    result = await submit(hass, flow["flow_id"], new)
    assert result["reason"] == "reconfigure_successful"
    assert {key: entry.data[key] for key in new} == new
    assert entry.state is ConfigEntryState.LOADED


async def test_reconfigure_refuses_another_account(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator, credentials: dict[str, str]
) -> None:
    """An entry stands for one account for good."""
    simulator.account.user_id = "somebody else"
    simulator.account.email = "else@example.org"
    flow = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": "reconfigure", "entry_id": entry.entry_id}
    )
    result = await submit(hass, flow["flow_id"], {**credentials, CONF_USERNAME: "else@example.org"})
    assert result["reason"] == "wrong_account"
    assert entry.data[CONF_USERNAME] == credentials[CONF_USERNAME]


async def test_reauth_when_the_cloud_names_no_user(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The same address is the same account, if there is nothing better to go by."""
    entry.async_start_reauth(hass)
    await hass.async_block_till_done()
    (progress,) = hass.config_entries.flow.async_progress()
    simulator.account.user_id = ""
    result = await submit(hass, progress["flow_id"], {CONF_PASSWORD: simulator.password})
    assert result["reason"] == "reauth_successful"
