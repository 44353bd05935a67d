"""What people set at the intercom itself: do not disturb, Professional studio.

Seen on one model (BNC3) only; the doubtful parts of protocol.md 3.10 are the constants below. The
only reader of these field names. A change sends back all that was read, with what was chosen.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from .const import APP_TYPE
from .decode import as_float, as_mapping, as_mappings, as_str
from .errors import UnknownModeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .decode import Record
    from .models import Module

READ_CONFIGS_PATH: Final = "/syncapi/v1/getconfigs"
WRITE_CONFIGS_PATH: Final = "/syncapi/v1/setconfigs"
MS: Final = 1000  # per second
LATEST: Final = 253_402_300_799.0  # the last second of the year 9999, in seconds since 1970


class SettingKind(StrEnum):
    """Something that can be set at an intercom; the cloud's own words."""

    DO_NOT_DISTURB = "do_not_disturb"
    PROFESSIONAL_STUDIO = "professional_studio"


class SettingMode(StrEnum):
    """What a setting is set to; UNKNOWN is whatever this client has never heard of."""

    OFF = "off"
    TIMED = "timed"
    SCHEDULED = "scheduled"
    ALWAYS = "always"
    UNKNOWN = "unknown"


# Doubtful: 2. One author took it for the schedule, one tester says that it does not exist.
NUMBERS: Final[Mapping[SettingMode, int]] = {
    SettingMode.OFF: 0,
    SettingMode.TIMED: 1,
    SettingMode.SCHEDULED: 2,
    SettingMode.ALWAYS: 3,
}
MODES: Final[Mapping[float, SettingMode]] = {value: mode for mode, value in NUMBERS.items()}

PREFIXES: Final[Mapping[SettingKind, str]] = {
    SettingKind.DO_NOT_DISTURB: "dnd_",
    SettingKind.PROFESSIONAL_STUDIO: "ps_",
}
# Doubtful: what one of `duration` is, in seconds. Told are 60 with an end an hour ahead, and for
# the studio 1 with an end a day ahead.
UNITS: Final[Mapping[SettingKind, int]] = {
    SettingKind.DO_NOT_DISTURB: 60,
    SettingKind.PROFESSIONAL_STUDIO: 24 * 3600,
}
# How long a time is, in seconds, where the intercom does not say.
USUAL: Final[Mapping[SettingKind, int]] = {
    SettingKind.DO_NOT_DISTURB: 3600,
    SettingKind.PROFESSIONAL_STUDIO: 24 * 3600,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How something is set; `duration` in seconds is how long TIMED lasts, it ends at `ends_at`.

    `raw` is the cloud's own record.
    """

    kind: SettingKind
    mode: SettingMode
    duration: int | None = None
    ends_at: float | None = None
    has_schedule: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def mode_at(self, now: float) -> SettingMode:
        """Return the mode at a time in seconds since 1970: a time that has passed is over."""
        is_over = self.ends_at is not None and self.ends_at <= now
        return SettingMode.OFF if self.mode is SettingMode.TIMED and is_over else self.mode

    def changed(
        self, now: float, *, mode: SettingMode | None = None, duration: int | None = None
    ) -> Setting:
        """Return it with what was chosen; UnknownModeError: nobody knows what that would undo."""
        if SettingMode.UNKNOWN in {self.mode, mode}:
            raise UnknownModeError
        fields: dict[str, Any] = {}
        if mode is not None:
            fields["mode"] = NUMBERS[mode]
        if mode not in {None, SettingMode.OFF}:
            # Perhaps it only says that the intercom has the setting: it was seen true while off.
            fields["enabled"] = True
        is_timed = (mode or self.mode_at(now)) is SettingMode.TIMED
        if duration is not None or is_timed:
            fields |= self._time(now, duration, is_timed=is_timed)
        prefix = PREFIXES[self.kind]
        return setting(self.kind, {**self.raw, **{prefix + k: v for k, v in fields.items()}})

    def _time(self, now: float, duration: int | None, *, is_timed: bool) -> dict[str, int]:
        seconds = duration or self.duration or USUAL[self.kind]
        fields = {"duration": max(1, seconds // UNITS[self.kind])}
        if is_timed:
            fields["end_time_duration"] = int((now + seconds) * MS)
        return fields


type Settings = Mapping[SettingKind, Setting]


def question(home_id: str, bridge_ids: Iterable[str]) -> dict[str, Any]:
    """Return what asks for the settings of intercoms."""
    return {"module_ids": list(bridge_ids), "home_id": home_id, "app_identifier": APP_TYPE}


def change(bridge: Module, changed: Setting, now: float) -> dict[str, Any]:
    """Return what changes one setting of an intercom, at a time in seconds since 1970."""
    module = {"id": bridge.id, "type": bridge.type, "last_configs_update": int(now * MS)}
    place = {"id": bridge.home_id, "modules": [module | {changed.kind.value: dict(changed.raw)}]}
    return {"app_identifier": APP_TYPE, "home": place}


def settings(body: Record) -> dict[str, Settings] | None:
    """Decode getconfigs, by intercom; None if the answer has no list of modules at all."""
    modules = as_mapping(body.get("home")).get("modules")
    if not isinstance(modules, list):
        return None
    found = ((as_str(module.get("id")), module) for module in as_mappings(modules))
    return {module_id: _settings(module) for module_id, module in found if module_id is not None}


def _settings(module: Record) -> Settings:
    told = ((kind, as_mapping(module.get(kind.value))) for kind in SettingKind)
    return {kind: setting(kind, fields) for kind, fields in told if fields}


def setting(kind: SettingKind, fields: Record) -> Setting:
    """Decode one setting."""
    prefix = PREFIXES[kind]
    length = as_float(fields.get(f"{prefix}duration"))
    mode = _mode(fields.get(f"{prefix}enabled"), as_float(fields.get(f"{prefix}mode")))
    return Setting(
        kind=kind,
        mode=mode,
        duration=int(length) * UNITS[kind] if length and length >= 1 else None,
        ends_at=_moment(as_float(fields.get(f"{prefix}end_time_duration"))),
        has_schedule=bool(fields.get(f"{prefix}days")) or mode is SettingMode.SCHEDULED,
        raw=dict(fields),
    )


def _mode(enabled: object, told: float | None) -> SettingMode:
    """Where it is not enabled, it is off whatever the mode, unless nobody knows that one."""
    known = SettingMode.UNKNOWN if told is None else MODES.get(told, SettingMode.UNKNOWN)
    is_off = enabled is False and (told is None or known is not SettingMode.UNKNOWN)
    return SettingMode.OFF if is_off else known


def _moment(told: float | None) -> float | None:
    return told / MS if told is not None and 0 < told <= LATEST * MS else None
