"""The house as data: homes, modules and their last reported states."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .client import Home, Module, ModuleKind, ModuleState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The homes of an account that are in use, their modules by id, and the modules' states.

    `panels` are the ids of the panels behind each intercom that has any.
    """

    homes: Mapping[str, Home]
    modules: Mapping[str, Module]
    states: Mapping[str, ModuleState]
    panels: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, homes: Iterable[Home], states: Mapping[str, ModuleState]) -> House:
        """Build a house from its homes."""
        by_id = {home.id: home for home in homes}
        modules = modules_of(by_id)
        panels: dict[str, tuple[str, ...]] = {}
        for panel in modules.values():
            if panel.kind is ModuleKind.PANEL and panel.bridge_id is not None:
                panels[panel.bridge_id] = (*panels.get(panel.bridge_id, ()), panel.id)
        return cls(homes=by_id, modules=modules, states=states, panels=panels)

    @property
    def bridges(self) -> tuple[Module, ...]:
        """The intercoms of all homes."""
        return tuple(bridge for home in self.homes.values() for bridge in home.bridges)

    def panels_of(self, bridge_id: str) -> tuple[str, ...]:
        """Return the ids of the panels behind an intercom."""
        return self.panels.get(bridge_id, ())

    def is_only_panel(self, module: Module) -> bool:
        """Whether a module is the only known panel of its intercom, whose calls are all its own."""
        return self.panels_of(module.bridge_id or "") == (module.id,)

    def shows_calls(self, module: Module) -> bool:
        """Whether calls are shown at a module: a panel, or an intercom without an only panel."""
        is_bridge = module.kind is ModuleKind.BRIDGE
        return module.kind is ModuleKind.PANEL or (
            is_bridge and len(self.panels_of(module.id)) != 1
        )

    def location_of(self, panel_id: str | None, bridge_id: str) -> str:
        """Return the module where a call is shown: its panel, or else its intercom.

        An intercom with one known panel shows no calls itself: a call from a panel that is not
        listed yet is shown at the known one.
        """
        panel = self.modules.get(panel_id or "")
        if panel is not None and panel.kind is ModuleKind.PANEL:
            return panel.id
        panels = self.panels_of(bridge_id)
        return panels[0] if len(panels) == 1 else bridge_id

    def call_sources(self, module_id: str) -> tuple[str, ...]:
        """Return the panels and intercoms whose calls are those of a panel or an intercom."""
        module = self.modules.get(module_id)
        if module is not None and self.is_only_panel(module):
            return module_id, module.intercom_id
        return (module_id,)

    def state(self, module_id: str) -> ModuleState:
        """Return the last reported state; a module that never reported counts as reachable."""
        return self.states.get(module_id) or ModuleState(id=module_id)

    def reachable(self, module_id: str) -> bool:
        """Whether a command can reach a module: it is in use, its intercom and it are connected."""
        module = self.modules.get(module_id)
        return module is not None and all(
            self.state(each).reachable for each in (module.id, module.intercom_id)
        )

    def with_state(self, module_id: str, **changes: Any) -> House:
        """Return the house with some fields of one module's state changed."""
        state = replace(self.state(module_id), **changes)
        return replace(self, states={**self.states, module_id: state})

    def without_module(self, module_id: str) -> House:
        """Return the house without a module; its last state is kept."""
        homes = [without_module(home, module_id) for home in self.homes.values()]
        return House.of(homes, self.states)


def merged_homes(known: Mapping[str, Home], listed: Mapping[str, Home]) -> dict[str, Home]:
    """Return the known homes with what a newer list says; each module is in one home.

    A list may be incomplete: what it lacks stays, but a module that it contains is where it says.
    """
    homes = {**known, **{key: _merged_home(known.get(key), home) for key, home in listed.items()}}
    modules = _merged_modules(modules_of(known), listed.values())
    by_home: dict[str, dict[str, Module]] = {home_id: {} for home_id in homes}
    for module in modules.values():
        by_home[module.home_id][module.id] = module
    return {key: replace(home, modules=by_home[key]) for key, home in homes.items()}


def modules_of(homes: Mapping[str, Home]) -> dict[str, Module]:
    """Return the modules of all homes by id."""
    return {m.id: m for home in homes.values() for m in home.modules.values()}


def _merged_home(known: Home | None, home: Home) -> Home:
    if known is None:
        return home
    return replace(home, name=home.name or known.name, timezone=home.timezone or known.timezone)


def _merged_modules(known: dict[str, Module], listed: Iterable[Home]) -> dict[str, Module]:
    """Return the known modules with what the list says, each in the home that lists it.

    A module that several homes list stays where it was. One that none lists follows its intercom.
    """
    found: dict[str, list[Module]] = {}
    for module in (m for home in listed for m in home.modules.values()):
        found.setdefault(module.id, []).append(module)
    merged = dict(known)
    for module_id, modules in found.items():
        before = known.get(module_id)
        home_id = None if before is None else before.home_id
        # What has no type is only named by its intercom.
        newest = min(modules, key=lambda m: (not m.type, m.home_id != home_id))
        merged[module_id] = _merged_module(before, newest)
    for module in known.values():
        intercom = merged.get(module.bridge_id or "")
        if module.id not in found and intercom is not None:
            merged[module.id] = replace(module, home_id=intercom.home_id)
    return merged


def _merged_module(known: Module | None, module: Module) -> Module:
    if known is None:
        return module
    if not module.type:
        return replace(known, home_id=module.home_id)
    # The answer may lack what told the kind: a variant, the intercom, what is behind it.
    lacks_bridge = known.bridge_id is not None and module.bridge_id is None
    is_kept = module.kind is ModuleKind.UNKNOWN or (lacks_bridge and module.type == known.type)
    return replace(
        module,
        kind=known.kind if is_kept else module.kind,
        name=module.name or known.name,
        bridge_id=module.bridge_id or known.bridge_id,
        cloud_bridge_id=(module if module.bridge_id else known).cloud_bridge_id,
    )


def without_module(home: Home, module_id: str) -> Home:
    """Return the home without a module."""
    modules = {key: module for key, module in home.modules.items() if key != module_id}
    return replace(home, modules=modules)


def is_of_home(module: Module | None, home_id: str) -> bool:
    """Whether a module is in a home; one that is not known may be."""
    return module is None or module.home_id == home_id


def misplaced_modules(
    homes: Mapping[str, Home], reported: Mapping[str, Collection[str]]
) -> set[str]:
    """Return the modules that another home reports, and the one that they are in does not."""
    modules = modules_of(homes)
    return {
        module.id
        for home_id, ids in reported.items()
        for module in (modules[key] for key in ids if key in modules)
        if module.home_id != home_id and module.id not in reported.get(module.home_id, ())
    }
