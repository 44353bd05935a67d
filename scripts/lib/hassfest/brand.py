"""brand/*.png: the pictures that Home Assistant shows, by what their headers say."""

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .project import Project

_REQUIRED: Final = ("icon.png", "icon@2x.png", "logo.png", "logo@2x.png")
_ALLOWED: Final = frozenset({*_REQUIRED, *(f"dark_{name}" for name in _REQUIRED)})
_ICON_SIDE: Final = 256  # pixels, and twice that in a @2x picture
_LOGO_SHORTEST: Final = (128, 256)  # pixels, and twice that in a @2x picture
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_WITH_ALPHA: Final = (4, 6)  # colour types of a PNG header


def check(project: Project) -> None:
    """Check names, sizes and transparency."""
    folder = project.package / "brand"
    for name in _REQUIRED:
        if not (folder / name).is_file():
            project.complain(folder / name, "is missing")
    for path in sorted(folder.glob("*")):
        project.files.add(path)
        if path.name not in _ALLOWED:
            project.complain(path, "is not a picture that Home Assistant asks for")
        else:
            project.complain_all(path, _problems(path))


def _problems(path: Path) -> Iterator[str]:
    content = path.read_bytes()
    if content[:8] != _SIGNATURE or content[12:16] != b"IHDR":
        yield "is no PNG"
        return
    width, height, _, colours = struct.unpack(">IIBB", content[16:26])
    if colours not in _WITH_ALPHA and b"tRNS" not in content:
        yield "has no transparency"
    scale = 2 if "@2x" in path.name else 1
    if "icon" in path.name:
        yield from _icon(width, height, _ICON_SIDE * scale)
    else:
        yield from _logo(min(width, height), *(side * scale for side in _LOGO_SHORTEST))


def _icon(width: int, height: int, side: int) -> Iterator[str]:
    if (width, height) != (side, side):
        yield f"is {width}x{height}, and has to be {side}x{side}"


def _logo(shortest: int, least: int, most: int) -> Iterator[str]:
    if not least <= shortest <= most:
        yield f"its shortest side is {shortest}, and has to be {least} to {most}"
