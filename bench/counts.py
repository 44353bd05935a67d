"""Requests of a first set-up, of restarts, of an idle hour."""

from functools import partial
from typing import TYPE_CHECKING, Final

from custom_components.bticino_classe.coordinator import STATUS_INTERVAL

from .figures import Figure, count
from .home import live, set_up, set_up_late, sign_in
from .passing import passing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from .cloud import Cloud

HOUR: Final = 3600  # seconds


def measure(cloud: Cloud, folder: Path) -> Iterator[Figure]:
    """Sign in, restart, restart late and wait an hour, in a fresh folder."""
    cloud.forget()
    live(folder, cloud.endpoints, partial(sign_in, credentials=cloud.credentials))
    found = cloud.requests()
    yield count("first.logins", "first set-up: logins", found.logins, aim=1)
    yield count("first.requests", "first set-up: requests in all", found.total, aim=4)
    yield from _restart(cloud, folder)
    yield from _late_restart(cloud, folder)
    cloud.forget()
    live(folder, cloud.endpoints, partial(_idle_hour, cloud=cloud))
    yield count("idle_hour.requests", "idle hour: requests", cloud.requests().total, aim=13)


def _restart(cloud: Cloud, folder: Path) -> Iterator[Figure]:
    cloud.forget()
    live(folder, cloud.endpoints, set_up)
    found = cloud.requests()
    yield count("restart.logins", "restart: logins", found.logins, aim=0)
    yield count("restart.refreshes", "restart: refreshes", found.refreshes, aim=0)
    yield count("restart.requests", "restart: requests in all", found.total, aim=2)


def _late_restart(cloud: Cloud, folder: Path) -> Iterator[Figure]:
    cloud.forget()
    live(folder, cloud.endpoints, set_up_late)
    found, when = cloud.requests(), "restart, token expired"
    yield count("late_restart.logins", f"{when}: logins", found.logins, aim=0)
    yield count("late_restart.refreshes", f"{when}: refreshes", found.refreshes, aim=1)
    yield count("late_restart.requests", f"{when}: requests in all", found.total, aim=3)


async def _idle_hour(hass: HomeAssistant, cloud: Cloud) -> None:
    """Let an hour pass that begins between two polls and holds one look at the topology."""
    await set_up(hass)
    with passing(hass) as clocks:
        await clocks.seconds(1.5 * STATUS_INTERVAL.total_seconds())
        cloud.forget()
        await clocks.seconds(HOUR)
