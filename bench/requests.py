"""Requests of a first set-up, of restarts and of an idle hour."""

from functools import partial
from typing import TYPE_CHECKING, Final

from custom_components.bticino_classe.coordinator import SAFETY_INTERVAL

from .support.clock import fast_clock
from .support.cloud import PUSH_PATH, STATUS_PATH, TOPOLOGY_PATH
from .support.home_assistant import Installation, set_up, set_up_with_expired_token
from .support.report import counts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from .support.cloud import Cloud, Requests
    from .support.report import Figure

HOUSE: Final = "classe_300x"
IDLE_REQUESTS: Final = "requests but for TURN servers and settings"
HOUR_SECONDS: Final = 3600
OVERLOADED: Final = 503  # the status with the longest pauses between attempts


def measure(cloud: Cloud, folder: Path) -> Iterator[Figure]:
    """Count the requests of a first set-up, two restarts and two idle hours."""
    cloud.reset()
    installation = Installation.create(cloud, folder, HOUSE)
    yield from _start_figures("first", "first set-up", cloud.requests(), aims=(1, 0, 4))
    cloud.reset()
    installation.run(set_up)
    yield from _start_figures("restart", "restart", cloud.requests(), aims=(0, 0, 2))
    cloud.reset()
    installation.run(set_up_with_expired_token)
    text = "restart, token expired"
    yield from _start_figures("late_restart", text, cloud.requests(), aims=(0, 1, 3))
    installation.run(partial(_idle_hour, cloud=cloud))
    yield from _idle_figures(cloud.requests())
    cloud.refuse_sockets(OVERLOADED)
    installation.run(partial(_idle_hour, cloud=cloud))
    yield from _idle_figures_without_socket(cloud.requests())
    cloud.refuse_sockets(None)


def _start_figures(
    key: str, text: str, sent: Requests, aims: tuple[int, int, int]
) -> Iterator[Figure]:
    """Yield the requests of the set-up itself, and of what follows in the background."""
    logins, refreshes, requests = aims
    yield from counts(
        key,
        text,
        ("logins", "logins", sent.logins, logins),
        ("refreshes", "token refreshes", sent.tokens - sent.logins, refreshes),
        ("requests", "requests but for the background's", sent.tokens + sent.others, requests),
        ("handshakes", "push connections opened", sent.handshakes, 1),
        ("subscriptions", "subscriptions to pushes", sent.subscribed[PUSH_PATH], 1),
        ("events", "requests for events", sent.events, 1),
        ("turn_servers", "requests for TURN servers", sent.turn_servers, 1),
        ("settings", "requests for settings of the intercom", sent.settings, 1),
    )


def _idle_figures(sent: Requests) -> Iterator[Figure]:
    yield from counts(
        "idle_hour",
        "idle hour",
        ("requests", IDLE_REQUESTS, sent.tokens + sent.events + sent.others, 3),
        ("turn_servers", "requests for TURN servers", sent.turn_servers, 2),
        ("settings", "requests for settings of the intercom", sent.settings, 1),
        ("statuses", "requests for the states of the home", sent.by_path[STATUS_PATH], 2),
        ("topologies", "requests for the list of modules", sent.by_path[TOPOLOGY_PATH], 1),
        ("events", "requests for events", sent.events, 0),
        ("handshakes", "push connections opened", sent.handshakes, 0),
        ("subscriptions", "subscriptions to pushes", sent.subscribed[PUSH_PATH], 2),
    )


def _idle_figures_without_socket(sent: Requests) -> Iterator[Figure]:
    yield from counts(
        "idle_hour_down",
        "idle hour without push connection",
        ("requests", IDLE_REQUESTS, sent.tokens + sent.events + sent.others, 13),
        ("events", "requests for events", sent.events, 0),
        # No aim: the delays are random.
        ("handshakes", "attempts to open one", sent.handshakes, None),
    )


async def _idle_hour(hass: HomeAssistant, cloud: Cloud) -> None:
    """Let an hour pass that starts between two polls.

    A quarter of an interval later than a poll, so that the hour holds exactly one request for the
    list of modules: it is due an hour after the set-up, and made with the next poll.
    """
    await set_up(hass)
    with fast_clock(hass) as clock:
        await clock.advance(1.25 * SAFETY_INTERVAL.total_seconds())
        cloud.reset()
        await clock.advance(HOUR_SECONDS)
