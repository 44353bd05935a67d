"""Sign-in, re-authentication and reconfiguration."""

import asyncio
from typing import TYPE_CHECKING, Any, override

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigFlow,
    ConfigFlowResult,
    OptionsFlow,
)
from homeassistant.const import CONF_PASSWORD, CONF_TOKEN, CONF_USERNAME
from homeassistant.core import callback
from homeassistant.data_entry_flow import AbortFlow
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.selector import (
    BooleanSelector,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
import voluptuous as vol

from .client import Account, AuthHandler, BticinoError, Topology
from .const import CONF_KEEP_PASSWORD, DOMAIN, LOGGER
from .errors import reason
from .options_flow import RELAY_OPTIONS, BticinoOptionsFlow, choice
from .runtime import BticinoConfigEntry, async_loaded_entries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.helpers.service_info.dhcp import DhcpServiceInfo

EMAIL = TextSelector(TextSelectorConfig(type=TextSelectorType.EMAIL, autocomplete="username"))
PASSWORD = TextSelector(
    TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="current-password")
)
PASSWORD_SCHEMA = vol.Schema({vol.Required(CONF_PASSWORD): PASSWORD})
ACCOUNT_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_USERNAME): EMAIL,
        vol.Required(CONF_PASSWORD): PASSWORD,
        vol.Required(CONF_KEEP_PASSWORD, default=True): BooleanSelector(),
    }
)

# What a form shows again instead of the password, as core's integrations do: a password is not sent
# back to the browser. The flow remembers it.
PASSWORD_NOT_CHANGED = "__**password_not_changed**__"  # noqa: S105 - a placeholder

MAX_TITLE_LENGTH = 255  # characters; logs and notifications contain it

INVALID_AUTH = "invalid_auth"
# Only these keys have a text in the forms.
_FORM_ERRORS = frozenset(
    {INVALID_AUTH, "app_client_refused", "too_many_requests", "cannot_connect"}
)


class BticinoConfigFlow(ConfigFlow, domain=DOMAIN):
    """Collects e-mail and password and verifies them before anything is stored."""

    VERSION = 1
    MINOR_VERSION = 1

    def __init__(self) -> None:
        self._account: Account | None = None
        self._credentials: dict[str, str] = {}
        self._keeps_password = True
        self._tokens: dict[str, Any] = {}
        self._entry_title = ""
        self._found_address = ""
        self._is_finishing = False
        self._removed = asyncio.Event()

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: BticinoConfigEntry) -> OptionsFlow:
        return BticinoOptionsFlow()

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Sign in to a new account."""
        return await self._async_add_account("user", user_input)

    async def async_step_dhcp(self, discovery_info: DhcpServiceInfo) -> ConfigFlowResult:
        """Offer the sign-in for a unit in the network, or note the address of a known intercom.

        Nothing is requested: the unit may belong to another app, or be no intercom.
        """
        for entry in async_loaded_entries(self.hass):
            entry.runtime_data.coordinator.async_set_local_address(
                dr.format_mac(discovery_info.macaddress), discovery_info.ip
            )
        # One form for any number of units: an account has all its intercoms.
        await self._async_handle_discovery_without_unique_id()
        self._found_address = discovery_info.ip
        return await self.async_step_discovered()

    async def async_step_discovered(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Sign in to the account of a unit that was found in the network."""
        return await self._async_add_account("discovered", user_input)

    async def async_step_lights(self, user_input: dict[str, Any]) -> ConfigFlowResult:
        """Store which relays open something."""
        await self._async_finish_once("already_configured")
        self._abort_if_unique_id_configured()
        return self.async_create_entry(
            title=self._entry_title, data=self._entry_data, options=user_input
        )

    async def async_step_reauth(
        self,
        entry_data: Mapping[str, Any],  # noqa: ARG002 - Home Assistant's signature
    ) -> ConfigFlowResult:
        """Start re-authentication after the cloud has rejected the credentials."""
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Request the account's password."""
        entry = self._get_reauth_entry()
        username = entry.data[CONF_USERNAME]
        errors: dict[str, str] = {}
        if user_input is not None:
            is_kept = CONF_PASSWORD in entry.data
            values = {CONF_USERNAME: username, CONF_KEEP_PASSWORD: is_kept, **user_input}
            topology, errors = await self._async_sign_in(values)
            if topology is not None:
                await self._async_finish_once("reauth_successful")
                return self._update_entry(entry, topology)
        shown = _shown_values({}, errors)
        if errors == {"base": INVALID_AUTH}:
            errors = {CONF_PASSWORD: "invalid_password"}
        return self.async_show_form(
            step_id="reauth_confirm",
            data_schema=self.add_suggested_values_to_schema(PASSWORD_SCHEMA, shown),
            errors=errors,
            description_placeholders={"username": username},
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change the sign-in of the same account, or whether its password is kept."""
        entry = self._get_reconfigure_entry()
        errors: dict[str, str] = {}
        if user_input is not None:
            topology, errors = await self._async_sign_in(user_input)
            if topology is not None:
                await self._async_finish_once("reconfigure_successful")
                return self._update_entry(entry, topology)
        stored = {**entry.data, CONF_KEEP_PASSWORD: CONF_PASSWORD in entry.data}
        return self._account_form("reconfigure", errors, user_input or stored)

    @callback
    @override
    def async_remove(self) -> None:
        # Flow and account refer to each other: a password would wait for the garbage collection.
        self._account = None
        self._removed.set()

    async def _async_add_account(
        self, step_id: str, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        errors: dict[str, str] = {}
        if user_input is not None:
            if not self._is_finishing and self._is_configured(user_input[CONF_USERNAME]):
                return self.async_abort(reason="already_configured")
            topology, errors = await self._async_sign_in(user_input)
            if topology is not None:
                if not (relays := _relays(topology)):
                    await self._async_finish_once("already_configured")
                unique_id = topology.user_id or self._credentials[CONF_USERNAME].lower()
                # An abandoned form that asks for the relays must not block another sign-in.
                await self.async_set_unique_id(unique_id, raise_on_progress=False)
                self._abort_if_unique_id_configured()
                if relays:
                    return self._lights_form(topology, relays)
                return self.async_create_entry(title=_title(topology), data=self._entry_data)
        return self._account_form(step_id, errors, user_input)

    async def _async_finish_once(self, reason: str) -> None:
        """Let one submission finish the flow; another of the same form is aborted after it.

        Core raises UnknownFlow for a submission that succeeds after its flow was removed.
        """
        if self._is_finishing:
            await self._removed.wait()
            raise AbortFlow(reason)
        self._is_finishing = True

    def _is_configured(self, username: str) -> bool:
        """Whether an entry has this address; checked first, as each sign-in mails the owner."""
        entries = self._async_current_entries(include_ignore=False)
        return any(
            entry.data[CONF_USERNAME].lower() == username.strip().lower() for entry in entries
        )

    @property
    def _entry_data(self) -> dict[str, Any]:
        """The account as it is stored: without a password that is not kept."""
        data = {**self._credentials, CONF_TOKEN: self._tokens}
        return data if self._keeps_password else _without_password(data)

    def _account_form(
        self, step_id: str, errors: dict[str, str], values: Mapping[str, Any] | None
    ) -> ConfigFlowResult:
        shown = _shown_values(values or {}, errors)
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(ACCOUNT_SCHEMA, shown),
            errors=errors,
            description_placeholders={"address": self._found_address},
        )

    def _lights_form(
        self, topology: Topology, relays: Mapping[str, Mapping[str, str]]
    ) -> ConfigFlowResult:
        """Ask for the relays before anything can switch them as lights."""
        self._entry_title = _title(topology)
        fields = {vol.Optional(key, default=list): choice(each) for key, each in relays.items()}
        return self.async_show_form(step_id="lights", data_schema=vol.Schema(fields))

    def _update_entry(self, entry: ConfigEntry, topology: Topology) -> ConfigFlowResult:
        """Store the new credentials if they belong to the account of the entry."""
        username = self._credentials[CONF_USERNAME].lower()
        accounts = {topology.user_id, username}
        if topology.user_id is None and username == entry.data[CONF_USERNAME].lower():
            accounts.add(entry.unique_id)
        if entry.unique_id not in accounts:
            return self.async_abort(reason="wrong_account")
        data = {**_without_password(entry.data), **self._entry_data}
        # Home Assistant's own text for these exists in some languages only.
        is_reconfigured = self.source == SOURCE_RECONFIGURE
        reason = "reconfigure_successful" if is_reconfigured else "reauth_successful"
        return self.async_update_reload_and_abort(entry, data=data, reason=reason)

    async def _async_sign_in(
        self, credentials: dict[str, Any]
    ) -> tuple[Topology | None, dict[str, str]]:
        """Sign in and read the homes; returns them, or the form errors."""
        self._keeps_password = credentials[CONF_KEEP_PASSWORD]
        try:
            topology = await self._client(credentials).topology(urgent=True)
        except BticinoError as err:
            LOGGER.debug("Sign-in failed: %s", err)
            key = reason(err)
            return None, {"base": key if key in _FORM_ERRORS else "unexpected_answer"}
        if not any(home.bridges for home in topology.homes.values()):
            return None, {"base": "no_intercom"}
        return topology, {}

    def _client(self, credentials: dict[str, Any]) -> Account:
        """Return a client for these credentials; unchanged credentials do not sign in again.

        Submitting the form again passes the pause after a failed sign-in.
        """
        username, password = credentials[CONF_USERNAME].strip(), credentials[CONF_PASSWORD]
        if password == PASSWORD_NOT_CHANGED:
            password = self._credentials.get(CONF_PASSWORD, password)
        normalized = {CONF_USERNAME: username, CONF_PASSWORD: password}
        if self._account is None or normalized != self._credentials:
            self._credentials = normalized
            auth = AuthHandler(
                username,
                password,
                session=async_get_clientsession(self.hass),
                token_callback=self._async_keep_tokens,
            )
            self._account = Account(auth)
        self._account.auth.limiter.skip_pauses()
        return self._account

    async def _async_keep_tokens(self, tokens: dict[str, Any]) -> None:
        self._tokens = tokens


def _shown_values(values: Mapping[str, Any], errors: Mapping[str, str]) -> dict[str, Any]:
    """Return what a form shows again; a password that was refused has to be typed again."""
    shown = {key: values[key] for key in (CONF_USERNAME, CONF_KEEP_PASSWORD) if key in values}
    if errors and INVALID_AUTH not in errors.values():
        shown[CONF_PASSWORD] = PASSWORD_NOT_CHANGED
    return shown


def _without_password(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != CONF_PASSWORD}


def _relays(topology: Topology) -> dict[str, dict[str, str]]:
    """Return the names of the relays of the homes that are set up, by option and module."""
    homes = [home for home in topology.homes.values() if home.bridges]
    modules = [module for home in homes for module in home.modules.values()]
    found = {
        key: {m.id: m.name or m.id for m in modules if m.kind is kind}
        for key, kind in RELAY_OPTIONS.items()
    }
    return {key: names for key, names in found.items() if names}


def _title(topology: Topology) -> str:
    """Name the entry after its homes, which keeps the e-mail address out of logs and lists."""
    names = [home.name for home in topology.homes.values() if home.bridges and home.name]
    return ", ".join(names)[:MAX_TITLE_LENGTH] or "BTicino Classe"
