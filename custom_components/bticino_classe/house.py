"""The house as data: homes, modules and their last reported states."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .client import Home, Module, ModuleKind, ModuleState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The homes of an account that are in use, their modules by id, and the modules' states."""

    homes: Mapping[str, Home]
    modules: Mapping[str, Module]
    states: Mapping[str, ModuleState]

    @classmethod
    def of(cls, homes: Iterable[Home], states: Mapping[str, ModuleState]) -> House:
        """Build a house from its homes."""
        by_id = {home.id: home for home in homes}
        modules = {m.id: m for home in by_id.values() for m in home.modules.values()}
        return cls(homes=by_id, modules=modules, states=states)

    @property
    def bridges(self) -> tuple[Module, ...]:
        """The intercoms of all homes."""
        return tuple(bridge for home in self.homes.values() for bridge in home.bridges)

    def panels_of(self, bridge_id: str) -> tuple[str, ...]:
        """Return the ids of the panels behind an intercom."""
        panels = (m for m in self.modules.values() if m.kind is ModuleKind.PANEL)
        return tuple(panel.id for panel in panels if panel.bridge_id == bridge_id)

    def location_of(self, panel_id: str | None, bridge_id: str) -> str:
        """Return the module where a call is shown: its panel if it is known, else the intercom."""
        panel = self.modules.get(panel_id or "")
        return bridge_id if panel is None or panel.kind is not ModuleKind.PANEL else panel.id

    def state(self, module_id: str) -> ModuleState:
        """Return the last reported state; a module that never reported counts as reachable."""
        return self.states.get(module_id) or ModuleState(id=module_id)

    def reachable(self, module_id: str) -> bool:
        """Whether commands can reach a module: it and its intercom are connected."""
        module = self.modules.get(module_id)
        bridge_id = module.bridge_id if module else None
        return self.state(module_id).reachable and (
            bridge_id is None or self.state(bridge_id).reachable
        )

    def with_state(self, module_id: str, **changes: Any) -> House:
        """Return the house with some fields of one module's state changed."""
        state = replace(self.state(module_id), **changes)
        return replace(self, states={**self.states, module_id: state})

    def without_module(self, module_id: str) -> House:
        """Return the house without a module; its last state is kept."""
        homes = [without_module(home, module_id) for home in self.homes.values()]
        return House.of(homes, self.states)


def merged_home(known: Home | None, home: Home) -> Home:
    """Return the newer home, with what only the known one has: an answer may be incomplete."""
    if known is None:
        return home
    listed = {m.id: _merged_module(known.modules.get(m.id), m) for m in home.modules.values()}
    return replace(
        home,
        name=home.name or known.name,
        timezone=home.timezone or known.timezone,
        modules={**known.modules, **listed},
    )


def _merged_module(known: Module | None, module: Module) -> Module:
    if known is None:
        return module
    if not module.type:
        return known
    return replace(
        module, name=module.name or known.name, bridge_id=module.bridge_id or known.bridge_id
    )


def without_module(home: Home, module_id: str) -> Home:
    """Return the home without a module."""
    modules = {key: module for key, module in home.modules.items() if key != module_id}
    return replace(home, modules=modules)
