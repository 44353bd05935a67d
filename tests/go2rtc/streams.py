"""Streams, whose sources are connected while there are consumers, as with go2rtc 1.9.14."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiortc.exceptions import InvalidStateError, OperationError
from yarl import URL

from tests.go2rtc.media import TrackRelay
from tests.go2rtc.peer import Go2rtcPeer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from av import VideoFrame

SUPPORTED: Final = ("webrtc:http:", "webrtc:https:", "webrtc:ws:", "webrtc:wss:")
SDP: Final = {"Content-Type": "application/sdp"}
POST_TIMEOUT: Final = aiohttp.ClientTimeout(total=60)
CONNECT_SECONDS: Final = 60.0
KINDS: Final = ("video", "audio")
# Seconds before a source is tried again, with the number of failures up to which they apply.
RETRY_DELAYS: Final = ((5, 1.0), (10, 5.0), (20, 10.0))
LAST_RETRY_DELAY: Final = 60.0  # seconds


class StreamError(Exception):
    """The stream cannot be shown; the message is go2rtc's."""


class Source:
    """One view, which sends its media and may receive a voice."""

    def __init__(self, voice: TrackRelay | None) -> None:
        self._voice = voice
        self._spoken = None if voice is None else voice.subscribe()
        self._peer = Go2rtcPeer() if voice is None else Go2rtcPeer("two_way", self._spoken)

    @property
    def can_talk(self) -> bool:
        """Whether it receives a voice."""
        return self._peer.can_talk

    async def connect_by_whep(self, session: aiohttp.ClientSession, url: URL) -> None:
        """Send the offer and apply the answer; raises StreamError.

        go2rtc looks neither at the status nor at `Location`.
        """
        answer = await _post(session, url, await self._peer.offer())
        await self._peer.set_answer(_parsed(answer))

    async def connect_by_signaling(self, session: aiohttp.ClientSession, url: URL) -> None:
        """Do the same over go2rtc's own signaling, which is closed once there is a connection.

        go2rtc sends its candidates after the offer; those of the loopback would not be passed on.
        """
        try:
            async with asyncio.timeout(CONNECT_SECONDS), session.ws_connect(url) as socket:
                offer = await self._peer.offer()
                await socket.send_json({"type": "webrtc/offer", "value": offer})
                answer = await socket.receive_json()
                if answer["type"] != "webrtc/answer":
                    raise StreamError(f"wrong answer: {answer['value']}")
                await self._peer.set_answer(answer["value"])
                await self._wait_connected(socket)
        except aiohttp.ClientConnectorError as err:
            raise StreamError(_refused(url)) from err
        except (aiohttp.ClientError, TypeError, TimeoutError) as err:
            raise StreamError("websocket: bad handshake") from err

    async def relay(self, relays: dict[str, TrackRelay]) -> None:
        """Relay the tracks until the other side ends the view; closes the connection."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tracks = self._peer.tracks.items()
                running = [tasks.create_task(relays[kind].run(track)) for kind, track in tracks]
                await self._peer.wait_ended()
                for task in running:
                    task.cancel()
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the connection without a word."""
        await self._peer.close()
        if self._voice is not None and self._spoken is not None:
            self._voice.unsubscribe(self._spoken)

    async def _wait_connected(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        connected = asyncio.create_task(self._peer.wait_connected())
        reading = asyncio.create_task(self._read_candidates(socket))
        try:
            await asyncio.wait((connected, reading), return_when=asyncio.FIRST_COMPLETED)
            if not connected.done() or not connected.result():
                raise StreamError("webrtc: failed")
        finally:
            for task in (connected, reading):
                task.cancel()
            await asyncio.gather(connected, reading, return_exceptions=True)

    async def _read_candidates(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Read until the other side closes the WebSocket."""
        async for message in socket:
            frame = message.json()
            if frame["type"] == "webrtc/candidate":
                await self._peer.add_candidate(frame["value"])


class Dialer:
    """Connects sources, and counts the attempts."""

    def __init__(self, retry_delay: Callable[[int], float]) -> None:
        self.retry_delay = retry_delay
        self.session = aiohttp.ClientSession()
        self.attempts = 0

    async def connect(self, url: URL, voice: TrackRelay) -> Source:
        """Return a source that sends; raises StreamError."""
        self.attempts += 1
        is_two_way = url.scheme in {"ws", "wss"}
        source = Source(voice if is_two_way else None)
        connect = source.connect_by_signaling if is_two_way else source.connect_by_whep
        try:
            await connect(self.session, url)
        except (InvalidStateError, OperationError, ValueError) as err:
            await source.close()
            raise StreamError(str(err)) from err
        except BaseException:
            await source.close()
            raise
        return source


class Producer:
    """A source of a stream by its URL, and what the consumers say to it."""

    def __init__(self, url: str, dialer: Dialer) -> None:
        self.url = url
        self.relays = {kind: TrackRelay(kind) for kind in KINDS}
        self.voice = TrackRelay("audio")
        self.can_talk = False
        self._address = URL(url.removeprefix("webrtc:")).with_fragment(None)
        self._dialer = dialer
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_supported(self) -> bool:
        """Whether the stand-in can connect it."""
        return self.url.startswith(SUPPORTED)

    async def dial(self) -> None:
        """Connect the source, unless it is connected; raises StreamError."""
        async with self._lock:
            if self._task is None:
                source = await self._connect()
                self._task = asyncio.create_task(self._run(source))

    async def stop(self) -> None:
        """Close the connection without a word."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def as_json(self) -> dict[str, str]:
        """Return what the API shows: of a connected source, the URL of the connection."""
        return {"url": str(self._address) if self._task else self.url}

    async def _connect(self) -> Source:
        source = await self._dialer.connect(self._address, self.voice)
        self.can_talk = source.can_talk
        return source

    async def _run(self, source: Source) -> None:
        while True:
            await source.relay(self.relays)
            source = await self._reconnect()

    async def _reconnect(self) -> Source:
        failures = 0
        while True:
            try:
                return await self._connect()
            except StreamError:
                await asyncio.sleep(self._dialer.retry_delay(failures))
                failures += 1


class Stream:
    """Producers with a name, and their consumers."""

    def __init__(self, urls: Sequence[str], dialer: Dialer) -> None:
        self._producers = [Producer(url, dialer) for url in urls]
        self._consumers: set[object] = set()
        self._pending = 0

    async def add(self, consumer: object) -> Producer:
        """Add a consumer; return the producer, which is connected. Raises StreamError."""
        self._pending += 1
        try:
            producer = await self._dial()
            self._consumers.add(consumer)
        finally:
            self._pending -= 1
            await self._stop_if_unused()
        return producer

    async def remove(self, consumer: object) -> None:
        """Remove a consumer; with the last one, the source is closed."""
        if consumer in self._consumers:
            self._consumers.remove(consumer)
            await self._stop_if_unused()

    async def picture(self) -> VideoFrame:
        """Return the next video frame; raises StreamError."""
        consumer = object()
        producer = await self.add(consumer)
        try:
            return await producer.relays["video"].picture()
        finally:
            await self.remove(consumer)

    async def close(self) -> None:
        """Close the sources, also with consumers."""
        for producer in self._producers:
            await producer.stop()

    def as_json(self) -> dict[str, Any]:
        """Return what the API shows."""
        consumers = [{"format_name": "webrtc"} for _ in self._consumers]
        producers = [producer.as_json() for producer in self._producers]
        return {"producers": producers, "consumers": consumers or None}

    async def _dial(self) -> Producer:
        errors = []
        for producer in self._producers:
            if producer.is_supported:
                try:
                    await producer.dial()
                except StreamError as err:
                    errors.append(str(err))
                else:
                    return producer
        raise StreamError(f"streams: {', '.join(errors) or 'unknown error'}")

    async def _stop_if_unused(self) -> None:
        if not self._consumers and not self._pending:
            await self.close()


def retry_delay(failures: int) -> float:
    """Return the seconds before a source is tried again."""
    return next((delay for limit, delay in RETRY_DELAYS if failures < limit), LAST_RETRY_DELAY)


async def _post(session: aiohttp.ClientSession, url: URL, offer: str) -> str:
    try:
        async with session.post(url, data=offer, headers=SDP, timeout=POST_TIMEOUT) as response:
            return await response.text()
    except aiohttp.ClientConnectorError as err:
        raise StreamError(f'Post "{url}": {_refused(url)}') from err
    except (aiohttp.ClientError, TimeoutError) as err:
        raise StreamError(f'Post "{url}": EOF') from err


def _refused(url: URL) -> str:
    return f"dial tcp {url.host}:{url.port}: connect: connection refused"


def _parsed(answer: str) -> str:
    """Return an answer that begins as SDP does; raises StreamError with the parser's message."""
    if answer.startswith("v="):
        return answer
    if len(answer) < len("v="):
        raise StreamError("EOF")
    found = answer[1].replace('"', '\\"')
    raise StreamError(f'sdp: syntax error at pos 1: "{found}"')
