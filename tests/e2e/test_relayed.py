"""A camera that Home Assistant shows through go2rtc: two people watch one call."""

import asyncio
from asyncio.subprocess import PIPE, Process
from datetime import datetime
import signal
from typing import TYPE_CHECKING, Final

import aiohttp
from playwright.async_api import expect
import pytest
import pytest_asyncio

from tests.e2e.clock import shows_clock
from tests.e2e.development import (
    PYTHON,
    ROOT,
    START_TIMEOUT,
    Development,
    expect_clean_end,
    free_ports,
)
from tests.e2e.operating import Operator
from tests.e2e.player import Player, new_page, until
from tests.e2e.test_guest import MORE_INFO
from tests.e2e.test_stream import NUMBER, PANEL, play
from tests.e2e.test_view import until_state
from tests.e2e.visitor import ARTIFACTS, PHONE, TIMEOUT_MS, Visitor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("relayed"),
]

STREET: Final = "Posto esterno strada"
CAMERA: Final = "camera.posto_esterno_strada"
RINGING: Final = "binary_sensor.posto_esterno_strada_bell"
OPTION: Final = "Live view through go2rtc"
OPTIONS_FLOW: Final = "api/config/config_entries/options/flow"
ANNA: Final = {"username": "anna", "password": "a password of Anna's"}


class Go2rtcProcess:
    """The stand-in for go2rtc, on a port that it keeps."""

    process: Process

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._port, _ = free_ports()
        self.url = f"http://127.0.0.1:{self._port}/"

    async def start(self) -> None:
        """Start it and wait until it listens."""
        command = (PYTHON, "-m", "tests.go2rtc", "--port", str(self._port))
        self.process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE)
        assert self.process.stdout is not None
        async with asyncio.timeout(START_TIMEOUT):
            assert await self.process.stdout.readline() == f"go2rtc: {self.url}\n".encode()

    async def stop(self) -> None:
        """Stop it; it has nothing to complain about."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(START_TIMEOUT):
            assert await self.process.wait() == 0

    async def wait_unused(self) -> None:
        """Wait until it has noticed that everybody has left."""

        async def is_unused() -> bool:
            async with self._session.get(f"{self.url}api/streams") as response:
                streams = await response.json()
            return all(stream["consumers"] is None for stream in streams.values())

        await until(is_unused)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def go2rtc() -> AsyncIterator[Go2rtcProcess]:
    """A go2rtc for Home Assistant."""
    async with aiohttp.ClientSession() as session:
        server = Go2rtcProcess(session)
        await server.start()
        yield server
        await server.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(
    tmp_path_factory: pytest.TempPathFactory, go2rtc: Go2rtcProcess, one_browser: Browser
) -> AsyncIterator[Development]:
    """A development server with one relayed camera and a second user."""
    server = Development(tmp_path_factory.mktemp("relayed") / "state")
    try:
        await server.start("--configured", "--go2rtc", go2rtc.url)
        visitor = Visitor(await new_page(one_browser), server)
        await visitor.sign_in()
        await _choose_relay(visitor)
        await visitor.page.context.close()
        await _add_anna(server)
        yield server
        await expect_clean_end(server, signal.SIGINT)
        assert server.loop_errors() == []
    finally:
        await server.close()


async def _choose_relay(visitor: Visitor) -> None:
    """Choose the street's camera in the options."""
    await visitor.open_options()
    field = visitor.page.locator("step-flow-form ha-selector").filter(has_text=OPTION)
    await field.get_by_text(STREET).click()
    await visitor.picture("relayed-option")
    await visitor.submit()
    await visitor.see("Success")


async def _add_anna(server: Development) -> None:
    """Add a user who is no administrator."""
    async with server.owner() as owner:
        await owner.sign_in()
        group = {"group_ids": ["system-users"], "local_only": False}
        created = await owner.send_command("config/auth/create", name="Anna", **group)
        command = "config/auth_provider/homeassistant/create"
        await owner.send_command(command, user_id=created["user"]["id"], **ANNA)


@pytest_asyncio.fixture(loop_scope="session")
async def operator(house: Development, session: aiohttp.ClientSession) -> AsyncIterator[Operator]:
    """The operator of the house; in the end each call was ended once, and nothing was logged."""
    operator = Operator(session, house.ready["operator"])
    await operator.do("rtc", view_seconds=600)
    await operator.count_calls_from_now()
    yield operator
    calls = await operator.wait_for_calls(lambda found: not found["held_slots"])
    ended = [call["ended_by"] for call in calls["sessions"]]
    assert all(ended)
    begun = calls["offers"] + calls["answers"]
    assert (len(ended), ended.count("client")) == (begun, calls["terminates"])
    assert calls["peak"] == 1
    assert await operator.violations() == []
    assert house.logged_problems() == []


class Person:
    """Somebody with a browser, who opens the street's camera."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.player = Player(visitor)

    async def open(self) -> None:
        """Open the camera's dialogue on any page."""
        await self.visitor.page.evaluate(MORE_INFO, CAMERA)
        await self.visitor.page.locator("ha-web-rtc-player").wait_for()

    async def watch(self) -> None:
        """Open the camera until it plays: after a view, go2rtc has to pause."""

        async def plays() -> bool:
            await self.open()
            await until(self._has_picture_or_alert)
            if is_refused := await self.player.alert.is_visible():
                await self.player.close()
            return not is_refused

        await until(plays)
        await self.player.plays()

    async def _has_picture_or_alert(self) -> bool:
        return bool((await self.player.stats())["frames"]) or await self.player.alert.is_visible()


@pytest_asyncio.fixture(loop_scope="session")
async def owner(house: Development, running: Browser) -> Person:
    """The owner, on a desktop, at the page of the street's panel."""
    visitor = Visitor(await new_page(running, house.signed_in), house)
    await visitor.open_device(STREET)
    return Person(visitor)


@pytest_asyncio.fixture(loop_scope="session")
async def anna(house: Development, running: Browser) -> Person:
    """Anna, with a phone."""
    visitor = Visitor(await new_page(running), house)
    width, height = PHONE
    await visitor.page.set_viewport_size({"width": width, "height": height})
    await visitor.page.goto(visitor.url)
    for field, text in ANNA.items():
        await visitor.page.locator(f"input[name={field}]").fill(text)
    await visitor.click("Log in")
    await visitor.page.locator("home-assistant-main").wait_for()
    return Person(visitor)


async def test_two_people_one_call(
    house: Development, go2rtc: Go2rtcProcess, operator: Operator, owner: Person, anna: Person
) -> None:
    """One call for both, until both have left; another program is refused meanwhile."""
    await owner.watch()
    await anna.watch()
    await owner.player.plays()
    await picture(owner, anna, name="relayed")
    assert (await operator.calls())["offers"] == 1
    file = ARTIFACTS / "relayed-outside.png"
    code, output = await play(house.ready["stream"], file)
    assert (code, output.startswith("The stream address returned 409: ")) == (1, True), output
    await anna.player.close()
    await owner.player.plays()
    await anna.watch()
    assert (await operator.calls())["offers"] == 1
    await leave(go2rtc, operator, owner, anna)

    async def plays_outside() -> bool:
        started = datetime.now().astimezone()
        code, _ = await play(house.ready["stream"], file)
        ended = datetime.now().astimezone()
        return code == 0 and shows_clock(file, PANEL, NUMBER, started, ended)

    await until(plays_outside)  # there is a pause after the view before
    assert (await operator.calls())["offers"] == 2


async def test_ring(
    house: Development, go2rtc: Go2rtcProcess, operator: Operator, owner: Person, anna: Person
) -> None:
    """Opening the camera answers it, for all who watch; the call ends with the last of them."""
    await owner.watch()
    await anna.watch()
    await operator.do("ring", panel=STREET)
    seen = owner.visitor.page.locator("ha-device-entities-card")
    await expect(seen.get_by_text("Somebody rang").first).to_be_attached(timeout=TIMEOUT_MS)
    await anna.player.close()
    await anna.open()
    await operator.wait_for_calls(lambda found: found["answers"] == 1)
    await anna.player.plays()
    await owner.player.plays()
    await picture(owner, anna, name="relayed-ring")
    async with house.owner() as api:
        await api.sign_in()
        await until_state(api, RINGING, "off")
    await leave(go2rtc, operator, owner, anna)
    calls = await operator.calls()
    assert [calls[name] for name in ("offers", "answers", "terminates")] == [1, 1, 2]


async def test_go2rtc_is_restarted(
    go2rtc: Go2rtcProcess, operator: Operator, owner: Person
) -> None:
    """The camera plays once it is opened again; that replaces the former call."""
    await owner.watch()
    await go2rtc.stop()
    await go2rtc.start()
    await owner.player.close()
    await owner.watch()
    assert (await operator.calls())["offers"] == 2
    await leave(go2rtc, operator, owner)


async def test_stand_in_of_the_development_server(development: Development) -> None:
    """Without a URL, it is started; Home Assistant then offers the option."""
    await development.start("--configured", "--go2rtc")
    assert await _entries_and_options(development) == (["loaded"], True)
    await expect_clean_end(development, signal.SIGTERM)
    await development.start("--configured")
    assert await _entries_and_options(development) == ([], False)
    assert development.logged_problems() == []


async def _entries_and_options(development: Development) -> tuple[list[str], bool]:
    """Return the states of go2rtc's entries, and whether the option is offered."""
    async with development.owner() as owner:
        await owner.sign_in()
        entries = await owner.call("get", "api/config/config_entries/entry?domain=go2rtc")
        (account,) = await owner.entries()
        form = await owner.call("post", OPTIONS_FLOW, {"handler": account["entry_id"]})
    fields = [field["name"] for field in form["data_schema"]]
    return [entry["state"] for entry in entries], "go2rtc_cameras" in fields


async def leave(go2rtc: Go2rtcProcess, operator: Operator, *people: Person) -> None:
    """Let all leave: the call ends with the last of them, and go2rtc does not call again."""
    for person in people:
        await person.player.close()
    await operator.wait_for_calls(lambda found: not found["held_slots"])
    await go2rtc.wait_unused()


async def picture(owner: Person, anna: Person, *, name: str) -> None:
    """Take both screens as they are."""
    ARTIFACTS.mkdir(exist_ok=True)
    await owner.visitor.page.screenshot(path=ARTIFACTS / f"{name}-owner.png")
    await anna.visitor.page.screenshot(path=ARTIFACTS / f"{name}-anna.png")
