"""Recognises pictures by their headers: JPEG, PNG and still WEBP of a sane size.

Only headers are read. Image libraries allocate the whole canvas of some formats before their size
can be checked.
"""

import struct
from struct import unpack_from
from typing import TYPE_CHECKING, Final
import zlib

if TYPE_CHECKING:
    from collections.abc import Callable

type Size = tuple[int, int]

MAX_SIDE: Final = 4096  # pixels
MAX_PARTS: Final = 100  # segments or chunks before the picture's data
MAX_SCANS: Final = 32  # of a JPEG; each costs a decoder the whole picture

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_JPEG_PREFIX: Final = 0xFF
_JPEG_PADDING: Final = 0xFF
_JPEG_LOWEST: Final = 0xC0  # marker of a segment
_JPEG_SCAN: Final = 0xDA
_JPEG_SCAN_START: Final = b"\xff\xda"  # not within a scan, where a zero follows 0xFF
_LOSSLESS: Final = 0x2F  # first byte of a lossless WEBP frame
# Start of frame; the numbers between them are tables and extensions.
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def image_type(raw: bytes) -> str | None:
    """Return the content type of a picture; None if it is not one, or has an invalid size."""
    for content_type, read_size in _FORMATS.items():
        try:
            size = read_size(raw)
        except struct.error:  # it ends within its header
            continue
        if size is not None:
            return content_type if all(0 < side <= MAX_SIDE for side in size) else None
    return None


def _jpeg_size(raw: bytes) -> Size | None:
    """Return the size of a JPEG (ITU-T T.81, annex B)."""
    if not raw.startswith(b"\xff\xd8") or raw.count(_JPEG_SCAN_START) > MAX_SCANS:
        return None
    position, size = 2, None
    for _ in range(MAX_PARTS):
        prefix, marker, length = unpack_from(">BBH", raw, position)
        if prefix != _JPEG_PREFIX or marker < _JPEG_LOWEST:
            return None
        if marker == _JPEG_PADDING:
            position += 1
            continue
        if marker == _JPEG_SCAN:
            return size if position + 2 + length < len(raw) else None
        if marker in _JPEG_FRAMES:
            height, width, components = unpack_from(">HHB", raw, position + 5)
            if size is not None or length != 8 + 3 * components:
                return None
            size = width, height
        position += 2 + max(2, length)
    return None


def _png_size(raw: bytes) -> Size | None:
    """Return the size of a PNG with a valid header and picture data."""
    if not raw.startswith(_PNG_SIGNATURE + b"\0\0\0\x0dIHDR"):
        return None
    width, height = unpack_from(">II", raw, 16)
    (checksum,) = unpack_from(">I", raw, 29)
    if zlib.crc32(raw[12:29]) != checksum:
        return None
    position = 33
    for _ in range(MAX_PARTS):
        length, name = unpack_from(">I4s", raw, position)
        if name == b"IDAT":
            return width, height
        position += 12 + length
    return None


def _webp_size(raw: bytes) -> Size | None:
    """Return the size of a WEBP that is no animation (RFC 9649)."""
    magic, riff_size, kind = unpack_from("<4sI4s", raw)
    if magic != b"RIFF" or kind != b"WEBP" or riff_size + 8 > len(raw):
        return None
    position, canvas = 12, None
    for _ in range(MAX_PARTS):
        name, length = unpack_from("<4sI", raw, position)
        if name in {b"VP8 ", b"VP8L"}:
            size = _webp_frame_size(raw, position)
            return size if canvas in {None, size} else None
        if name == b"VP8X":
            canvas = _stored_side(raw, position + 12), _stored_side(raw, position + 15)
        position += 8 + length + length % 2
    return None


def _stored_side(raw: bytes, position: int) -> int:
    return int.from_bytes(raw[position : position + 3], "little") + 1


def _webp_frame_size(raw: bytes, position: int) -> Size | None:
    """Return the size of the frame in the chunk at a position, lossy (RFC 6386) or lossless."""
    if raw[position : position + 4] == b"VP8L":
        signature, bits = unpack_from("<BI", raw, position + 8)
        return None if signature != _LOSSLESS else ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    tag, start_code, width, height = unpack_from("<3s3sHH", raw, position + 8)
    if tag[0] & 1 or start_code != b"\x9d\x01\x2a":
        return None
    return width & 0x3FFF, height & 0x3FFF


_FORMATS: Final[dict[str, Callable[[bytes], Size | None]]] = {
    "image/jpeg": _jpeg_size,
    "image/png": _png_size,
    "image/webp": _webp_size,
}
