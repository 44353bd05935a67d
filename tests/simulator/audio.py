"""The real peer's audio: a tone to send, and a meter for received audio."""

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
FULL_SCALE = 32_768
#: Amplitude of the tone, from 0 to 1.
LEVEL = 0.2
#: Whole periods of the tone fit into this many packets (100 ms), so that it can be looped.
PACKETS = 5
#: The meter uses every n-th sample: cheap, and enough for tones up to 6 kHz.
STRIDE = 4
#: A lower level counts as silence.
SILENCE = 0.01
#: Share of the peak level that a rising edge must cross.
THRESHOLD = 0.3
#: Number of packets that the statistics cover: one second.
MEASURED_PACKETS = 50


def tone(hertz: float, packet: int, level: float = LEVEL) -> bytes:
    """Return the n-th packet of a tone."""
    start, step = packet * PACKET, 2 * math.pi * hertz / RATE
    samples = (int(FULL_SCALE * level * math.sin(step * (start + each))) for each in range(PACKET))
    return array("h", samples).tobytes()


class ToneTrack(MediaStreamTrack):
    """A tone while `awake` is true, else silence."""

    kind = "audio"

    def __init__(self, awake: Callable[[], bool], hertz: float = HERTZ) -> None:
        super().__init__()
        self._awake = awake
        self._tone = itertools.cycle([tone(hertz, packet) for packet in range(PACKETS)])
        self._started_at: float | None = None
        self._count = 0

    @override
    async def recv(self) -> AudioFrame:
        """Return the next packet when it is due."""
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        self._started_at = now if self._started_at is None else self._started_at
        await asyncio.sleep(self._started_at + self._count * PACKET / RATE - now)
        frame = AudioFrame(format="s16", layout="mono", samples=PACKET)
        frame.planes[0].update(next(self._tone) if self._awake() else bytes(2 * PACKET))
        frame.pts, frame.sample_rate = self._count * PACKET, RATE
        frame.time_base = Fraction(1, RATE)
        self._count += 1
        return frame


class AudioMeter:
    """Measures received audio."""

    def __init__(self, stats: AudioStats) -> None:
        self.stats = stats
        self.last_at = -math.inf
        self._tones: deque[tuple[int, float]] = deque(maxlen=MEASURED_PACKETS)
        self._levels: deque[float] = deque(maxlen=MEASURED_PACKETS)

    def measure(self, frame: AudioFrame) -> None:
        """Add a frame of 16-bit samples, interleaved if it has several channels."""
        samples = array("h", bytes(frame.planes[0]))
        left = samples[: frame.samples * len(frame.layout.channels) : len(frame.layout.channels)]
        peak = max(abs(max(left)), abs(min(left))) / FULL_SCALE
        stats, self.last_at = self.stats, time.monotonic()
        stats.packets += 1
        stats.seconds += frame.samples / frame.sample_rate
        self._levels.append(peak)
        stats.level = max(self._levels)
        is_sound = peak > max(SILENCE, stats.level * THRESHOLD)
        self._tones.append(
            _periods(left[::STRIDE], frame.sample_rate, peak) if is_sound else (0, 0.0)
        )
        stats.hertz = _hertz(self._tones)


def _periods(samples: array[int], rate: int, peak: float) -> tuple[int, float]:
    """Return the number of whole periods of a tone, and their duration in seconds.

    The threshold has a hysteresis, so that the decay after a beep does not count as a tone.
    """
    high, low = peak * FULL_SCALE * THRESHOLD, -peak * FULL_SCALE * THRESHOLD
    rises: list[float] = []
    was_low = False
    for index, (before, after) in enumerate(itertools.pairwise(samples)):
        was_low = was_low or before < low
        if was_low and after >= high:
            rises.append(index + (high - before) / (after - before))
            was_low = False
    if len(rises) < 2:
        return 0, 0.0
    return len(rises) - 1, (rises[-1] - rises[0]) * STRIDE / rate


def _hertz(tones: Iterable[tuple[int, float]]) -> float:
    periods, seconds = (sum(column) for column in zip(*tones, strict=True))
    return periods / seconds if seconds else 0.0
