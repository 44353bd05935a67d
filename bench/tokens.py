"""How long `get_access_token` takes, and the requests of many callers with an expired token."""

import asyncio
from statistics import median
from time import perf_counter_ns
from typing import TYPE_CHECKING, Final

from custom_components.bticino_classe.client import AuthHandler

from .support.report import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .support.cloud import Cloud

CALLERS: Final = 200
BATCH: Final = 1000  # calls


def measure(cloud: Cloud, batches: int) -> Iterator[Figure]:
    """Sign in without Home Assistant, get the token many times, then let it expire."""
    nanoseconds = asyncio.run(_get_tokens(cloud, batches))
    yield Figure(
        key="get_access_token.ns",
        text="get_access_token with a valid token",
        value=median(nanoseconds),
        unit="ns",
        samples=nanoseconds,
    )
    text = f"{CALLERS} callers with an expired token: requests"
    requests = cloud.requests().by_path.total()
    yield Figure(key="expired_token.requests", text=text, value=requests, aim=1)


async def _get_tokens(cloud: Cloud, batches: int) -> list[float]:
    credentials = cloud.credentials
    auth = AuthHandler(credentials["username"], credentials["password"], endpoints=cloud.endpoints)
    try:
        first = await auth.get_access_token()
        nanoseconds = [await _time_batch(auth) for _ in range(batches)]
        auth.invalidate(first)
        cloud.reset()
        tokens = await asyncio.gather(*(auth.get_access_token() for _ in range(CALLERS)))
    finally:
        await auth.close_session()
    assert set(tokens) != {first}, "the token was not refreshed"
    assert len(set(tokens)) == 1, "callers got different tokens"
    return nanoseconds


async def _time_batch(auth: AuthHandler) -> float:
    """Return the nanoseconds of one call, including the loop around it."""
    start = perf_counter_ns()
    for _ in range(BATCH):
        await auth.get_access_token()
    return (perf_counter_ns() - start) / BATCH
