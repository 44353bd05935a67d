"""How much memory a restart takes for each module."""

from functools import partial
import gc
import tracemalloc
from typing import TYPE_CHECKING, Final

from .figures import Figure
from .home import live, set_up, sign_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from .cloud import Cloud

KIB: Final = 1024  # bytes


def measure(cloud: Cloud, folder: Path, sizes: Sequence[int]) -> Iterator[Figure]:
    """Restart at the smallest and the largest size; the difference is what modules take."""
    small, large = min(sizes), max(sizes)
    few, many = (_bytes(cloud, folder / str(size), size) for size in (small, large))
    yield Figure(
        key="memory.kib_per_module",
        text=f"memory of each module from {small} to {large}",
        value=(many - few) / (large - small) / KIB,
        unit="KiB",
    )


def _bytes(cloud: Cloud, folder: Path, modules: int) -> int:
    cloud.move(f"modules_{modules}")
    folder.mkdir()
    live(folder, cloud.endpoints, partial(sign_in, credentials=cloud.credentials))
    return live(folder, cloud.endpoints, _traced)


async def _traced(hass: HomeAssistant) -> int:
    """Set up; return what Python objects have been added and kept: entities, devices, states."""
    gc.collect()
    tracemalloc.start()
    try:
        await set_up(hass)
        await hass.async_block_till_done()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
