"""The simulated cloud, and the checks at the end of every test."""

import asyncio
import gc
import logging
import time
from typing import TYPE_CHECKING, Any

from aiohttp.helpers import TimeoutHandle
from homeassistant.util import executor
from homeassistant.util.async_ import get_scheduled_timer_handles
from hypothesis import HealthCheck, settings
import pytest

from custom_components.bticino_classe.client import Endpoints
from tests.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

# No example is too slow, on any machine.
settings.register_profile("slow", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("slow")

# Seconds after which a test counts as hanging; far more than any machine needs.
HANG_TIMEOUT = 60.0

# Home Assistant's executor interrupts threads that do not stop within 0.2 s. A busy machine needs
# longer, and an interrupted thread can keep the others from stopping.
executor.EXECUTOR_SHUTDOWN_TIMEOUT = int(HANG_TIMEOUT)
executor._JOIN_ATTEMPTS = 1


@pytest.fixture(autouse=True)
async def enable_event_loop_debug() -> None:
    """Leave asyncio's debug mode off: it records a stack for every callback and future.

    PYTHONASYNCIODEBUG=1 turns it on.
    """


@pytest.fixture(autouse=True)
def _logger_levels() -> Iterator[None]:
    """Restore what a test, or Home Assistant's logger in it, has set for the whole process."""
    before = _levels()
    yield
    for name, level in _levels().items():
        if level != before.get(name, logging.NOTSET):
            logging.getLogger(name).level = before.get(name, logging.NOTSET)
    logging.root.manager._clear_cache()  # type: ignore[attr-defined] # what `setLevel` does


def _levels() -> dict[str | None, int]:
    named = logging.root.manager.loggerDict.items()
    levels: dict[str | None, int] = {None: logging.root.level}
    levels |= {name: found.level for name, found in named if isinstance(found, logging.Logger)}
    return levels


@pytest.fixture(autouse=True)
async def no_loop_errors(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Fail the test if anything reaches the event loop's exception handler.

    A future whose exception was not retrieved is reported when it is collected, so garbage is
    collected here. Tasks and timers that are left fail the test in `verify_cleanup` of Home
    Assistant's plugin.
    """
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    gc.freeze()  # only what the test creates has to be searched for garbage
    yield
    request.node.funcargs.clear()  # they would keep futures alive
    gc.collect()
    assert errors == []


@pytest.fixture
async def simulator(
    socket_enabled: None,  # noqa: ARG001 - lets sockets of this machine be opened
) -> AsyncIterator[Simulator]:
    """A cloud with a Classe 300X behind it.

    The client's time-out of a request expires as soon as the cloud lets it hang (`never`).
    """
    cloud = Simulator(house="classe_300x", clock=_now)
    cloud.on_hang = _expire_request_timeouts
    await cloud.start()
    yield cloud
    await cloud.stop()


def _now() -> float:
    """Return the time that a test has set, read at every call."""
    return time.time()


@pytest.fixture
def endpoints(simulator: Simulator) -> Endpoints:
    """Where the simulated cloud is."""
    return Endpoints(
        api=simulator.url,
        turn=simulator.url,
        push=simulator.push_url,
        signaling=simulator.signaling_url,
        timeout=HANG_TIMEOUT,
    )


def advance_loop(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Put the event loop's clock forward; the timers that are due by then fire."""
    loop = asyncio.get_running_loop()
    before = loop.time
    monkeypatch.setattr(loop, "time", lambda: before() + seconds)


def _expire_request_timeouts() -> None:
    """Fire the time-outs of the requests that are under way."""
    for timer in tuple(get_scheduled_timer_handles(asyncio.get_running_loop())):
        timeout = getattr(getattr(timer, "_callback", None), "__self__", None)
        if isinstance(timeout, TimeoutHandle) and timeout._timeout == HANG_TIMEOUT:
            timer._run()
            timer.cancel()
