"""Settings of an intercom: reading them, and changing one by its known fields only."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import given
import pytest

from custom_components.bticino_classe.client import (
    Account,
    BticinoError,
    InvalidRequestError,
    Module,
    ModuleKind,
    NoAnswerError,
    OutcomeUnknownError,
    Setting,
    SettingKind,
    SettingMode,
    UnexpectedAnswerError,
    UnknownModeError,
    UnreachableError,
    configs,
)
from tests.client.answers import BRIDGE, HOME, VALUES, damaged
from tests.client.decoded import wrong_in
from tests.client.signed_in import home_of, module_of, signed_in
from tests.client.test_any_answer import QUICK
from tests.simulator import Failure
from tests.simulator.paths import GETCONFIGS, SETCONFIGS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from custom_components.bticino_classe.client import Endpoints, Home
    from tests.simulator import Simulator

ALWAYS = SettingMode.ALWAYS
QUIET, STUDIO = SettingKind.DO_NOT_DISTURB, SettingKind.PROFESSIONAL_STUDIO
NOW = 1_790_000_000.0
DND = {
    "dnd_enabled": True,
    "dnd_mode": 1,
    "dnd_duration": 60,
    "dnd_end_time_duration": 1_790_003_600_000,
}
PS = {
    "ps_enabled": True,
    "ps_mode": 1,
    "ps_duration": 1,
    "ps_end_time_duration": 1_790_086_400_000,
}
CONFIGS: dict[str, Any] = {
    "home": {
        "id": HOME,
        "modules": [
            {"id": BRIDGE, "type": "BNC3", "do_not_disturb": DND, "professional_studio": PS}
        ],
    }
}


def dnd(**fields: Any) -> Setting:
    """Return a do-not-disturb setting with these fields; None leaves one out."""
    given = {f"dnd_{name}": value for name, value in fields.items()}
    return configs.setting(QUIET, {k: v for k, v in (DND | given).items() if v is not None})


@pytest.fixture
async def account(simulator: Simulator, endpoints: Endpoints) -> AsyncIterator[Account]:
    """An account."""
    async with signed_in(simulator, endpoints) as account:
        yield account


@pytest.fixture
def home(simulator: Simulator) -> Home:
    """The home of the account."""
    return home_of(simulator)


@pytest.fixture
def bridge(home: Home) -> Module:
    """The intercom of the home."""
    return module_of(home, ModuleKind.BRIDGE)


def test_both_settings_are_read() -> None:
    """Durations in seconds, ends in seconds since 1970."""
    found = configs.settings(CONFIGS)
    assert found is not None
    quiet, studio = found[BRIDGE][QUIET], found[BRIDGE][STUDIO]
    assert (quiet.mode, quiet.duration, quiet.ends_at) == (SettingMode.TIMED, 3600, NOW + 3600)
    assert (studio.mode, studio.duration, studio.ends_at) == (
        SettingMode.TIMED,
        None,
        NOW + 86_400,
    )
    assert quiet.raw == DND


def studio_with(**fields: Any) -> Setting:
    """Return a studio setting with these fields; None leaves one out."""
    given = PS | {f"ps_{name}": value for name, value in fields.items()}
    return configs.setting(STUDIO, {k: v for k, v in given.items() if v is not None})


@pytest.mark.parametrize("read", [1, 2, 60, None])
@pytest.mark.parametrize("seconds", [60, 3600, 86_400])
def test_duration_of_the_studio_measures_nothing(read: int | None, seconds: int) -> None:
    """The end alone changes; what was read is sent back, 1 if nothing was."""
    was = studio_with(mode=0, duration=read, melody=4)
    changed = was.changed(NOW, mode=SettingMode.TIMED, duration=seconds)
    assert changed.ends_at == NOW + seconds
    assert changed.raw == {
        "ps_enabled": True,
        "ps_mode": 1,
        "ps_duration": read or 1,
        "ps_end_time_duration": int((NOW + seconds) * 1000),
    }


@pytest.mark.parametrize("read", ["60", True, -1, 1e300, None])
@pytest.mark.parametrize("mode", list(configs.MODE_NUMBERS))
def test_invalid_duration_of_the_studio(read: object, mode: SettingMode) -> None:
    """It is not sent back; 1 is, whatever the mode."""
    changed = studio_with(duration=read).changed(NOW, mode=mode)
    assert changed.raw["ps_duration"] == 1


@pytest.mark.parametrize("enabled", [True, False, None])
@pytest.mark.parametrize("mode", list(configs.MODE_NUMBERS))
def test_no_change_enables_the_studio(*, enabled: bool | None, mode: SettingMode) -> None:
    """It means that the intercom has the function."""
    was = studio_with(enabled=enabled, mode=0)
    assert was.changed(NOW, mode=mode).raw.get("ps_enabled") is enabled


@pytest.mark.parametrize("enabled", [False, None, 1, "true"])
def test_intercom_without_the_studio(enabled: object) -> None:
    """A studio that is not said to be enabled does not exist; do not disturb may be."""
    module = {"id": BRIDGE, "do_not_disturb": DND | {"dnd_enabled": False}}
    module |= {"professional_studio": PS | {"ps_enabled": enabled}}
    found = configs.settings({"home": {"modules": [module]}})
    assert found is not None
    assert found[BRIDGE].keys() == {QUIET}


@pytest.mark.parametrize(
    ("enabled", "number", "mode"),
    [
        (True, 0, SettingMode.OFF),
        (True, 1, SettingMode.TIMED),
        (True, 2, SettingMode.SCHEDULED),
        (True, 3, SettingMode.ALWAYS),
        (None, 3, SettingMode.ALWAYS),
        (False, 3, SettingMode.OFF),
        (False, None, SettingMode.OFF),
        (True, None, SettingMode.UNKNOWN),
        (True, 7, SettingMode.UNKNOWN),
        (False, 7, SettingMode.UNKNOWN),
        (True, -1, SettingMode.UNKNOWN),
        (True, 1.5, SettingMode.UNKNOWN),
        (True, "3", SettingMode.UNKNOWN),
        (True, True, SettingMode.UNKNOWN),
    ],
)
def test_modes(*, enabled: object, number: object, mode: SettingMode) -> None:
    """An unknown number is an unknown mode, whatever the other fields say."""
    assert dnd(enabled=enabled, mode=number).mode is mode


def test_timed_mode_is_off_after_its_end() -> None:
    """Even if the cloud still reports it; other modes have no end."""
    assert dnd().mode_at(NOW + 3599) is SettingMode.TIMED
    assert dnd().mode_at(NOW + 3600) is SettingMode.OFF
    assert dnd(mode=3).mode_at(NOW + 3600) is SettingMode.ALWAYS
    assert dnd(end_time_duration=None).mode_at(NOW + 3600) is SettingMode.TIMED


@pytest.mark.parametrize("end", [0, -1, 2**63, "soon", True, None])
def test_invalid_ends(end: object) -> None:
    """They count as missing."""
    assert dnd(end_time_duration=end).ends_at is None


@pytest.mark.parametrize("duration", [0, -5, "60", None])
def test_invalid_durations(duration: object) -> None:
    """They count as missing; the default is used if one is needed."""
    setting = dnd(duration=duration, mode=0)
    assert setting.duration is None
    assert setting.changed(NOW, mode=SettingMode.TIMED).raw == DND


@pytest.mark.parametrize(
    ("before", "choice", "changes"),
    [
        ({"mode": 0}, {"mode": SettingMode.ALWAYS}, {"dnd_mode": 3}),
        ({"mode": 0, "enabled": False}, {"mode": SettingMode.ALWAYS}, {"dnd_mode": 3}),
        ({"mode": 0}, {"mode": SettingMode.SCHEDULED}, {"dnd_mode": 2}),
        ({"mode": 3}, {"mode": SettingMode.OFF}, {"dnd_mode": 0}),
        ({"mode": 0, "duration": 5}, {"duration": 1800}, {"dnd_mode": 0, "dnd_duration": 30}),
        ({"duration": 5}, {"mode": SettingMode.TIMED, "duration": 3600}, {}),
        ({"mode": 0, "end_time_duration": 5}, {"mode": SettingMode.TIMED}, {}),
        (
            {},
            {"duration": 1800},
            {"dnd_duration": 30, "dnd_end_time_duration": 1_790_001_800_000},
        ),
        (
            {"end_time_duration": 5},
            {"duration": 1},
            {"dnd_duration": 1, "dnd_end_time_duration": 5},
        ),
    ],
)
def test_a_change_contains_the_known_fields(
    before: dict[str, Any], choice: dict[str, Any], changes: dict[str, Any]
) -> None:
    """As they were read, or new; the schedule and unknown fields are not sent back."""
    was = configs.setting(QUIET, {**dnd(**before).raw, "dnd_days": "0111110", "melody": 4})
    changed = was.changed(NOW, **choice)
    assert changed.raw == DND | changes
    assert changed.has_schedule


@pytest.mark.parametrize(
    "fields",
    [
        {"dnd_melody": 4, "dnd_days": "1111111", "dnd_start_time": "22:00"},
        {"password": "s3cret", "dnd_nested": {"a": [1]}},
        {"ps_enabled": True},
    ],
)
@pytest.mark.parametrize("mode", list(configs.MODE_NUMBERS))
def test_unknown_fields_are_not_sent_back(fields: dict[str, Any], mode: SettingMode) -> None:
    """Nobody knows what writing them does."""
    changed = configs.setting(QUIET, DND | fields).changed(NOW, mode=mode)
    bridge = Module(id=BRIDGE, home_id=HOME, kind=ModuleKind.BRIDGE, type="BNC3")
    request = configs.write_request(bridge, changed, NOW)
    (module,) = request["home"]["modules"]
    assert module[QUIET].keys() == DND.keys()


@pytest.mark.parametrize("value", [1e300, -1, "60", True, [1], None])
@pytest.mark.parametrize("name", ["duration", "end_time_duration"])
def test_invalid_values_are_not_sent_back(name: str, value: object) -> None:
    """A known field without a valid value is left out."""
    changed = configs.setting(QUIET, DND | {f"dnd_{name}": value}).changed(NOW, mode=ALWAYS)
    assert changed.raw.keys() == DND.keys() - {f"dnd_{name}"}


def test_off_does_not_change_enabled() -> None:
    """It may only mean that the intercom has the setting."""
    for enabled in (True, False):
        off = dnd(enabled=enabled, mode=3).changed(NOW, mode=SettingMode.OFF)
        assert off.raw["dnd_enabled"] is enabled


@pytest.mark.parametrize("choice", [{"mode": SettingMode.OFF}, {"duration": 60}])
def test_an_unknown_mode_is_not_overwritten(choice: dict[str, Any]) -> None:
    """It cannot be chosen either."""
    with pytest.raises(UnknownModeError):
        dnd(mode=7).changed(NOW, **choice)
    with pytest.raises(UnknownModeError):
        dnd(mode=0).changed(NOW, mode=SettingMode.UNKNOWN)


@QUICK
@given(damaged(CONFIGS) | VALUES)
def test_no_answer_raises(answer: Any) -> None:
    """Any answer is decoded to data of the right types, or to None."""
    found = configs.settings(answer if isinstance(answer, dict) else {})
    for settings in (found or {}).values():
        for setting in settings.values():
            assert wrong_in(setting) == []
            assert isinstance(setting.mode_at(NOW), SettingMode)
            if setting.mode is not SettingMode.UNKNOWN:
                assert setting.changed(NOW, mode=SettingMode.TIMED).mode is SettingMode.TIMED


async def test_settings_of_all_intercoms_take_one_request(
    account: Account, simulator: Simulator, home: Home, bridge: Module
) -> None:
    """In the form of this endpoint."""
    found = await account.settings(home)
    assert found.keys() == {bridge.id}
    assert {kind: setting.mode for kind, setting in found[bridge.id].items()} == {
        QUIET: SettingMode.OFF,
        STUDIO: SettingMode.OFF,
    }
    (entry,) = simulator.journal
    assert entry.path == GETCONFIGS


async def test_change_returns_what_was_sent(
    account: Account, simulator: Simulator, home: Home, bridge: Module
) -> None:
    """It reads once and writes once."""
    changed = await account.change_setting(home, bridge, QUIET, mode=SettingMode.ALWAYS)
    assert changed.raw == simulator.bridges()[0].configs["do_not_disturb"]
    assert changed.mode is SettingMode.ALWAYS
    assert [entry.path for entry in simulator.journal] == [GETCONFIGS, SETCONFIGS]


async def error_of_change(account: Account, home: Home, bridge: Module) -> BticinoError:
    """Return the error of a change."""
    with pytest.raises(BticinoError) as caught:
        await account.change_setting(home, bridge, QUIET, mode=SettingMode.ALWAYS)
    return caught.value


@pytest.mark.parametrize("executed", [False, True])
@pytest.mark.parametrize(
    "failure",
    [Failure(never=True), Failure(drop=True), Failure(status=503), Failure(html=True)],
    ids=str,
)
async def test_unclear_answer(
    account: Account,
    simulator: Simulator,
    *,
    home: Home,
    bridge: Module,
    failure: Failure,
    executed: bool,
) -> None:
    """It is sent once, and its outcome is unknown, whether it was carried out or not."""
    simulator.fail(SETCONFIGS, replace(failure, executed=executed), times=3)
    assert type(await error_of_change(account, home, bridge)) is OutcomeUnknownError
    assert simulator.journal.count(SETCONFIGS) == 1
    mode = simulator.bridges()[0].configs["do_not_disturb"]["dnd_mode"]
    assert mode == (3 if executed else 0)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (Failure(never=True), NoAnswerError),
        (Failure(code=21), InvalidRequestError),
        (Failure(body={"status": "ok", "body": {"home": {"modules": []}}}), UnexpectedAnswerError),
        (Failure(body={"status": "ok", "body": {}}), UnexpectedAnswerError),
    ],
    ids=str,
)
async def test_setting_that_cannot_be_read_is_not_written(
    account: Account,
    simulator: Simulator,
    *,
    home: Home,
    bridge: Module,
    failure: Failure,
    kind: type[BticinoError],
) -> None:
    """The outcome is not unknown then."""
    simulator.fail(GETCONFIGS, failure)
    assert type(await error_of_change(account, home, bridge)) is kind
    assert simulator.journal.count(SETCONFIGS) == 0


async def test_refusal_in_a_successful_answer(
    account: Account, simulator: Simulator, home: Home, bridge: Module
) -> None:
    """The intercom is unplugged between reading and writing."""
    simulator.fail(SETCONFIGS, Failure(body={"status": "ok", "body": {"errors": [{"code": 6}]}}))
    assert type(await error_of_change(account, home, bridge)) is UnreachableError


def nested(depth: int) -> object:
    """Return a value of so many levels."""
    value: object = 5
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize(
    "extra",
    [nested(100), nested(900), "x" * 5000, list(range(50_000))],
    ids=["100 levels", "900 levels", "5 kB", "long list"],
)
async def test_record_with_a_large_unknown_field(
    account: Account, home: Home, bridge: Module, simulator: Simulator, extra: object
) -> None:
    """The field is neither kept nor sent."""
    module = {"id": bridge.id, "type": "BNC3", "do_not_disturb": {**DND, "dnd_extra": extra}}
    answer: dict[str, object] = {"body": {"home": {"modules": [module, {"id": "x"}]}}}
    simulator.fail(GETCONFIGS, Failure(body=answer), times=2)
    found = await account.settings(home)
    assert "dnd_extra" not in found[bridge.id][QUIET].raw
    simulator.fail(SETCONFIGS, Failure(body={"status": "ok"}))
    changed = await account.change_setting(home, bridge, QUIET, mode=SettingMode.OFF)
    assert "dnd_extra" not in changed.raw
