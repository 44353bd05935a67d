"""What to do when the cloud lists more modules than an account can have."""

from typing import TYPE_CHECKING, Final

from homeassistant.core import callback
from homeassistant.helpers import device_registry as dr, issue_registry as ir

from .const import DOMAIN
from .markdown import escape_markdown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

TOO_MANY_MODULES: Final = "too_many_modules"
_IDS: Final = "module_ids"
_SEPARATOR: Final = ","  # not in an id


class SurplusModules:
    """Modules that came with too many others: they go when the cloud no longer lists them.

    A repair issue shows that some were left out, and stores the modules over restarts.
    """

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        self._hass = hass
        self._entry = entry

    @property
    def ids(self) -> frozenset[str]:
        """The ids of the modules that came with too many others."""
        issue = ir.async_get(self._hass).async_get_issue(DOMAIN, self._issue_id)
        stored = str(((issue and issue.data) or {}).get(_IDS, ""))
        return frozenset(filter(None, stored.split(_SEPARATOR)))

    @callback
    def async_raise_issue(self, module_ids: Iterable[str]) -> None:
        """Raise the issue, for these modules."""
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            self._issue_id,
            data={_IDS: _SEPARATOR.join(sorted(module_ids))},
            is_fixable=False,
            is_persistent=True,
            severity=ir.IssueSeverity.WARNING,
            translation_key=TOO_MANY_MODULES,
            translation_placeholders={"title": escape_markdown(self._entry.title)},
        )

    @callback
    def async_delete_issue(self) -> None:
        """Delete the issue."""
        async_delete_surplus_issue(self._hass, self._entry.entry_id)

    @callback
    def async_remove_devices(self, module_ids: Iterable[str]) -> None:
        """Remove the devices of modules that are gone."""
        devices, entry_id = dr.async_get(self._hass), self._entry.entry_id
        for module_id in module_ids:
            device = devices.async_get_device_by_identifier((DOMAIN, module_id), entry_id)
            if device is not None:
                devices.async_remove_device(device.id)

    @property
    def _issue_id(self) -> str:
        return _issue_id(self._entry.entry_id)


@callback
def async_delete_surplus_issue(hass: HomeAssistant, entry_id: str) -> None:
    """Delete the issue of an account."""
    ir.async_delete_issue(hass, DOMAIN, _issue_id(entry_id))


def _issue_id(entry_id: str) -> str:
    return f"{TOO_MANY_MODULES}_{entry_id}"
