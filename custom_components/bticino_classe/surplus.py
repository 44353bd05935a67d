"""What to do when the cloud lists more modules than an account can have."""

from typing import TYPE_CHECKING, Final

from homeassistant.core import callback
from homeassistant.helpers import device_registry as dr

from .const import DOMAIN
from .issues import TOO_MANY_MODULES, AccountIssues

if TYPE_CHECKING:
    from collections.abc import Iterable

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

_IDS: Final = "module_ids"
_SEPARATOR: Final = ","  # not in an id


class SurplusModules:
    """Modules that came with too many others: removed when the cloud no longer lists them.

    A repair issue shows that some were left out, and stores the modules over restarts.
    """

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        self._hass = hass
        self._entry = entry
        self._issues = AccountIssues(hass, entry)

    @property
    def ids(self) -> frozenset[str]:
        """The ids of the modules that came with too many others."""
        stored = str(self._issues.data_of(TOO_MANY_MODULES).get(_IDS, ""))
        return frozenset(filter(None, stored.split(_SEPARATOR)))

    @callback
    def async_raise_issue(self, module_ids: Iterable[str]) -> None:
        """Raise the issue, for these modules."""
        data = {_IDS: _SEPARATOR.join(sorted(module_ids))}
        self._issues.async_raise(TOO_MANY_MODULES, data=data)

    @callback
    def async_delete_issue(self) -> None:
        """Delete the issue."""
        self._issues.async_delete(TOO_MANY_MODULES)

    @callback
    def async_remove_devices(self, module_ids: Iterable[str]) -> None:
        """Remove the devices of modules that are gone."""
        devices, entry_id = dr.async_get(self._hass), self._entry.entry_id
        for module_id in module_ids:
            device = devices.async_get_device_by_identifier((DOMAIN, module_id), entry_id)
            if device is not None:
                devices.async_remove_device(device.id)
