"""Calls and requests of several viewers who watch one camera through go2rtc."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

from homeassistant.const import ATTR_ENTITY_ID

from custom_components.bticino_classe.const import DOMAIN

from .streams import HOUSE, LOCALHOST, open_relay
from .support.cloud import SIGNALING_PATH
from .support.home_assistant import Installation
from .support.report import Figure, counts
from .support.viewer import camera_of, wait_terminated
from .support.waiting import TIMEOUT_SECONDS, wait_idle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from tests.go2rtc.browser import Browser
    from tests.go2rtc.streams import Stream
    from tests.go2rtc.viewer import Viewer

    from .support.cloud import Cloud, Requests

FRAMES: Final = 2  # of a call


def measure(cloud: Cloud, folder: Path, audiences: Sequence[int]) -> Iterator[Figure]:
    """Show one camera to as many viewers as each audience has, each of whom sees the panel."""
    installation = Installation.create(cloud, folder, HOUSE)
    cloud.configure_calls(peer="real")
    for viewers in audiences:
        before = cloud.calls()["offers"]
        sent = installation.run(partial(_watch, cloud=cloud, viewers=viewers))
        requests = sent.by_path.total() - sent.by_path[SIGNALING_PATH]
        yield from counts(
            f"relayed_{viewers}",
            f"through go2rtc, {viewers} watching",
            ("calls", "calls that reached the intercom", cloud.calls()["offers"] - before, 1),
            ("requests", "requests", requests, 0),
            ("frames", "signaling frames", sent.frames.total(), FRAMES),
        )
    cloud.configure_calls(peer="scripted")


async def _watch(hass: HomeAssistant, cloud: Cloud, viewers: int) -> Requests:
    """Let all viewers join, see the panel, and leave."""
    # Imported late, so that no other measurement has aiortc in memory.
    from tests.go2rtc.server import Go2rtc  # noqa: PLC0415
    from tests.go2rtc.streams import Stream  # noqa: PLC0415

    server = Go2rtc()
    with patch("aioice.ice.get_host_addresses", lambda **_: [LOCALHOST]):
        async with open_relay(hass) as relay, asyncio.timeout(TIMEOUT_SECONDS):
            await server.start()
            cloud.reset()
            stream = Stream([f"webrtc:{relay.url}"], server.dialer)
            joined = [await _join(stream) for _ in range(viewers)]
            await asyncio.gather(*(browser.see() for browser, _ in joined))
            for browser, viewer in joined:
                await viewer.close()
                await browser.close()
            data = {ATTR_ENTITY_ID: camera_of(hass).entity_id}
            await hass.services.async_call(DOMAIN, "hang_up", data, blocking=True)
            await server.stop()
            await wait_terminated(hass)
            await wait_idle(hass)
    return cloud.requests()


async def _join(stream: Stream) -> tuple[Browser, Viewer]:
    from tests.go2rtc.browser import Browser  # noqa: PLC0415 - see above
    from tests.go2rtc.viewer import Viewer  # noqa: PLC0415 - see above

    browser, viewer = Browser(), Viewer(stream)
    answer, candidates = await viewer.answer(await browser.offer())
    await browser.set_answer(answer)
    for candidate in candidates:
        await browser.add_candidate(candidate)
    return browser, viewer
