"""Sign-in without keeping the password: it is nowhere, and the tokens are enough."""

import asyncio
from io import BytesIO
import json
import logging
from pathlib import Path
import tarfile
from typing import TYPE_CHECKING, Any

from homeassistant import bootstrap
from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigEntryState
from homeassistant.const import CONF_PASSWORD, CONF_TOKEN, CONF_USERNAME
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
from homeassistant.helpers.recorder import get_instance
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import flush_store
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)

from custom_components.bticino_classe.const import CONF_KEEP_PASSWORD, CONF_STREAM_SECRETS, DOMAIN
from tests.integration.conftest import (
    call_action,
    expect_refused,
    reload_entry,
    restart_entry,
    sign_in,
    state_of,
    wait_idle,
)
from tests.integration.memory import holders_of
from tests.integration.recording.recorded import Recording, lines_of
from tests.integration.test_config_flow import start_flow, start_reauth, submit
from tests.integration.test_discovery import discover
from tests.simulator import Failure
from tests.simulator.paths import TOKEN

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry, ConfigFlowResult
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import (
        ClientSessionGenerator,
        RecorderInstanceContextManager,
    )

    from tests.simulator import Simulator

ENTRIES = ".storage/core.config_entries"
# The parts of passwords that are nowhere else; other tests may leave theirs in memory.
NOT_KEPT, KEPT = ("in", "visi", "ble", "7"), ("re", "tai", "ned", "7")
CLOUDS_REQUEST = "aiohttp.web_request.Request"  # what the cloud has received


@pytest.fixture(name="tokens_only")
def _tokens_only(credentials: dict[str, str]) -> dict[str, Any]:
    """The input of a sign-in without keeping the password."""
    return {**credentials, CONF_KEEP_PASSWORD: False}


@pytest.fixture(name="entry")
async def _entry(
    hass: HomeAssistant, simulator: Simulator, tokens_only: dict[str, Any]
) -> ConfigEntry[Any]:
    """An account without a password; the journal is empty."""
    entry = await sign_in(hass, tokens_only)
    simulator.journal.clear()
    return entry


async def reconfigure(
    hass: HomeAssistant, entry: ConfigEntry[Any], values: dict[str, Any]
) -> ConfigFlowResult:
    """Submit the form of a reconfiguration."""
    context: Any = {"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    flow = await hass.config_entries.flow.async_init(DOMAIN, context=context)
    return await submit(hass, flow["flow_id"], values)


def suggested(form: ConfigFlowResult, key: str) -> object:
    """Return what a form shows in a field."""
    assert form["data_schema"] is not None
    marker = next(each for each in form["data_schema"].schema if each == key)
    return (marker.description or {}).get("suggested_value", marker.default())


@pytest.mark.parametrize("is_discovered", [False, True])
@pytest.mark.parametrize("choice", [None, True, False])
async def test_password_is_stored_if_it_is_kept(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    choice: bool | None,
    is_discovered: bool,
) -> None:
    """That is the default; without it, the tokens alone are stored."""
    flow_id = (await discover(hass))["flow_id"] if is_discovered else await start_flow(hass)
    chosen = {} if choice is None else {CONF_KEEP_PASSWORD: choice}
    result = await submit(hass, flow_id, {**credentials, **chosen})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    entry = result["result"]
    password = {} if choice is False else {CONF_PASSWORD: simulator.password}
    stored = {CONF_USERNAME: simulator.email, CONF_TOKEN: entry.data[CONF_TOKEN], **password}
    assert {key: entry.data.get(key) for key in stored} == stored
    assert (CONF_PASSWORD in entry.data) is (choice is not False)
    assert CONF_KEEP_PASSWORD not in entry.data
    assert entry.state is ConfigEntryState.LOADED
    assert simulator.journal.count(TOKEN) == simulator.account.logins == 1


async def test_choice_stays_in_the_form(
    hass: HomeAssistant, simulator: Simulator, tokens_only: dict[str, Any]
) -> None:
    """A failed sign-in does not switch it on again."""
    flow_id = await start_flow(hass)
    form = await hass.config_entries.flow.async_configure(flow_id)
    assert suggested(form, CONF_KEEP_PASSWORD) is True
    for values in (tokens_only, {**tokens_only, CONF_PASSWORD: "wrong"}):
        simulator.fail(TOKEN, Failure(status=503, html=True))
        form = await submit(hass, flow_id, values)
        assert suggested(form, CONF_KEEP_PASSWORD) is False
    result = await submit(hass, flow_id, tokens_only)
    assert CONF_PASSWORD not in result["result"].data


async def test_restart_with_tokens_alone(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """It does not sign in; tokens are renewed and stored as ever."""
    before = entry.data[CONF_TOKEN]
    await restart_entry(hass, entry)
    simulator.expire_access_tokens()
    await restart_entry(hass, entry)
    simulator.refuse_access_tokens()
    await call_action(hass, "lock", "open", "lock.cancello")
    assert len(simulator.openings) == 1
    assert entry.state is ConfigEntryState.LOADED
    assert entry.data[CONF_TOKEN] != before
    assert set(entry.data) >= {CONF_USERNAME, CONF_TOKEN}
    assert CONF_PASSWORD not in entry.data
    assert simulator.journal.count(TOKEN, grant="password") == 0
    assert simulator.journal.count(TOKEN, grant="refresh_token") > 0


@pytest.mark.parametrize("way", ["revoke", "change_password"])
async def test_refused_tokens_ask_for_the_password(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator, way: str
) -> None:
    """Re-authentication keeps the choice; a wrong password keeps the form open."""
    password = simulator.password
    if way == "revoke":
        simulator.revoke()
    else:
        password = "another"
        simulator.change_password(password)
    assert await expect_refused(hass, "lock", "open", "lock.cancello") == "command_invalid_auth"
    await hass.async_block_till_done()
    (progress,) = hass.config_entries.flow.async_progress()
    assert progress["step_id"] == "reauth_confirm"
    assert simulator.journal.count(TOKEN, grant="password") == 0

    form = await submit(hass, progress["flow_id"], {CONF_PASSWORD: "wrong"})
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "reauth_confirm")
    result = await submit(hass, progress["flow_id"], {CONF_PASSWORD: password})
    assert result["reason"] == "reauth_successful"
    assert CONF_PASSWORD not in entry.data
    assert entry.state is ConfigEntryState.LOADED
    await wait_idle(hass)
    assert state_of(hass, "lock.cancello") == "locked"
    await call_action(hass, "lock", "open", "lock.cancello")
    assert len(simulator.openings) == 1


@pytest.mark.parametrize("failure", [Failure(status=503, html=True), Failure(drop=True)], ids=str)
async def test_outage_does_not_ask_for_the_password(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator, failure: Failure
) -> None:
    """The refresh token is kept, and used when the cloud is back."""
    simulator.refuse_access_tokens()
    simulator.fail(TOKEN, failure, times=100)
    key = await expect_refused(hass, "lock", "open", "lock.cancello")
    assert key != "command_invalid_auth"
    await restart_entry(hass, entry)
    assert hass.config_entries.flow.async_progress() == []
    simulator.clear_failures()
    await reload_entry(hass, entry)
    await call_action(hass, "lock", "open", "lock.cancello")
    assert simulator.journal.count(TOKEN, grant="password") == 0


@pytest.mark.parametrize("keeps", [True, False])
async def test_reauth_keeps_the_choice(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str], keeps: bool
) -> None:
    """It asks for nothing but the password."""
    entry = await sign_in(hass, {**credentials, CONF_KEEP_PASSWORD: keeps})
    result = await submit(
        hass, await start_reauth(hass, entry), {CONF_PASSWORD: simulator.password}
    )
    assert result["reason"] == "reauth_successful"
    assert (CONF_PASSWORD in entry.data) is keeps


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("after", [True, False])
async def test_reconfigure_changes_the_choice(
    hass: HomeAssistant,
    simulator: Simulator,
    credentials: dict[str, str],
    before: bool,
    after: bool,
) -> None:
    """The form shows the present one; what else the entry contains stays."""
    entry = await sign_in(hass, {**credentials, CONF_KEEP_PASSWORD: before})
    others = {CONF_STREAM_SECRETS: {"panel": "secret"}}
    hass.config_entries.async_update_entry(entry, data={**entry.data, **others})
    context: Any = {"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    form = await hass.config_entries.flow.async_init(DOMAIN, context=context)
    assert suggested(form, CONF_KEEP_PASSWORD) is before
    result = await submit(hass, form["flow_id"], {**credentials, CONF_KEEP_PASSWORD: after})
    assert result["reason"] == "reconfigure_successful"
    assert (CONF_PASSWORD in entry.data) is after
    assert {key: entry.data.get(key) for key in others} == others
    assert entry.runtime_data.account.auth._password == (simulator.password if after else None)


async def test_renewal_that_a_new_sign_in_has_overtaken(
    hass: HomeAssistant, entry: ConfigEntry[Any], simulator: Simulator
) -> None:
    """Its tokens are dropped, although nothing but the tokens tells the sign-ins apart."""
    save = entry.runtime_data.account.auth._token_callback
    assert save is not None
    values = {CONF_USERNAME: simulator.email, CONF_PASSWORD: simulator.password}
    await reconfigure(hass, entry, {**values, CONF_KEEP_PASSWORD: False})
    new = entry.data[CONF_TOKEN]
    await save({"access_token": "old", "refresh_token": "old", "expires_at": 1.0})
    assert entry.data[CONF_TOKEN] == new


async def test_form_that_is_closed_during_the_sign_in(
    hass: HomeAssistant, simulator: Simulator, credentials: dict[str, str]
) -> None:
    """A password that is to be kept is not lost."""
    entry = await sign_in(hass, credentials)
    context: Any = {"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    flow = await hass.config_entries.flow.async_init(DOMAIN, context=context)
    simulator.journal.clear()
    response = asyncio.Event()
    simulator.fail(TOKEN, Failure(until=response, executed=True))
    submission = asyncio.create_task(
        hass.config_entries.flow.async_configure(flow["flow_id"], credentials)
    )
    await simulator.journal.wait_for(TOKEN)
    hass.config_entries.flow.async_abort(flow["flow_id"])
    response.set()
    assert (await submission)["type"] is FlowResultType.ABORT
    await wait_idle(hass)
    assert entry.data[CONF_PASSWORD] == simulator.password
    assert entry.state is ConfigEntryState.LOADED


async def test_password_is_not_in_memory(
    hass: HomeAssistant,
    simulator: Simulator,
    tokens_only: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not after the flows, however they ended. The cloud is in this process, and forgets it."""
    caplog.set_level(logging.INFO, "custom_components")  # pytest keeps the errors in debug lines
    simulator.change_password("".join(NOT_KEPT))
    tokens_only[CONF_PASSWORD] = simulator.password
    password, keeping = {CONF_PASSWORD: simulator.password}, {CONF_KEEP_PASSWORD: True}
    entry = await sign_in(hass, tokens_only)
    await submit(hass, await start_reauth(hass, entry), password)
    await reconfigure(hass, entry, tokens_only | keeping)
    await reconfigure(hass, entry, tokens_only)
    abandoned = await start_reauth(hass, entry)
    simulator.fail(TOKEN, Failure(status=503, html=True))
    await submit(hass, abandoned, password)
    hass.config_entries.flow.async_abort(abandoned)
    await wait_idle(hass)
    assert search_memory(simulator, NOT_KEPT, tokens_only, password) == set()


async def test_password_that_is_kept_is_in_memory(
    hass: HomeAssistant, simulator: Simulator, tokens_only: dict[str, Any]
) -> None:
    """The search works."""
    simulator.change_password("".join(KEPT))
    tokens_only |= {CONF_PASSWORD: simulator.password, CONF_KEEP_PASSWORD: True}
    await sign_in(hass, tokens_only)
    assert search_memory(simulator, KEPT, tokens_only) != set()


def search_memory(
    simulator: Simulator, parts: tuple[str, ...], *inputs: dict[str, Any]
) -> set[str]:
    """Return what holds the password, besides the cloud and the person."""
    simulator.account.password = ""
    simulator.journal.clear()
    for each in inputs:
        each.clear()
    return {each for each in holders_of(*parts) if each != CLOUDS_REQUEST}


def files_with(folder: Path, text: str) -> set[str]:
    """Return the files that contain a text, and members of archives."""
    found = set()
    for path in (each for each in folder.rglob("*") if each.is_file()):
        name, content = str(path.relative_to(folder)), path.read_bytes()
        if path.suffix == ".tar":
            found |= {f"{name}/{member}" for member in members_with(content, text.encode())}
        elif text.encode() in content:
            found.add(name)
    return found


def members_with(content: bytes, text: bytes) -> set[str]:
    """Return the members of an archive that contain a text, also in archives within it."""
    found = set()
    with tarfile.open(fileobj=BytesIO(content)) as archive:
        for member in archive:
            if (file := archive.extractfile(member)) is not None:
                inner = file.read()
                if ".tar" in member.name:
                    found |= members_with(inner, text)
                elif text in inner:
                    found.add(member.name)
    return found


async def write_everything(hass: HomeAssistant) -> None:
    """Write what is written later: the entries, the registries, the recorder's states."""
    registries = (er.async_get(hass), dr.async_get(hass), ir.async_get(hass))
    for owner in (hass.config_entries, *registries):
        await flush_store(owner._store)
    await get_instance(hass).async_block_till_done()


class TestFiles:
    """With Home Assistant's own files, registries, recorder and backups."""

    @pytest.fixture(name="recorder_db_url")
    def _recorder_db_url(self, hass_tmp_config_dir: str) -> str:
        """A database in the configuration folder."""
        return f"sqlite:///{hass_tmp_config_dir}/home-assistant_v2.db"

    @pytest.fixture
    async def mock_recorder_before_hass(
        self, async_test_recorder: RecorderInstanceContextManager
    ) -> None:
        """Set up the recorder before Home Assistant."""

    @pytest.fixture
    def hass_storage(self) -> dict[str, Any]:
        """Really write files."""
        return {}

    @pytest.fixture
    def load_registries(self) -> bool:
        """They are loaded below, as at a start."""
        return False

    @pytest.fixture
    async def hass(self, hass: HomeAssistant) -> HomeAssistant:
        """Home Assistant with stored registries."""
        await bootstrap.async_load_base_functionality(hass)
        return hass

    @pytest.mark.usefixtures("recorder_mock")
    @pytest.mark.parametrize("keeps", [True, False])
    async def test_no_file_and_no_backup_has_the_password(
        self,
        hass: HomeAssistant,
        simulator: Simulator,
        credentials: dict[str, str],
        hass_tmp_config_dir: str,
        keeps: bool,
    ) -> None:
        """Unless it is kept; then it is with the e-mail address, and nowhere else."""
        entry = await sign_in(hass, {**credentials, CONF_KEEP_PASSWORD: keeps})
        await restart_entry(hass, entry)
        simulator.revoke()
        await reload_entry(hass, entry)
        await write_everything(hass)
        assert await async_setup_component(hass, "backup", {})
        await hass.services.async_call("backup", "create", blocking=True)

        def search(text: str) -> set[str]:
            return files_with(Path(hass_tmp_config_dir), text)

        with_email = await hass.async_add_executor_job(search, simulator.email)
        with_password = await hass.async_add_executor_job(search, simulator.password)
        assert len(with_email) == 2
        assert {each[-len(ENTRIES) :] for each in with_email} == {ENTRIES}
        assert with_password == (with_email if keeps else set())

    async def test_password_is_removed_later(
        self,
        hass: HomeAssistant,
        simulator: Simulator,
        credentials: dict[str, str],
        hass_tmp_config_dir: str,
    ) -> None:
        """Reconfiguration takes it out of the file, and of the running client."""
        entry = await sign_in(hass, credentials)
        folder, store = Path(hass_tmp_config_dir), hass.config_entries._store
        await flush_store(store)
        assert files_with(folder, simulator.password) == {ENTRIES}
        await reconfigure(hass, entry, {**credentials, CONF_KEEP_PASSWORD: False})
        await flush_store(store)
        assert files_with(folder, simulator.password) == set()
        assert files_with(folder, simulator.email) == {ENTRIES}
        assert entry.runtime_data.account.auth._password is None


async def test_password_is_not_in_logs_and_diagnostics(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    simulator: Simulator,
    tokens_only: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """From sign-in to re-authentication, with every logger at debug."""
    logging.getLogger().setLevel(logging.DEBUG)
    caplog.set_level(logging.DEBUG)
    entry = await sign_in(hass, tokens_only)
    simulator.revoke()
    await expect_refused(hass, "lock", "open", "lock.cancello")
    await hass.async_block_till_done()
    (progress,) = hass.config_entries.flow.async_progress()
    await submit(hass, progress["flow_id"], {CONF_PASSWORD: simulator.password})
    report = json.dumps(await get_diagnostics_for_config_entry(hass, hass_client, entry))
    assert "The cloud refused the refresh token" in caplog.text
    assert simulator.password not in caplog.text
    assert simulator.password not in report


async def test_recording_without_a_password(
    hass: HomeAssistant, entry: ConfigEntry[Any], freezer: FrozenDateTimeFactory
) -> None:
    """There is one secret less to replace."""
    running = await Recording.start(hass)
    response = await running.end(freezer)
    assert response["ended"] == "time"
    assert entry.data[CONF_USERNAME] not in json.dumps(lines_of(hass))
