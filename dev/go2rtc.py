"""go2rtc for the development server: a stand-in, or one that runs already."""

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.go2rtc.server import Go2rtc

from .options import STAND_IN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def running_go2rtc(wanted: str | None) -> AsyncIterator[dict[str, str]]:
    """Run the stand-in if it is wanted; yield the environment that dev/packages/go2rtc.yaml uses.

    `wanted` is STAND_IN, the address of another go2rtc, or None.
    """
    if wanted is None:
        yield {}
    elif wanted != STAND_IN:
        yield {"GO2RTC_URL": wanted}
    else:
        server = Go2rtc()
        await server.start()
        try:
            yield {"GO2RTC_URL": server.url}
        finally:
            await server.stop()
