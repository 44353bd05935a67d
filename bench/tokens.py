"""What a token costs: held, and expired with many callers at once."""

import asyncio
from statistics import median
from time import perf_counter_ns
from typing import TYPE_CHECKING, Final

from custom_components.bticino_classe.client import AuthHandler

from .figures import Figure, count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .cloud import Cloud

CALLERS: Final = 200
BATCH: Final = 1000  # calls


def measure(cloud: Cloud, batches: int) -> Iterator[Figure]:
    """Sign in without Home Assistant, take the held token many times, then let it expire."""
    nanoseconds = asyncio.run(_ask_together(cloud, batches))
    yield Figure(
        key="get_access_token.ns",
        text="get_access_token with a valid token",
        value=median(nanoseconds),
        unit="ns",
        samples=nanoseconds,
    )
    text = f"{CALLERS} callers with an expired token: requests"
    yield count("expired.requests", text, cloud.requests().by_path.total(), aim=1)


async def _ask_together(cloud: Cloud, batches: int) -> list[float]:
    known = cloud.credentials
    auth = AuthHandler(known["username"], known["password"], endpoints=cloud.endpoints)
    try:
        held = await auth.get_access_token()
        nanoseconds = [await _batch(auth) for _ in range(batches)]
        auth.invalidate(held)
        cloud.forget()
        found = await asyncio.gather(*(auth.get_access_token() for _ in range(CALLERS)))
    finally:
        await auth.close_session()
    assert set(found) != {held}, "the token was not renewed"
    assert len(set(found)) == 1, "callers were given different tokens"
    return nanoseconds


async def _batch(auth: AuthHandler) -> float:
    """Nanoseconds of one call; the loop around it is counted in."""
    begin = perf_counter_ns()
    for _ in range(BATCH):
        await auth.get_access_token()
    return (perf_counter_ns() - begin) / BATCH
