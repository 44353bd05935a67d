"""An owner in front of Home Assistant's frontend, in a real browser."""

from functools import partial
import json
from pathlib import Path
import shutil
from typing import TYPE_CHECKING, Final

from playwright.async_api import expect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Frame, Locator, Page

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
CONFIG: Final = "ui.panel.config"  # of the frontend's texts
# The frontend loads texts with the pages that show them.
LOCALIZE: Final = "key => document.querySelector('home-assistant').hass.localize(key)"
SCROLLED: Final = 3_000  # pixels, the most that is added to the height of a screen
LOOKS: Final = 8
LOOK_EVERY_MS: Final = 150  # milliseconds
# How far the page can be scrolled, in whatever element; whether something is still being loaded.
SCREEN: Final = """
  () => {
    const found = {scrolled: 0, loading: false};
    const visit = root => {
      for (const each of root.querySelectorAll("*")) {
        if (each.localName === "ha-spinner" && each.checkVisibility()) found.loading = true;
        if (["auto", "scroll"].includes(getComputedStyle(each).overflowY))
          found.scrolled = Math.max(found.scrolled, each.scrollHeight - each.clientHeight);
        if (each.shadowRoot) visit(each.shadowRoot);
      }
    };
    visit(document);
    const page = document.scrollingElement;
    found.scrolled = Math.max(found.scrolled, page.scrollHeight - page.clientHeight);
    return found;
  }
"""
TRANSLATIONS: Final = Path(__file__).parents[2] / "custom_components/bticino_classe/translations"


def chromium() -> str | None:
    """The path of a browser on this machine, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def own_text(language: str, key: str) -> str:
    """Return a text of the integration's translations by its keys with dots in between."""
    found = json.loads((TRANSLATIONS / f"{language}.json").read_text(encoding="utf-8"))
    for part in key.split("."):
        found = found[part]
    return str(found)


class Visitor:
    """Follows the steps of the README with the mouse, and takes screenshots."""

    def __init__(self, page: Page, server: Development, album: str = "") -> None:
        self.page = page
        self._server = server
        self._album = album
        self.url = server.ready["url"]
        self.email = server.ready["email"]
        page.set_default_timeout(TIMEOUT_MS)

    def own(self, key: str, **values: str) -> str:
        """Return a text of the integration in the language of the house."""
        return own_text(self._server.language, key).format(**values)

    async def text(self, key: str) -> str:
        """Return a text of Home Assistant in the language of the page, once it is loaded."""
        text = await self.page.wait_for_function(LOCALIZE, arg=key)
        return str(await text.json_value())

    async def sign_in(self) -> None:
        """From the bare address to the first page behind the login."""
        await self.page.goto(self.url)
        await self.page.locator("input[name=username]").fill(self._server.ready["user"])
        await self.page.locator("input[name=password]").fill(self._server.ready["password"])
        if self._album:
            await self.picture("login")
        await self.page.keyboard.press("Enter")
        await self.page.locator("home-assistant-main").wait_for()
        await self._drawn()
        self._server.signed_in = await self.page.context.storage_state()

    async def begin_to_add(self) -> None:
        """Settings, Devices & services, Add integration, BTicino Classe: to the sign-in form."""
        if self.page.viewport_size == {"width": PHONE[0], "height": PHONE[1]}:
            await self.page.locator("ha-menu-button").first.click()
        await self.page.locator("ha-sidebar").get_by_text(await self.text("panel.config")).click()
        await self.page.get_by_text(await self.text(f"{CONFIG}.dashboard.devices.main")).click()
        await self.click(await self.text(f"{CONFIG}.integrations.add_integration"))
        search = await self.text(f"{CONFIG}.integrations.search_brand")
        await self.page.get_by_placeholder(search).fill("BTicino Classe")
        await self.page.get_by_text("BTicino Classe", exact=True).click()
        await self.see(self.own("config.step.user.title"))

    async def submit(self, **fields: str) -> None:
        """Fill the form in front and send it."""
        for name, value in fields.items():
            await self.page.locator(f"input[name={name}]").fill(value)
        await self.click(await self.text(f"{CONFIG}.integrations.config_flow.submit"))

    async def choose(self, label: str) -> None:
        """Press a switch or a box of the form in front by its label."""
        await self.page.locator("ha-switch, ha-checkbox").filter(has_text=label).click()

    async def see(self, text: str) -> None:
        """Wait until a text is there to be read."""
        await self.page.get_by_text(text).first.wait_for()

    async def click(self, button: str) -> None:
        """Press a button by its label."""
        await self.page.get_by_role("button", name=button).click()

    async def open_device(self, name: str) -> None:
        """From the list of devices to the page of one."""
        await self._go("config/devices/dashboard")
        # Not the other cells: what is connected by an intercom names that.
        names = self.page.locator("ha-data-table [role=rowheader]")
        await names.get_by_text(name, exact=True).first.click()
        heading = await self.text(f"{CONFIG}.devices.device_info_heading")
        await self.page.locator("ha-config-device-page").get_by_text(heading).wait_for()

    async def open_dashboard(self, shown: str = "hui-lock-open-door-card-feature") -> None:
        """The development server's own dashboard, once an element of its doors is shown."""
        await self._go("dev-intercom/doors")
        await self.page.locator(shown).first.wait_for()

    async def open_from_dashboard(self, door: str) -> None:
        """The tile asks once more before it opens: two presses, as for a person."""
        tile = self.page.locator("hui-tile-card").filter(has_text=door)
        await tile.get_by_text(await self.text("ui.card.lock.open_door"), exact=True).click()
        await tile.get_by_text(await self.text("ui.card.lock.open_door_confirm")).click()

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
        state = "locked" if locked else "unlocked"
        text = await self.text(f"component.lock.entity_component._.state.{state}")
        tile = self.page.locator("hui-tile-card").filter(has_text=door)
        await expect(tile).to_contain_text(text, timeout=TIMEOUT_MS)

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
        await self.open_integration()
        configure = await self.text(f"{CONFIG}.integrations.config_entry.configure")
        await self.page.get_by_role("button", name=configure).first.click()
        await self.section("history").wait_for()

    def section(self, name: str) -> Locator:
        """Return the heading of a section of the options, which opens and closes it."""
        heading = self.own(f"options.step.init.sections.{name}.name")
        return self.page.get_by_role("heading", name=heading)

    async def open_integrations(self) -> None:
        """Settings, Devices & services."""
        await self._go("config/integrations/dashboard")

    async def open_integration(self) -> None:
        """The page of the integration, with its account."""
        await self._go("config/integrations/integration/bticino_classe")
        await self.page.locator("ha-config-entry-row").first.wait_for()

    async def open_entities(self) -> None:
        """The list of the entities."""
        await self._go("config/entities/?domain=bticino_classe")
        await self.page.locator("ha-data-table [role=row]").nth(1).wait_for()

    async def open_activity(self) -> None:
        """What happened, of all entities."""
        await self._go("logbook")
        await self.page.locator("ha-logbook-renderer .entry").first.wait_for()

    async def open_reconfigure(self) -> None:
        """From the integration's page to the form that changes the sign-in."""
        await self.open_integration()
        row = self.page.locator("ha-config-entry-row")
        await row.locator("ha-dropdown").first.click()
        text = await self.text(f"{CONFIG}.integrations.config_entry.reconfigure")
        await self.page.get_by_text(text, exact=True).first.click()
        await self.see(self.own("config.step.reconfigure.title"))

    async def close_dialog(self) -> None:
        """Leave a form, which ends it; a page that is only reloaded would leave it open."""
        dialog = self.page.locator("dialog-data-entry-flow")
        await dialog.locator("[data-dialog=close]").first.click()
        await self.page.locator("step-flow-form").wait_for(state="detached")

    async def open_overview(self) -> None:
        """The dashboard that Home Assistant makes by itself."""
        await self._go("")
        await self.page.locator("hui-view").first.wait_for()

    async def picture(self, name: str, *, at_once: bool = False) -> None:
        """Take the screen as it is, on a desktop and on a phone; with an album the whole page.

        `at_once`: only what is on the screen now, for a video or a message that does not stay.
        """
        ARTIFACTS.mkdir(exist_ok=True)
        if self._album:
            take = self._take if at_once else self._take_page
            await take(f"{self._album}-{name}")
            return
        await self._take(name)
        await self._resize(PHONE)
        await self._take(f"{name}-phone")
        await self._resize(DESKTOP)

    async def _go(self, path: str) -> None:
        await self.page.goto(self.url + path)
        await self._drawn()

    async def _drawn(self) -> None:
        await self.page.locator("#ha-launch-screen").wait_for(state="detached")

    async def _take_page(self, name: str) -> None:
        """Take what a person sees who scrolls to the end, once nothing is being loaded."""
        size = self.page.viewport_size
        assert size is not None
        width, height = size["width"], size["height"]
        await self.page.wait_for_function(f"() => !({SCREEN})().loading")
        scrolled = await self._settled(self._scrolled)
        # A dialogue has margins, which grow with the screen.
        await self._resize((width, height + min(scrolled * 5 // 4, SCROLLED)))
        picture = await self._settled(partial(self.page.screenshot, animations="disabled"))
        (ARTIFACTS / f"{name}.png").write_bytes(picture)
        await self._resize((width, height))

    async def _scrolled(self) -> int:
        return int((await self.page.evaluate(SCREEN))["scrolled"])

    async def _settled[T](self, measure: Callable[[], Awaitable[T]]) -> T:
        """Return what is measured twice in a row; after some times the last: a video moves on."""
        before, now = None, await measure()
        for _ in range(LOOKS):
            if now == before:
                break
            await self.page.wait_for_timeout(LOOK_EVERY_MS)
            before, now = now, await measure()
        return now

    async def _take(self, name: str) -> None:
        await self.page.screenshot(path=ARTIFACTS / f"{name}.png", animations="disabled")

    async def _resize(self, size: tuple[int, int]) -> None:
        width, height = size
        await self.page.set_viewport_size({"width": width, "height": height})
