"""What must be true after every case, by the simulator's journal and Home Assistant's log."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
import json
import re
from typing import TYPE_CHECKING, Any, Final

from tests.e2e.development import LOOP_ERRORS
from tests.e2e.operating import SETSTATE
from tests.soak.secrets import Secrets

if TYPE_CHECKING:
    from tests.soak.network.place import Place

DOOR: Final = "Cancello"
COMMAND_SECONDS: Final = 15.0
ON_THE_WAY: Final = 5.0  # seconds that a sent command may take, above the longest delay of a line
EXPORT: Final = "api/services/bticino_classe/export_calls?return_response"
OPENED: Final = "opened"
UNCLEAR: Final = "no clear answer"
# Home Assistant logs the message of every action that fails.
REPORTED: Final = re.compile(r" ERROR .*websocket_api.*Error during service call to lock\.open: ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """A press of *Open*: when (seconds since 1970), for how long, and what was said."""

    at: float
    took: float
    said: str


async def faults(place: Place, presses: list[Press], rings: list[tuple[float, bool]]) -> list[str]:
    """Return what is not as it must be."""
    found = [*await _doors(place, presses), *_rings(place, rings), *await _calls(place, rings)]
    found += [f"the cloud objects: {each}" for each in await place.operator.violations()]
    if (logins := await place.operator.logins()) != 1:
        found.append(f"signed in {logins} times")
    return found + log_faults(place.log(), secrets_of(place))


async def _doors(place: Place, presses: list[Press]) -> list[str]:
    """A door opens once for a press, in time, and as reported."""
    openings = (await place.operator.openings())[DOOR]
    reported = sum(press.said == OPENED for press in presses)
    unclear = sum(UNCLEAR in press.said for press in presses)
    found = []
    if not reported <= openings <= reported + unclear:
        found.append(f"{openings} openings; {reported} were reported, {unclear} were unclear")
    arrived = [entry["at"] for entry in await place.operator.journal(SETSTATE)]
    return found + late_commands([press.at for press in presses], arrived)


def late_commands(presses: list[float], arrived: list[float]) -> list[str]:
    """Return a fault for each command that has no press of its own shortly before it."""
    found, unanswered = [], sorted(presses)
    for at in sorted(arrived):
        fitting = [each for each in unanswered if 0 <= at - each <= COMMAND_SECONDS + ON_THE_WAY]
        if fitting:
            unanswered.remove(fitting[0])
        else:
            found.append("a command came without a press, or too late for it")
    return found


def _rings(place: Place, rings: list[tuple[float, bool]]) -> list[str]:
    """Every ring is shown once; one into a dead line at most once, and maybe late."""
    found, missing = [], 0
    ends = [at for at, _ in rings[1:]] + [float("inf")]
    for number, ((begun, must_show), end) in enumerate(zip(rings, ends, strict=True), 1):
        shown = sum(each.at < end for each in place.screen.rings_since(begun))
        missing += 1
        if shown > missing or (must_show and not shown):
            found.append(f"ring {number} of {len(rings)} was shown {shown} times")
        missing = 0 if must_show and missing == 1 else missing - shown
    return found


async def _calls(place: Place, rings: list[tuple[float, bool]]) -> list[str]:
    """Every call is in the history once."""
    start = (datetime.now(tz=UTC) - timedelta(minutes=30)).isoformat()
    answer = await place.owner.call("post", EXPORT, {"start": start})
    calls: list[dict[str, Any]] = answer["service_response"]["calls"]
    if len(calls) == len(rings) and all(call["outcome"] == "missed" for call in calls):
        return []
    outcomes = [call["outcome"] for call in calls]
    return [f"{len(rings)} calls, and in the history: {outcomes}"]


def secrets_of(place: Place) -> set[str]:
    """The secrets of the account: its password and the tokens that it has now."""
    stored = json.loads((place.state / "config/.storage/core.config_entries").read_text())
    entries = [each for each in stored["data"]["entries"] if each["domain"] == "bticino_classe"]
    return {secret for entry in entries for secret in secrets_in(entry["data"])}


def secrets_in(data: dict[str, Any]) -> set[str]:
    """The secrets in the data of an entry."""
    return {data["password"], data["token"]["access_token"], data["token"]["refresh_token"]}


def log_faults(log: str, secrets: set[str]) -> list[str]:
    """Return what may not be in Home Assistant's log."""
    lines = log.splitlines()
    wrong = ("Traceback", *LOOP_ERRORS)
    found = [f"logged: {line}" for line in lines if any(each in line for each in wrong)]
    errors = [line for line in lines if " ERROR " in line and not REPORTED.search(line)]
    found += [f"logged: {line}" for line in errors if f"logged: {line}" not in found]
    return found + ["a secret is in the log" for _ in Secrets(secrets).find(log.encode())]
