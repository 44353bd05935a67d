"""The media browser: content, order, and access."""

from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path, PurePosixPath
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from homeassistant.components.http.auth import async_sign_path
from homeassistant.components.media_source import async_resolve_media
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.translation import async_get_translations
from homeassistant.setup import async_setup_component
import pytest

from custom_components.bticino_classe.client.push import CallPush, CallStep
from custom_components.bticino_classe.const import CONF_HISTORY, CONF_KEEP, DOMAIN
from custom_components.bticino_classe.history.media_tree import Period
from custom_components.bticino_classe.history.picture_files import KEEP_SECONDS
from tests.integration.conftest import (
    EventRecorder,
    advance,
    get_entry,
    reload_entry,
    wait_frames,
    wait_idle,
    wait_online,
    wait_until,
)
from tests.integration.history.stored import calls_of
from tests.simulator.pictures import jpeg

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.common import MockUser
    from pytest_homeassistant_custom_component.typing import (
        ClientSessionGenerator,
        MockHAClientWebSocket,
        WebSocketGenerator,
    )

    from tests.simulator import Call, Simulator

STREET, YARD, INTERCOM = "Posto esterno strada", "Posto esterno cortile", "Classe 300X"
STREET_CAMERA, YARD_CAMERA = "camera.posto_esterno_strada", "camera.posto_esterno_cortile"
KINDS = ("snapshot", "vignette")
ROOT = f"media-source://{DOMAIN}"
UNBROKEN = "\N{NO-BREAK SPACE}"
ROME = ZoneInfo("Europe/Rome")
DAY = 86_400  # seconds

type Item = dict[str, Any]


class Browser:
    """The media browser of the frontend."""

    def __init__(self, client: MockHAClientWebSocket) -> None:
        self._client = client

    async def request(self, kind: str, media_id: str) -> Item:
        """Return Home Assistant's response."""
        await self._client.send_json_auto_id(
            {"type": f"media_source/{kind}", "media_content_id": media_id}
        )
        answer: Item = await self._client.receive_json()
        return answer

    async def open(self, *titles: str, at: str = ROOT) -> list[Item]:
        """Open folders by title, and return the content of the last one."""
        answer = await self.request("browse_media", at)
        assert answer["success"], answer
        children: list[Item] = answer["result"]["children"]
        for child in children:
            child["title"] = child["title"].replace(UNBROKEN, " ")
        if not titles:
            return children
        (found,) = [child for child in children if child["title"] == titles[0]]
        assert found["can_expand"]
        return await self.open(*titles[1:], at=found["media_content_id"])

    async def titles(self, *titles: str) -> list[str]:
        """Return the titles of the items in a folder."""
        return [child["title"] for child in await self.open(*titles)]

    async def link(self, item: Item) -> str:
        """Return the signed link of an item."""
        answer = await self.request("resolve_media", item["media_content_id"])
        assert answer["success"], answer
        assert answer["result"]["mime_type"] == "image/jpeg"
        url: str = answer["result"]["url"]
        return url


@pytest.fixture(name="browser")
async def _browser(
    hass: HomeAssistant,
    events: EventRecorder,  # noqa: ARG001 - the account is online first
    hass_ws_client: WebSocketGenerator,
) -> Browser:
    await hass.config.async_set_time_zone("Europe/Rome")
    assert await async_setup_component(hass, "media_source", {})
    history = get_entry(hass).runtime_data.history
    await history.async_delete([call.id for call in await calls_of(hass)])
    await wait_idle(hass)
    return Browser(await hass_ws_client(hass))


async def ring(hass: HomeAssistant, simulator: Simulator, panel: str = STREET, **how: Any) -> Call:
    """Ring, and wait until the pictures are stored."""
    history = get_entry(hass).runtime_data.history
    before = len(history._summary.recent)
    call = simulator.ring(panel, **how)
    await wait_until(lambda: len(history._summary.recent) > before)
    await wait_frames(hass, 1)
    await wait_idle(hass)
    return call


async def add_call(
    hass: HomeAssistant, simulator: Simulator, panel: str = STREET, *, days_ago: int
) -> datetime:
    """Let a push report a missed call of an earlier day, and return its time."""
    at = time.time() - days_ago * DAY
    push = CallPush(
        step=CallStep.MISSED,
        session_id=f"{days_ago} days ago",
        bridge_id=simulator.house.bridges()[0].id,
        panel_id=simulator.house.find(panel).id,
        time=at,
    )
    get_entry(hass).runtime_data.calls.async_handle_push(push)
    await wait_idle(hass)
    return datetime.fromtimestamp(at, ROME)


def local(call: Call) -> datetime:
    """Return the local time of a call."""
    return datetime.fromtimestamp(int(call.at), ROME)


def month_of(at: datetime) -> str:
    """Return the title of the folder of a month."""
    return f"{at:%B %Y}"


def day_of(at: datetime) -> str:
    """Return the title of the folder of a day of this year or another."""
    day = f"{at:%A} {at.day} {at:%B}"
    return day if at.year == datetime.now(ROME).year else f"{day} {at.year}"


def newest(titles: list[str]) -> list[str]:
    """Return titles as of today, even if midnight has passed since the calls."""
    return [
        re.sub(r"^(Yesterday|Ieri) · (.+) · (\d\d:\d\d)", r"\3 · \2", title) for title in titles
    ]


async def test_panel_month_day_call(
    hass: HomeAssistant, browser: Browser, simulator: Simulator
) -> None:
    """Newest first, with the outcome; a single home has no folder, nor has a single month or day.

    Calls in the folder of a day have no date, unless the folder of the day was skipped.
    """
    missed = await ring(hass, simulator, vignette=False)
    simulator.miss(missed)
    answered = await ring(hass, simulator)
    simulator.answer_elsewhere(answered)
    await ring(hass, simulator, YARD, vignette=False)
    calls = [
        f"{local(answered):%H:%M} · Answered",
        f"{local(answered):%H:%M} · Close-up",
        f"{local(missed):%H:%M} · Missed",
    ]
    assert await browser.titles() == ["Latest", STREET, YARD]
    assert newest(await browser.titles(STREET)) == calls
    old = await add_call(hass, simulator, days_ago=40)
    older = await add_call(hass, simulator, days_ago=75)
    oldest = await add_call(hass, simulator, days_ago=76 if older.day > 1 else 74)
    assert await browser.titles(STREET) == [
        month_of(local(answered)),
        month_of(old),
        month_of(older),
    ]
    (title,) = await browser.titles(STREET, month_of(old))
    assert title == f"{old.day}/{old.month} · Missed · {old:%H:%M}"
    days = await browser.titles(STREET, month_of(older))
    assert days == [day_of(at) for at in sorted((older, oldest), reverse=True)]
    assert await browser.titles(STREET, month_of(older), day_of(older)) == [
        f"{older:%H:%M} · Missed"
    ]


async def test_latest(
    hass: HomeAssistant, browser: Browser, simulator: Simulator, freezer: FrozenDateTimeFactory
) -> None:
    """One item for each of the 20 newest calls of all panels; the newest picture is the cover."""
    assert await browser.titles() == [STREET, YARD]
    for days_ago in range(3, 25):
        await add_call(hass, simulator, YARD if days_ago % 2 else STREET, days_ago=days_ago)
    call = await ring(hass, simulator, YARD)
    simulator.answer_elsewhere(call)
    await wait_until(lambda: newest_outcome(hass) == "answered")
    await ring(hass, simulator, pictures=False)
    (latest, street, yard) = await browser.open()
    assert [latest["title"], street["title"], yard["title"]] == ["Latest", STREET, YARD]
    silent, item, *older = await browser.open("Latest")
    assert len(older) == 18
    assert silent["thumbnail"] is None
    assert latest["thumbnail"] == item["thumbnail"] == yard["thumbnail"]
    assert newest([item["title"]]) == [f"{local(call):%H:%M} · Answered · {YARD}"]
    assert urlsplit(await browser.link(item)).path == item["thumbnail"]
    shown = [each["title"].split(" · ")[1::2] for each in older]
    assert shown == [["Missed", YARD if days % 2 else STREET] for days in range(3, 21)]
    freezer.tick(2 * DAY)
    at = local(call)
    titles = await browser.titles("Latest")
    assert titles[1] == f"{at.day}/{at.month} · Answered · {at:%H:%M} · {YARD}"


def newest_outcome(hass: HomeAssistant) -> str:
    """Return the outcome of the call that was stored last."""
    calls = get_entry(hass).runtime_data.history._summary.recent.values()
    return str([*calls][-1].outcome)


@pytest.mark.parametrize("house_name", ["classe_100x"])
async def test_only_panel_has_no_folder(
    hass: HomeAssistant, browser: Browser, simulator: Simulator
) -> None:
    """Its days or months are on the first page, below the latest calls."""
    panel = simulator.house.panels()[0].id
    assert len(await browser.titles()) == 1
    call = await ring(hass, simulator, panel)
    assert await browser.titles() == ["Latest", day_of(local(call))]
    old = await add_call(hass, simulator, panel, days_ago=40)
    assert await browser.titles() == ["Latest", month_of(local(call)), month_of(old)]


async def test_no_folder_has_one_folder(
    hass: HomeAssistant, browser: Browser, simulator: Simulator
) -> None:
    """Whatever the days of the calls are; every picture can be reached."""
    for days_ago in (0, 1, 2, 40, 41, 75, 76):
        await add_call(hass, simulator, days_ago=days_ago)
    await ring(hass, simulator, YARD)
    found, folders = 0, [ROOT]
    while folders:
        children = await browser.open(at=folders.pop())
        inner = [child["media_content_id"] for child in children if child["can_expand"]]
        assert len(inner) != 1 or len(children) > 1
        folders += inner
        found += len(children) - len(inner)
    assert found == 2 * (7 + 1) + 1  # also among the latest; the close-up only at its panel


async def test_open_a_picture(
    hass: HomeAssistant,
    browser: Browser,
    simulator: Simulator,
    hass_client: ClientSessionGenerator,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    """By a signed link, or by the path of the thumbnail if signed in."""
    call = await ring(hass, simulator)
    anonymous, user = await hass_client_no_auth(), await hass_client()
    items = await browser.open(STREET)
    for item, kind in zip(items, ("snapshot", "vignette"), strict=True):
        assert (item["media_class"], item["can_play"]) == ("image", True)
        url = await browser.link(item)
        answer = await anonymous.get(url)
        assert answer.status == HTTPStatus.OK
        assert await answer.read() == jpeg(call.picture_id(kind))
        assert urlsplit(url).path == item["thumbnail"]
        assert (await user.get(item["thumbnail"])).status == HTTPStatus.OK


async def test_signature_is_for_one_picture_and_expires(
    hass: HomeAssistant,
    browser: Browser,
    simulator: Simulator,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    """A missing, foreign or expired signature is refused."""
    await ring(hass, simulator)
    anonymous = await hass_client_no_auth()
    whole, close_up = [urlsplit(await browser.link(i)) for i in await browser.open(STREET)]
    expired = async_sign_path(hass, whole.path, timedelta(seconds=-60), use_content_user=True)
    for url in (whole.path, f"{whole.path}?{close_up.query}", expired):
        assert (await anonymous.get(url)).status == HTTPStatus.UNAUTHORIZED


async def test_folders_show_their_newest_picture(
    hass: HomeAssistant, browser: Browser, simulator: Simulator
) -> None:
    """The newest call without a picture does not change the thumbnails."""
    old = await add_call(hass, simulator, days_ago=40)
    call = await ring(hass, simulator, vignette=False)
    await add_call(hass, simulator, days_ago=1 if local(call).day > 1 else 41)
    await ring(hass, simulator, pictures=False)
    _, street, yard = await browser.open()
    months = await browser.open(STREET)
    days = await browser.open(STREET, month_of(local(call)))
    folders = [street, *months[:1], *(days[:1] if days[0]["can_expand"] else ())]
    (item, *_) = [each for each in await browser.open("Latest") if each["thumbnail"]]
    assert {each["thumbnail"] for each in folders} == {item["thumbnail"]}
    assert [each["thumbnail"] for each in months[1:]] == [None]
    assert months[1]["title"] == month_of(old)
    assert yard["thumbnail"] is None
    assert await browser.open(YARD) == []


async def test_call_without_a_picture_is_listed(
    hass: HomeAssistant, browser: Browser, simulator: Simulator
) -> None:
    """It cannot be opened."""
    call = await ring(hass, simulator, pictures=False)
    simulator.miss(call)
    await wait_idle(hass)
    history = get_entry(hass).runtime_data.history
    await wait_until(lambda: [*history._summary.recent.values()][-1].outcome == "missed")
    (item,) = await browser.open(STREET)
    assert newest([item["title"]]) == [f"{local(call):%H:%M} · Missed"]
    assert (item["can_play"], item["can_expand"], item["thumbnail"]) == (False, False, None)
    answer = await browser.request("resolve_media", item["media_content_id"])
    assert answer["error"]["message"] == "There is no picture of this call."


async def test_language_names_and_time_zone(
    hass: HomeAssistant, browser: Browser, simulator: Simulator
) -> None:
    """The user's device name, language and time zone are used."""
    await hass.config.async_update(language="it", time_zone="Pacific/Auckland")
    await async_get_translations(hass, "it", "common", {DOMAIN})  # as a change of the language does
    registry, panel_id = dr.async_get(hass), simulator.house.find(STREET).id
    device = registry.async_get_device_by_identifier((DOMAIN, panel_id), get_entry(hass).entry_id)
    assert device is not None
    registry.async_update_device(device.id, name_by_user="Via Roma")
    call = await ring(hass, simulator)
    moment = datetime.fromtimestamp(call.at, ZoneInfo("Pacific/Auckland"))
    for titles, names in (
        (await browser.titles("Via Roma"), ["Suona", "Ingrandimento"]),
        (await browser.titles("Più recenti"), ["Suona · Via Roma"]),
    ):
        assert newest(titles) == [f"{moment:%H:%M} · {name}" for name in names]


@pytest.mark.parametrize("house_name", ["easykit_three_panels"])
async def test_ring_of_an_unknown_panel(
    hass: HomeAssistant, browser: Browser, simulator: Simulator
) -> None:
    """The intercom is listed only if it has such a call."""
    panels = ["Entrance panel 1", "Entrance panel 2", "Entrance panel 3"]
    assert sorted(await browser.titles()) == panels
    await ring(hass, simulator, simulator.house.panels()[0].id)
    assert sorted(await browser.titles()) == ["EasyKit", *panels, "Latest"]
    assert len(await browser.open("EasyKit")) == 2


@pytest.mark.parametrize("house_name", ["two_homes"])
async def test_two_homes_are_folders(
    hass: HomeAssistant, browser: Browser, simulator: Simulator
) -> None:
    """Each home has its own panels; an excluded home and its pictures are not shown."""
    call = await ring(hass, simulator)
    city, seaside = (home.name for home in simulator.house.homes)
    assert await browser.titles() == ["Latest", city, seaside]
    assert await browser.titles(city) == ["Cancello (Casa)"]
    assert call.panel_id
    (item, _) = await browser.open(seaside, STREET)
    assert len(await browser.open("Latest")) == 1
    entry = get_entry(hass)
    homes = [simulator.house.homes[1].id]
    hass.config_entries.async_update_entry(entry, options={"excluded_homes": homes})
    await hass.config_entries.async_reload(entry.entry_id)
    await wait_idle(hass)
    assert await browser.titles() == ["Cancello (Casa)"]
    assert not (await browser.request("resolve_media", item["media_content_id"]))["success"]


async def test_nothing_to_browse_without_a_history(
    hass: HomeAssistant, browser: Browser, simulator: Simulator
) -> None:
    """Calls that are only in memory are not listed."""
    await ring(hass, simulator)
    (item, _) = await browser.open(STREET)
    entry = get_entry(hass)
    hass.config_entries.async_update_entry(entry, options={CONF_HISTORY: {CONF_KEEP: False}})
    await hass.config_entries.async_reload(entry.entry_id)
    await wait_online(entry)
    await ring(hass, simulator)
    assert await browser.titles() == []
    assert not (await browser.request("resolve_media", item["media_content_id"]))["success"]


async def test_account_that_is_not_loaded(
    hass: HomeAssistant, browser: Browser, simulator: Simulator
) -> None:
    """Its calls are shown only while it is loaded."""
    await ring(hass, simulator)
    (item, _) = await browser.open(STREET)
    entry = get_entry(hass)
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert await browser.titles() == []
    assert not (await browser.request("resolve_media", item["media_content_id"]))["success"]
    await hass.config_entries.async_setup(entry.entry_id)
    assert len(await browser.open(STREET)) == 2


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
async def test_invalid_identifiers(
    hass: HomeAssistant, browser: Browser, simulator: Simulator, *, tail: str, foreign: bool
) -> None:
    """Identifiers that are not keys of the history raise the same error."""
    await ring(hass, simulator)
    entry = get_entry(hass)
    names = {
        "panel": simulator.house.find(STREET).id,
        "door": simulator.house.find("Cancello").id,
        "call": (await calls_of(hass))[-1].id,
    }
    media_id = f"{ROOT}/{'nobody' if foreign else entry.entry_id}/{tail.format(**names)}"
    browsed = await browser.request("browse_media", media_id)
    assert browsed["error"]["message"] == "There is nothing here (any more)"
    resolved = await browser.request("resolve_media", media_id)
    assert resolved["error"]["message"] == "There is no picture of this call."


async def test_picture_that_was_deleted(
    hass: HomeAssistant, browser: Browser, simulator: Simulator
) -> None:
    """Its link and its folders are no longer valid."""
    call = await ring(hass, simulator)
    (item, _) = await browser.open(STREET)
    day = f"{ROOT}/{get_entry(hass).entry_id}/{call.panel_id}/{local(call):%Y-%m-%d}"
    assert len(await browser.open(at=day)) == 2
    history = get_entry(hass).runtime_data.history
    await history.async_delete([call.id for call in await calls_of(hass)])
    assert not (await browser.request("resolve_media", item["media_content_id"]))["success"]
    assert not (await browser.request("browse_media", day))["success"]
    assert await browser.open(STREET) == []


async def test_user_without_permission_gets_no_picture(
    hass: HomeAssistant,
    browser: Browser,
    simulator: Simulator,
    hass_admin_user: MockUser,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    """A signed link has the permissions of the user who requested it."""
    await ring(hass, simulator)
    (item, _) = await browser.open(STREET)
    url = await browser.link(item)
    hass_admin_user.groups = []
    hass_admin_user.mock_policy(
        {"entities": {"entity_ids": {"camera.posto_esterno_cortile": True}}}
    )
    assert (await (await hass_client_no_auth()).get(url)).status == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize(
    ("entities", "listed"),
    [
        ({"all": True}, [STREET, YARD]),
        ({"all": {"read": True}}, [STREET, YARD]),
        ({"entity_ids": {STREET_CAMERA: True}}, [STREET]),
        ({"entity_ids": {STREET_CAMERA: {"read": True}}}, [STREET]),
        ({"entity_ids": {YARD_CAMERA: {"read": True}}}, [YARD]),
        ({"entity_ids": {STREET_CAMERA: {"control": True}}}, []),
        ({"entity_ids": {"light.luce_scale": True, "calendar.casa_calls": True}}, []),
        ({}, []),
    ],
    ids=str,
)
async def test_only_calls_at_cameras_that_the_user_may_see(
    hass: HomeAssistant,
    browser: Browser,
    simulator: Simulator,
    hass_admin_user: MockUser,
    *,
    entities: dict[str, Any],
    listed: list[str],
) -> None:
    """Panels, months, days, calls and pictures, also if their identifiers are known."""
    ids: dict[str, set[str]] = {}
    for panel in (STREET, YARD):
        call = await ring(hass, simulator, panel)
        location = f"{ROOT}/{get_entry(hass).entry_id}/{call.panel_id}"
        periods = {f"{location}/{local(call):{length}}" for length in ("%Y-%m", "%Y-%m-%d")}
        pictures = {item["media_content_id"] for item in await browser.open(panel)}
        ids[panel] = {location, *periods, *pictures}
    home = f"{ROOT}/{get_entry(hass).entry_id}/{simulator.house.homes[0].id}"
    hass_admin_user.groups = []
    hass_admin_user.mock_policy({"entities": entities})
    latest = (await browser.request("browse_media", f"{ROOT}/latest"))["result"]["children"]
    panels = [each["title"].replace(UNBROKEN, " ").split(" · ")[-1] for each in latest]
    assert sorted(panels) == sorted(listed)
    titles = await browser.titles()
    if len(listed) == 1:  # whose day is on the first page
        assert len(titles) == 2
        (panel,) = listed
        found = {item["media_content_id"] for item in await browser.open(titles[1])}
        assert found < ids[panel]
    else:
        assert titles == (["Latest", *listed] if listed else [])
    assert (await browser.request("browse_media", home))["success"] == bool(listed)
    for panel, known in ids.items():
        assert len(known) == 5  # panel, month, day, two pictures
        for identifier in known:
            kind = "resolve_media" if identifier.endswith(KINDS) else "browse_media"
            answer = await browser.request(kind, identifier)
            assert answer["success"] == (panel in listed), identifier


@pytest.mark.parametrize("house_name", ["two_homes"])
async def test_home_without_visible_panels(
    hass: HomeAssistant, browser: Browser, hass_admin_user: MockUser
) -> None:
    """Its name is not shown."""
    cameras = sorted(hass.states.async_entity_ids("camera"))
    hass_admin_user.groups = []
    hass_admin_user.mock_policy({"entities": {"entity_ids": {cameras[0]: {"read": True}}}})
    assert await browser.titles() == ["Cancello (Casa)"]


async def test_calls_at_a_removed_panel_require_full_access(
    hass: HomeAssistant, browser: Browser, simulator: Simulator, hass_admin_user: MockUser
) -> None:
    """There is no camera any more."""
    await ring(hass, simulator)
    er.async_get(hass).async_remove(STREET_CAMERA)
    er.async_get(hass).async_remove("event.posto_esterno_strada_doorbell")
    assert len(await browser.open(STREET)) == 2
    hass_admin_user.groups = []
    hass_admin_user.mock_policy({"entities": {"entity_ids": {YARD_CAMERA: True}}})
    assert await browser.titles() == [YARD]
    assert await browser.open(at=f"{ROOT}/latest") == []


@pytest.mark.parametrize("replacement", ["classe_100x", "easykit_three_panels"])
async def test_replaced_intercom(
    hass: HomeAssistant, browser: Browser, simulator: Simulator, replacement: str
) -> None:
    """Its calls stay at their locations, under their stored names, and can be deleted."""
    await ring(hass, simulator)
    simulator.miss(await ring(hass, simulator, YARD))
    entry = get_entry(hass)
    simulator.use_house(replacement)
    for _ in range(2):  # in two runs the cloud does not list the old one
        await reload_entry(hass, entry)
        await wait_online(entry)
    homes = await browser.titles()
    folders = () if STREET in homes else ("Casa",)
    assert {STREET, YARD} <= {*await browser.titles(*folders)}
    (item, _) = await browser.open(*folders, STREET)
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
def test_day_of_a_clock_change(zone: str, day: str, length: float) -> None:
    """The day begins and ends at local midnight, next to the days around it."""
    found = Period.parse(day, ZoneInfo(zone))
    assert found is not None
    assert found.until - found.since == length * 3600
    after = Period.around(datetime.fromtimestamp(found.until, ZoneInfo(zone)), "%Y-%m-%d")
    assert after.since == found.until
    before = Period.around(datetime.fromtimestamp(found.since - 1, ZoneInfo(zone)), "%Y-%m-%d")
    assert before.until == found.since


@pytest.mark.parametrize("end", ["time", "delete", "delete_all", "unload", "start", "remove"])
async def test_picture_as_a_file(
    hass: HomeAssistant,
    browser: Browser,
    simulator: Simulator,
    freezer: FrozenDateTimeFactory,
    end: str,
) -> None:
    """Actions get a path to a copy, which does not stay."""
    call = await ring(hass, simulator)
    items = await browser.open(STREET)
    paths = []
    for item in items:
        media = await async_resolve_media(hass, item["media_content_id"], None)
        assert media.path is not None
        paths.append(media.path)
        found = await hass.async_add_executor_job(media.path.read_bytes)
        assert found == jpeg(call.picture_id(PurePosixPath(media.url).stem))
    entry = get_entry(hass)
    history = entry.runtime_data.history
    if end == "time":
        await advance(hass, freezer, KEEP_SECONDS + 1)
    elif end == "delete":
        await history.async_delete(["another"])
    elif end == "delete_all":
        await history.async_delete_all()
    elif end == "start":  # what a crash has left
        await history.async_load()
    elif end == "remove":
        await hass.config_entries.async_remove(entry.entry_id)
    else:
        await hass.config_entries.async_unload(entry.entry_id)
    await wait_idle(hass)
    assert not [path for path in paths if path.exists()]


async def test_picture_that_cannot_be_copied(
    hass: HomeAssistant, browser: Browser, simulator: Simulator
) -> None:
    """It can still be opened."""
    await ring(hass, simulator)
    (item, _) = await browser.open(STREET)
    folder = Path(hass.config.cache_path(DOMAIN))
    await hass.async_add_executor_job(lambda: folder.parent.mkdir(exist_ok=True))
    await hass.async_add_executor_job(folder.touch)
    media = await async_resolve_media(hass, item["media_content_id"], None)
    assert media.path is None
    assert media.mime_type == "image/jpeg"
