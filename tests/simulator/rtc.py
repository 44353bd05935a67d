"""What clients say on the signaling socket, and what the cloud answers."""

from collections import Counter
import json
from typing import TYPE_CHECKING, Any

from tests.simulator import rtc_frames
from tests.simulator.connection import Connection, Frame
from tests.simulator.paths import BAD_TOKEN_CODES, ERRORS
from tests.simulator.rtc_calls import Calls, Taken, pause
from tests.simulator.rtc_frames import MESSAGES, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from tests.simulator.cloud import Cloud
    from tests.simulator.house import Json
    from tests.simulator.journal import Entry


class Rtc(Calls):
    """The calls, and everything that clients do with them."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        #: The client's well-formed frames by kind, whatever became of them.
        self.frames: Counter[str] = Counter()
        self._do: Mapping[str, Callable[[Connection, Any], Taken]] = {
            "offer": self.offered,
            "answer": self.answered,
            "candidate": self.candidate,
            "terminate": self.terminate,
            "player": self.player,
        }

    @property
    def offers(self) -> int:
        """How often a client dialled."""
        return self.frames["offer"]

    @property
    def answers(self) -> int:
        """How often a client answered a ring."""
        return self.frames["answer"]

    @property
    def terminates(self) -> int:
        """How often a client said that a call is over."""
        return self.frames["terminate"]

    def take(self, connection: Connection, frame: Mapping[str, Any], entry: Entry) -> None:
        """Do what a client's frame asks for, and acknowledge it."""
        number = frame.get("correlation_id")
        try:
            taken = self._carry_out(connection, frame)
        except Refused as refused:
            answer = self._refusal(refused, number, entry)
            self.spawn(self._acknowledge(connection, answer, None))
            return
        finally:
            self.changed()
        entry.status = 200
        if self.settings.silent_acks:
            entry.status, entry.fault = None, "no acknowledgement"
        answer = rtc_frames.ack(ids=taken.ids, echo=self._echo(number))
        self.spawn(self._acknowledge(connection, answer, taken.then))

    def _carry_out(self, connection: Connection, frame: Mapping[str, Any]) -> Taken:
        rtc_frames.check(frame)
        if not connection.subscribed:
            raise Refused(2, noted="a call without a subscription")
        trouble = self.cloud.account.token_error(connection.token)
        if trouble is not None:
            raise Refused(trouble)
        kind = frame["data"]["type"]
        self.frames[kind] += 1
        return self._do[kind](connection, frame)

    def _refusal(self, refused: Refused, number: object, entry: Entry) -> Json:
        usual = MESSAGES.get(refused.code, ERRORS.get(refused.code, (0, "Unknown error"))[1])
        entry.refused = refused.noted or refused.message or usual
        entry.bad_token = refused.code in BAD_TOKEN_CODES
        entry.status = 200
        if refused.noted:
            self.cloud.report_violation(f"{entry.path}: {refused.noted}")
        return rtc_frames.refusal(refused.code, refused.message or usual, echo=self._echo(number))

    def _echo(self, number: object) -> Json:
        match self.settings.ack_echo:
            case "echo":
                return {"correlation_id": number}
            case "null":
                return {"correlation_id": None}
        return {}

    async def _acknowledge(
        self,
        connection: Connection,
        answer: Json,
        then: Callable[[], Coroutine[Any, Any, None]] | None,
    ) -> None:
        await pause(self.settings.ack_delay)
        if not (self.settings.silent_acks or connection.dead):
            connection.send(Frame(payload=json.dumps(answer).encode()))
        if then is not None:
            await then()
