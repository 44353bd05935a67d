"""Draws the pictures of custom_components/bticino_classe/brand/ from docs/brand/*.svg.

Run from the root: .venv/bin/python -m scripts.lib.draw_brand (needs Chromium).
"""

from dataclasses import dataclass
import io
from pathlib import Path
import re
import shutil
from typing import TYPE_CHECKING, Final

from PIL import Image
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCES: Final = ROOT / "docs" / "brand"
TARGETS: Final = ROOT / "custom_components" / "bticino_classe" / "brand"
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER_FLAGS: Final = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
HEIGHT: Final = 256  # pixels, and twice that in the @2x picture

# The letters of the logo are too dark for a dark page; the icon suits both.
DARK_INKS: Final = {"#0b4a55": "#eaf6f4", "#12958f": "#27c2b0"}
LETTERS: Final = '<g fill="none"'
VIEW_BOX: Final = re.compile(r'viewBox="0 0 (?P<width>\d+) (?P<height>\d+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One file to draw: its name, its SVG text and its size in pixels."""

    name: str
    svg: str
    width: int
    height: int


def main() -> None:
    """Draw every picture and say its size."""
    TARGETS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_browser(), args=list(BROWSER_FLAGS)
        )
        page = browser.new_page()
        for picture in pictures():
            target = TARGETS / picture.name
            target.write_bytes(smallest(draw(page, picture), picture.name))
            print(f"{target.name}: {picture.width}x{picture.height}, {target.stat().st_size} bytes")
        browser.close()


def find_browser() -> str:
    """Return the path of a Chromium; SystemExit where there is none."""
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    raise SystemExit("draw_brand: no Chromium here: scripts/bootstrap browser installs one")


def pictures() -> Iterator[Picture]:
    """Name all pictures that Home Assistant may ask for and that differ from each other."""
    icon = (SOURCES / "icon.svg").read_text(encoding="utf-8")
    logo = (SOURCES / "logo.svg").read_text(encoding="utf-8")
    for name, svg in (("icon", icon), ("logo", logo), ("dark_logo", on_dark(logo))):
        for suffix, height in (("", HEIGHT), ("@2x", 2 * HEIGHT)):
            width = round(height * ratio(svg))
            yield Picture(name=f"{name}{suffix}.png", svg=svg, width=width, height=height)


def on_dark(svg: str) -> str:
    """Lighten the letters, and nothing of the icon beside them."""
    icon, letters = svg.split(LETTERS)
    for ink, lighter in DARK_INKS.items():
        letters = letters.replace(ink, lighter)
    return LETTERS.join((icon, letters))


def ratio(svg: str) -> float:
    """Return width over height of the viewBox."""
    found = VIEW_BOX.search(svg)
    if found is None:
        raise SystemExit("draw_brand: an SVG needs a viewBox that begins at 0 0")
    return int(found["width"]) / int(found["height"])


def draw(page: Page, picture: Picture) -> bytes:
    """Render one picture on a transparent page."""
    page.set_viewport_size({"width": picture.width, "height": picture.height})
    style = "<style>body{margin:0}svg{display:block;width:100vw;height:100vh}</style>"
    page.set_content(style + picture.svg)
    return page.screenshot(omit_background=True)


def smallest(png: bytes, name: str) -> bytes:
    """Pack the same pixels tighter; SystemExit where the picture has margins."""
    image = Image.open(io.BytesIO(png)).convert("RGBA")
    if image.getchannel("A").getbbox() != (0, 0, *image.size):
        raise SystemExit(f"draw_brand: {name} has transparent margins: trim its viewBox")
    packed = io.BytesIO()
    image.save(packed, "PNG", optimize=True)
    return packed.getvalue()


if __name__ == "__main__":
    main()
