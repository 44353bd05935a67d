"""Development servers and one browser; a failed test leaves screenshots and the end of the log."""

import signal
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import pytest_asyncio

from tests.e2e.development import Development, expect_clean_end
from tests.e2e.player import browser, new_page, picture_all
from tests.e2e.visitor import chromium

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator
    from pathlib import Path

    from playwright.async_api import Browser, Page

HERE = "tests/e2e"
FAILED = pytest.StashKey[bool]()


@pytest_asyncio.fixture(loop_scope="session")
async def development(tmp_path: Path) -> AsyncIterator[Development]:
    """A development server for one test, which starts it; it is stopped in any case."""
    server = Development(tmp_path / "state")
    yield server
    await server.close()
    assert server.loop_errors() == []


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Development]:
    """A development server that is set up, shared by the tests that neither stop nor change it."""
    server = Development(tmp_path_factory.mktemp("house") / "state")
    await server.start("--configured")
    yield server
    await expect_clean_end(server, signal.SIGINT)
    assert server.loop_errors() == []


@pytest_asyncio.fixture(loop_scope="session")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A session for the simulator's operator interface."""
    async with aiohttp.ClientSession() as client:
        yield client


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def one_browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """The browser of all tests, with a microphone; without Chromium they are skipped."""
    path = chromium()
    if path is None:
        pytest.skip("no Chromium on this machine: install chromium to run the tests in a browser")
    async with browser(path, tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def running(request: pytest.FixtureRequest, one_browser: Browser) -> AsyncIterator[Browser]:
    """The browser; the pages of the test are closed, after screenshots if it failed."""
    yield one_browser
    if request.node.stash.get(FAILED, False):
        await picture_all(one_browser, f"failed-{request.node.name}")
    for context in tuple(one_browser.contexts):
        await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(running: Browser) -> Page:
    """An empty page."""
    return await new_page(running)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip these tests where Home Assistant's pytest plugin would block their sockets."""
    if config.pluginmanager.has_plugin("homeassistant"):
        reason = f"run with: pytest {HERE} -p no:homeassistant --confcutdir {HERE}"
        for item in items:
            if item.get_closest_marker("e2e"):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, pytest.TestReport]:
    """Add the end of Home Assistant's log and the path of the screenshots to a failure."""
    report: pytest.TestReport = yield
    if report.failed and call.when == "call":
        item.stash[FAILED] = True
        used = getattr(item, "funcargs", {})
        for server in used.keys() & {"development", "house"}:
            report.sections.append(("the end of Home Assistant's log", used[server].log_tail()))
        if "running" in used:
            pictures = f"artifacts/failed-{item.name}-*.png"
            report.sections.append(("the last that the browser showed", pictures))
    return report
