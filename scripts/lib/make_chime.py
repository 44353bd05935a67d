"""Makes custom_components/bticino_classe/chime.wav: the two notes of a doorbell.

Run from the root: .venv/bin/python -m scripts.lib.make_chime.
"""

from array import array
import math
from pathlib import Path
import sys
from typing import Final
import wave

TARGET: Final = Path(__file__).parents[2] / "custom_components" / "bticino_classe" / "chime.wav"
RATE: Final = 22_050  # samples per second
SECONDS: Final = 2.2
NOTES: Final = ((0.0, 659.26), (0.55, 523.25))  # start in seconds, frequency in hertz: E5, C5
OVERTONES: Final = ((1.0, 0.62, 2.2), (2.0, 0.22, 4.0), (3.0, 0.08, 7.0))  # ratio, level, decay
ATTACK: Final = 0.004  # seconds
LEVEL: Final = 0.7  # of the full scale


def samples() -> array[int]:
    """Return the sound as signed 16-bit samples."""
    return array("h", (_sample(number / RATE) for number in range(round(SECONDS * RATE))))


def _sample(time: float) -> int:
    level = sum(_tone(time - start, hertz) for start, hertz in NOTES if time >= start)
    fade_out = min(1.0, (SECONDS - time) / 0.2)
    return round(32_767 * LEVEL * math.tanh(level) * fade_out)


def _tone(time: float, hertz: float) -> float:
    attack = min(1.0, time / ATTACK)
    return attack * sum(
        level * math.exp(-decay * time) * math.sin(math.tau * hertz * ratio * time)
        for ratio, level, decay in OVERTONES
    )


def main() -> None:
    """Write the file and print its size."""
    sound = samples()
    if sys.byteorder == "big":
        sound.byteswap()
    with wave.open(str(TARGET), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(sound.tobytes())
    print(f"{TARGET.name}: {SECONDS} s, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
