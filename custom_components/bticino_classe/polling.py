"""Requests the states of the homes; one that fails does not affect the others."""

from datetime import timedelta
import math
from typing import TYPE_CHECKING, Final, TypeIs

from homeassistant.util import dt as dt_util

from .client import (
    ApiError,
    AuthError,
    BticinoError,
    ForbiddenError,
    InvalidRequestError,
    ModuleState,
    NoAnswerError,
    NotFoundError,
    RateLimitError,
)
from .const import LOGGER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from homeassistant.core import HomeAssistant

    from .client import Account, Home

OUTAGE_TOLERANCE: Final = timedelta(minutes=15)  # since the last good answer
STATUS_INTERVAL: Final = timedelta(minutes=5)  # while nothing is pushed
START_INTERVALS: Final = tuple(timedelta(seconds=each) for each in (10, 20, 40, 80, 160))
MAX_UNANSWERED: Final = 2  # requests in a row, before the other homes are not requested any more
_REFUSALS: Final = (ForbiddenError, NotFoundError, InvalidRequestError)


class LastAnswer:
    """When the cloud last answered.

    Both clocks have to agree that it was long ago: this machine's time may be set meanwhile.
    """

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self._at = (0.0, 0.0)

    def note(self) -> None:
        """Note an answer, or that an outage cannot have begun before now."""
        self._at = self._now()

    @property
    def age(self) -> float:
        """Seconds since the last answer."""
        return min(now - then for now, then in zip(self._now(), self._at, strict=True))

    @property
    def is_long_ago(self) -> bool:
        """Whether an outage is so long that the last values no longer count."""
        return self.age >= OUTAGE_TOLERANCE.total_seconds()

    def _now(self) -> tuple[float, float]:
        return self._hass.loop.time(), dt_util.utcnow().timestamp()


class HomePoller:
    """Requests states home by home, and remembers which homes do not answer."""

    def __init__(self, hass: HomeAssistant, account: Account) -> None:
        self._hass = hass
        self._account = account
        self._last_answers: dict[str, LastAnswer] = {}
        self.answered: set[str] = set()  # homes that the cloud has answered for since the start
        self.failing: frozenset[str] = frozenset()
        self.refused: frozenset[str] = frozenset()
        self.retry_after: float | None = None

    async def fetch(
        self, homes: Iterable[Home], *, is_pushed: bool
    ) -> dict[str, Mapping[str, ModuleState]]:
        """Return the states by home, without the homes that briefly did not answer.

        Raises an error if no home answered. Our own rate limiter may postpone homes; if one has
        never answered, `retry_after` says in how many seconds it can be requested. `is_pushed`:
        pushes showed until now that the cloud works.
        """
        known = {home.id: home for home in homes}
        found: dict[str, Mapping[str, ModuleState]] = {}
        # Homes that were postponed the last time come first.
        errors = await self._request(sorted(known.values(), key=self._age, reverse=True), found)
        if errors and not found:
            raise min(errors.values(), key=_is_local)
        for home_id in found:
            self._last_answer(home_id).note()
        self.answered.update(found)
        self._remember(known, errors, is_pushed=is_pushed)
        lost = [home for home in known.values() if home.id in errors and self._is_lost(home.id)]
        return found | {home.id: _unreachable(home) for home in lost}

    async def _request(
        self, homes: Iterable[Home], found: dict[str, Mapping[str, ModuleState]]
    ) -> dict[str, ApiError | NoAnswerError]:
        """Request the states of each home; returns the errors by home."""
        errors: dict[str, ApiError | NoAnswerError] = {}
        for home in homes:
            unanswered = [err for err in errors.values() if isinstance(err, NoAnswerError)]
            if len(unanswered) >= MAX_UNANSWERED:  # each may have taken as long as a time-out
                errors[home.id] = unanswered[0]
                continue
            try:
                found[home.id] = await self._account.states(home.id)
            except AuthError:
                raise
            except (ApiError, NoAnswerError) as err:
                errors[home.id] = err
        return errors

    def _remember(
        self,
        homes: Mapping[str, Home],
        errors: Mapping[str, ApiError | NoAnswerError],
        *,
        is_pushed: bool,
    ) -> None:
        """Remember which homes failed; the outage of one is logged once."""
        refused = {key for key, err in errors.items() if isinstance(err, _REFUSALS)}
        postponed = {key: err.retry_after for key, err in errors.items() if _is_local(err)}
        failing = (errors.keys() - refused - postponed.keys()) | (self.failing & postponed.keys())
        for home_id in failing - self.failing:
            if is_pushed or home_id not in self._last_answers:
                self._last_answer(home_id).note()
            name, err = homes[home_id].name, errors[home_id]
            LOGGER.warning("The cloud does not answer properly for the home %s: %s", name, err)
        for home_id in self.failing & homes.keys() - failing:
            LOGGER.info("The cloud answers again for the home %s", homes[home_id].name)
        self.refused, self.failing = frozenset(refused), frozenset(failing)
        self.answered |= refused
        unknown = postponed.keys() - self._last_answers.keys()
        self.retry_after = min(filter(None, map(postponed.get, unknown)), default=None)

    def _is_lost(self, home_id: str) -> bool:
        is_failing = home_id in self.failing
        return home_id in self.refused or (is_failing and self._last_answer(home_id).is_long_ago)

    def _age(self, home: Home) -> float:
        return self._last_answer(home.id).age if home.id in self._last_answers else math.inf

    def _last_answer(self, home_id: str) -> LastAnswer:
        return self._last_answers.setdefault(home_id, LastAnswer(self._hass))


def interval_of_start(polls: int) -> timedelta:
    """Return the time until the next poll, after so many that left something unanswered."""
    return (*START_INTERVALS, STATUS_INTERVAL)[min(max(0, polls - 1), len(START_INTERVALS))]


def interval_after(wait: float) -> int:
    """Return the seconds until the poll that follows a wait, which the cloud or we have named.

    Without a lower limit, a wait of nothing would repeat the poll over and over. The base class
    counts from the last whole second, so one more second is added.
    """
    return math.ceil(max(wait, START_INTERVALS[0].total_seconds())) + 1


def _is_local(err: BticinoError) -> TypeIs[RateLimitError]:
    return isinstance(err, RateLimitError) and err.is_local


def _unreachable(home: Home) -> dict[str, ModuleState]:
    return {module_id: ModuleState(id=module_id, reachable=False) for module_id in home.modules}
