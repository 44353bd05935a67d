"""A development server per test; what fails leaves a picture and the end of the log."""

from typing import TYPE_CHECKING, Any

import aiohttp
from playwright.async_api import Page, async_playwright
import pytest

from tests.e2e.development import Development
from tests.e2e.visitor import ARTIFACTS, DESKTOP, FLAGS, chromium

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator
    from pathlib import Path

HERE = "tests/e2e"
FAILED = pytest.StashKey[bool]()


@pytest.fixture
async def development(tmp_path: Path) -> AsyncIterator[Development]:
    """A development server that is not started yet, and is ended whatever happens."""
    server = Development(tmp_path / "state")
    yield server
    await server.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """For talking to the simulator's operator interface."""
    async with aiohttp.ClientSession() as client:
        yield client


@pytest.fixture
async def page(request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    """An empty page of a real browser; the test is left out where there is none."""
    browser = chromium()
    if browser is None:
        pytest.skip("no Chromium on this machine: install chromium to run the tests in a browser")
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=browser, args=FLAGS)
        width, height = DESKTOP
        empty = await running.new_page(viewport={"width": width, "height": height})
        yield empty
        if request.node.stash.get(FAILED, False):
            ARTIFACTS.mkdir(exist_ok=True)
            await empty.screenshot(path=ARTIFACTS / f"failed-{request.node.name}.png")
        await running.close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave these tests out where Home Assistant's pytest plugin would close their sockets."""
    if config.pluginmanager.has_plugin("homeassistant"):
        reason = f"run with: pytest {HERE} -p no:homeassistant --confcutdir {HERE}"
        for item in items:
            if item.get_closest_marker("e2e"):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, pytest.TestReport]:
    """Tell with a failure what Home Assistant wrote last, and where the picture is."""
    report: pytest.TestReport = yield
    if report.failed and call.when == "call":
        item.stash[FAILED] = True
        used = getattr(item, "funcargs", {})
        if "development" in used:
            log = used["development"].log_tail()
            report.sections.append(("the end of Home Assistant's log", log))
        if "page" in used:
            picture = ARTIFACTS / f"failed-{item.name}.png"
            report.sections.append(("the last that the browser showed", str(picture)))
    return report
