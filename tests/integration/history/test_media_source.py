"""The media browser: what there is to see, in which order, and that nothing else is."""

from datetime import datetime, timedelta
from http import HTTPStatus
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from homeassistant.components.http.auth import async_sign_path
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.translation import async_get_translations
from homeassistant.setup import async_setup_component
import pytest

from custom_components.bticino_classe.client.push import CallPush, CallStep
from custom_components.bticino_classe.const import CONF_HISTORY, CONF_KEEP, DOMAIN
from custom_components.bticino_classe.history.media_tree import Period
from tests.integration.conftest import (
    Happenings,
    heard,
    online,
    restart,
    settle,
    the_entry,
    until,
)
from tests.integration.history.stored import calls_of
from tests.simulator.pictures import jpeg

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockUser
    from pytest_homeassistant_custom_component.typing import (
        ClientSessionGenerator,
        MockHAClientWebSocket,
        WebSocketGenerator,
    )

    from tests.simulator import Call, Simulator

STREET, YARD, INTERCOM = "Posto esterno strada", "Posto esterno cortile", "Classe 300X"
ROOT = f"media-source://{DOMAIN}"
ROME = ZoneInfo("Europe/Rome")
DAY = 86_400  # seconds

type Item = dict[str, Any]


class Browser:
    """The page with the media browser."""

    def __init__(self, client: MockHAClientWebSocket) -> None:
        self._client = client

    async def ask(self, kind: str, media_id: str) -> Item:
        """Return Home Assistant's whole answer."""
        await self._client.send_json_auto_id(
            {"type": f"media_source/{kind}", "media_content_id": media_id}
        )
        answer: Item = await self._client.receive_json()
        return answer

    async def open(self, *titles: str, at: str = ROOT) -> list[Item]:
        """Click through the folders and return what is in the last."""
        answer = await self.ask("browse_media", at)
        assert answer["success"], answer
        children: list[Item] = answer["result"]["children"]
        if not titles:
            return children
        (found,) = [child for child in children if child["title"] == titles[0]]
        assert found["can_expand"]
        return await self.open(*titles[1:], at=found["media_content_id"])

    async def titles(self, *titles: str) -> list[str]:
        """Return what the items in a folder are called."""
        return [child["title"] for child in await self.open(*titles)]

    async def link(self, item: Item) -> str:
        """Return the signed link behind an item."""
        answer = await self.ask("resolve_media", item["media_content_id"])
        assert answer["success"], answer
        assert answer["result"]["mime_type"] == "image/jpeg"
        url: str = answer["result"]["url"]
        return url


@pytest.fixture(name="browser")
async def _browser(
    hass: HomeAssistant,
    bell: Happenings,  # noqa: ARG001 - a house that rings
    hass_ws_client: WebSocketGenerator,
) -> Browser:
    await hass.config.async_set_time_zone("Europe/Rome")
    assert await async_setup_component(hass, "media_source", {})
    history = the_entry(hass).runtime_data.history
    await history.async_delete([call.id for call in await calls_of(hass)])
    await settle(hass)
    return Browser(await hass_ws_client(hass))


async def ring(hass: HomeAssistant, simulator: Simulator, panel: str = STREET, **how: Any) -> Call:
    """Ring, and wait until the picture is there."""
    history = the_entry(hass).runtime_data.history
    before = len(history._summary.recent)
    call = simulator.ring(panel, **how)
    await until(lambda: len(history._summary.recent) > before)
    await heard(hass, 1)
    await settle(hass)
    return call


async def rang_long_ago(hass: HomeAssistant, simulator: Simulator) -> datetime:
    """Let the intercom tell late that somebody was at the street, and return when."""
    at = time.time() - 40 * DAY
    push = CallPush(
        step=CallStep.OFFERED,
        session_id="long-ago",
        bridge_id=simulator.house.bridges()[0].id,
        panel_id=simulator.house.find(STREET).id,
        time=at,
    )
    the_entry(hass).runtime_data.calls.async_handle_push(push)
    await settle(hass)
    return datetime.fromtimestamp(at, ROME)


def local(call: Call) -> datetime:
    """Return when it rang, as people in Rome say it."""
    return datetime.fromtimestamp(int(call.at), ROME)


def way(call: Call, panel: str = STREET) -> tuple[str, str, str]:
    """Return the folders that lead to a call."""
    return panel, f"{local(call):%Y-%m}", f"{local(call):%Y-%m-%d}"


async def test_panel_month_day_call(
    hass: HomeAssistant, browser: Browser, simulator: Simulator
) -> None:
    """The newest first, with what became of it; a home that is alone is no folder."""
    missed = await ring(hass, simulator, vignette=False)
    simulator.miss(missed)
    answered = await ring(hass, simulator)
    simulator.answer_elsewhere(answered)
    await ring(hass, simulator, YARD, vignette=False)
    old = await rang_long_ago(hass, simulator)
    assert await browser.titles() == [STREET, YARD]
    assert await browser.titles(STREET) == [way(answered)[1], f"{old:%Y-%m}"]
    assert await browser.titles(STREET, f"{old:%Y-%m}") == [f"{old:%Y-%m-%d}"]
    assert await browser.titles(*way(answered)) == [
        f"{local(answered):%H:%M} · Answered",
        f"{local(answered):%H:%M} · Close-up",
        f"{local(missed):%H:%M} · Missed",
    ]


async def test_looking_at_a_picture(
    hass: HomeAssistant,
    browser: Browser,
    simulator: Simulator,
    hass_client: ClientSessionGenerator,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    """By a link that Home Assistant has signed; the thumbnail is the same, for who is signed in."""
    call = await ring(hass, simulator)
    stranger, friend = await hass_client_no_auth(), await hass_client()
    items = await browser.open(*way(call))
    for item, kind in zip(items, ("snapshot", "vignette"), strict=True):
        assert (item["media_class"], item["can_play"]) == ("image", True)
        url = await browser.link(item)
        answer = await stranger.get(url)
        assert answer.status == HTTPStatus.OK
        assert await answer.read() == jpeg(call.picture_id(kind))
        assert urlsplit(url).path == item["thumbnail"]
        assert (await friend.get(item["thumbnail"])).status == HTTPStatus.OK


async def test_signature_is_good_for_one_picture_and_not_for_ever(
    hass: HomeAssistant,
    browser: Browser,
    simulator: Simulator,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    """Without it, with that of another picture, or when it is over, nothing is seen."""
    call = await ring(hass, simulator)
    stranger = await hass_client_no_auth()
    whole, close_up = [urlsplit(await browser.link(i)) for i in await browser.open(*way(call))]
    over = async_sign_path(hass, whole.path, timedelta(seconds=-60), use_content_user=True)
    for url in (whole.path, f"{whole.path}?{close_up.query}", over):
        assert (await stranger.get(url)).status == HTTPStatus.UNAUTHORIZED


async def test_folders_show_their_newest_picture(
    hass: HomeAssistant, browser: Browser, simulator: Simulator
) -> None:
    """Not that there is none when the last call left none."""
    call = await ring(hass, simulator, vignette=False)
    await ring(hass, simulator, pictures=False)
    (_, item) = await browser.open(*way(call))
    assert item["thumbnail"]
    street, yard = await browser.open()
    (month,) = await browser.open(STREET)
    (day,) = await browser.open(*way(call)[:2])
    assert {each["thumbnail"] for each in (street, month, day)} == {item["thumbnail"]}
    assert yard["thumbnail"] is None
    assert await browser.open(YARD) == []


async def test_call_without_a_picture_is_listed(
    hass: HomeAssistant, browser: Browser, simulator: Simulator
) -> None:
    """And cannot be opened."""
    call = await ring(hass, simulator, pictures=False)
    simulator.miss(call)
    await settle(hass)
    history = the_entry(hass).runtime_data.history
    await until(lambda: history._summary.recent[-1].outcome == "missed")
    (item,) = await browser.open(*way(call))
    assert item["title"] == f"{local(call):%H:%M} · Missed"
    assert (item["can_play"], item["can_expand"], item["thumbnail"]) == (False, False, None)
    answer = await browser.ask("resolve_media", item["media_content_id"])
    assert answer["error"]["message"] == "There is no picture of this call."


async def test_words_and_time_of_the_house(
    hass: HomeAssistant, browser: Browser, simulator: Simulator
) -> None:
    """The device's name, the language and the time zone are those that people have set."""
    await hass.config.async_update(language="it", time_zone="Pacific/Auckland")
    await async_get_translations(hass, "it", "common", {DOMAIN})  # as a change of it does
    registry, panel_id = dr.async_get(hass), simulator.house.find(STREET).id
    device = registry.async_get_device_by_identifier((DOMAIN, panel_id), the_entry(hass).entry_id)
    assert device is not None
    registry.async_update_device(device.id, name_by_user="Via Roma")
    call = await ring(hass, simulator)
    moment = datetime.fromtimestamp(call.at, ZoneInfo("Pacific/Auckland"))
    folders = ("Via Roma", f"{moment:%Y-%m}", f"{moment:%Y-%m-%d}")
    assert await browser.titles(*folders) == [
        f"{moment:%H:%M} · Suona",
        f"{moment:%H:%M} · Ingrandimento",
    ]


@pytest.mark.parametrize("house_name", ["easykit_three_panels"])
async def test_ring_of_no_known_panel_is_the_intercoms(
    hass: HomeAssistant, browser: Browser, simulator: Simulator
) -> None:
    """Which is listed only if there is such a call."""
    panels = ["Entrance panel 1", "Entrance panel 2", "Entrance panel 3"]
    assert sorted(await browser.titles()) == panels
    call = await ring(hass, simulator, simulator.house.panels()[0].id)
    assert sorted(await browser.titles()) == ["EasyKit", *panels]
    assert len(await browser.open(*way(call, "EasyKit"))) == 2


@pytest.mark.parametrize("house_name", ["two_homes"])
async def test_two_homes_are_folders(
    hass: HomeAssistant, browser: Browser, simulator: Simulator
) -> None:
    """Each with its own panels; a home that is left out is not shown, nor are its pictures."""
    call = await ring(hass, simulator)
    city, seaside = (home.name for home in simulator.house.homes)
    assert await browser.titles() == [city, seaside]
    assert await browser.titles(city) == ["Cancello"]
    (item, _) = await browser.open(seaside, *way(call))
    entry = the_entry(hass)
    homes = [simulator.house.homes[1].id]
    hass.config_entries.async_update_entry(entry, options={"excluded_homes": homes})
    await hass.config_entries.async_reload(entry.entry_id)
    await settle(hass)
    assert await browser.titles() == ["Cancello"]
    assert not (await browser.ask("resolve_media", item["media_content_id"]))["success"]


async def test_no_history_nothing_to_browse(
    hass: HomeAssistant, browser: Browser, simulator: Simulator
) -> None:
    """What is only in memory is for the notification, not for browsing."""
    call = await ring(hass, simulator)
    (item, _) = await browser.open(*way(call))
    entry = the_entry(hass)
    hass.config_entries.async_update_entry(entry, options={CONF_HISTORY: {CONF_KEEP: False}})
    await hass.config_entries.async_reload(entry.entry_id)
    await online(entry)
    call = await ring(hass, simulator)
    assert await browser.titles() == []
    assert not (await browser.ask("resolve_media", item["media_content_id"]))["success"]


async def test_account_that_is_not_set_up_is_left_out(
    hass: HomeAssistant, browser: Browser, simulator: Simulator
) -> None:
    """And comes back with it."""
    call = await ring(hass, simulator)
    (item, _) = await browser.open(*way(call))
    entry = the_entry(hass)
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert await browser.titles() == []
    assert not (await browser.ask("resolve_media", item["media_content_id"]))["success"]
    await hass.config_entries.async_setup(entry.entry_id)
    assert len(await browser.open(*way(call))) == 2


@pytest.mark.parametrize("foreign", [False, True])
@pytest.mark.parametrize(
    "tail",
    [
        "",
        "{panel}/",
        "{panel}/2026",
        "{panel}/1999-01",
        "{panel}/1999-01-01",
        "{panel}/2026-11-28/x",
        "{door}",
        "{call}",
        "{call}/",
        "{call}/video",
        "{call}/id",
        "{call}/snapshot/x",
        "{call}/../snapshot",
        "../{call}/snapshot",
        "{panel}/..",
        "..",
        "../../.storage",
        "..%2f..%2fsecrets.yaml",
        "//etc/passwd",
    ],
)
async def test_nothing_but_calls_can_be_named(
    hass: HomeAssistant, browser: Browser, simulator: Simulator, *, tail: str, foreign: bool
) -> None:
    """Whatever is asked for is a key of the history, or an error that says nothing of it."""
    await ring(hass, simulator)
    entry = the_entry(hass)
    names = {
        "panel": simulator.house.find(STREET).id,
        "door": simulator.house.find("Cancello").id,
        "call": (await calls_of(hass))[-1].id,
    }
    media_id = f"{ROOT}/{'nobody' if foreign else entry.entry_id}/{tail.format(**names)}"
    browsed = await browser.ask("browse_media", media_id)
    assert browsed["error"]["message"] == "There is nothing here (any more)"
    resolved = await browser.ask("resolve_media", media_id)
    assert resolved["error"]["message"] == "There is no picture of this call."


async def test_picture_that_was_deleted(
    hass: HomeAssistant, browser: Browser, simulator: Simulator
) -> None:
    """Its link and its folders are worth nothing any more."""
    call = await ring(hass, simulator)
    (item, _) = await browser.open(*way(call))
    (day,) = await browser.open(*way(call)[:2])
    history = the_entry(hass).runtime_data.history
    await history.async_delete([call.id for call in await calls_of(hass)])
    assert not (await browser.ask("resolve_media", item["media_content_id"]))["success"]
    assert not (await browser.ask("browse_media", day["media_content_id"]))["success"]
    assert await browser.open(STREET) == []


async def test_user_without_permission_gets_no_picture(
    hass: HomeAssistant,
    browser: Browser,
    simulator: Simulator,
    hass_admin_user: MockUser,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    """The signature stands for the person who asked for it."""
    call = await ring(hass, simulator)
    (item, _) = await browser.open(*way(call))
    url = await browser.link(item)
    hass_admin_user.groups = []
    hass_admin_user.mock_policy(
        {"entities": {"entity_ids": {"camera.posto_esterno_cortile": True}}}
    )
    assert (await (await hass_client_no_auth()).get(url)).status == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize("replacement", ["classe_100x", "easykit_three_panels"])
async def test_replaced_intercom(
    hass: HomeAssistant, browser: Browser, simulator: Simulator, replacement: str
) -> None:
    """Its calls stay where they were, under the names of their day; each can be deleted."""
    call = await ring(hass, simulator)
    simulator.miss(await ring(hass, simulator, YARD))
    entry = the_entry(hass)
    simulator.use_house(replacement)
    await restart(hass, entry)
    await online(entry)
    homes = await browser.titles()
    folders = () if STREET in homes else ("Casa",)
    assert {STREET, YARD} <= {*await browser.titles(*folders)}
    (item, _) = await browser.open(*folders, *way(call))
    assert await browser.link(item)
    exported: Any = await hass.services.async_call(
        DOMAIN, "export_calls", {}, blocking=True, return_response=True
    )
    (first, _) = [each for each in exported["calls"] if each["pictures"]]
    assert (first["home"], first["panel"]) == ("Casa", STREET)
    await hass.services.async_call(DOMAIN, "delete_calls", {"call_id": first["id"]}, blocking=True)
    assert STREET not in await browser.titles(*folders)
    assert YARD in await browser.titles(*folders)


@pytest.mark.parametrize(
    ("zone", "day", "length"),
    [
        ("Europe/Rome", "2026-10-25", 25),
        ("Europe/Rome", "2026-03-29", 23),
        ("America/Sao_Paulo", "2018-11-04", 23),  # without a midnight
        ("Atlantic/Azores", "2026-10-25", 25),  # the hour after midnight comes twice
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
    ],
)
def test_day_on_which_the_clocks_change(zone: str, day: str, length: float) -> None:
    """It begins and ends at local midnight, and meets the days around it."""
    found = Period.read(day, ZoneInfo(zone))
    assert found is not None
    assert found.until - found.since == length * 3600
    after = Period.around(datetime.fromtimestamp(found.until, ZoneInfo(zone)), "%Y-%m-%d")
    assert after.since == found.until
    before = Period.around(datetime.fromtimestamp(found.since - 1, ZoneInfo(zone)), "%Y-%m-%d")
    assert before.until == found.since
