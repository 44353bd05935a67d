"""Copies of a source's media for any number of consumers, encoded once."""

import asyncio
from contextlib import suppress
import time
from typing import TYPE_CHECKING, Any, Final, override

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, CodecContext, Packet, VideoFrame
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

if TYPE_CHECKING:
    from collections.abc import Iterable

# A consumer that joins waits for the next keyframe, as with go2rtc: about a second at 15 frames.
KEYFRAME_INTERVAL: Final = 15  # frames
ENCODER: Final = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}
QUEUE_LENGTH: Final = 200  # packets that a consumer may lag behind

type VideoPacket = Packet[Any]
type Item = AudioFrame | VideoPacket


class RelayedTrack(MediaStreamTrack):
    """The copy of one consumer; it goes on when the source is replaced."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self._queue: asyncio.Queue[Item] = asyncio.Queue(QUEUE_LENGTH)
        self._needs_keyframe = True

    def put(self, item: Item) -> None:
        """Add what the source sent; a consumer that lags goes on with the next keyframe."""
        is_key = not isinstance(item, Packet) or item.is_keyframe
        if self._queue.full():
            while not self._queue.empty():
                self._queue.get_nowait()
            self._needs_keyframe = True
        if is_key or not self._needs_keyframe:
            self._needs_keyframe = False
            self._queue.put_nowait(item)

    @override
    async def recv(self) -> Item:
        """Return the next packet of video, or the next frame of sound."""
        if self.readyState != "live":
            raise MediaStreamError
        return await self._queue.get()


class TrackRelay:
    """Sends what comes from one source at a time to its tracks, with continuous timestamps."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._tracks: set[RelayedTrack] = set()
        self._pictures: list[asyncio.Future[VideoFrame]] = []
        self._started_at = time.monotonic()

    def subscribe(self) -> RelayedTrack:
        """Return a new track."""
        track = RelayedTrack(self.kind)
        self._tracks.add(track)
        return track

    def unsubscribe(self, track: RelayedTrack) -> None:
        """Stop a track."""
        self._tracks.discard(track)
        track.stop()

    async def picture(self) -> VideoFrame:
        """Return the next video frame."""
        future: asyncio.Future[VideoFrame] = asyncio.get_running_loop().create_future()
        self._pictures.append(future)
        return await future

    async def run(self, source: MediaStreamTrack) -> None:
        """Relay a source until it ends."""
        encoder, offset = Encoder(), None
        with suppress(MediaStreamError):
            while True:
                frame = await source.recv()
                assert isinstance(frame, AudioFrame | VideoFrame)
                assert frame.pts is not None
                assert frame.time_base is not None
                if offset is None:
                    elapsed = time.monotonic() - self._started_at
                    offset = int(elapsed / frame.time_base) - frame.pts
                frame.pts += offset
                self._send([frame] if isinstance(frame, AudioFrame) else encoder.encode(frame))
                if isinstance(frame, VideoFrame):
                    self._show(frame)

    def _send(self, items: Iterable[Item]) -> None:
        for item in items:
            for track in self._tracks:
                track.put(item)

    def _show(self, frame: VideoFrame) -> None:
        waiting, self._pictures = self._pictures, []
        for future in waiting:
            if not future.done():
                future.set_result(frame)


class Encoder:
    """H.264 with regular keyframes; a new size begins a new sequence."""

    def __init__(self) -> None:
        self._context: VideoCodecContext | None = None

    def encode(self, frame: VideoFrame) -> list[VideoPacket]:
        """Return the packets of a frame; without B-frames, that is one."""
        if self._context is None or self._context.width != frame.width:
            self._context = _context(frame)
        frame.pict_type = PictureType.NONE
        return self._context.encode(frame)


def _context(frame: VideoFrame) -> VideoCodecContext:
    context = CodecContext.create("libx264", "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height = frame.width, frame.height
    context.pix_fmt = "yuv420p"
    context.time_base = frame.time_base
    context.gop_size = KEYFRAME_INTERVAL
    context.options = ENCODER
    return context
