"""Draws custom_components/bticino_classe/placeholder.jpg from docs/brand/placeholder.svg.

Run from the root: .venv/bin/python -m scripts.lib.draw_placeholder (needs Chromium).
"""

import io
from typing import Final

from PIL import Image
from playwright.sync_api import sync_playwright

from scripts.lib.draw_brand import BROWSER_FLAGS, SOURCES, TARGETS, Picture, draw, find_browser

TARGET: Final = TARGETS.with_name("placeholder.jpg")
WIDTH, HEIGHT = 640, 480  # pixels, the size of the intercom's own pictures
QUALITY: Final = 90


def main() -> None:
    """Draw the picture and print its size."""
    svg = (SOURCES / "placeholder.svg").read_text(encoding="utf-8")
    picture = Picture(name=TARGET.name, svg=svg, width=WIDTH, height=HEIGHT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_browser(), args=list(BROWSER_FLAGS)
        )
        png = draw(browser.new_page(), picture)
        browser.close()
    TARGET.write_bytes(as_jpeg(png))
    print(f"{TARGET.name}: {WIDTH}x{HEIGHT}, {TARGET.stat().st_size} bytes")


def as_jpeg(png: bytes) -> bytes:
    """Convert a PNG to JPEG, the only format that Home Assistant scales for cameras."""
    output = io.BytesIO()
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.save(output, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    return output.getvalue()


if __name__ == "__main__":
    main()
