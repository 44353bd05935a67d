"""The config flow: sign-in, re-authentication, reconfiguration."""

import asyncio
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import SOURCE_USER, ConfigEntry, ConfigEntryState
from homeassistant.const import CONF_PASSWORD, CONF_TOKEN, CONF_USERNAME
from homeassistant.data_entry_flow import FlowResultType, UnknownFlow
import pytest
from pytest_homeassistant_custom_component.common import async_capture_events

from custom_components.bticino_classe.const import DOMAIN
from tests.integration.conftest import form_fields, sign_in
from tests.simulator import Failure, too_many
from tests.simulator.paths import HOMESDATA, HOMESTATUS, TOKEN

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigFlowResult
    from homeassistant.core import HomeAssistant

    from tests.simulator import Simulator

SIGN_IN_FAILURES = [
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


async def start_flow(hass: HomeAssistant) -> str:
    """Open the form."""
    result = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "user"
    assert result["errors"] == {}
    return result["flow_id"]


async def start_reauth(hass: HomeAssistant, entry: ConfigEntry[Any]) -> str:
    """Start re-authentication."""
    entry.async_start_reauth(hass)
    await hass.async_block_till_done()
    (progress,) = hass.config_entries.flow.async_progress()
    assert progress["step_id"] == "reauth_confirm"
    return progress["flow_id"]


async def submit(hass: HomeAssistant, flow_id: str, values: dict[str, Any]) -> ConfigFlowResult:
    """Submit the form; staircase lights stay lights."""
    result = await hass.config_entries.flow.async_configure(flow_id, values)
    if result.get("step_id") == "lights":
        result = await hass.config_entries.flow.async_configure(flow_id, {})
    await hass.async_block_till_done()
    return result


async def test_title_of_many_homes(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """It is in log lines and notifications, so it has an end."""
    homes = [
        {"id": f"h{n}", "name": "x" * 99, "modules": [{"id": f"b{n}", "type": "BNC1"}]}
        for n in range(50)
    ]
    answer: dict[str, object] = {"status": "ok", "body": {"homes": homes}}
    simulator.fail(HOMESDATA, Failure(body=answer))
    result = await submit(hass, await start_flow(hass), credentials)
    assert len(str(result["title"])) == 255


async def test_sign_in_once_and_store_the_tokens(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """The entry holds what a restart needs; set-up does not sign in again."""
    result = await submit(hass, await start_flow(hass), credentials)

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "Casa"
    entry = result["result"]
    assert entry.unique_id == simulator.user_id
    assert entry.state is ConfigEntryState.LOADED
    assert {key: entry.data[key] for key in credentials} == credentials
    assert set(entry.data[CONF_TOKEN]) == {"access_token", "refresh_token", "expires_at"}
    assert simulator.journal.count(TOKEN) == simulator.account.logins == 1
    assert simulator.violations == []


async def test_form_fields(hass: HomeAssistant) -> None:
    """The password is hidden; browsers and password managers recognize both fields."""
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


@pytest.mark.parametrize(("path", "failure", "error"), SIGN_IN_FAILURES)
async def test_error_is_shown_and_recovers(  # noqa: PLR0917 - a table's columns
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    path: str,
    failure: Failure,
    error: str,
) -> None:
    """Every error has a message; afterwards it is enough to submit the form again."""
    flow_id = await start_flow(hass)
    simulator.fail(path, failure)
    result = await submit(hass, flow_id, credentials)
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {"base": error}

    result = await submit(hass, flow_id, credentials)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_no_connection(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """It is not reported as a wrong password."""
    flow_id = await start_flow(hass)
    await simulator.stop()
    result = await submit(hass, flow_id, credentials)
    assert result["errors"] == {"base": "cannot_connect"}


async def test_wrong_password_then_right(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """The e-mail stays in the form, the password does not."""
    flow_id = await start_flow(hass)
    result = await submit(hass, flow_id, {**credentials, CONF_PASSWORD: "wrong"})
    assert result["errors"] == {"base": "invalid_auth"}
    suggested = {"suggested_value": credentials[CONF_USERNAME]}
    fields = form_fields(result)
    assert (fields[CONF_USERNAME], fields[CONF_PASSWORD]) == (suggested, None)

    result = await submit(hass, flow_id, credentials)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert simulator.account.logins == 1


GATE = "30000a-0606-aa11bb22cc06"


@pytest.mark.parametrize("gates", [[], [GATE]])
async def test_relay_is_a_light_or_a_gate(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str], gates: list[str]
) -> None:
    """The owner says which before any entity exists; a gate is never a light."""
    added = async_capture_events(hass, "entity_registry_updated")
    flow_id = await start_flow(hass)
    form = await hass.config_entries.flow.async_configure(flow_id, credentials)
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "lights")
    assert form["data_schema"] is not None
    (selector,) = form["data_schema"].schema.values()
    assert selector.config["options"] == [{"value": GATE, "label": "Luce scale"}]
    assert hass.config_entries.async_entries(DOMAIN) == []

    result = await hass.config_entries.flow.async_configure(flow_id, {"lights_as_doors": gates})
    await hass.async_block_till_done()
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "Casa"
    assert result["options"] == {"lights_as_doors": gates}
    created = {each.data["entity_id"] for each in added if each.data["action"] == "create"}
    assert ("light.luce_scale" in created) == (gates == [])
    assert ("lock.luce_scale" in created) == (gates == [GATE])
    assert simulator.account.logins == 1


async def test_relay_without_a_name(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """It is listed by its id."""
    simulator.use_house("classe_300eos")
    form = await hass.config_entries.flow.async_configure(await start_flow(hass), credentials)
    assert form["data_schema"] is not None
    (selector,) = form["data_schema"].schema.values()
    assert [each["label"] == each["value"] for each in selector.config["options"]] == [True]


async def test_house_without_a_relay(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """There is nothing to ask."""
    simulator.use_house("easykit")
    flow_id = await start_flow(hass)
    result = await hass.config_entries.flow.async_configure(flow_id, credentials)
    await hass.async_block_till_done()
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_form_that_was_abandoned(hass: HomeAssistant, credentials: dict[str, str]) -> None:
    """It does not block another sign-in, and ends with it: there is one entry."""
    abandoned, used = [await start_flow(hass) for _ in range(2)]
    for flow_id in (abandoned, used):
        form = await hass.config_entries.flow.async_configure(flow_id, credentials)
        assert form["step_id"] == "lights"
    result = await submit(hass, used, {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    with pytest.raises(UnknownFlow):
        await submit(hass, abandoned, {})
    assert len(hass.config_entries.async_entries(DOMAIN)) == 1


@pytest.mark.parametrize("house", ["no_intercom", "empty"])
async def test_account_without_an_intercom(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str], house: str
) -> None:
    """The user can add the intercom in the app and submit the form again."""
    simulator.use_house(house)
    flow_id = await start_flow(hass)
    result = await submit(hass, flow_id, credentials)
    assert result["errors"] == {"base": "no_intercom"}

    simulator.use_house("classe_100x")
    result = await submit(hass, flow_id, credentials)
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (Failure(status=503, html=True), "cannot_connect"),
        (Failure(drop=True), "cannot_connect"),
        (Failure(code=26), "too_many_requests"),
        (Failure(code=13), "no_intercom"),
        (Failure(body={"status": "ok", "body": {}}), "no_intercom"),
    ],
    ids=str,
)
async def test_home_that_is_listed_without_modules(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    failure: Failure,
    error: str,
) -> None:
    """Its status is asked before the form says that there is no intercom."""
    simulator.use_house("unlisted_modules")
    simulator.fail(HOMESTATUS, failure)
    flow_id = await start_flow(hass)
    result = await submit(hass, flow_id, credentials)
    assert result["errors"] == {"base": error}
    result = await submit(hass, flow_id, credentials)
    assert (result["type"], result["title"]) == (FlowResultType.CREATE_ENTRY, "Casa")
    assert simulator.journal.count(TOKEN) == 1


async def test_submitting_again_signs_in_only_once(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """Each sign-in sends the owner a mail: a later failure must not cause another."""
    flow_id = await start_flow(hass)
    simulator.fail(HOMESDATA, Failure(status=503, html=True), times=3)
    for _ in range(3):
        await submit(hass, flow_id, credentials)
    result = await submit(hass, flow_id, credentials)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert simulator.journal.count(TOKEN) == 1


@pytest.mark.usefixtures("entry")
async def test_configured_address_is_refused_without_a_sign_in(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """Upper case and spaces make no difference."""
    differently_spelled = {**credentials, CONF_USERNAME: f" {credentials[CONF_USERNAME].upper()} "}
    for values in (credentials, differently_spelled):
        result = await submit(hass, await start_flow(hass), values)
        assert result["type"] is FlowResultType.ABORT
        assert result["reason"] == "already_configured"
    assert simulator.journal.count(TOKEN) == 0


@pytest.mark.usefixtures("entry")
async def test_same_account_under_another_address_is_refused(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """Accounts are identified by their user id, not by their address."""
    simulator.account.email = "new@example.org"
    result = await submit(
        hass, await start_flow(hass), {**credentials, CONF_USERNAME: "new@example.org"}
    )
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"


async def test_answer_without_a_user_id(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """The lower-case address identifies the account instead."""
    simulator.account.user_id = ""
    result = await submit(
        hass, await start_flow(hass), {**credentials, CONF_USERNAME: "Owner@Example.org"}
    )
    assert result["result"].unique_id == "owner@example.org"


async def test_home_without_a_name(hass: HomeAssistant, simulator: Simulator) -> None:
    """The entry is named after the product."""
    simulator.house.homes[0].name = ""
    entry = await sign_in(hass, {CONF_USERNAME: simulator.email, CONF_PASSWORD: simulator.password})
    assert entry.title == "BTicino Classe"


async def test_reauth_asks_for_the_password_only(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The account is shown; the new password is checked, stored and used at once."""
    simulator.change_password("new-password")
    flow_id = await start_reauth(hass, entry)
    result = await hass.config_entries.flow.async_configure(flow_id)
    assert (result["description_placeholders"] or {})["username"] == simulator.email
    assert list(form_fields(result)) == [CONF_PASSWORD]

    result = await submit(hass, flow_id, {CONF_PASSWORD: "wrong"})
    assert result["errors"] == {CONF_PASSWORD: "invalid_password"}
    assert form_fields(result) == {CONF_PASSWORD: None}
    result = await submit(hass, flow_id, {CONF_PASSWORD: "new-password"})

    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "reauth_successful"
    assert result.get("translation_domain") is None  # the text is ours: core's is often English
    assert entry.data[CONF_PASSWORD] == "new-password"
    assert entry.state is ConfigEntryState.LOADED
    assert simulator.account.logins == 2


async def test_reauth_refuses_another_account(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """Signing in to another account changes nothing."""
    before = dict(entry.data)
    flow_id = await start_reauth(hass, entry)
    simulator.account.user_id = "somebody else"
    result = await submit(hass, flow_id, {CONF_PASSWORD: simulator.password})
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "wrong_account"
    assert dict(entry.data) == before


async def test_reauth_while_the_cloud_is_down(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The form stays open and shows a connection error."""
    flow_id = await start_reauth(hass, entry)
    simulator.take_down()
    result = await submit(hass, flow_id, {CONF_PASSWORD: simulator.password})
    assert result["errors"] == {"base": "cannot_connect"}


async def test_reconfigure_takes_a_new_address(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The same account is stored with its new address and password."""
    simulator.account.email = "new@example.org"
    simulator.change_password("new-password")
    flow = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": "reconfigure", "entry_id": entry.entry_id}
    )
    assert flow["step_id"] == "reconfigure"
    suggested = {"suggested_value": entry.data[CONF_USERNAME]}
    fields = form_fields(flow)
    assert (fields[CONF_USERNAME], fields[CONF_PASSWORD]) == (suggested, None)

    new = {CONF_USERNAME: "new@example.org", CONF_PASSWORD: "new-password"}
    result = await submit(hass, flow["flow_id"], {**new, CONF_PASSWORD: "wrong"})
    assert result["errors"] == {"base": "invalid_auth"}
    result = await submit(hass, flow["flow_id"], new)
    assert result["reason"] == "reconfigure_successful"
    assert result.get("translation_domain") is None
    assert {key: entry.data[key] for key in new} == new
    assert entry.state is ConfigEntryState.LOADED


async def test_reconfigure_refuses_another_account(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator, credentials: dict[str, str]
) -> None:
    """An entry never changes its account."""
    simulator.account.user_id = "somebody else"
    simulator.account.email = "else@example.org"
    flow = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": "reconfigure", "entry_id": entry.entry_id}
    )
    result = await submit(hass, flow["flow_id"], {**credentials, CONF_USERNAME: "else@example.org"})
    assert result["reason"] == "wrong_account"
    assert entry.data[CONF_USERNAME] == credentials[CONF_USERNAME]


async def test_reauth_without_a_user_id(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """The address identifies the account instead."""
    flow_id = await start_reauth(hass, entry)
    simulator.account.user_id = ""
    result = await submit(hass, flow_id, {CONF_PASSWORD: simulator.password})
    assert result["reason"] == "reauth_successful"


@pytest.mark.parametrize("slow", [TOKEN, HOMESDATA])
async def test_form_sent_twice(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str], slow: str
) -> None:
    """One sign-in, one account; the second submission is told so once the account is there."""
    simulator.use_house("easykit")
    flow_id, response = await start_flow(hass), asyncio.Event()
    simulator.fail(slow, Failure(until=response))
    first, second = (
        asyncio.create_task(hass.config_entries.flow.async_configure(flow_id, credentials))
        for _ in range(2)
    )
    await simulator.journal.wait_for(slow)
    response.set()
    results = [(await each)["type"] for each in (first, second)]
    await hass.async_block_till_done()
    assert sorted(results) == [FlowResultType.ABORT, FlowResultType.CREATE_ENTRY]
    assert len(hass.config_entries.async_entries(DOMAIN)) == simulator.account.logins == 1
    assert hass.config_entries.flow.async_progress() == []


async def test_forms_with_lights_sent_twice(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """Both submissions of the first form show the second one, which creates one account."""
    flow_id, configure = await start_flow(hass), hass.config_entries.flow.async_configure
    results = await asyncio.gather(*(configure(flow_id, credentials) for _ in range(2)))
    assert [each["step_id"] for each in results] == ["lights"] * 2
    chosen = {"lights_as_doors": [GATE]}
    results = await asyncio.gather(*(configure(flow_id, chosen) for _ in range(2)))
    await hass.async_block_till_done()
    assert sorted(each["type"] for each in results) == [
        FlowResultType.ABORT,
        FlowResultType.CREATE_ENTRY,
    ]
    assert len(hass.config_entries.async_entries(DOMAIN)) == simulator.account.logins == 1


@pytest.mark.parametrize("is_reauth", [True, False])
async def test_other_forms_sent_twice(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    entry: ConfigEntry[Any],
    is_reauth: bool,
) -> None:
    """Both submissions end with success."""
    if is_reauth:
        flow_id, values = await start_reauth(hass, entry), {CONF_PASSWORD: simulator.password}
    else:
        context: Any = {"source": "reconfigure", "entry_id": entry.entry_id}
        flow = await hass.config_entries.flow.async_init(DOMAIN, context=context)
        flow_id, values = flow["flow_id"], credentials
    logins = simulator.account.logins
    configure = hass.config_entries.flow.async_configure
    results = await asyncio.gather(configure(flow_id, values), configure(flow_id, values))
    await hass.async_block_till_done()
    (reason,) = {each["reason"] for each in results}
    assert reason == ("reauth_successful" if is_reauth else "reconfigure_successful")
    assert simulator.account.logins == logins + 1
    assert entry.state is ConfigEntryState.LOADED
