"""Records an account's traffic with the cloud on request."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from homeassistant.const import (
    CONF_PASSWORD,
    CONF_TOKEN,
    CONF_USERNAME,
    EVENT_HOMEASSISTANT_STOP,
    __version__,
)
from homeassistant.core import CALLBACK_TYPE, HassJob, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.event import async_call_later
from homeassistant.loader import async_get_loaded_integration
from homeassistant.util import dt as dt_util

from ..client import BticinoError, ModuleKind, TrafficRecorder
from ..const import DOMAIN, LOGGER
from .file import KEEP_SECONDS, RecordingFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import Event, HomeAssistant

    from ..client import PushChannel
    from ..coordinator import BticinoCoordinator

DEFAULT_MINUTES: Final = 10
MAX_MINUTES: Final = 60
MAX_BYTES: Final = 2 * 1024 * 1024
EVENTS: Final = 20  # of a home, read at the start


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingResult:
    """A finished recording: messages by channel, redacted values by kind; `size` in bytes."""

    file: str
    ended: str
    seconds: float
    size: int
    messages: dict[str, int]
    redacted: dict[str, int]


class ProtocolRecorder:
    """Records the traffic of an account for some minutes, once at a time.

    Everything is redacted before it is written to the disk.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        coordinator: BticinoCoordinator,
        push: PushChannel,
    ) -> None:
        self._hass = hass
        self._entry = entry
        self._coordinator = coordinator
        self._push = push
        self._file = RecordingFile(hass, entry.entry_id)
        self._recording: _Recording | None = None
        self._cancel_deletion: CALLBACK_TYPE | None = None

    @callback
    def async_start(self) -> None:
        """Delete the last recording when it is due, and end a new one with the entry."""
        self._entry.async_on_unload(self._async_close)
        stop = self._hass.bus.async_listen(EVENT_HOMEASSISTANT_STOP, self._async_on_stop)
        self._entry.async_on_unload(stop)
        self._entry.async_create_background_task(
            self._hass, self._async_delete_if_old(), "bticino_classe old recording"
        )

    async def async_record(self, minutes: float) -> RecordingResult:
        """Record for some minutes and return what was recorded.

        A second caller waits for the recording that runs. HomeAssistantError: it could not be
        written.
        """
        if self._recording is None or self._recording.result.done():
            self._recording = self._begin(minutes)
        result = self._recording.result
        await asyncio.wait([result])  # cancelling a caller does not end it
        return result.result()

    @callback
    def _begin(self, minutes: float) -> _Recording:
        """Start a recording, and read everything once, so that it has all kinds of answers."""
        account = self._coordinator.account
        recorder = partial(
            TrafficRecorder,
            account.auth.tap,
            known=self._known(),
            clock=account.clock.now,
            timer=self._hass.loop.time,
        )
        recording = _Recording(self._hass, self._file, recorder)
        reading = self._entry.async_create_background_task(
            self._hass, self._async_read_everything(), "bticino_classe recording"
        )
        time_up = HassJob(recording.async_on_time_up, cancel_on_shutdown=True)
        cancel_timer = async_call_later(self._hass, minutes * 60, time_up)

        @callback
        def clean_up(_result: asyncio.Future[RecordingResult]) -> None:
            cancel_timer()
            reading.cancel()
            self._plan_deletion(KEEP_SECONDS)

        recording.result.add_done_callback(clean_up)
        return recording

    async def _async_on_stop(self, _event: Event) -> None:
        await self._async_end("stopped")

    async def _async_close(self) -> None:
        await self._async_end("unloaded")
        self._cancel_plan()

    async def _async_end(self, reason: str) -> None:
        """End the recording, if there is one, and wait until its file is complete."""
        if self._recording is not None:
            self._recording.async_end(reason)
            await asyncio.wait([self._recording.result])

    def _known(self) -> Iterator[tuple[str, str]]:
        """Yield what is personal: names and ids with their kinds."""
        data = self._entry.data
        yield data[CONF_USERNAME], "email"
        if CONF_PASSWORD in data:
            yield data[CONF_PASSWORD], "secret"
        for token in (data.get(CONF_TOKEN) or {}).values():
            if isinstance(token, str):
                yield token, "token"
        for home in self._coordinator.known_homes.homes.values():
            yield home.id, "home"
            if home.name is not None:
                yield home.name, "name"
            for module in home.modules.values():
                is_known = module.kind is not ModuleKind.UNKNOWN
                yield module.id, module.kind.value if is_known else "module"
                if module.name is not None:
                    yield module.name, "name"

    async def _async_read_everything(self) -> None:
        """Request every kind of answer; what the cloud refuses is recorded as well."""
        account, homes = self._coordinator.account, self._coordinator.data.homes.values()
        with suppress(BticinoError):
            await account.topology()
        with suppress(BticinoError):
            await account.ice_servers()
        if self._push.is_online:
            with suppress(BticinoError):
                await self._push.socket.resubscribe()
        for home in tuple(homes):
            with suppress(BticinoError):
                await account.states(home.id)
            with suppress(BticinoError):
                await account.events(home.id, size=EVENTS)
            with suppress(BticinoError):
                await account.settings(home)

    @callback
    def _plan_deletion(self, seconds: float) -> None:
        self._cancel_plan()
        job = HassJob(self._async_delete_if_old, cancel_on_shutdown=True)
        self._cancel_deletion = async_call_later(self._hass, seconds, job)

    @callback
    def _cancel_plan(self) -> None:
        if self._cancel_deletion is not None:
            self._cancel_deletion()
            self._cancel_deletion = None

    async def _async_delete_if_old(self, _now: datetime | None = None) -> None:
        """Delete the file if it is too old, else plan it."""
        try:
            now = dt_util.utcnow().timestamp()
            left = await self._hass.async_add_executor_job(self._file.delete_if_old, now)
        except OSError as err:
            LOGGER.debug("The recording could not be deleted: %s", err.strerror)
            return
        if left is not None:
            self._plan_deletion(left)


class _Recording:
    """A recording that runs; its lines are written in the background, in their order."""

    def __init__(
        self,
        hass: HomeAssistant,
        file: RecordingFile,
        new_recorder: Callable[[Callable[[bytes], None]], TrafficRecorder],
    ) -> None:
        self._hass = hass
        self._file = file
        self._lines: list[bytes] = []
        self._size = 0
        self._ended: str | None = None
        self._task: asyncio.Task[None] | None = None
        self.result: asyncio.Future[RecordingResult] = hass.loop.create_future()
        self._recorder = new_recorder(self._write)
        integration = async_get_loaded_integration(hass, DOMAIN)
        self._recorder.start(integration=str(integration.version), home_assistant=__version__)

    @callback
    def async_end(self, reason: str) -> None:
        """End the recording; `result` is set when the file is complete."""
        if self._ended is None:
            self._ended = reason
            self._recorder.stop(reason)

    @callback
    def async_on_time_up(self, _now: datetime) -> None:
        """End the recording after its time."""
        self.async_end("time")

    @callback
    def _write(self, line: bytes) -> None:
        if self._ended is None and self._size + len(line) > MAX_BYTES:
            self.async_end("size")
            return
        self._lines.append(line)
        self._size += len(line)
        if self._task is None or self._task.done():
            self._task = self._hass.async_create_task(
                self._flush(), "bticino_classe recording", eager_start=False
            )

    async def _flush(self) -> None:
        try:
            while self._lines:
                lines = b"".join(self._lines)
                self._lines.clear()
                await self._hass.async_add_executor_job(self._file.write, lines)
            if self._ended is not None:
                await self._hass.async_add_executor_job(self._file.close)
        except OSError as err:
            self._fail(err)
        else:
            if self._ended is not None:
                self.result.set_result(self._summary(self._ended))

    def _summary(self, ended: str) -> RecordingResult:
        return RecordingResult(
            file=self._file.name,
            ended=ended,
            seconds=self._recorder.seconds,
            size=self._size,
            messages=dict(self._recorder.messages),
            redacted=dict(self._recorder.redacted),
        )

    def _fail(self, err: OSError) -> None:
        LOGGER.warning("The recording could not be written: %s", err.strerror)
        self.async_end("not written")
        with suppress(OSError):
            self._file.close()
        failure = HomeAssistantError(
            translation_domain=DOMAIN, translation_key="recording_not_written"
        )
        self.result.set_exception(failure)
        self.result.exception()  # the caller may have gone away
