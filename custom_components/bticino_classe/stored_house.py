"""The house as it was last known, so that a start does not have to wait for the cloud."""

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, UnsupportedStorageVersionError
from homeassistant.helpers.storage import Store
from homeassistant.util.hass_dict import HassKey
import voluptuous as vol

from .client import Home, Module, ModuleKind, limited_homes
from .const import DOMAIN, LOGGER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.config_entries import ConfigEntry

# By entry, for longer than its reloads.
STORED_HOUSES: Final[HassKey[dict[str, StoredHouse]]] = HassKey(f"{DOMAIN}_stored_houses")
VERSION: Final = 1
MAX_TEXT_LENGTH: Final = 1024


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT_LENGTH or not value.isprintable():
        raise vol.Invalid("not a text")
    return value


def _kind(value: object) -> ModuleKind:
    """Return the kind; one of a later version is unknown."""
    known = {kind.value: kind for kind in ModuleKind}
    return known.get(_text(value), ModuleKind.UNKNOWN)


_ID: Final = vol.All(_text, vol.Length(min=1))
_OPTIONAL_TEXT: Final = vol.Maybe(_text)
_MODULE: Final = vol.Schema(
    {
        vol.Required("id"): _ID,
        vol.Required("kind"): _kind,
        vol.Required("type"): _text,
        **dict.fromkeys(("name", "bridge_id", "cloud_id", "cloud_bridge_id"), _OPTIONAL_TEXT),
    },
    extra=vol.REMOVE_EXTRA,
)
_HOME: Final = vol.Schema(
    {
        vol.Required("id"): _ID,
        vol.Required("name"): _OPTIONAL_TEXT,
        vol.Required("timezone"): _OPTIONAL_TEXT,
        vol.Required("modules"): [_MODULE],
    },
    extra=vol.REMOVE_EXTRA,
)
# What Home Assistant raises for a file that it has not written, and for the disk.
_UNUSABLE: Final = (
    HomeAssistantError,
    LookupError,
    NotImplementedError,
    OSError,
    TypeError,
    vol.Invalid,
)
_HOUSE: Final = vol.Schema(
    {vol.Required("homes"): [_HOME], vol.Required("gone"): [_ID]}, extra=vol.REMOVE_EXTRA
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredHomes:
    """The homes of an account by id, and the ids of modules that the cloud no longer lists."""

    homes: Mapping[str, Home]
    gone: frozenset[str] = frozenset()


class StoredHouse:
    """The homes and modules of an account on disk: ids, kinds and names; no states, no secrets.

    A file that is damaged counts as none; one of a newer version does, too, and is kept as it is.
    """

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        self._hass = hass
        self._store = Store[dict[str, Any]](
            hass,
            VERSION,
            f"{DOMAIN}.{entry_id}.house",
            private=True,
            atomic_writes=True,
            serialize_in_event_loop=False,
        )
        self._saved = StoredHomes(homes={})
        self._is_reported = False

    @classmethod
    def of(cls, hass: HomeAssistant, entry_id: str) -> StoredHouse:
        """Return the stored house of an account; one object writes the file."""
        houses = hass.data.setdefault(STORED_HOUSES, {})
        if entry_id not in houses:
            houses[entry_id] = cls(hass, entry_id)
        return houses[entry_id]

    async def async_load(self) -> StoredHomes | None:
        """Return what is stored; None if there is no home with an intercom."""
        self._saved = StoredHomes(homes={})
        try:
            stored = _decode(await self._store.async_load())
        except UnsupportedStorageVersionError as err:
            self._store.make_read_only()
            self._report("a newer version has written it", err)
        except _UNUSABLE as err:
            self._report("it is damaged", err)
        else:
            self._saved = stored
            return stored if any(home.bridges for home in stored.homes.values()) else None
        return None

    @callback
    def async_save(self, entry: ConfigEntry, homes: StoredHomes) -> None:
        """Store the homes in the background, if they have changed."""
        if homes != self._saved:
            self._saved = homes
            entry.async_create_task(
                self._hass, self._async_write(_encode(homes)), "bticino_classe store the house"
            )

    async def async_remove(self) -> None:
        """Remove the file, and damaged ones that Home Assistant has set aside."""
        await self._store.async_remove()
        await self._hass.async_add_executor_job(_remove_copies, Path(self._store.path))

    async def _async_write(self, data: dict[str, Any]) -> None:
        try:
            await self._store.async_save(data)  # logs a failure to write
        except OSError as err:
            LOGGER.warning("The list of modules could not be stored: %s", err)

    def _report(self, problem: str, err: Exception) -> None:
        """Log once that the file is not used; a set-up that fails is retried."""
        level = LOGGER.debug if self._is_reported else LOGGER.warning
        level("The stored list of modules is not used, because %s: %s", problem, err)
        self._is_reported = True


def _encode(stored: StoredHomes) -> dict[str, Any]:
    """Return the homes as JSON values."""
    homes = [
        {
            "id": home.id,
            "name": home.name,
            "timezone": home.timezone,
            "modules": [_without_home(module) for module in home.modules.values()],
        }
        for home in stored.homes.values()
    ]
    return {"homes": homes, "gone": sorted(stored.gone)}


def _without_home(module: Module) -> dict[str, Any]:
    return {key: value for key, value in asdict(module).items() if key != "home_id"}


def _decode(stored: object) -> StoredHomes:
    """Return what is stored; vol.Invalid if it is incomplete."""
    if stored is None:
        return StoredHomes(homes={})
    found = _HOUSE(stored)
    homes, _ = limited_homes({home["id"]: _home(home) for home in found["homes"]})
    return StoredHomes(homes=homes, gone=frozenset(found["gone"]))


def _home(stored: dict[str, Any]) -> Home:
    modules = [Module(home_id=stored["id"], **module) for module in stored.pop("modules")]
    return Home(**stored, modules={module.id: module for module in modules})


def _remove_copies(path: Path) -> None:
    for copy in path.parent.glob(f"{path.name}.corrupt.*"):
        with suppress(OSError):
            copy.unlink()


async def async_remove_stored_house(hass: HomeAssistant, entry_id: str) -> None:
    """Remove the stored house of an account."""
    await StoredHouse.of(hass, entry_id).async_remove()
    hass.data[STORED_HOUSES].pop(entry_id)
