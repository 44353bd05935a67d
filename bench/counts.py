"""Requests of a first set-up, of restarts, of an idle hour."""

from functools import partial
from typing import TYPE_CHECKING, Final

from custom_components.bticino_classe.coordinator import SAFETY_INTERVAL

from .figures import Figure, count
from .home import live, set_up, set_up_late, sign_in
from .passing import passing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from .cloud import Cloud, Requests

HOUR: Final = 3600  # seconds
OVERLOADED: Final = 503  # the status that keeps sockets away longest
REQUESTS: Final = "requests"


def measure(cloud: Cloud, folder: Path) -> Iterator[Figure]:
    """Sign in, restart, restart late and wait an hour, in a fresh folder."""
    yield from _first(cloud, folder)
    yield from _restart(cloud, folder)
    yield from _late_restart(cloud, folder)
    yield from _idle_hours(cloud, folder)


def _first(cloud: Cloud, folder: Path) -> Iterator[Figure]:
    cloud.forget()
    live(folder, cloud.endpoints, partial(sign_in, credentials=cloud.credentials))
    found, when = cloud.requests(), "first set-up"
    yield count("first.logins", f"{when}: logins", found.logins, aim=1)
    yield count("first.requests", f"{when}: {REQUESTS}", found.tokens + found.others, aim=4)
    yield from _connecting("first", when, found)


def _restart(cloud: Cloud, folder: Path) -> Iterator[Figure]:
    cloud.forget()
    live(folder, cloud.endpoints, set_up)
    found, when = cloud.requests(), "restart"
    yield count("restart.logins", f"{when}: logins", found.logins, aim=0)
    yield count("restart.refreshes", f"{when}: refreshes", found.refreshes, aim=0)
    yield count("restart.requests", f"{when}: {REQUESTS}", found.tokens + found.others, aim=2)
    yield from _connecting("restart", when, found)


def _late_restart(cloud: Cloud, folder: Path) -> Iterator[Figure]:
    cloud.forget()
    live(folder, cloud.endpoints, set_up_late)
    found, when = cloud.requests(), "restart, token expired"
    yield count("late_restart.logins", f"{when}: logins", found.logins, aim=0)
    yield count("late_restart.refreshes", f"{when}: refreshes", found.refreshes, aim=1)
    yield count("late_restart.requests", f"{when}: {REQUESTS}", found.tokens + found.others, aim=3)
    yield from _connecting("late_restart", when, found)


def _connecting(key: str, when: str, found: Requests) -> Iterator[Figure]:
    """Count what follows in the background once the account is set up."""
    yield count(f"{key}.handshakes", f"{when}: sockets opened after it", found.handshakes, aim=1)
    yield count(f"{key}.subscriptions", f"{when}: subscriptions", found.subscriptions, aim=1)
    yield count(f"{key}.events", f"{when}: looks at what was missed", found.events, aim=1)
    yield count(f"{key}.relays", f"{when}: requests for media relays", found.relays, aim=1)
    yield count(f"{key}.settings", f"{when}: looks at intercoms' settings", found.settings, aim=1)


def _idle_hours(cloud: Cloud, folder: Path) -> Iterator[Figure]:
    live(folder, cloud.endpoints, partial(_idle_hour, cloud=cloud))
    found, when = cloud.requests(), "idle hour"
    requests = found.by_path.total() - found.relays - found.settings
    yield count("idle_hour.requests", f"{when}: requests", requests, aim=3)
    yield count("idle_hour.relays", f"{when}: requests for media relays", found.relays, aim=2)
    yield count("idle_hour.settings", f"{when}: looks at settings", found.settings, aim=1)
    yield count("idle_hour.statuses", f"{when}: looks at the states", found.statuses, aim=2)
    yield count("idle_hour.topologies", f"{when}: looks at the modules", found.topologies, aim=1)
    yield count("idle_hour.events", f"{when}: looks at what was missed", found.events, aim=0)
    yield count("idle_hour.handshakes", f"{when}: sockets opened", found.handshakes, aim=0)
    yield count("idle_hour.subscriptions", f"{when}: subscriptions", found.subscriptions, aim=2)
    yield from _idle_hour_without_socket(cloud, folder)


def _idle_hour_without_socket(cloud: Cloud, folder: Path) -> Iterator[Figure]:
    cloud.refuse_sockets(OVERLOADED)
    live(folder, cloud.endpoints, partial(_idle_hour, cloud=cloud))
    found, when = cloud.requests(), "idle hour, no socket"
    cloud.refuse_sockets(None)
    counted_apart = found.handshakes + found.relays + found.settings
    requests = found.by_path.total() - counted_apart
    yield count("idle_hour_down.requests", f"{when}: requests", requests, aim=13)
    yield count("idle_hour_down.events", f"{when}: looks at what was missed", found.events, aim=0)
    # As many as chance wants: the delays are drawn from up to five minutes.
    yield Figure(
        key="idle_hour_down.handshakes",
        text=f"{when}: attempts to open one",
        value=found.handshakes,
        unit="",
    )


async def _idle_hour(hass: HomeAssistant, cloud: Cloud) -> None:
    """Let an hour pass that begins between two polls and holds one look at the topology.

    That is due an hour after set-up, which the second of the seldom polls may miss by a moment.
    """
    await set_up(hass)
    with passing(hass) as clocks:
        await clocks.seconds(1.25 * SAFETY_INTERVAL.total_seconds())
        cloud.forget()
        await clocks.seconds(HOUR)
