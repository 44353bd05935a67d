"""Home Assistant's own player in a real browser, with a microphone that plays a tone."""

import asyncio
from contextlib import asynccontextmanager
import math
import struct
from typing import TYPE_CHECKING, Any, Final
import wave

from playwright.async_api import async_playwright, expect

from tests.e2e.visitor import ARTIFACTS, DESKTOP, FLAGS, PHONE, TIMEOUT_MS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from playwright.async_api import Browser, Frame, Page, StorageState

    from tests.e2e.visitor import Visitor

TONE: Final = 700  # hertz, from the visitor's microphone
RATE: Final = 48_000  # samples a second
BEEP: Final = 38_400  # samples from one tone to the next; the second half is silent
SECONDS: Final = 120.0  # that something in a view may take
PAUSE: Final = 0.1  # seconds
# What a machine without a network needs besides; harmless on any other.
WEBRTC_FLAGS: Final = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
)
# Keeps what Home Assistant's page hides: its connections.
KEEP_CONNECTIONS: Final = """
  window.connections = [];
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...given) { super(...given); window.connections.push(this); }
  };
"""
STATS: Final = """
  async () => {
    const last = window.connections.at(-1);
    const found = {frames: 0, packets: 0, energy: 0, sent: 0};
    if (!last) return found;
    for (const each of (await last.getStats()).values()) {
      const what = `${each.type} ${each.kind}`;
      if (what === "inbound-rtp video") found.frames = each.framesDecoded || 0;
      if (what === "inbound-rtp audio") found.packets = each.packetsReceived || 0;
      if (what === "inbound-rtp audio") found.energy = each.totalAudioEnergy || 0;
      if (what === "outbound-rtp audio") found.sent = each.packetsSent || 0;
    }
    return found;
  }
"""
# The clock, and nothing else that moves: its share of the height, as the simulator draws it.
CLOCK: Final = """
  video => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [64, 10];
    const drawn = canvas.getContext("2d");
    const [width, height] = [video.videoWidth, video.videoHeight];
    drawn.drawImage(video, 0, 0.4 * height, width, 0.2 * height, 0, 0, 64, 10);
    return Array.from(drawn.getImageData(0, 0, 64, 10).data);
  }
"""
DIFFERENT: Final = 24  # of 255: more than a codec's noise


@asynccontextmanager
async def browser(path: str, folder: Path) -> AsyncIterator[Browser]:
    """A browser whose microphone hears nothing but the tone."""
    tone = folder / "tone.wav"
    write_tone(tone)
    flags = [*FLAGS, *WEBRTC_FLAGS, f"--use-file-for-fake-audio-capture={tone}"]
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=path, args=flags)
        yield running
        await running.close()


async def new_page(
    running: Browser,
    signed_in: StorageState | None = None,
    *,
    language: str = "en",
    phone: bool = False,
) -> Page:
    """A page of a person of its own, who may have signed in before."""
    width, height = PHONE if phone else DESKTOP
    context = await running.new_context(
        viewport={"width": width, "height": height},
        is_mobile=phone,
        has_touch=phone,
        locale=language,
        timezone_id="Europe/Rome",
        storage_state=signed_in,
    )
    await context.add_init_script(KEEP_CONNECTIONS)
    return await context.new_page()


async def picture_all(running: Browser, name: str) -> None:
    """Take a picture of each person's page."""
    ARTIFACTS.mkdir(exist_ok=True)
    for number, context in enumerate(running.contexts, 1):
        for page in context.pages:
            await page.screenshot(path=ARTIFACTS / f"{name}-{number}.png")


def write_tone(path: Path) -> None:
    """Write ten seconds of short tones: one that never stops is noise, which browsers take out."""
    samples = (round(12_000 * math.sin(2 * math.pi * TONE * n / RATE)) for n in range(10 * RATE))
    beeps = (each if n % BEEP < BEEP // 2 else 0 for n, each in enumerate(samples))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in beeps))


class Player:
    """The dialogue of one camera, on the visitor's page or in a frame of it."""

    def __init__(self, visitor: Visitor, frame: Frame | None = None) -> None:
        self._visitor = visitor
        self._page = frame or visitor.page
        self._video = self._page.locator("ha-web-rtc-player video")
        self._talk = self._page.locator("more-info-camera #microphone-button ha-button")
        self.alert = self._page.locator("ha-web-rtc-player ha-alert")

    async def open_from_device(self, device: str) -> None:
        """From the device's page, by a click on its camera."""
        await self._visitor.open_device(device)
        await self.open_on_this_page(device)

    async def open_on_this_page(self, device: str) -> None:
        """By a click on the camera's row."""
        row = self._page.locator("ha-device-entities-card").get_by_text(device, exact=True)
        await row.first.click()
        await self._page.locator("ha-web-rtc-player").wait_for()

    async def plays(self, more: int = 15) -> None:
        """Wait until so many more frames have been decoded, and the clock in them has moved."""
        first = (await self.stats())["frames"]
        await until(lambda: self._has(lambda now: now["frames"] >= first + more))
        before = await self._clock()  # of a picture that is there: nothing differs from any
        await until(lambda: self._differs(before))

    async def hears(self, *, loud: bool) -> None:
        """Wait until sound arrives; loud: more than silence."""
        first = await self.stats()
        await until(lambda: self._has(lambda now: now["packets"] > first["packets"] + 10))
        if loud:
            await until(lambda: self._has(lambda now: now["energy"] > first["energy"] + 0.001))

    async def start_talking(self) -> None:
        """Press the button, and wait until the microphone is on."""
        await expect(self._talk).to_contain_text("Start talking", timeout=TIMEOUT_MS)
        await self._talk.click()
        await expect(self._talk).to_contain_text("Stop talking", timeout=TIMEOUT_MS)

    async def stop_talking(self) -> None:
        """Press the button again."""
        await self._talk.click()
        await expect(self._talk).to_contain_text("Start talking", timeout=TIMEOUT_MS)

    async def says(self, text: str) -> None:
        """Wait until the player shows a message instead of the video."""
        await expect(self.alert).to_contain_text(text, timeout=TIMEOUT_MS)

    async def close(self) -> None:
        """Close the dialogue."""
        await self._visitor.page.keyboard.press("Escape")
        await self._page.locator("ha-web-rtc-player").wait_for(state="detached")

    async def stats(self) -> dict[str, Any]:
        """Return the browser's statistics of its newest connection."""
        found: dict[str, Any] = await self._page.evaluate(STATS)
        return found

    async def _clock(self) -> list[int]:
        await self._video.wait_for()
        found: list[int] = await self._video.evaluate(CLOCK)
        return found

    async def _has(self, wanted: Callable[[dict[str, Any]], bool]) -> bool:
        return wanted(await self.stats())

    async def _differs(self, before: list[int]) -> bool:
        now = await self._clock()
        return any(abs(a - b) > DIFFERENT for a, b in zip(before, now, strict=True))


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(SECONDS):
        while not await condition():  # noqa: ASYNC110 - the browser sends no event
            await asyncio.sleep(PAUSE)


def hears_tone(calls: dict[str, Any]) -> bool:
    """Whether the intercom receives the tone of the microphone in the newest call."""
    heard = max(calls["sessions"], key=lambda call: call["started_at"])["audio"]
    return bool(heard["level"] > 0.05 and abs(heard["hertz"] - TONE) < 30)
