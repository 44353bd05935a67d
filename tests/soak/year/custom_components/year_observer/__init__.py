"""Writes each ring and outcome as automations see them, and counts what Home Assistant holds."""

import asyncio
from contextlib import suppress
import json
import os
from pathlib import Path
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import Event, SupportsResponse, callback
from homeassistant.helpers import config_validation as cv

if TYPE_CHECKING:
    from homeassistant.core import (
        EventStateChangedData,
        HomeAssistant,
        ServiceCall,
        ServiceResponse,
    )
    from homeassistant.helpers.typing import ConfigType

DOMAIN: Final = "year_observer"
CONFIG_SCHEMA: Final = cv.empty_config_schema(DOMAIN)
SEEN: Final = "seen.jsonl"


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:  # noqa: ARG001 - Home Assistant's signature
    """Start to write, and add the action `measure`."""
    # Outside the configuration folder, whose disk may be full and which may be restored.
    seen = (Path(hass.config.config_dir).parent / SEEN).open("a", buffering=1, encoding="utf-8")

    @callback
    def write(event: Event[EventStateChangedData]) -> None:
        new, old = event.data["new_state"], event.data["old_state"]
        # A restored state has no old one; a state that comes back had been unavailable.
        if new is None or old is None or not new.entity_id.startswith("event."):
            return
        if new.state in {"unavailable", "unknown", old.state} or old.state == "unavailable":
            return
        known = {"monotonic": time.monotonic(), "entity": new.entity_id}
        kept = ("event_type", "simulated", "answered_by", "panel")
        told = {name: new.attributes[name] for name in kept if name in new.attributes}
        seen.write(json.dumps(known | told) + "\n")

    hass.bus.async_listen(EVENT_STATE_CHANGED, write)
    hass.services.async_register(
        DOMAIN, "measure", _measure, supports_response=SupportsResponse.ONLY
    )
    return True


async def _measure(call: ServiceCall) -> ServiceResponse:
    """Return the resident memory in bytes and numbers of what a leak would increase."""
    del call
    loop: Any = asyncio.get_running_loop()
    files = _open_files()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])  # noqa: ASYNC240 - memory, not a disk
    return {
        "memory": pages * os.sysconf("SC_PAGE_SIZE"),
        "tasks": len(asyncio.all_tasks()),
        "timers": sum(not each.cancelled() for each in loop._scheduled),
        "threads": threading.active_count(),
        "files": len(files),
        "sockets": sum(name.startswith("socket:") for name in files),
    }


def _open_files() -> list[str]:
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the folder itself is closed already
            found.append(str(entry.readlink()))
    return found
