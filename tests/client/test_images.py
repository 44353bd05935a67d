"""What counts as a picture: a readable header and a sane size."""

import io
import struct
from typing import TYPE_CHECKING, Any
import zlib

from hypothesis import given, strategies as st
from PIL import Image
import pytest

from custom_components.bticino_classe.client.images import MAX_SIDE, image_type

if TYPE_CHECKING:
    from collections.abc import Callable

HTML = b"<html><script>alert(1)</script></html>" * 3000
JPEG_START, PNG_START = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"


def drawn(
    kind: str, size: tuple[int, int] = (640, 480), mode: str = "RGB", **options: Any
) -> bytes:
    """Return a picture as an image library writes it."""
    written = io.BytesIO()
    Image.new(mode, size).save(written, kind, **options)
    return written.getvalue()


def png(width: int, height: int, *, rest: bytes = b"\0\0\0\0IDAT") -> bytes:
    """Return a PNG with a valid header that claims a size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return PNG_START + b"\0\0\0\x0d" + header + struct.pack(">I", zlib.crc32(header)) + rest


def jpeg(width: int, height: int, *, rest: bytes = b"\xff\xda\0\x08\x01\1\0\0\x3f\0\0") -> bytes:
    """Return a JPEG that claims a size."""
    frame = struct.pack(">BBHBHHB", 0xFF, 0xC0, 11, 8, height, width, 1) + b"\1\x11\0"
    return b"\xff\xd8" + frame + rest


def scans(number: int, *, fill: bytes = b"") -> bytes:
    """Return a progressive JPEG in which each scan but the first costs a few bytes."""
    first, *_, end = drawn("JPEG", progressive=True, mode="L").split(b"\xff\xda")
    scan = fill + b"\xff\xda" + end.removesuffix(b"\xff\xd9")
    return first + scan * number + b"\xff\xd9"


def webp(*chunks: bytes) -> bytes:
    """Return a WEBP of these chunks."""
    content = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(content)) + content


def vp8x(width: int, height: int) -> bytes:
    """Return the chunk that claims the size of a WEBP's canvas."""
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X\x0a\0\0\0" + bytes(4) + sides


def vp8(width: int, height: int) -> bytes:
    """Return the beginning of a lossy frame."""
    return b"VP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height)


def vp8l(width: int, height: int) -> bytes:
    """Return the beginning of a lossless frame."""
    return b"VP8L\x05\0\0\0\x2f" + struct.pack("<I", width - 1 | height - 1 << 14)


@pytest.mark.parametrize(
    ("raw", "content_type"),
    [
        (drawn("JPEG"), "image/jpeg"),
        (drawn("JPEG", progressive=True, exif=b"Exif\0\0" + bytes(200)), "image/jpeg"),
        (drawn("JPEG", mode="L"), "image/jpeg"),
        (drawn("JPEG", size=(MAX_SIDE, 1)), "image/jpeg"),
        (drawn("JPEG") + bytes(1000), "image/jpeg"),
        (b"\xff\xd8\xff\xff" + drawn("JPEG")[3:], "image/jpeg"),
        (drawn("PNG"), "image/png"),
        (drawn("PNG", mode="P"), "image/png"),
        (drawn("PNG", size=(1, MAX_SIDE)), "image/png"),
        (drawn("WEBP"), "image/webp"),
        (drawn("WEBP", lossless=True), "image/webp"),
        (drawn("WEBP", mode="RGBA"), "image/webp"),
        (drawn("WEBP", exif=b"Exif\0\0" + bytes(201)), "image/webp"),
        (webp(vp8x(640, 480), vp8l(640, 480)), "image/webp"),
    ],
)
def test_picture(raw: bytes, content_type: str) -> None:
    """Pictures as image libraries write them."""
    assert image_type(raw) == content_type


@pytest.mark.parametrize(
    "size", [(60_000, 60_000), (MAX_SIDE + 1, 1), (1, MAX_SIDE + 1), (0, 480), (640, 0)], ids=str
)
@pytest.mark.parametrize("claim", [png, jpeg], ids=lambda claim: claim.__name__)
def test_size_that_is_not_sane(claim: Callable[..., bytes], size: tuple[int, int]) -> None:
    """A browser would allocate the whole canvas, or show nothing."""
    assert image_type(claim(*size)) is None
    assert image_type(claim(640, 480)) is not None


@pytest.mark.parametrize("number", [33, 200, 100_000])
@pytest.mark.parametrize(
    "fill", [b"", b"\xff", b"\xff\xfe\0\x02"], ids=["plain", "fill", "comment"]
)
def test_jpeg_with_many_scans(number: int, fill: bytes) -> None:
    """Each scan costs a decoder the whole picture, and Home Assistant decodes in its event loop."""
    assert image_type(scans(10, fill=fill)) == "image/jpeg"
    assert image_type(scans(number, fill=fill)) is None


@pytest.mark.parametrize(
    "raw",
    [
        webp(vp8(MAX_SIDE + 1, 480)),
        webp(vp8(640, 0)),
        webp(vp8l(640, MAX_SIDE + 1)),
        webp(vp8x(1 << 24, 1 << 24), vp8(640, 480)),
        webp(vp8x(640, 480), vp8(16_383, 16_383)),
        webp(vp8x(640, 480)),
        webp(vp8(640, 480))[:-1],
        webp(b"VP8 \x0a\0\0\0" + HTML[:10]),
        webp(b"VP8L\x05\0\0\0" + HTML[:5]),
        webp(HTML),
        webp(b"EXIF\0\0\0\0" * 1000, vp8(640, 480)),
        b"RIFF\x04\0\0\0WEBPVP8 ",
        b"RIFF\x04\0\0\0WAVEfmt ",
        b"RIFF",
    ],
)
def test_no_webp(raw: bytes) -> None:
    """Canvas and frame have the same sane size, and the file is complete."""
    assert image_type(raw) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xd8",
        JPEG_START,
        JPEG_START + b"\xe0",
        JPEG_START + HTML,
        JPEG_START + b"\xe0" + HTML,
        JPEG_START + b"\xe0\0\x02" + HTML,
        JPEG_START + b"\xc4" + HTML,
        JPEG_START + b"\xe0\0\x02" * 1000,
        JPEG_START + b"\xff" * 100_000,
        jpeg(640, 480, rest=HTML),
        jpeg(640, 480, rest=b""),
        jpeg(640, 480, rest=b"\xff\xda\0\x08\x01\1\0\0\x3f\0"),
        jpeg(640, 480, rest=jpeg(60_000, 60_000)[2:]),
        b"\xff\xd8\xff\xda\0\x08\x01\1\0\0\x3f\0\0",
        b"\xff\xd8\xff\xc0\0\x0b\x08\1\xe0\2\x80\3\1\x11\0" + jpeg(1, 1)[-11:],
        PNG_START,
        PNG_START + HTML,
        PNG_START + b"\0\0\0\x0dIHDR" + HTML,
        png(640, 480, rest=HTML),
        png(640, 480, rest=b""),
        png(640, 480, rest=b"\0\0\0\0tEXt\0\0\0\0" * 1000 + b"\0\0\0\0IDAT"),
        png(640, 480)[:29] + b"\0\0\0\0" + png(640, 480)[33:],
        HTML,
        b"GIF89a" + HTML,
        b"BM" + HTML,
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
)
def test_no_picture(raw: bytes) -> None:
    """A magic number is not enough, and a header without an end is not searched for long."""
    assert image_type(raw) is None


@given(
    st.sampled_from((JPEG_START, PNG_START, jpeg(640, 480), png(640, 480), webp(vp8(640, 480)))),
    st.integers(min_value=0, max_value=60),
    st.binary(max_size=60),
)
def test_any_bytes(start: bytes, kept: int, rest: bytes) -> None:
    """No content raises."""
    assert image_type(start[:kept] + rest) in {None, "image/jpeg", "image/png", "image/webp"}
