"""Days and times of calls in words, in the language of the house."""

from datetime import date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from homeassistant.helpers.translation import async_get_translations
import pytest

from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.history.formatting import async_call_formatter
from tests.integration.conftest import get_entry

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from custom_components.bticino_classe.history.formatting import CallFormatter

ROME = ZoneInfo("Europe/Rome")


@pytest.mark.parametrize(
    ("at", "english", "italian"),
    [
        ("2026-03-01 23:49", "Today 23:49", "Oggi 23:49"),
        ("2026-03-01 00:00", "Today 00:00", "Oggi 00:00"),
        ("2026-02-28 23:59", "Yesterday 23:59", "Ieri 23:59"),
        ("2026-02-27 08:05", "27 February 08:05", "27 febbraio 08:05"),
        ("2026-01-01 00:00", "1 January 00:00", "1 gennaio 00:00"),
        ("2025-12-31 12:00", "31 December 2025 12:00", "31 dicembre 2025 12:00"),
        ("2026-03-02 01:00", "2 March 01:00", "2 marzo 01:00"),  # the clock was set back
    ],
)
@pytest.mark.usefixtures("online_entry")
async def test_times_in_words(hass: HomeAssistant, at: str, english: str, italian: str) -> None:
    """Without a year in this year."""
    now = datetime(2026, 3, 1, 23, 50, tzinfo=ROME)
    moment = datetime.fromisoformat(at).replace(tzinfo=ROME)
    assert (await formatter(hass, "en")).moment(moment, now) == english
    assert (await formatter(hass, "it")).moment(moment, now) == italian


@pytest.mark.usefixtures("online_entry")
async def test_every_month_and_weekday(hass: HomeAssistant) -> None:
    """As Python has them in English; none is missing in Italian."""
    today = date(2026, 3, 1)
    english, italian = await formatter(hass, "en"), await formatter(hass, "it")
    days = [date(2026, month, month) for month in range(1, 13)]
    assert [english.month(day) for day in days] == [f"{day:%B} 2026" for day in days]
    assert [english.day(day, today) for day in days] == [
        f"{day:%A} {day.day} {day:%B}" for day in days
    ]
    texts = [italian.month(day) for day in days]
    assert len({*texts}) == 12
    assert (texts[0], italian.day(days[10], today)) == ("Gennaio 2026", "Mercoledì 11 novembre")
    week = {italian.day(date(2026, 3, day), today).partition(" ")[0] for day in range(1, 8)}
    assert len(week) == 7
    assert english.day(date(2025, 3, 1), today) == "Saturday 1 March 2025"


async def formatter(hass: HomeAssistant, language: str) -> CallFormatter:
    """Return what formats calls in a language."""
    await hass.config.async_update(language=language)
    await async_get_translations(hass, language, "common", {DOMAIN})
    return async_call_formatter(hass, get_entry(hass).entry_id)
