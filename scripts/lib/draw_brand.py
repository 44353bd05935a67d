"""Draws custom_components/bticino_classe/brand/*.png from docs/brand/*.svg.

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
HEIGHT: Final = 256  # pixels; doubled in the @2x pictures

# On a dark background, only the letters of the logo need lighter colors.
DARK_COLORS: Final = {"#0b4a55": "#eaf6f4", "#12958f": "#27c2b0"}
LETTERS: Final = '<g fill="none"'
VIEW_BOX: Final = re.compile(r'viewBox="0 0 (?P<width>\d+) (?P<height>\d+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A file to draw: name, SVG source and size in pixels."""

    name: str
    svg: str
    width: int
    height: int


def main() -> None:
    """Draw all pictures and print their sizes."""
    TARGETS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_browser(), args=list(BROWSER_FLAGS)
        )
        page = browser.new_page()
        for picture in pictures():
            target = TARGETS / picture.name
            target.write_bytes(optimize(draw(page, picture), picture.name))
            print(f"{target.name}: {picture.width}x{picture.height}, {target.stat().st_size} bytes")
        browser.close()


def find_browser() -> str:
    """Return the path of Chromium; exit if there is none."""
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    raise SystemExit("draw_brand: Chromium is missing: run scripts/bootstrap browser")


def pictures() -> Iterator[Picture]:
    """Yield all pictures that Home Assistant uses; the icon needs no dark variant."""
    icon = (SOURCES / "icon.svg").read_text(encoding="utf-8")
    logo = (SOURCES / "logo.svg").read_text(encoding="utf-8")
    for name, svg in (("icon", icon), ("logo", logo), ("dark_logo", dark_logo(logo))):
        for suffix, height in (("", HEIGHT), ("@2x", 2 * HEIGHT)):
            width = round(height * aspect_ratio(svg))
            yield Picture(name=f"{name}{suffix}.png", svg=svg, width=width, height=height)


def dark_logo(svg: str) -> str:
    """Return the logo with lighter letters; its icon stays as it is."""
    icon, letters = svg.split(LETTERS)
    for color, lighter in DARK_COLORS.items():
        letters = letters.replace(color, lighter)
    return LETTERS.join((icon, letters))


def aspect_ratio(svg: str) -> float:
    """Return the width of the viewBox divided by its height."""
    match = VIEW_BOX.search(svg)
    if match is None:
        raise SystemExit("draw_brand: the viewBox of an SVG has to start at 0 0")
    return int(match["width"]) / int(match["height"])


def draw(page: Page, picture: Picture) -> bytes:
    """Render a picture with a transparent background."""
    page.set_viewport_size({"width": picture.width, "height": picture.height})
    style = "<style>body{margin:0}svg{display:block;width:100vw;height:100vh}</style>"
    page.set_content(style + picture.svg)
    return page.screenshot(omit_background=True)


def optimize(png: bytes, name: str) -> bytes:
    """Compress a PNG losslessly; exit if it has transparent margins."""
    image = Image.open(io.BytesIO(png)).convert("RGBA")
    if image.getchannel("A").getbbox() != (0, 0, *image.size):
        raise SystemExit(f"draw_brand: {name} has transparent margins: trim its viewBox")
    output = io.BytesIO()
    image.save(output, "PNG", optimize=True)
    return output.getvalue()


if __name__ == "__main__":
    main()
