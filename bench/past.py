"""A history on disk as a long life of the house leaves it: calls, each with its two pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from custom_components.bticino_classe.history.archive import Archive, Index
from custom_components.bticino_classe.history.picture_files import Named, file_name

from custom_components.bticino_classe.client.calls import CallState
from custom_components.bticino_classe.const import (
    CONF_CALLS,
    CONF_DAYS,
    CONF_HISTORY,
    CONF_MEGABYTES,
    DOMAIN,
)
from custom_components.bticino_classe.history.records import (
    DAY,
    KINDS,
    CallRecord,
    KeptPicture,
    call_id,
)

from .home import entry_of, set_up

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

DAYS: Final = 80  # that the calls are spread over
CONTENT: Final = b"\xff\xd8\xff\xe0"  # of a picture: how large it is matters to no index
OUTCOMES: Final = (CallState.MISSED, CallState.ANSWERED, CallState.ENDED)


async def places(hass: HomeAssistant) -> tuple[str, str]:
    """Return the ids of the intercom and of its first panel."""
    await set_up(hass)
    house = entry_of(hass).runtime_data.coordinator.data
    bridge_id: str = house.bridges[0].id
    return bridge_id, house.panels_of(bridge_id)[0]


def limit(hass: HomeAssistant, **limits: int) -> None:
    """Say how much is to be kept, before the account is set up."""
    entry = entry_of(hass)
    hass.config_entries.async_update_entry(entry, options={CONF_HISTORY: limits})


async def fill(hass: HomeAssistant, number: int, at: tuple[str, str], now: float) -> None:
    """Write so many calls, of which the newest was an hour ago; the account is not set up."""
    limit(hass, **{CONF_CALLS: 10_000, CONF_DAYS: 100, CONF_MEGABYTES: 10_000})
    entry_id = entry_of(hass).entry_id
    first, apart = now - DAYS * DAY, (DAYS * DAY - 3600) / number
    calls = tuple(_call(each, at, first + each * apart) for each in range(number))
    await Archive(hass, entry_id).async_save(Index(calls=calls, begun_at=first - DAY))
    folder = folder_of(hass)
    await hass.async_add_executor_job(_write_pictures, folder, calls)


def folder_of(hass: HomeAssistant) -> Path:
    """Return where the account's pictures are."""
    return Path(hass.config.path(".storage", DOMAIN, entry_of(hass).entry_id))


def index_of(hass: HomeAssistant) -> Path:
    """Return the file of the account's index."""
    return Path(hass.config.path(".storage", f"{DOMAIN}.{entry_of(hass).entry_id}"))


def _call(number: int, at: tuple[str, str], time: float) -> CallRecord:
    bridge_id, panel_id = at
    known_as = call_id(str(number))
    snapshot, vignette = (
        _picture(Named(module_id=panel_id, time=time, call_id=known_as, kind=kind))
        for kind in KINDS
    )
    return CallRecord(
        id=known_as,
        bridge_id=bridge_id,
        panel_id=panel_id,
        time=time,
        outcome=OUTCOMES[number % len(OUTCOMES)].value,
        ended_at=time + 30,
        snapshot=snapshot,
        vignette=vignette,
    )


def _picture(named: Named) -> KeptPicture:
    return KeptPicture(file=file_name(named, "image/jpeg"), size=len(CONTENT))


def _write_pictures(folder: Path, calls: tuple[CallRecord, ...]) -> None:
    """Write them as they are found after years; that each is safe on disk takes too long here."""
    for file in (file for call in calls for file in call.files):
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENT)
