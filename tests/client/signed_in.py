"""An account that is signed in to the simulated cloud, and the contents of its home."""

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp

from custom_components.bticino_classe.client import (
    Account,
    AuthHandler,
    Endpoints,
    Home,
    Module,
    ModuleKind,
    RateLimiter,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.simulator import Simulator
    from tests.simulator.house import Module as Built

BRIDGES = ("BNC1", "BNC3", "BNCX", "BDIY", "BNHY", "BFII", "BPAC", "BCEPA")
PANELS = ("BNEU", "BCEPL", "BFIO", "BPVC")
#: The kinds of modules in the simulator's houses.
KINDS = {
    "BNDL": ModuleKind.DOOR,
    "BNSL": ModuleKind.LIGHT,
    "BNTVCC": ModuleKind.CAMERA,
    "BNOT": ModuleKind.RELAY,
    **dict.fromkeys(BRIDGES, ModuleKind.BRIDGE),
    **dict.fromkeys(PANELS, ModuleKind.PANEL),
}


@asynccontextmanager
async def signed_in(
    simulator: Simulator, endpoints: Endpoints, *, limiter: RateLimiter | None = None
) -> AsyncIterator[Account]:
    """Yield an account with a token and an empty journal; the cloud must have no objections."""
    async with aiohttp.ClientSession() as session:
        auth = AuthHandler(
            simulator.email,
            simulator.password,
            session=session,
            endpoints=endpoints,
            limiter=limiter,
        )
        await auth.authenticate()
        simulator.journal.clear()
        yield Account(auth)
        await auth.wait_idle()
    assert simulator.violations == []


def home_of(simulator: Simulator) -> Home:
    """Return the first home as the client knows it, without a request."""
    built = simulator.house.homes[0]
    modules = {each.id: _module(each, built.id) for each in built.modules.values()}
    return Home(id=built.id, name=built.name, timezone=built.timezone, modules=modules)


def module_of(home: Home, kind: ModuleKind) -> Module:
    """Return the first module of a kind."""
    return next(module for module in home.modules.values() if module.kind is kind)


def _module(built: Built, home_id: str) -> Module:
    return Module(
        id=built.id,
        home_id=home_id,
        kind=KINDS.get(built.type, ModuleKind.UNKNOWN),
        type=built.type,
        name=built.name,
        bridge_id=built.bridge,
    )
