"""The simulated panel's clock in a picture."""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageChops, ImageStat

from tests.simulator.video import CLOCK_TOP, GLYPH_HEIGHT, WIDTH, draw

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

CLOCK: Final = (0, CLOCK_TOP, WIDTH, CLOCK_TOP + GLYPH_HEIGHT)
TENTH: Final = timedelta(seconds=0.1)
SAME: Final = 1.5  # mean difference of two pictures: colours of decoders differ by 1, a digit by 2


def shows_clock(picture: Path, panel: str, number: int, start: datetime, end: datetime) -> bool:
    """Whether a picture shows a panel, and its clock at a time between two others."""
    with Image.open(picture) as opened:
        found = opened.convert("L")
    # The clock shows whole tenths.
    at = start.replace(microsecond=start.microsecond // 100_000 * 100_000)
    is_shown = False
    while at <= end and not is_shown:
        drawn = Image.fromarray(draw(panel, number, at).to_ndarray(format="rgb24")).convert("L")
        is_shown = all(
            ImageStat.Stat(ImageChops.difference(found.crop(box), drawn.crop(box))).mean[0] < SAME
            for box in (CLOCK, (0, 0, WIDTH, CLOCK_TOP))
        )
        at += TENTH
    return is_shown
