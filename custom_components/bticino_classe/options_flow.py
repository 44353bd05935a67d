"""The options of an account."""

import math
import re
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigFlowResult, OptionsFlowWithReload
from homeassistant.const import CONF_CODE, UnitOfInformation, UnitOfTime
from homeassistant.data_entry_flow import section
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
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

from .client import Home, ModuleKind
from .const import (
    CODE_FORMAT,
    CONF_CALLS,
    CONF_DAYS,
    CONF_DOOR_CODES,
    CONF_DOORS_WITH_CODE,
    CONF_EXCLUDED_HOMES,
    CONF_GATES,
    CONF_GO2RTC_CAMERAS,
    CONF_HISTORY,
    CONF_KEEP,
    CONF_LIGHT_TIMER,
    CONF_LIGHTS_AS_DOORS,
    CONF_MEGABYTES,
    CONF_PAUSE_SECONDS,
    CONF_PULSE_TIME,
    CONF_SHOWN_RINGS,
    CONF_SIMULATED_RINGS,
    CONF_STREAMS,
    CONF_VIEW_SECONDS,
    CONF_VIEWS_PER_HOUR,
    DEFAULT_CALLS,
    DEFAULT_DAYS,
    DEFAULT_LIGHT_TIMER,
    DEFAULT_MEGABYTES,
    DEFAULT_PAUSE_SECONDS,
    DEFAULT_PULSE_TIME,
    DEFAULT_VIEW_SECONDS,
    DEFAULT_VIEWS_PER_HOUR,
    DOMAIN,
    MAX_STREAM_MINUTES_PER_HOUR,
)
from .entity import RELAYS, declared_doors
from .errors import translated_error
from .history.records import MEGABYTE
from .live.go2rtc import async_obstacle
from .markdown import escape_markdown
from .runtime import BticinoConfigEntry, async_runtime

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .history.history import CallHistory

CODE = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off"))
CODE_SCHEMA = vol.Schema({vol.Required(CONF_CODE): CODE})

CAMERAS = (ModuleKind.PANEL, ModuleKind.CAMERA)
RELAY_OPTIONS = {CONF_LIGHTS_AS_DOORS: ModuleKind.LIGHT, CONF_GATES: ModuleKind.RELAY}


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
        if _stream_minutes(user_input.get(CONF_STREAMS, {})) > MAX_STREAM_MINUTES_PER_HOUR:
            return self._form(user_input, {"base": "too_much_streaming"})
        kept = {} if CONF_GO2RTC_CAMERAS in user_input else self._unoffered_cameras()
        self._options = {**user_input, **kept}
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

    async def async_step_delete_history(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask once more before the history is deleted."""
        if (runtime := async_runtime(self.config_entry)) is None:
            return self.async_abort(reason="not_loaded")
        if user_input is not None:
            return await self._async_finish()
        return self.async_show_form(
            step_id="delete_history",
            data_schema=vol.Schema({}),
            description_placeholders=await _async_stored(runtime.history),
        )

    async def _async_continue(self) -> ConfigFlowResult:
        if self._doors_to_ask:
            return await self.async_step_door_code()
        if self.config_entry.runtime_data.history.is_kept and not _is_kept(self._options):
            return await self.async_step_delete_history()
        return await self._async_finish()

    async def _async_finish(self) -> ConfigFlowResult:
        options = self._options | ({CONF_DOOR_CODES: self._codes} if self._codes else {})
        if not await _async_apply_keep(self.config_entry.runtime_data.history, options):
            return self._form(options, {"base": "history_not_deleted"})
        return self.async_create_entry(data=options)

    def _form(self, values: Mapping[str, Any], errors: dict[str, str]) -> ConfigFlowResult:
        if codes := values.get(CONF_DOOR_CODES):
            values = {**values, CONF_DOORS_WITH_CODE: list(codes)}
        obstacle = async_obstacle(self.hass)
        offers = {
            **{key: self._names(kind) for key, kind in RELAY_OPTIONS.items()},
            CONF_DOORS_WITH_CODE: self._doors(),
            CONF_GO2RTC_CAMERAS: {} if obstacle else self._cameras(*CAMERAS),
            CONF_EXCLUDED_HOMES: {home.id: home.name or home.id for home in self._homes()},
        }
        panels = {CONF_SHOWN_RINGS: self._cameras(ModuleKind.PANEL)}
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(
                _options_schema(offers, panels), _existing_choices(values, offers | panels)
            ),
            errors=errors,
            description_placeholders={
                "go2rtc": translated_error(self.hass, obstacle) if obstacle else "",
                "minutes": str(MAX_STREAM_MINUTES_PER_HOUR),
            },
        )

    def _homes(self) -> list[Home]:
        """Return the homes to choose from; one that is excluded stays, whatever is in it now."""
        coordinator = self.config_entry.runtime_data.coordinator
        homes = coordinator.known_homes.homes.values()
        return [home for home in homes if home.bridges or home.id in coordinator.excluded_homes]

    def _unoffered_cameras(self) -> dict[str, Any]:
        """Return the chosen cameras while none can be chosen, because go2rtc is not there."""
        options = self.config_entry.options
        is_kept = CONF_GO2RTC_CAMERAS in options and async_obstacle(self.hass) is not None
        return {CONF_GO2RTC_CAMERAS: options[CONF_GO2RTC_CAMERAS]} if is_kept else {}

    def _cameras(self, *kinds: ModuleKind) -> dict[str, str]:
        """Return the names of modules of these kinds, and of intercoms without a panel."""
        modules = [module for home in self._homes() for module in home.modules.values()]
        with_panel = {m.bridge_id for m in modules if m.kind is ModuleKind.PANEL}
        found = self._names(*kinds, ModuleKind.BRIDGE)
        return {module_id: name for module_id, name in found.items() if module_id not in with_panel}

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


def _is_kept(options: Mapping[str, Any]) -> bool:
    return bool(options.get(CONF_HISTORY, {}).get(CONF_KEEP, True))


async def _async_stored(history: CallHistory) -> dict[str, str]:
    """Return how much is stored; a history that cannot be read can still be deleted."""
    try:
        stored = await history.async_count()
    except HomeAssistantError:
        return dict.fromkeys(("calls", "pictures", "megabytes"), "?")
    return {
        "calls": str(stored.calls),
        "pictures": str(stored.pictures),
        # Whole numbers are written alike in all languages.
        "megabytes": str(math.ceil(stored.picture_bytes / MEGABYTE)),
    }


async def _async_apply_keep(history: CallHistory, options: Mapping[str, Any]) -> bool:
    """Delete the history if it was switched off; False: it could not be deleted."""
    if _is_kept(options):
        return True
    try:
        await history.async_switch_off()
    except HomeAssistantError:
        return False
    return True


def _integer(low: int, high: int, unit: str | None = None, key: str | None = None) -> vol.All:
    """Return the field of an integer; `key`: where the unit is translated."""
    config = NumberSelectorConfig(min=low, max=high, mode=NumberSelectorMode.BOX)
    if unit is not None:
        config["unit_of_measurement"] = unit
    if key is not None:
        config["translation_key"] = key
    return vol.All(NumberSelector(config), vol.Coerce(int))


_HISTORY_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_KEEP, default=True): BooleanSelector(),
        vol.Required(CONF_DAYS, default=DEFAULT_DAYS): _integer(1, 3650, "days", "history_days"),
        vol.Required(CONF_CALLS, default=DEFAULT_CALLS): _integer(10, 10_000),
        vol.Required(CONF_MEGABYTES, default=DEFAULT_MEGABYTES): _integer(
            1, 10_000, UnitOfInformation.MEGABYTES
        ),
    }
)
_STREAM_LIMITS: dict[vol.Marker, Any] = {
    vol.Required(CONF_VIEW_SECONDS, default=DEFAULT_VIEW_SECONDS): _integer(
        10, 600, UnitOfTime.SECONDS
    ),
    vol.Required(CONF_PAUSE_SECONDS, default=DEFAULT_PAUSE_SECONDS): _integer(
        5, 3600, UnitOfTime.SECONDS
    ),
    vol.Required(CONF_VIEWS_PER_HOUR, default=DEFAULT_VIEWS_PER_HOUR): _integer(1, 60),
}


def _stream_minutes(streams: Mapping[str, int]) -> float:
    """Return how long programs may watch in an hour."""
    seconds = streams.get(CONF_VIEW_SECONDS, DEFAULT_VIEW_SECONDS)
    return seconds * streams.get(CONF_VIEWS_PER_HOUR, DEFAULT_VIEWS_PER_HOUR) / 60


def _options_schema(
    offers: Mapping[str, Mapping[str, str]], panels: Mapping[str, Mapping[str, str]]
) -> vol.Schema:
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
            fields[vol.Optional(key, default=list)] = choice(names)
    fields[vol.Required(CONF_SIMULATED_RINGS, default=False)] = BooleanSelector()
    # If the section had a default, frontends would ignore the defaults of its fields.
    fields[vol.Required(CONF_HISTORY)] = section(_HISTORY_SCHEMA, {"collapsed": True})
    shown = {vol.Optional(key, default=list): choice(names) for key, names in panels.items()}
    streams = vol.Schema({**shown, **_STREAM_LIMITS})
    fields[vol.Optional(CONF_STREAMS)] = section(streams, {"collapsed": True})
    return vol.Schema(fields)


def _existing_choices(
    values: Mapping[str, Any], offers: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Return the previous values without modules and homes that no longer exist."""

    def existing(key: str, value: Any) -> Any:
        if key == CONF_STREAMS:
            return _existing_choices(value, offers)
        return [each for each in value if each in offers[key]] if key in offers else value

    return {key: existing(key, value) for key, value in values.items()}


def choice(names: Mapping[str, str]) -> SelectSelector:
    """Return the field to choose any of some names."""
    options = [SelectOptionDict(value=key, label=name) for key, name in names.items()]
    return SelectSelector(SelectSelectorConfig(options=options, multiple=True))
