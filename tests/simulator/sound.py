"""What the intercom says, a tone, and what it makes of what it hears."""

from array import array
import asyncio
from collections import deque
from fractions import Fraction
import itertools
import math
import time
from typing import TYPE_CHECKING, override

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.simulator.rtc_session import AudioStats

RATE = 48_000
#: Samples of 20 ms.
PACKET = 960
HERTZ = 440
LOUDEST = 32_768
#: A fifth of the loudest is loud enough for every loudspeaker.
LEVEL = 0.2
#: Whole periods of the tone, so that it has no seam: 100 ms.
PACKETS = 5
#: The ear listens to every so many samples only: enough for 6 kHz, and cheap.
EVERY = 4
#: Below that share of the loudest it is silence.
SILENCE = 0.01
#: Above that share of the loudest of the moment something has really risen.
FAR = 0.3
#: How many packets the tone is measured over: a second.
REMEMBERED = 50


def tone(hertz: float, packet: int, level: float = LEVEL) -> bytes:
    """Return 20 ms of a tone, the so manieth of it."""
    start, step = packet * PACKET, 2 * math.pi * hertz / RATE
    found = (int(LOUDEST * level * math.sin(step * (start + each))) for each in range(PACKET))
    return array("h", found).tobytes()


class Voice(MediaStreamTrack):
    """A tone while it is awake, else silence."""

    kind = "audio"

    def __init__(self, awake: Callable[[], bool], hertz: float = HERTZ) -> None:
        super().__init__()
        self._awake = awake
        self._tone = itertools.cycle([tone(hertz, packet) for packet in range(PACKETS)])
        self._began: float | None = None
        self._count = 0

    @override
    async def recv(self) -> AudioFrame:
        """Return the next 20 ms when they are due."""
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        await asyncio.sleep(self._began + self._count * PACKET / RATE - now)
        frame = AudioFrame(format="s16", layout="mono", samples=PACKET)
        frame.planes[0].update(next(self._tone) if self._awake() else bytes(2 * PACKET))
        frame.pts, frame.sample_rate = self._count * PACKET, RATE
        frame.time_base = Fraction(1, RATE)
        self._count += 1
        return frame


class Ear:
    """Measures what comes in."""

    def __init__(self, stats: AudioStats) -> None:
        self.stats = stats
        self.last_at = -math.inf
        self._tones: deque[tuple[int, float]] = deque(maxlen=REMEMBERED)
        self._levels: deque[float] = deque(maxlen=REMEMBERED)

    def take(self, frame: AudioFrame) -> None:
        """Take some milliseconds of sound, 16 bits a sample, interleaved if there are channels."""
        samples = array("h", bytes(frame.planes[0]))
        left = samples[: frame.samples * len(frame.layout.channels) : len(frame.layout.channels)]
        loudest = max(abs(max(left)), abs(min(left))) / LOUDEST
        stats, self.last_at = self.stats, time.monotonic()
        stats.packets += 1
        stats.seconds += frame.samples / frame.sample_rate
        self._levels.append(loudest)
        stats.level = max(self._levels)
        is_sound = loudest > max(SILENCE, stats.level * FAR)
        self._tones.append(
            _periods(left[::EVERY], frame.sample_rate, loudest) if is_sound else (0, 0.0)
        )
        stats.hertz = _hertz(self._tones)


def _periods(samples: array[int], rate: int, loudest: float) -> tuple[int, float]:
    """Return how many whole periods a tone has in there, and how many seconds they take.

    It has to fall far before it can rise again: what rings on after a beep is no tone.
    """
    high, low = loudest * LOUDEST * FAR, -loudest * LOUDEST * FAR
    rises: list[float] = []
    was_low = False
    for index, (before, after) in enumerate(itertools.pairwise(samples)):
        was_low = was_low or before < low
        if was_low and after >= high:
            rises.append(index + (high - before) / (after - before))
            was_low = False
    if len(rises) < 2:
        return 0, 0.0
    return len(rises) - 1, (rises[-1] - rises[0]) * EVERY / rate


def _hertz(tones: Iterable[tuple[int, float]]) -> float:
    periods, seconds = (sum(column) for column in zip(*tones, strict=True))
    return periods / seconds if seconds else 0.0
