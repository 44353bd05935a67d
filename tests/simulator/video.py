"""The real peer's video: the panel's name, a clock with tenths of a second, a moving block."""

import asyncio
from datetime import datetime
from fractions import Fraction
from functools import cache
import time
from typing import TYPE_CHECKING, override

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import VideoFrame
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH, HEIGHT = 640, 480
FRAMES_PER_SECOND = 15
CLOCK_RATE = 90_000
#: Size of a digit of the clock, in pixels.
GLYPH_WIDTH, GLYPH_HEIGHT = 58, 96
CLOCK_LEFT, CLOCK_TOP = (WIDTH - 10 * GLYPH_WIDTH) // 2, 190
BAR_TOP, BAR_HEIGHT, BAR_SECONDS = 400, 40, 4.0
BLACK, WHITE = 16, 235
#: Backgrounds for white text, by the panel's number; the first is the indoor unit's.
COLOURS = ("#7a1f3d", "#1f4e7a", "#2c6b2f", "#6b4a1b", "#4b2c7a", "#1b6b66")
NAME_SIZE, LABEL_SIZE = 46, 24


class PanelVideo(MediaStreamTrack):
    """An endless video; `name` and `number` select the panel and may change."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.name, self.number = "", 0
        self._started_at: float | None = None
        self._count = 0

    @override
    async def recv(self) -> VideoFrame:
        """Return the next frame when it is due; late frames are skipped."""
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        self._started_at = now if self._started_at is None else self._started_at
        late = int((now - self._started_at) * FRAMES_PER_SECOND)
        self._count = max(self._count + 1, late)
        await asyncio.sleep(self._started_at + self._count / FRAMES_PER_SECOND - now)
        frame = draw(self.name, self.number, datetime.now().astimezone())
        frame.pts = self._count * CLOCK_RATE // FRAMES_PER_SECOND
        frame.time_base = Fraction(1, CLOCK_RATE)
        return frame


def draw(name: str, number: int, at: datetime) -> VideoFrame:
    """Return the video frame of a panel; each number has its own colour."""
    light, *colours = _background(name, number % len(COLOURS))
    canvas = bytearray(light)
    left = CLOCK_LEFT
    for letter in f"{at:%H:%M:%S}.{at.microsecond // 100_000}":
        _paste(canvas, _glyph(letter), left, CLOCK_TOP)
        left += GLYPH_WIDTH
    _paste(canvas, _block(), *_block_at(at))
    frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
    for plane, content in zip(frame.planes, (bytes(canvas), *colours), strict=True):
        plane.update(content)
    return frame


def _block_at(at: datetime) -> tuple[int, int]:
    """Return the position of the block, which moves from left to right and starts over."""
    share = at.timestamp() % BAR_SECONDS / BAR_SECONDS
    return int(share * (WIDTH - BAR_HEIGHT)), BAR_TOP


def _paste(canvas: bytearray, rows: tuple[bytes, ...], left: int, top: int) -> None:
    for row, content in enumerate(rows):
        start = (top + row) * WIDTH + left
        canvas[start : start + len(content)] = content


@cache
def _glyph(letter: str) -> tuple[bytes, ...]:
    image = Image.new("L", (GLYPH_WIDTH, GLYPH_HEIGHT), BLACK)
    middle = (GLYPH_WIDTH // 2, GLYPH_HEIGHT // 2)
    font = ImageFont.load_default(GLYPH_HEIGHT - 8)
    ImageDraw.Draw(image).text(middle, letter, fill=WHITE, font=font, anchor="mm")
    return tuple(_rows(image.tobytes(), GLYPH_WIDTH))


@cache
def _block() -> tuple[bytes, ...]:
    return (bytes([WHITE]) * BAR_HEIGHT,) * BAR_HEIGHT


@cache
def _background(name: str, number: int) -> tuple[bytes, ...]:
    """Return the three planes of the static background."""
    image = Image.new("RGB", (WIDTH, HEIGHT), COLOURS[number])
    pen = ImageDraw.Draw(image)
    large, small = (ImageFont.load_default(size) for size in (NAME_SIZE, LABEL_SIZE))
    pen.text((WIDTH // 2, 75), name, fill="white", font=large, anchor="mm")
    pen.text((WIDTH // 2, 135), "simulated intercom", fill="#dddddd", font=small, anchor="mm")
    pen.rectangle((0, CLOCK_TOP - 12, WIDTH, CLOCK_TOP + GLYPH_HEIGHT + 11), fill="black")
    pen.rectangle((0, BAR_TOP, WIDTH, BAR_TOP + BAR_HEIGHT - 1), fill="black")
    frame = VideoFrame(WIDTH, HEIGHT, "rgb24")
    frame.planes[0].update(image.tobytes())
    return tuple(bytes(plane) for plane in frame.reformat(format="yuv420p").planes)


def _rows(content: bytes, width: int) -> Iterator[bytes]:
    for start in range(0, len(content), width):
        yield content[start : start + width]
