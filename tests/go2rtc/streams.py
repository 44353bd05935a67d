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

    from aiortc.mediastreams import MediaStreamTrack
    from av import VideoFrame

SUPPORTED: Final = ("webrtc:http:", "webrtc:https:", "webrtc:ws:", "webrtc:wss:")
SDP: Final = {"Content-Type": "application/sdp"}
POST_TIMEOUT: Final = aiohttp.ClientTimeout(total=60)
KINDS: Final = ("video", "audio")
# Seconds before a source is tried again, with the number of failures up to which they apply.
RETRY_DELAYS: Final = ((5, 1.0), (10, 5.0), (20, 10.0))
LAST_RETRY_DELAY: Final = 60.0  # seconds


class StreamError(Exception):
    """The stream cannot be shown; the message is go2rtc's."""


class Source:
    """One view by WHEP, or by go2rtc's signaling; `can_talk`: the other side takes sound."""

    can_talk = False

    def __init__(self, voice: MediaStreamTrack, url: URL) -> None:
        self._url = url
        self._signals = url.scheme in {"ws", "wss"}
        self._peer = Go2rtcPeer("two_way", voice) if self._signals else Go2rtcPeer()

    async def connect(self, session: aiohttp.ClientSession) -> None:
        """Send the offer and apply the answer; raises StreamError.

        With WHEP, go2rtc looks neither at the status nor at `Location`.
        """
        exchange = _signal if self._signals else _post
        try:
            answer = await exchange(session, self._url, await self._peer.offer())
            await self._peer.set_answer(_parsed(answer))
            self.can_talk = "a=recvonly" in answer
        except (InvalidStateError, OperationError, ValueError) as err:
            await self._peer.close()
            raise StreamError(str(err)) from err
        except BaseException:
            await self._peer.close()
            raise

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
            await self._peer.close()


class Dialer:
    """Connects sources, and counts the attempts."""

    def __init__(self, retry_delay: Callable[[int], float]) -> None:
        self.retry_delay = retry_delay
        self.session = aiohttp.ClientSession()
        self.attempts = 0

    async def connect(self, url: URL, voice: MediaStreamTrack) -> Source:
        """Return a source that sends; raises StreamError."""
        self.attempts += 1
        source = Source(voice, url)
        await source.connect(self.session)
        return source


class Producer:
    """A source of a stream by its URL; only `webrtc:` is supported.

    `can_talk`: the source takes the sound that `voice` relays, which is that of all consumers.
    """

    def __init__(self, url: str, dialer: Dialer) -> None:
        self.url = url
        self.voice = TrackRelay("audio")
        self.can_talk = False
        self.relays = {kind: TrackRelay(kind) for kind in KINDS}
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

    async def _run(self, source: Source) -> None:
        while True:
            await source.relay(self.relays)
            source = await self._reconnect()

    async def _connect(self) -> Source:
        source = await self._dialer.connect(self._address, self.voice.subscribe())
        self.can_talk = source.can_talk
        return source

    async def _reconnect(self) -> Source:
        failures = 0
        while True:
            try:
                return await self._connect()
            except StreamError:
                await asyncio.sleep(self._dialer.retry_delay(failures))
                failures += 1


class Stream:
    """Producers with a name, and whoever consumes what they send."""

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
        """Close the sources, whoever watches."""
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


async def _signal(session: aiohttp.ClientSession, url: URL, offer: str) -> str:
    """Return the answer; the candidates of the other side are not needed."""
    try:
        async with session.ws_connect(url) as socket:
            await socket.send_json({"type": "webrtc/offer", "value": offer})
            answer = await socket.receive_json()
    except (aiohttp.ClientError, TypeError) as err:
        raise StreamError(str(err)) from err
    if answer["type"] != "webrtc/answer":
        raise StreamError(f"wrong answer: {answer['value']}")
    return str(answer["value"])


async def _post(session: aiohttp.ClientSession, url: URL, offer: str) -> str:
    try:
        async with session.post(url, data=offer, headers=SDP, timeout=POST_TIMEOUT) as response:
            return await response.text()
    except aiohttp.ClientConnectorError as err:
        reason = f"dial tcp {url.host}:{url.port}: connect: connection refused"
        raise StreamError(f'Post "{url}": {reason}') from err
    except (aiohttp.ClientError, TimeoutError) as err:
        raise StreamError(f'Post "{url}": EOF') from err


def _parsed(answer: str) -> str:
    """Return an answer that begins as SDP does; raises StreamError with the parser's message."""
    if answer.startswith("v="):
        return answer
    if len(answer) < len("v="):
        raise StreamError("EOF")
    found = answer[1].replace('"', '\\"')
    raise StreamError(f'sdp: syntax error at pos 1: "{found}"')
