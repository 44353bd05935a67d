"""Frames of clients on the signaling socket, and their acknowledgements."""

import asyncio
from collections import Counter
import json
from typing import TYPE_CHECKING, Any

from tests.simulator import rtc_frames
from tests.simulator.connection import Connection, Frame
from tests.simulator.paths import BAD_TOKEN_CODES, ERRORS
from tests.simulator.rtc_frames import MESSAGES, RtcError
from tests.simulator.rtc_handlers import Accepted, RtcHandlers, pause

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from tests.simulator.cloud import Cloud
    from tests.simulator.house import Json
    from tests.simulator.journal import Entry


class Rtc(RtcHandlers):
    """The signaling service: handles and acknowledges the frames of clients."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        #: Number of valid frames from clients by kind, accepted or error.
        self.frames: Counter[str] = Counter()
        self._acks_released = asyncio.Event()
        self.release_acks()
        self._handlers: Mapping[str, Callable[[Connection, Any], Accepted]] = {
            "offer": self.handle_offer,
            "answer": self.handle_answer,
            "candidate": self.handle_candidate,
            "terminate": self.handle_terminate,
            "player": self.handle_player,
        }

    def hold_acks(self) -> None:
        """Send no acknowledgement until `release_acks`."""
        self._acks_released.clear()

    def release_acks(self) -> None:
        """Send the held acknowledgements, and all others at once."""
        self._acks_released.set()

    @property
    def offers(self) -> int:
        """The number of offers from clients."""
        return self.frames["offer"]

    @property
    def answers(self) -> int:
        """The number of answers to rings from clients."""
        return self.frames["answer"]

    @property
    def terminates(self) -> int:
        """The number of terminates from clients."""
        return self.frames["terminate"]

    def handle(self, connection: Connection, frame: Mapping[str, Any], entry: Entry) -> None:
        """Handle a client's frame and acknowledge it."""
        correlation_id = frame.get("correlation_id")
        try:
            accepted = self._dispatch(connection, frame)
        except RtcError as error:
            ack = self._error_ack(error, correlation_id, entry)
            self.spawn(self._acknowledge(connection, ack, None))
            return
        finally:
            self.notify_waiters()
        entry.status = 200
        if self.settings.silent_acks:
            entry.status, entry.fault = None, "no acknowledgement"
        ack = rtc_frames.ack(ids=accepted.ids, echo=self._echo(correlation_id))
        self.spawn(self._acknowledge(connection, ack, accepted.then))

    def _dispatch(self, connection: Connection, frame: Mapping[str, Any]) -> Accepted:
        rtc_frames.check(frame)
        if not connection.subscribed:
            raise RtcError(2, violation="rtc frame without a subscription")
        code = self.cloud.account.token_error(connection.token)
        if code is not None:
            raise RtcError(code)
        kind = frame["data"]["type"]
        self.frames[kind] += 1
        return self._handlers[kind](connection, frame)

    def _error_ack(self, error: RtcError, correlation_id: object, entry: Entry) -> Json:
        default = MESSAGES.get(error.code, ERRORS.get(error.code, (0, "Unknown error"))[1])
        entry.refused = error.violation or error.message or default
        entry.bad_token = error.code in BAD_TOKEN_CODES
        entry.status = 200
        if error.violation:
            self.cloud.report_violation(f"{entry.path}: {error.violation}")
        return rtc_frames.error_ack(
            error.code, error.message or default, echo=self._echo(correlation_id)
        )

    def _echo(self, correlation_id: object) -> Json:
        match self.settings.ack_echo:
            case "echo":
                return {"correlation_id": correlation_id}
            case "null":
                return {"correlation_id": None}
        return {}

    async def _acknowledge(
        self,
        connection: Connection,
        ack: Json,
        then: Callable[[], Coroutine[Any, Any, None]] | None,
    ) -> None:
        await pause(self.settings.ack_delay)
        await self._acks_released.wait()
        if not (self.settings.silent_acks or connection.stalled):
            connection.send(Frame(payload=json.dumps(ack).encode()))
        if then is not None:
            await then()
