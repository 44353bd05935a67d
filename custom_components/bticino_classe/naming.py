"""Unique names for the devices of an account."""

from collections import Counter
from functools import partial
from itertools import count
import re
from typing import TYPE_CHECKING, Final

from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.translation import async_get_cached_translations

from .client import Module, ModuleKind
from .const import DOMAIN, MANUFACTURER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from .house import House

PRODUCTS: Final = {
    "BNC1": "Classe 100X",
    "BNC3": "Classe 300X",
    "BNCX": "Classe 300EOS",
    "BDIY": "EasyKit",
}
_NUMBERED: Final = re.compile(r"(.*?)(\d{1,9})(?: \(.+\))?")


class DeviceNames:
    """Names the devices of modules; a name that a device has is given to no other."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, house: House) -> None:
        self._house = house
        self._templates = async_get_cached_translations(
            hass, hass.config.language, "device", DOMAIN
        )
        self._hass = hass
        self._devices: dict[str, dr.DeviceEntry] = {
            key: device
            for device in dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
            for domain, key in device.identifiers
            if domain == DOMAIN
        }
        self._taken: Counter[str] = Counter()
        self._numbers: set[tuple[str, int]] = set()
        self._next_numbers: dict[tuple[str, ...], int] = {}
        for device in self._devices.values():
            for name in filter(None, (device.name, device.name_by_user)):
                self._take(name, device.model_id)

    def choose(self, modules: Iterable[Module]) -> dict[str, str]:
        """Return a name for each module; devices that exist keep theirs, as people know them."""
        chosen: dict[str, str] = {}
        given: set[str] = set()
        for module in sorted(modules, key=lambda m: (m.id not in self._devices, m.id)):
            name = self._kept_name(module)
            if name is None or name in given:
                name = next(filter(partial(self._is_free, module), self._candidates(module)))
            self._take(name, module.type)
            given.add(name)
            chosen[module.id] = name
        return chosen

    def _take(self, name: str, model_id: str | None) -> None:
        self._taken[name] += 1
        if numbered := _NUMBERED.fullmatch(name):
            # A name may have been given in another language.
            self._numbers |= {(key, int(numbered[2])) for key in (model_id or "", numbered[1])}

    def _is_free(self, module: Module, name: str) -> bool:
        """Whether no other device has a name."""
        device = self._devices.get(module.id)
        own = () if device is None else (device.name, device.name_by_user)
        return self._taken[name] == own.count(name)

    def _kept_name(self, module: Module) -> str | None:
        """Return the name of the existing device if it still fits the module's own name."""
        device = self._devices.get(module.id)
        name = None if device is None else device.name
        if name is None or module.name in {None, name}:
            return name
        suffix = name.removeprefix(module.name or "")
        return name if re.fullmatch(r" (\d+|\(.+\))", suffix) else None

    def _candidates(self, module: Module) -> Iterator[str]:
        """Yield the names that a module may get, the best ones first."""
        home = self._house.homes.get(module.home_id)
        suffix = f" ({home.name})" if home and home.name and len(self._house.homes) > 1 else ""
        is_bridge = module.kind is ModuleKind.BRIDGE
        if name := module.name or (is_bridge and self._model(module)) or None:
            yield from [name, name + suffix] if module.name else [name + suffix]
            yield from (f"{name} {n}{suffix}" for n in self._count(module, 2, name, suffix))
        key = f"component.{DOMAIN}.device.{module.kind.value}.name"
        template = self._templates.get(key, f"{module.kind.value} {{number}}")
        prefix = template.partition("{number}")[0]
        for number in self._count(module, 1, prefix, module.type, suffix):
            if not self._numbers & {(module.type, number), (prefix, number)}:
                yield template.format(number=number) + suffix

    def _count(self, module: Module, first: int, *key: str) -> Iterator[int]:
        """Yield the numbers that may be free for a name.

        Those that were not free for another new device are left out: names are never given back.
        """
        if module.id in self._devices:
            yield from count(first)
        for number in count(self._next_numbers.get(key, first)):
            self._next_numbers[key] = number
            yield number

    def _model(self, module: Module) -> str:
        return model_name(self._hass, module.type) or module.type or MANUFACTURER


def model_name(hass: HomeAssistant, module_type: str) -> str | None:
    """Return the name of a model in Home Assistant's language; None if it is not known."""
    texts = async_get_cached_translations(hass, hass.config.language, "common", DOMAIN)
    key = f"component.{DOMAIN}.common.model_{module_type.lower()}"
    return PRODUCTS.get(module_type) or texts.get(key)
