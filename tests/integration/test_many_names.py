"""Names for the devices of large houses."""

from typing import TYPE_CHECKING

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.bticino_classe.client import Home, Module, ModuleKind
from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.house import House
from custom_components.bticino_classe.naming import DeviceNames
from tests.soak.frames.coverage import Coverage

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

FACTOR = 8


def doors(count: int, name: str | None, kind: ModuleKind) -> House:
    """Return a house with so many modules in each of its two homes."""
    homes = [
        Home(
            id=home,
            name=home,
            timezone=None,
            modules={
                f"{home}{n:04}": Module(
                    id=f"{home}{n:04}", home_id=home, kind=kind, type="BNDL", name=name
                )
                for n in range(count)
            },
        )
        for home in ("Casa", "Mare")
    ]
    return House.of(homes, {})


@pytest.mark.parametrize("name", ["Porta", "Porta 2", "2", None])
@pytest.mark.parametrize("kind", [ModuleKind.DOOR, ModuleKind.BRIDGE])
async def test_names_of_many_modules(
    hass: HomeAssistant, name: str | None, kind: ModuleKind
) -> None:
    """All differ, and the work does not grow with the square of their number."""
    entry = MockConfigEntry(domain=DOMAIN)
    entry.add_to_hass(hass)

    def work(count: int) -> int:
        house = doors(count, name, kind)
        with Coverage(counts_all=True) as coverage:
            chosen = DeviceNames(hass, entry, house).choose(house.modules.values())
        assert len(set(chosen.values())) == 2 * count
        return coverage.executed

    assert work(40 * FACTOR) < 1.5 * FACTOR * work(40)


async def test_numbers_are_not_skipped(hass: HomeAssistant) -> None:
    """Modules of one name are numbered from 2, whatever else is named between them."""
    entry = MockConfigEntry(domain=DOMAIN)
    entry.add_to_hass(hass)
    names = ["Porta", "Porta 3", "Porta", "Porta", "Box", "Porta"]
    modules = {
        f"{n}": Module(id=f"{n}", home_id="h", kind=ModuleKind.DOOR, type="BNDL", name=name)
        for n, name in enumerate(names)
    }
    house = House.of([Home(id="h", name=None, timezone=None, modules=modules)], {})
    chosen = DeviceNames(hass, entry, house).choose(modules.values())
    assert list(chosen.values()) == ["Porta", "Porta 3", "Porta 2", "Porta 4", "Box", "Porta 5"]
