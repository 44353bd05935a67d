"""An owner in front of Home Assistant's frontend, in a real browser."""

from pathlib import Path
import shutil
from typing import TYPE_CHECKING, Final

from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Frame, Page

    from tests.e2e.development import Development

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ARTIFACTS: Final = Path(__file__).parents[2] / "artifacts"
DESKTOP: Final = (1280, 800)
PHONE: Final = (390, 844)
HOLD_MS: Final = 1_500  # milliseconds, more than the frontend needs for a long press
TIMEOUT_MS: Final = 120_000  # milliseconds


def chromium() -> str | None:
    """The path of a browser on this machine, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Visitor:
    """Follows the steps of the README with the mouse, and takes screenshots."""

    def __init__(self, page: Page, server: Development) -> None:
        self.page = page
        self._server = server
        self.url = server.ready["url"]
        page.set_default_timeout(TIMEOUT_MS)

    async def sign_in(self) -> None:
        """From the bare address to the first page behind the login."""
        await self.page.goto(self.url)
        await self.page.locator("input[name=username]").fill(self._server.ready["user"])
        await self.page.locator("input[name=password]").fill(self._server.ready["password"])
        await self.page.get_by_role("button", name="Log in").click()
        await self.page.locator("ha-sidebar").wait_for()
        await self._drawn()
        self._server.signed_in = await self.page.context.storage_state()

    async def begin_to_add(self) -> None:
        """Settings, Devices & services, Add integration, BTicino Classe: to the sign-in form."""
        await self.page.locator("ha-sidebar").get_by_text("Settings", exact=True).click()
        await self.page.get_by_text("Devices & services").click()
        await self.page.get_by_text("Add integration").click()
        await self.page.get_by_placeholder("Search for a brand name").fill("BTicino Classe")
        await self.page.get_by_text("BTicino Classe", exact=True).click()
        await self.page.get_by_text("Sign in to Home + Security").wait_for()

    async def submit(self, **fields: str) -> None:
        """Fill the form in front and send it."""
        for name, value in fields.items():
            await self.page.locator(f"input[name={name}]").fill(value)
        await self.page.get_by_role("button", name="Submit").click()

    async def see(self, text: str) -> None:
        """Wait until a text is there to be read."""
        await self.page.get_by_text(text).first.wait_for()

    async def click(self, button: str) -> None:
        """Press a button by its label."""
        await self.page.get_by_role("button", name=button).click()

    async def open_device(self, name: str) -> None:
        """From the list of devices to the page of one."""
        await self._go("config/devices/dashboard")
        await self.page.locator("ha-data-table").get_by_text(name, exact=True).first.click()
        await self.page.locator("ha-config-device-page").get_by_text("Device info").wait_for()

    async def open_dashboard(self, shown: str = "hui-lock-open-door-card-feature") -> None:
        """The development server's own dashboard, once an element of its doors is shown."""
        await self._go("dev-intercom/doors")
        await self.page.locator(shown).first.wait_for()

    async def open_from_dashboard(self, door: str) -> None:
        """The tile asks once more before it opens: two presses, as for a person."""
        tile = self.page.locator("hui-tile-card").filter(has_text=door)
        await tile.get_by_text("Open door", exact=True).click()
        await tile.get_by_text("Really open?").click()

    async def talk_and_open(self) -> Frame:
        """From the dashboard to the page of the first panel; returns the frame of its camera."""
        await self.page.locator("hui-tile-card").filter(has_text="Talk and open").first.click()
        card = self.page.locator("hui-iframe-card iframe")
        frame = await (await card.element_handle()).content_frame()
        assert frame is not None
        await frame.locator("ha-web-rtc-player").wait_for()
        return frame

    async def expect_locked(self, door: str, *, locked: bool) -> None:
        """Wait until a door's tile shows what it should."""
        tile = self.page.locator("hui-tile-card").filter(has_text=door)
        await expect(tile).to_contain_text("Locked" if locked else "Unlocked", timeout=TIMEOUT_MS)

    async def expect_tile(self, name: str, text: str) -> None:
        """Wait until a tile shows a text."""
        tile = self.page.locator("hui-tile-card").filter(has_text=name)
        await expect(tile.first).to_contain_text(text, timeout=TIMEOUT_MS)

    async def open_missed_calls(self, count: str) -> None:
        """A tap on their tile opens the latest calls; a long press sets the number to 0."""
        tile = self.page.locator("hui-tile-card").filter(has_text="Missed calls")
        await tile.click()
        calls = self.page.locator("ha-media-player-browse .child")
        await calls.filter(has_text="Missed").first.wait_for()
        await self.open_dashboard()
        await self.expect_tile("Missed calls", count)
        await tile.click(delay=HOLD_MS)
        await self.expect_tile("Missed calls", "0")

    async def browse_calls(self, *folders: str) -> list[str]:
        """Go down the media browser to the calls of a day, and return what is written there."""
        await self._go("media-browser/browser/app%2Cmedia-source%3A%2F%2Fbticino_classe")
        items = self.page.locator("ha-media-player-browse .child")
        for folder in folders:
            await items.filter(has_text=folder).first.click()
            title = self.page.locator("ha-media-player-browse, ha-panel-media-browser")
            await title.get_by_text(folder).first.wait_for()
        await items.filter(has_text=":").first.wait_for()
        return [" ".join(text.split()) for text in await items.locator(".title").all_inner_texts()]

    async def open_calendar(self) -> None:
        """The calendar, with what happened this month."""
        await self._go("calendar")
        await self.page.locator("ha-full-calendar").wait_for()

    async def open_options(self) -> None:
        """From the integration's page to the dialogue of its options."""
        await self._go("config/integrations/integration/bticino_classe")
        await self.page.get_by_role("button", name="Configure").first.click()
        await self.page.get_by_role("heading", name="History of calls").wait_for()

    async def open_integrations(self) -> None:
        """Settings, Devices & services."""
        await self._go("config/integrations/dashboard")

    async def picture(self, name: str) -> None:
        """Take the screen as it is, on a desktop and on a phone."""
        ARTIFACTS.mkdir(exist_ok=True)
        await self._take(name)
        await self._resize(PHONE)
        await self._take(f"{name}-phone")
        await self._resize(DESKTOP)

    async def _go(self, path: str) -> None:
        await self.page.goto(self.url + path)
        await self._drawn()

    async def _drawn(self) -> None:
        await self.page.locator("#ha-launch-screen").wait_for(state="detached")

    async def _take(self, name: str) -> None:
        await self.page.screenshot(path=ARTIFACTS / f"{name}.png", animations="disabled")

    async def _resize(self, size: tuple[int, int]) -> None:
        width, height = size
        await self.page.set_viewport_size({"width": width, "height": height})
