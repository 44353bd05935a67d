"""Days and times of calls in words, in the language of the house."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from homeassistant.helpers.translation import async_get_translations
import pytest

from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.history.formatting import async_call_formatter
from custom_components.bticino_classe.history.records import CallRecord
from scripts.lib.project_checks import LANGUAGES
from tests.integration.conftest import get_entry

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from custom_components.bticino_classe.history.formatting import CallFormatter

ROME = ZoneInfo("Europe/Rome")
SHOWN = 21  # characters


@pytest.mark.parametrize(
    ("at", "english", "italian"),
    [
        ("2026-03-01 23:49", "23:49 · Missed", "23:49 · Missed"),
        ("2026-03-01 00:00", "00:00 · Missed", "00:00 · Missed"),
        ("2026-02-28 23:59", "Yesterday · Missed · 23:59", "Ieri · Missed · 23:59"),
        ("2026-02-27 08:05", "27/2 · Missed · 08:05", "27/2 · Missed · 08:05"),
        ("2025-12-31 12:00", "31/12 · Missed · 12:00", "31/12 · Missed · 12:00"),
        ("2025-03-01 12:00", "1 March 2025 · Missed · 12:00", "1 marzo 2025 · Missed · 12:00"),
        ("2026-03-02 01:00", "2/3 · Missed · 01:00", "2/3 · Missed · 01:00"),  # clock set back
    ],
)
@pytest.mark.usefixtures("online_entry")
async def test_times(hass: HomeAssistant, at: str, english: str, italian: str) -> None:
    """The day comes before the text, the time of an earlier day after it."""
    now = datetime(2026, 3, 1, 23, 50, tzinfo=ROME)
    moment = datetime.fromisoformat(at).replace(tzinfo=ROME)
    for language, expected in (("en", english), ("it", italian)):
        title = (await formatter(hass, language)).dated("Missed", moment, now)
        assert title.replace("\N{NO-BREAK SPACE}", " ") == expected


@pytest.mark.parametrize("language", sorted(LANGUAGES))
@pytest.mark.parametrize("days", [0, 1, 2, 299])
@pytest.mark.usefixtures("online_entry")
async def test_day_and_outcome_come_first(hass: HomeAssistant, language: str, days: int) -> None:
    """A phone of 390 pixels shows some 20 characters of a title: enough for these."""
    now = datetime(2026, 12, 28, 23, 50, tzinfo=ROME)
    texts = await formatter(hass, language)
    call = CallRecord(id="1", session="1", bridge_id="1", time=0, outcome="")
    outcomes = {texts.outcome(replace(call, outcome=each)) for each in ("answered", "missed")}
    assert len(outcomes) == 2
    for outcome in outcomes:
        title = texts.dated(outcome, now - timedelta(days=days), now)
        shown = title[: title.index(outcome) + len(outcome)]
        assert len(shown) <= SHOWN
        assert " " not in shown  # frontends would cut it off there


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
    for category in ("common", "entity"):
        await async_get_translations(hass, language, category, {DOMAIN})
    return async_call_formatter(hass, get_entry(hass).entry_id)
