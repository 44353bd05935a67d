"""The numbers in README.md and docs/ are the constants of the code."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe import calendar, commands, const, coordinator, polling
from custom_components.bticino_classe.client import Gathering, pictures, rate_limiter
from custom_components.bticino_classe.client.websocket import backoff
from custom_components.bticino_classe.history import (
    catch_up,
    downloads,
    export,
    http,
    records,
    writing,
)
from custom_components.bticino_classe.live import relays, whep
from custom_components.bticino_classe.recording import file, recorder

if TYPE_CHECKING:
    from datetime import timedelta

ROOT = Path(__file__).parents[2]
EVENTS, MORE_EVENTS = catch_up.EVENTS, catch_up.EVENTS_AFTER_LONG_GAP
(SHORT, SHORT_SECONDS), (LONG, LONG_SECONDS) = rate_limiter.LIMITS
DAYS, CALLS, MEGABYTES = const.DEFAULT_DAYS, const.DEFAULT_CALLS, const.DEFAULT_MEGABYTES
MEMORY = records.MEMORY_LIMITS
KEPT_RECORDING = int(file.KEEP_SECONDS // 86_400)
QUIET = whep.QUIET_SECONDS
WORDS = {2: "two", 4: "four", 5: "five"}


def minutes(interval: timedelta) -> int:
    """Return the whole minutes of an interval."""
    return int(interval.total_seconds() // 60)


POLL, POLL_WHILE_DOWN = minutes(coordinator.SAFETY_INTERVAL), minutes(polling.STATUS_INTERVAL)
*FIRST, LAST_START_SECONDS = (f"{each.total_seconds():.0f}" for each in polling.START_INTERVALS)
START_SECONDS = ", ".join(FIRST)
SENTENCES = [
    ("README.md", f"up to the home's {MORE_EVENTS} newest events"),
    ("README.md", f"delay of up to {POLL} minutes"),
    ("docs/it/README.md", f"fino ai {MORE_EVENTS} eventi più recenti della casa"),
    ("docs/it/README.md", f"ritardo fino a {POLL} minuti"),
    ("docs/how_it_works.md", f"Newest {EVENTS} events of a home ({MORE_EVENTS} if"),
    ("docs/how_it_works.md", f"every {POLL} minutes, or every {POLL_WHILE_DOWN} minutes while"),
    ("docs/how_it_works.md", f"({SHORT} in {SHORT_SECONDS:.0f} seconds, {LONG} per hour)"),
    ("docs/how_it_works.md", f"may use {rate_limiter.ROUTINE_SHARE * 100:.0f} %"),
    ("docs/how_it_works.md", f"at most {WORDS[downloads.MAX_PARALLEL]} at a time"),
    ("docs/how_it_works.md", f"has {commands.COMMAND_SECONDS:.0f} seconds from the press"),
    ("docs/how_it_works.md", f"by at most {commands.SETTING_GRACE_SECONDS:.0f} seconds"),
    ("docs/streams.md", f"| {const.DEFAULT_VIEW_SECONDS} s | 10 to 600 |"),
    ("docs/streams.md", f"| {const.DEFAULT_PAUSE_SECONDS} s | 5 to 3600 |"),
    ("docs/development.md", f"a pause of {const.DEFAULT_PAUSE_SECONDS} seconds"),
    ("docs/streams.md", f"{relays.RELAY_FAILURE_PAUSE_SECONDS:.0f} seconds after a call that"),
    ("docs/streams.md", f"| {const.DEFAULT_VIEWS_PER_HOUR} | 1 to 60 |"),
    ("docs/streams.md", f"at most {const.MAX_STREAM_MINUTES_PER_HOUR} minutes of every hour"),
    ("docs/streams.md", f"more than {whep.MAX_BODY_BYTES >> 10} KiB"),
    ("docs/streams.md", f"later than {WORDS[int(whep.GATHER_SECONDS)]} seconds after its answer"),
    ("docs/troubleshooting.md", f"up to {MORE_EVENTS} of the home's newest events"),
    ("docs/troubleshooting.md", f"about {minutes(polling.OUTAGE_TOLERANCE)} minutes"),
    ("docs/it/troubleshooting.md", f"fino a {MORE_EVENTS} eventi della casa, i più recenti"),
    ("docs/it/troubleshooting.md", f"circa {minutes(polling.OUTAGE_TOLERANCE)} minuti"),
    ("docs/entities.md", f"up to {WORDS[int(http.WAIT_SECONDS)]} seconds, then answers *404*"),
    ("docs/entities.md", f"ends {calendar.UNKNOWN_END_SECONDS:.0f} seconds after"),
    ("docs/entities.md", f"otherwise within {POLL} minutes"),
    ("docs/entities.md", f"{const.DEFAULT_PULSE_TIME} s (1 to 60)"),
    ("docs/entities.md", f"{DAYS} (1 to 3650), {CALLS} (10 to 10,000), {MEGABYTES} (1 to 10,000)"),
    ("docs/actions.md", f"default: the last {export.DEFAULT_SPAN.days} days"),
    ("docs/privacy.md", f"{DAYS} days, {CALLS} calls, {MEGABYTES} MB of pictures"),
    ("docs/privacy.md", f"| {writing.REMEMBERED_DAYS} days, or as long"),
    ("docs/privacy.md", f"{MEMORY.days * 24} hours (at most {MEMORY.calls}, with"),
    ("docs/privacy.md", f"with {MEMORY.megabytes} MB of pictures"),
    ("docs/privacy.md", f"at most {recorder.MAX_BYTES >> 20} MiB, which"),
    ("docs/privacy.md", f"| {KEPT_RECORDING} days, or until the next"),
    ("docs/protocol.md", f"at {recorder.MAX_BYTES >> 20} MiB"),
    ("docs/protocol.md", f"deleted after {KEPT_RECORDING} days"),
    ("docs/actions.md", f"1 to {recorder.MAX_MINUTES}, default {recorder.DEFAULT_MINUTES}. See"),
    ("docs/security.md", f"up to {pictures.MAX_PICTURE_BYTES >> 20} MiB"),
    ("docs/how_it_works.md", f"after {START_SECONDS} and {LAST_START_SECONDS} seconds, then every"),
    ("docs/how_it_works.md", f"each failure up to {backoff.SHORT_DELAY:.0f} seconds"),
    ("docs/how_it_works.md", f"waited so far, at most {backoff.LONGEST_DELAY:.0f} seconds"),
    ("docs/development.md", f"has come for {QUIET[Gathering.RELAYED]} seconds after a relayed one"),
    ("docs/development.md", f"{QUIET[Gathering.REFLEXIVE]} seconds after a public one"),
    ("docs/development.md", f"or {QUIET[Gathering.HOST]:.0f} second after one"),
    ("docs/benchmarks.md", f"a bound of at most {backoff.LONGEST_DELAY:.0f} s"),
]


@pytest.mark.parametrize(("document", "sentence"), SENTENCES)
def test_number(document: str, sentence: str) -> None:
    """If a constant changes, so does the sentence."""
    text = (ROOT / document).read_text(encoding="utf-8")
    assert sentence in " ".join(text.split())


def test_unit_of_the_long_limit() -> None:
    """The documents say "per hour"."""
    assert LONG_SECONDS == 3600
