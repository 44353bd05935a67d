"""Firefox by WebDriver BiDi, as far as the tests need it: Playwright drives its own build only."""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE
import base64
from contextlib import asynccontextmanager
from itertools import count
import json
import os
import shutil
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from tests.e2e.player import KEEP_CONNECTIONS, SECONDS, TONE, until
from tests.e2e.visitor import ARTIFACTS, DESKTOP

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator
    from pathlib import Path

NAMES: Final = ("firefox-esr", "firefox")
READY: Final = "WebDriver BiDi listening on "
# A microphone that plays a tone, without a question; sound without a click. With hidden addresses
# (the default), every other answer to a ring does not connect: both sides want to control ICE, and
# Firefox ignores the role conflict (487) that aioice reports if its tie-breaker is larger.
PREFERENCES: Final = {
    "media.navigator.streams.fake": True,
    "media.navigator.audio.fake_frequency": TONE,
    "media.navigator.permission.disabled": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "media.autoplay.default": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.update.enabled": False,
    "media.gmp-manager.updateEnabled": False,  # no plugin by download
}
# Firefox offers H.264 once it has the plugin OpenH264, which it downloads after its first start. It
# decodes with the system's libraries if they can, so the plugin needs to be listed, but not there.
H264_PLUGIN: Final = """\
Name: openh264
Description: only listed
Version: 1.0
APIs: encode-video[h264], decode-video[h264]
"""
DECODES_H264: Final = """
  () => document.createElement("video").canPlayType('video/mp4; codecs="avc1.42E01F"') !== ""
"""
# Elements, also those in shadow roots.
FIND: Final = """
  window.findAll = (selector, root = document) => [
    ...root.querySelectorAll(selector),
    ...Array.from(root.querySelectorAll("*"), each => each.shadowRoot)
      .flatMap(root => root ? window.findAll(selector, root) : []),
  ];
"""
SHOWS: Final = """
  (selector, text) => window.findAll(selector).some(
    each => (each.innerText || "").includes(text) && each.getBoundingClientRect().width)
"""
CLICK: Final = """
  (selector, text) =>
    window.findAll(selector).find(each => (each.innerText || "").includes(text)).click()
"""
FILL: Final = """
  (selector, text) => {
    const field = window.findAll(selector)[0];
    field.value = text;
    field.dispatchEvent(new InputEvent("input", {bubbles: true, composed: true}));
  }
"""


def firefox() -> str | None:
    """The path of a Firefox on this machine, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@asynccontextmanager
async def firefox_page(path: str, folder: Path, *, h264: bool = True) -> AsyncIterator[Page]:
    """A Firefox with one page; a failure leaves a picture of it."""
    process = await _start(path, folder, h264=h264)
    try:
        async with aiohttp.ClientSession() as session:
            url = await _address(process)
            async with session.ws_connect(f"{url}/session", max_msg_size=0) as socket:
                page = Page(socket)
                await page.begin()
                try:
                    yield page
                except BaseException:
                    await page.picture("failed-firefox")
                    raise
    finally:
        process.terminate()
        await process.communicate()


async def _start(path: str, folder: Path, *, h264: bool) -> Process:
    """Start Firefox with a new profile, which is also its home."""
    preferences = (f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in PREFERENCES.items())
    (folder / "user.js").write_text("\n".join(preferences))
    plugin = folder / "gmp-openh264" / "1.0"
    plugin.mkdir(parents=True)
    (plugin / "openh264.info").write_text(H264_PLUGIN)
    environment = os.environ | {"HOME": str(folder)}
    if h264:
        environment["MOZ_GMP_PATH"] = str(plugin)
    options = (
        "--headless",
        "--no-remote",
        "--profile",
        str(folder),
        "--remote-debugging-port",
        "0",
    )
    return await asyncio.create_subprocess_exec(
        path, *options, "about:blank", stdout=DEVNULL, stderr=PIPE, env=environment
    )


async def _address(process: Process) -> str:
    """Wait for the line that says where Firefox takes commands."""
    assert process.stderr is not None
    line = " "
    async with asyncio.timeout(SECONDS):
        while line and READY not in line:
            line = (await process.stderr.readline()).decode()
    assert line, "Firefox has ended"
    return line.removeprefix(READY).strip()


class Page:
    """The one page of a Firefox."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._context = ""

    async def begin(self) -> None:
        """Open the page."""
        await self._command("session.new", capabilities={})
        await self._command(
            "script.addPreloadScript",
            functionDeclaration=f"() => {{ {KEEP_CONNECTIONS} {FIND} }}",
        )
        tree = await self._command("browsingContext.getTree")
        self._context = tree["contexts"][0]["context"]
        width, height = DESKTOP
        viewport = {"width": width, "height": height}
        await self._command("browsingContext.setViewport", context=self._context, viewport=viewport)

    async def open(self, url: str) -> None:
        """Go to an address."""
        await self._command(
            "browsingContext.navigate", context=self._context, url=url, wait="complete"
        )

    async def run(self, function: str, *arguments: object) -> Any:
        """Call a JavaScript function, and return its result."""
        call = f"({function})(...{json.dumps(arguments)})"
        found = await self._command(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await {call}) ?? 'null')()",
            target={"context": self._context},
            awaitPromise=True,
        )
        assert found["type"] == "success", found
        return json.loads(found["result"]["value"])

    async def click(self, selector: str, text: str = "") -> None:
        """Click an element that is there, or will be; it may move meanwhile."""
        await self.wait_for(selector, text)
        await self.run(CLICK, selector, text)

    async def fill(self, selector: str, text: str) -> None:
        """Enter a text into a field that is there, or will be."""
        await self.wait_for(selector)
        await self.run(FILL, selector, text)

    async def wait_for(self, selector: str, text: str = "") -> None:
        """Wait until an element is shown."""

        async def is_shown() -> bool:
            return bool(await self.run(SHOWS, selector, text))

        await until(is_shown)

    async def picture(self, name: str) -> None:
        """Take the page as it is."""
        ARTIFACTS.mkdir(exist_ok=True)
        taken = await self._command("browsingContext.captureScreenshot", context=self._context)
        (ARTIFACTS / f"{name}.png").write_bytes(base64.b64decode(taken["data"]))

    async def _command(self, method: str, **parameters: object) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        answer: dict[str, Any] = {}
        while answer.get("id") != number:
            answer = await self._socket.receive_json(timeout=SECONDS)
        assert answer["type"] == "success", answer
        result: dict[str, Any] = answer["result"]
        return result
