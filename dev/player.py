"""Plays a stream address outside Home Assistant, and saves a picture of it as PNG.

Usage: .venv-live/bin/python -m dev.player ADDRESS FILE
"""

import asyncio
from http import HTTPStatus
import sys
from typing import TYPE_CHECKING, Final

import aiohttp
from PIL import Image
from yarl import URL

from tests.go2rtc import Go2rtcPeer

if TYPE_CHECKING:
    from av import VideoFrame

OFFER: Final = {"Content-Type": "application/sdp"}
FRAMES: Final = 15  # one second
TIMEOUT: Final = 60.0  # seconds


async def play(address: str) -> VideoFrame:
    """Watch for a second, and return the last frame."""
    peer = Go2rtcPeer()
    try:
        async with asyncio.timeout(TIMEOUT), aiohttp.ClientSession() as session:
            async with session.post(address, data=await peer.offer(), headers=OFFER) as response:
                answer, location = await response.text(), response.headers.get("Location", "")
                if response.status != HTTPStatus.CREATED:
                    sys.exit(f"The stream address returned {response.status}: {answer}")
            await peer.set_answer(answer)
            frames = [await peer.frame() for _ in range(FRAMES)]
            await session.delete(URL(address).join(URL(location)))
            return frames[-1]
    finally:
        await peer.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:  # noqa: PLR2004 - the script and two arguments
        sys.exit(__doc__)
    picture = asyncio.run(play(sys.argv[1])).to_ndarray(format="rgb24")
    Image.fromarray(picture).save(sys.argv[2])
