"""Sign-in, re-authentication, reconfiguration and options."""

import asyncio
from typing import TYPE_CHECKING, Any, override

from homeassistant.config_entries import (
    ConfigEntry,
    ConfigFlow,
    ConfigFlowResult,
    OptionsFlow,
    OptionsFlowWithReload,
)
from homeassistant.const import (
    CONF_PASSWORD,
    CONF_TOKEN,
    CONF_USERNAME,
    UnitOfInformation,
    UnitOfTime,
)
from homeassistant.core import callback
from homeassistant.data_entry_flow import AbortFlow, section
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
import voluptuous as vol

from .client import Account, AuthHandler, BticinoError, Home, ModuleKind, Topology
from .const import (
    CONF_CALLS,
    CONF_DAYS,
    CONF_EXCLUDED_HOMES,
    CONF_HISTORY,
    CONF_KEEP,
    CONF_LIGHTS_AS_DOORS,
    CONF_MEGABYTES,
    CONF_PULSE_TIME,
    CONF_SIMULATED_RINGS,
    DEFAULT_CALLS,
    DEFAULT_DAYS,
    DEFAULT_MEGABYTES,
    DEFAULT_PULSE_TIME,
    DOMAIN,
    LOGGER,
)
from .errors import reason
from .runtime import BticinoConfigEntry, async_runtime

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .history.history import CallHistory


EMAIL = TextSelector(TextSelectorConfig(type=TextSelectorType.EMAIL, autocomplete="username"))
PASSWORD = TextSelector(
    TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="current-password")
)
PASSWORD_SCHEMA = vol.Schema({vol.Required(CONF_PASSWORD): PASSWORD})
ACCOUNT_SCHEMA = vol.Schema(
    {vol.Required(CONF_USERNAME): EMAIL, vol.Required(CONF_PASSWORD): PASSWORD}
)

# Only these keys have a text in the forms.
_FORM_ERRORS = frozenset(
    {"invalid_auth", "app_client_refused", "too_many_requests", "cannot_connect"}
)


class BticinoConfigFlow(ConfigFlow, domain=DOMAIN):
    """Collects e-mail and password and verifies them before anything is stored."""

    VERSION = 1
    MINOR_VERSION = 1

    def __init__(self) -> None:
        self._account: Account | None = None
        self._credentials: dict[str, str] = {}
        self._tokens: dict[str, Any] = {}
        self._is_finishing = False
        self._removed = asyncio.Event()

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: BticinoConfigEntry) -> OptionsFlow:
        return BticinoOptionsFlow()

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Sign in to a new account."""
        errors: dict[str, str] = {}
        if user_input is not None:
            if not self._is_finishing and self._is_configured(user_input[CONF_USERNAME]):
                return self.async_abort(reason="already_configured")
            topology, errors = await self._async_sign_in(user_input)
            if topology is not None:
                await self._async_finish_once("already_configured")
                unique_id = topology.user_id or self._credentials[CONF_USERNAME].lower()
                await self.async_set_unique_id(unique_id)
                self._abort_if_unique_id_configured()
                return self.async_create_entry(title=_title(topology), data=self._entry_data)
        return self._account_form("user", errors, user_input)

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
        username = self._get_reauth_entry().data[CONF_USERNAME]
        errors: dict[str, str] = {}
        if user_input is not None:
            topology, errors = await self._async_sign_in({CONF_USERNAME: username, **user_input})
            if topology is not None:
                await self._async_finish_once("reauth_successful")
                return self._update_entry(self._get_reauth_entry(), topology)
        return self.async_show_form(
            step_id="reauth_confirm",
            data_schema=PASSWORD_SCHEMA,
            errors=errors,
            description_placeholders={"username": username},
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change the e-mail address or the password of the same account."""
        entry = self._get_reconfigure_entry()
        errors: dict[str, str] = {}
        if user_input is not None:
            topology, errors = await self._async_sign_in(user_input)
            if topology is not None:
                await self._async_finish_once("reconfigure_successful")
                return self._update_entry(entry, topology)
        return self._account_form("reconfigure", errors, user_input or entry.data)

    @callback
    @override
    def async_remove(self) -> None:
        self._removed.set()

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
        entries = self._async_current_entries()
        return any(
            entry.data[CONF_USERNAME].lower() == username.strip().lower() for entry in entries
        )

    @property
    def _entry_data(self) -> dict[str, Any]:
        return {**self._credentials, CONF_TOKEN: self._tokens}

    def _account_form(
        self, step_id: str, errors: dict[str, str], values: Mapping[str, Any] | None
    ) -> ConfigFlowResult:
        known = {CONF_USERNAME: (values or {}).get(CONF_USERNAME)}
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(ACCOUNT_SCHEMA, known),
            errors=errors,
        )

    def _update_entry(self, entry: ConfigEntry, topology: Topology) -> ConfigFlowResult:
        """Store the new credentials if they belong to the account of the entry."""
        username = self._credentials[CONF_USERNAME].lower()
        accounts = {topology.user_id, username}
        if topology.user_id is None and username == entry.data[CONF_USERNAME].lower():
            accounts.add(entry.unique_id)
        if entry.unique_id not in accounts:
            return self.async_abort(reason="wrong_account")
        return self.async_update_reload_and_abort(entry, data_updates=self._entry_data)

    async def _async_sign_in(
        self, credentials: dict[str, Any]
    ) -> tuple[Topology | None, dict[str, str]]:
        """Sign in and read the homes; returns them, or the form errors."""
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
        username = credentials[CONF_USERNAME].strip()
        normalized = {CONF_USERNAME: username, CONF_PASSWORD: credentials[CONF_PASSWORD]}
        if self._account is None or normalized != self._credentials:
            self._credentials = normalized
            auth = AuthHandler(
                username,
                normalized[CONF_PASSWORD],
                session=async_get_clientsession(self.hass),
                token_callback=self._async_keep_tokens,
            )
            self._account = Account(auth)
        self._account.auth.limiter.skip_pauses()
        return self._account

    async def _async_keep_tokens(self, tokens: dict[str, Any]) -> None:
        self._tokens = tokens


class BticinoOptionsFlow(OptionsFlowWithReload):
    """The options of an account."""

    config_entry: BticinoConfigEntry

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show the form, or store the options."""
        runtime = async_runtime(self.config_entry)
        if runtime is None:
            return self.async_abort(reason="not_loaded")
        homes = [home for home in runtime.coordinator.all_homes.values() if home.bridges]
        errors: dict[str, str] = {}
        if user_input is not None:
            if len(user_input.get(CONF_EXCLUDED_HOMES, [])) == len(homes):
                errors[CONF_EXCLUDED_HOMES] = "all_homes_excluded"
            elif not await _async_apply_keep(runtime.history, user_input):
                errors["base"] = "history_not_deleted"
            else:
                return self.async_create_entry(data=user_input)
        names = {home.id: home.name or home.id for home in homes}
        lights = self._light_names(homes)
        values = _existing_choices(user_input or self.config_entry.options, names, lights)
        schema = _options_schema(names, lights)
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(schema, values),
            errors=errors,
        )

    def _light_names(self, homes: list[Home]) -> dict[str, str]:
        """Return the names of the staircase lights' devices, by module."""
        registry, entry_id = dr.async_get(self.hass), self.config_entry.entry_id
        names: dict[str, str] = {}
        for module in (m for home in homes for m in home.modules.values()):
            if module.kind is ModuleKind.LIGHT:
                device = registry.async_get_device_by_identifier((DOMAIN, module.id), entry_id)
                known = (device.name_by_user or device.name) if device else None
                names[module.id] = known or module.name or module.id
        return names


async def _async_apply_keep(history: CallHistory, options: Mapping[str, Any]) -> bool:
    """Delete the history if it was switched off; False: it could not be deleted."""
    if options.get(CONF_HISTORY, {}).get(CONF_KEEP, True):
        return True
    try:
        await history.async_switch_off()
    except HomeAssistantError:
        return False
    return True


def _integer(low: int, high: int, unit: str | None = None) -> vol.All:
    """Return the field of an integer."""
    config = NumberSelectorConfig(min=low, max=high, mode=NumberSelectorMode.BOX)
    if unit is not None:
        config["unit_of_measurement"] = unit
    return vol.All(NumberSelector(config), vol.Coerce(int))


_HISTORY_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_KEEP, default=True): BooleanSelector(),
        vol.Required(CONF_DAYS, default=DEFAULT_DAYS): _integer(1, 3650, UnitOfTime.DAYS),
        vol.Required(CONF_CALLS, default=DEFAULT_CALLS): _integer(10, 10_000),
        vol.Required(CONF_MEGABYTES, default=DEFAULT_MEGABYTES): _integer(
            1, 10_000, UnitOfInformation.MEGABYTES
        ),
    }
)


def _options_schema(homes: Mapping[str, str], lights: Mapping[str, str]) -> vol.Schema:
    """Return the form; lights and homes only where there is something to choose."""
    fields: dict[vol.Marker, Any] = {
        vol.Required(CONF_PULSE_TIME, default=DEFAULT_PULSE_TIME): _integer(
            1, 60, UnitOfTime.SECONDS
        )
    }
    if lights:
        fields[vol.Optional(CONF_LIGHTS_AS_DOORS, default=list)] = _choice(lights)
    if len(homes) > 1:
        fields[vol.Optional(CONF_EXCLUDED_HOMES, default=list)] = _choice(homes)
    fields[vol.Required(CONF_SIMULATED_RINGS, default=False)] = BooleanSelector()
    # If the section had a default, frontends would ignore the defaults of its fields.
    fields[vol.Required(CONF_HISTORY)] = section(_HISTORY_SCHEMA, {"collapsed": True})
    return vol.Schema(fields)


def _existing_choices(
    values: Mapping[str, Any], homes: Mapping[str, str], lights: Mapping[str, str]
) -> dict[str, Any]:
    """Return the previous values without lights and homes that no longer exist."""
    offers = {CONF_EXCLUDED_HOMES: homes, CONF_LIGHTS_AS_DOORS: lights}
    return {
        key: [each for each in value if each in offers[key]] if key in offers else value
        for key, value in values.items()
    }


def _choice(names: Mapping[str, str]) -> SelectSelector:
    options = [SelectOptionDict(value=key, label=name) for key, name in names.items()]
    return SelectSelector(SelectSelectorConfig(options=options, multiple=True))


def _title(topology: Topology) -> str:
    """Name the entry after its homes, which keeps the e-mail address out of logs and lists."""
    names = [home.name for home in topology.homes.values() if home.bridges and home.name]
    return ", ".join(names) or "BTicino Classe"
