"""Sign-in, re-authentication, reconfiguration and options."""

import asyncio
import re
from typing import TYPE_CHECKING, Any, override

from homeassistant.config_entries import (
    ConfigEntry,
    ConfigFlow,
    ConfigFlowResult,
    OptionsFlow,
    OptionsFlowWithReload,
)
from homeassistant.const import (
    CONF_CODE,
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
    CODE_FORMAT,
    CONF_CALLS,
    CONF_DAYS,
    CONF_DOOR_CODES,
    CONF_DOORS_WITH_CODE,
    CONF_EXCLUDED_HOMES,
    CONF_GATES,
    CONF_HISTORY,
    CONF_KEEP,
    CONF_LIGHT_TIMER,
    CONF_LIGHTS_AS_DOORS,
    CONF_MEGABYTES,
    CONF_PULSE_TIME,
    CONF_SIMULATED_RINGS,
    DEFAULT_CALLS,
    DEFAULT_DAYS,
    DEFAULT_LIGHT_TIMER,
    DEFAULT_MEGABYTES,
    DEFAULT_PULSE_TIME,
    DOMAIN,
    LOGGER,
)
from .entity import RELAYS, declared_doors
from .errors import reason
from .markdown import escape_markdown
from .runtime import BticinoConfigEntry, async_loaded_entries, async_runtime

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.helpers.service_info.dhcp import DhcpServiceInfo

    from .history.history import CallHistory


EMAIL = TextSelector(TextSelectorConfig(type=TextSelectorType.EMAIL, autocomplete="username"))
PASSWORD = TextSelector(
    TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="current-password")
)
PASSWORD_SCHEMA = vol.Schema({vol.Required(CONF_PASSWORD): PASSWORD})
ACCOUNT_SCHEMA = vol.Schema(
    {vol.Required(CONF_USERNAME): EMAIL, vol.Required(CONF_PASSWORD): PASSWORD}
)

CODE = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off"))
CODE_SCHEMA = vol.Schema({vol.Required(CONF_CODE): CODE})

MAX_TITLE_LENGTH = 255  # characters; logs and notifications contain it

_RELAY_OPTIONS = {CONF_LIGHTS_AS_DOORS: ModuleKind.LIGHT, CONF_GATES: ModuleKind.RELAY}

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
        return {**self._credentials, CONF_TOKEN: self._tokens}

    def _account_form(
        self, step_id: str, errors: dict[str, str], values: Mapping[str, Any] | None
    ) -> ConfigFlowResult:
        known = {CONF_USERNAME: (values or {}).get(CONF_USERNAME)}
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(ACCOUNT_SCHEMA, known),
            errors=errors,
            description_placeholders={"address": self._found_address},
        )

    def _lights_form(
        self, topology: Topology, relays: Mapping[str, Mapping[str, str]]
    ) -> ConfigFlowResult:
        """Ask for the relays before anything can switch them as lights."""
        self._entry_title = _title(topology)
        fields = {vol.Optional(key, default=list): _choice(each) for key, each in relays.items()}
        return self.async_show_form(step_id="lights", data_schema=vol.Schema(fields))

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

    def __init__(self) -> None:
        self._options: dict[str, Any] = {}
        self._codes: dict[str, str] = {}
        self._doors_to_ask: list[str] = []

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show the form; then request the new codes, and store the options."""
        if async_runtime(self.config_entry) is None:
            return self.async_abort(reason="not_loaded")
        if user_input is None:
            return self._form(self.config_entry.options, {})
        if len(user_input.get(CONF_EXCLUDED_HOMES, [])) == len(self._homes()):
            return self._form(user_input, {CONF_EXCLUDED_HOMES: "all_homes_excluded"})
        self._options = dict(user_input)
        self._choose_codes(self._options.pop(CONF_DOORS_WITH_CODE, []))
        return await self._async_continue()

    async def async_step_door_code(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Request the code of a door."""
        if async_runtime(self.config_entry) is None:
            return self.async_abort(reason="not_loaded")
        door, errors = self._doors_to_ask[0], {}
        names = self._names(ModuleKind.DOOR, *RELAYS)
        if user_input is not None:
            if re.fullmatch(CODE_FORMAT, user_input[CONF_CODE]):
                self._codes[self._doors_to_ask.pop(0)] = user_input[CONF_CODE]
                return await self._async_continue()
            errors[CONF_CODE] = "invalid_code"
        return self.async_show_form(
            step_id="door_code",
            data_schema=CODE_SCHEMA,
            errors=errors,
            description_placeholders={"door": escape_markdown(names[door])},
        )

    def _choose_codes(self, doors: list[str]) -> None:
        """Keep the codes of the chosen doors, and of those that could not be chosen now."""
        offered = self._doors()
        codes: dict[str, str] = self.config_entry.options.get(CONF_DOOR_CODES, {})
        self._codes = {
            door: code for door, code in codes.items() if door in doors or door not in offered
        }
        self._doors_to_ask = [door for door in doors if door not in self._codes]

    async def _async_continue(self) -> ConfigFlowResult:
        if self._doors_to_ask:
            return await self.async_step_door_code()
        options = self._options | ({CONF_DOOR_CODES: self._codes} if self._codes else {})
        if not await _async_apply_keep(self.config_entry.runtime_data.history, options):
            return self._form(options, {"base": "history_not_deleted"})
        return self.async_create_entry(data=options)

    def _form(self, values: Mapping[str, Any], errors: dict[str, str]) -> ConfigFlowResult:
        if codes := values.get(CONF_DOOR_CODES):
            values = {**values, CONF_DOORS_WITH_CODE: list(codes)}
        offers = {
            **{key: self._names(kind) for key, kind in _RELAY_OPTIONS.items()},
            CONF_DOORS_WITH_CODE: self._doors(),
            CONF_EXCLUDED_HOMES: {home.id: home.name or home.id for home in self._homes()},
        }
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(
                _options_schema(offers), _existing_choices(values, offers)
            ),
            errors=errors,
        )

    def _homes(self) -> list[Home]:
        """Return the homes to choose from; one that is excluded stays, whatever is in it now."""
        coordinator = self.config_entry.runtime_data.coordinator
        homes = coordinator.known_homes.homes.values()
        return [home for home in homes if home.bridges or home.id in coordinator.excluded_homes]

    def _doors(self) -> dict[str, str]:
        """Return the names of the doors, and of the relays that are doors or have a code."""
        declared, found = declared_doors(self.config_entry), self._names(*RELAYS)
        return self._names(ModuleKind.DOOR) | {k: v for k, v in found.items() if k in declared}

    def _names(self, *kinds: ModuleKind) -> dict[str, str]:
        """Return the names of the devices of modules, by module."""
        registry, entry_id = dr.async_get(self.hass), self.config_entry.entry_id
        names: dict[str, str] = {}
        for module in (m for home in self._homes() for m in home.modules.values()):
            if module.kind in kinds:
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


def _options_schema(offers: Mapping[str, Mapping[str, str]]) -> vol.Schema:
    """Return the form; modules and homes only where there is something to choose."""
    fields: dict[vol.Marker, Any] = {
        vol.Required(CONF_PULSE_TIME, default=DEFAULT_PULSE_TIME): _integer(
            1, 60, UnitOfTime.SECONDS
        )
    }
    if offers[CONF_LIGHTS_AS_DOORS]:
        fields[vol.Required(CONF_LIGHT_TIMER, default=DEFAULT_LIGHT_TIMER)] = _integer(
            0, 3600, UnitOfTime.SECONDS
        )
    for key, names in offers.items():
        if len(names) > (key == CONF_EXCLUDED_HOMES):
            fields[vol.Optional(key, default=list)] = _choice(names)
    fields[vol.Required(CONF_SIMULATED_RINGS, default=False)] = BooleanSelector()
    # If the section had a default, frontends would ignore the defaults of its fields.
    fields[vol.Required(CONF_HISTORY)] = section(_HISTORY_SCHEMA, {"collapsed": True})
    return vol.Schema(fields)


def _existing_choices(
    values: Mapping[str, Any], offers: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Return the previous values without modules and homes that no longer exist."""
    return {
        key: [each for each in value if each in offers[key]] if key in offers else value
        for key, value in values.items()
    }


def _choice(names: Mapping[str, str]) -> SelectSelector:
    options = [SelectOptionDict(value=key, label=name) for key, name in names.items()]
    return SelectSelector(SelectSelectorConfig(options=options, multiple=True))


def _relays(topology: Topology) -> dict[str, dict[str, str]]:
    """Return the names of the relays of the homes that are set up, by option and module."""
    homes = [home for home in topology.homes.values() if home.bridges]
    modules = [module for home in homes for module in home.modules.values()]
    found = {
        key: {m.id: m.name or m.id for m in modules if m.kind is kind}
        for key, kind in _RELAY_OPTIONS.items()
    }
    return {key: names for key, names in found.items() if names}


def _title(topology: Topology) -> str:
    """Name the entry after its homes, which keeps the e-mail address out of logs and lists."""
    names = [home.name for home in topology.homes.values() if home.bridges and home.name]
    return ", ".join(names)[:MAX_TITLE_LENGTH] or "BTicino Classe"
