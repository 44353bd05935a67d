"""What happens on each day, and how often in a year."""

from dataclasses import dataclass
import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTE: Final = 60.0
HOUR: Final = 3600.0
#: Incidents begin before this time of a day, in seconds.
LAST_INCIDENT: Final = 17 * HOUR
#: How often each incident happens on a day; the numbers of a bad year.
ORDINARY: Final = {
    "missed": 1.5,
    "answered": 1.5,
    "answered_and_opened": 0.7,
    "answered_here": 0.5,
    "unanswered": 0.3,
    "opened": 2.0,
    "opened_twice_at_once": 0.2,
    "light": 1.0,
    "watched": 0.5,
    "do_not_disturb": 0.2,
    "calls_reset": 0.2,
    "reloaded": 0.1,
    "options_saved": 0.05,
}
BAD: Final = {
    "router_restarted": 0.15,
    "line_half_open": 0.1,
    "cloud_away": 0.15,
    "cloud_refuses_connections": 0.05,
    "requests_fail": 0.2,
    "command_fails": 0.15,
    "tokens_expired": 0.05,
    "tokens_refused": 0.05,
    "tokens_revoked": 0.02,
    "password_changed": 0.02,
    "client_retired": 0.01,
    "socket_misbehaves": 0.1,
    "pushes_doubled": 0.1,
    "door_vanished": 0.04,
    "panel_vanished": 0.03,
    "module_renamed": 0.04,
    "intercom_replaced": 0.01,
    "unplugged": 0.08,
    "clock_set": 0.06,
    "restarted": 0.12,
    "killed": 0.1,
    "killed_during_a_command": 0.03,
    "killed_after_a_ring": 0.05,
    "off_for_hours": 0.03,
    "disk_full": 0.03,
    "disk_read_only": 0.02,
    "history_damaged": 0.01,
    "calls_deleted": 0.02,
    "backup_restored": 0.01,
    "certificate_fails": 0.06,
}
#: How probable each of the things that people do is during a fault.
MEANWHILE: Final = 0.5
QUIET_MONTH: Final = range(150, 180)
#: On this day Home Assistant is upgraded from the oldest supported release to the newest.
UPGRADE: Final = 100


@dataclass(frozen=True, slots=True)
class Incident:
    """One thing that happens; `at` is in seconds of the day."""

    at: float
    name: str
    seed: int

    def __str__(self) -> str:
        hours, minutes = divmod(int(self.at // MINUTE), 60)
        return f"{hours:02}:{minutes:02} {self.name} ({self.seed})"


def incidents_of(seed: int, day: int) -> list[Incident]:
    """Return the incidents of a day, which depend on nothing but the two numbers."""
    chance = random.Random(f"{seed} {day}")  # noqa: S311 - a story, not a secret
    rates = ORDINARY if day in QUIET_MONTH else ORDINARY | BAD
    found = []
    for name, rate in rates.items():
        number = int(rate) + (chance.random() < rate % 1)
        for _ in range(number):
            at = chance.uniform(0, LAST_INCIDENT)
            found.append(Incident(at, name, chance.randrange(1_000_000)))
            if name in BAD:
                found += _meanwhile(at, chance)
    if day == UPGRADE:
        found.append(Incident(LAST_INCIDENT, "upgraded", 0))
    return sorted(found, key=lambda each: each.at)


def _meanwhile(at: float, chance: random.Random) -> Iterator[Incident]:
    """Yield what people do during a fault, or soon after it."""
    for name in ("missed", "answered", "answered_here", "opened", "watched"):
        if chance.random() < MEANWHILE:
            later = at + chance.choice((2.0, 40.0, 5 * MINUTE, HOUR)) * chance.random()
            yield Incident(later, name, chance.randrange(1_000_000))
