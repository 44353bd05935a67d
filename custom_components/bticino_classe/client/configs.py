"""Settings of the intercom itself: do not disturb, Professional studio (protocol.md 3.10).

Seen on one model (BNC3) only; what is uncertain is in the constants below. A write contains the
known fields only, as they were read or with new values.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from .const import APP_TYPE
from .decode import MAX_MODULES
from .errors import UnknownModeError
from .values import LATEST_TIME, MS, as_float, as_id, as_mapping, as_mappings, as_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .models import Module
    from .values import JsonObject

READ_CONFIGS_PATH: Final = "/syncapi/v1/getconfigs"
WRITE_CONFIGS_PATH: Final = "/syncapi/v1/setconfigs"


class SettingKind(StrEnum):
    """A setting of an intercom; the values are the cloud's field names."""

    DO_NOT_DISTURB = "do_not_disturb"
    PROFESSIONAL_STUDIO = "professional_studio"


class SettingMode(StrEnum):
    """The mode of a setting; UNKNOWN stands for every other one."""

    OFF = "off"
    TIMED = "timed"
    SCHEDULED = "scheduled"
    ALWAYS = "always"
    UNKNOWN = "unknown"


# Uncertain: 2. One source uses it for the schedule, another says that it does not exist.
MODE_NUMBERS: Final[Mapping[SettingMode, int]] = {
    SettingMode.OFF: 0,
    SettingMode.TIMED: 1,
    SettingMode.SCHEDULED: 2,
    SettingMode.ALWAYS: 3,
}
MODES: Final[Mapping[float, SettingMode]] = {value: mode for mode, value in MODE_NUMBERS.items()}

PREFIXES: Final[Mapping[SettingKind, str]] = {
    SettingKind.DO_NOT_DISTURB: "dnd_",
    SettingKind.PROFESSIONAL_STUDIO: "ps_",
}
SENT_NUMBERS: Final = ("mode", "duration", "end_time_duration")
# Uncertain: the unit of `duration`, in seconds. Seen were 60 with an end in an hour. That of the
# studio is 1 whatever the end: it measures nothing.
DURATION_UNITS: Final[Mapping[SettingKind, int]] = {SettingKind.DO_NOT_DISTURB: 60}
DURATION_WITHOUT_UNIT: Final = 1
DEFAULT_DURATION: Final = 3600  # seconds
LONGEST_DURATION: Final = 366 * 86_400  # seconds; a longer one is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting; TIMED lasts `duration` seconds, until `ends_at` (seconds since 1970).

    `raw` are the known fields of the cloud's record; `replaced` are those before its changes, which
    the cloud may still return for a moment.
    """

    kind: SettingKind
    mode: SettingMode
    duration: int | None = None
    ends_at: float | None = None
    has_schedule: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)
    replaced: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    def mode_at(self, now: float) -> SettingMode:
        """Return the mode at a time in seconds since 1970; TIMED is OFF after its end."""
        has_ended = self.ends_at is not None and self.ends_at <= now
        return SettingMode.OFF if self.mode is SettingMode.TIMED and has_ended else self.mode

    def changed(
        self, now: float, *, mode: SettingMode | None = None, duration: int | None = None
    ) -> Setting:
        """Return the setting with a new mode or duration; UnknownModeError if a mode is unknown."""
        if SettingMode.UNKNOWN in {self.mode, mode}:
            raise UnknownModeError
        fields: dict[str, Any] = {}
        if mode is not None:
            fields["mode"] = MODE_NUMBERS[mode]
        if self.kind is SettingKind.DO_NOT_DISTURB and mode not in {None, SettingMode.OFF}:
            # It may only mean that the intercom has the setting: it was seen true while off.
            fields["enabled"] = True
        prefix = PREFIXES[self.kind]
        if self.kind not in DURATION_UNITS and f"{prefix}duration" not in self.raw:
            fields["duration"] = DURATION_WITHOUT_UNIT
        is_timed = (mode or self.mode_at(now)) is SettingMode.TIMED
        if duration is not None or is_timed:
            fields |= self._duration_fields(now, duration, is_timed=is_timed)
        changed = setting(self.kind, {**self.raw, **{prefix + k: v for k, v in fields.items()}})
        return replace(changed, has_schedule=self.has_schedule, replaced=(*self.replaced, self.raw))

    def is_replaced_by(self, sent: Setting) -> bool:
        """Whether this was read from a cloud that does not show yet what was sent."""
        return self.raw != sent.raw and self.raw in sent.replaced

    def _duration_fields(
        self, now: float, duration: int | None, *, is_timed: bool
    ) -> dict[str, int]:
        seconds = duration or self.duration or DEFAULT_DURATION
        fields: dict[str, int] = {}
        if unit := DURATION_UNITS.get(self.kind):
            fields["duration"] = max(1, seconds // unit)
        if is_timed:
            fields["end_time_duration"] = int((now + seconds) * MS)
        return fields


type Settings = Mapping[SettingKind, Setting]


def read_request(home_id: str, bridge_ids: Iterable[str]) -> dict[str, Any]:
    """Return the request body that reads the settings of intercoms."""
    return {"module_ids": list(bridge_ids), "home_id": home_id, "app_identifier": APP_TYPE}


def write_request(bridge: Module, changed: Setting, now: float) -> dict[str, Any]:
    """Return the request body that changes a setting; `now` is in seconds since 1970."""
    module: dict[str, Any] = {"id": bridge.sent_id, "type": bridge.type}
    module["last_configs_update"] = int(now * MS)
    module[changed.kind.value] = dict(changed.raw)
    home = {"id": bridge.home_id, "modules": [module]}
    return {"app_identifier": APP_TYPE, "home": home}


def settings(body: JsonObject) -> dict[str, Settings] | None:
    """Decode getconfigs by intercom id; None if the answer has no list of modules."""
    modules = as_mapping(body.get("home")).get("modules")
    if not isinstance(modules, list):
        return None
    listed = as_mappings(modules[:MAX_MODULES])
    found = ((as_id(module.get("id")), module) for module in listed)
    return {module_id: _settings(module) for module_id, module in found if module_id is not None}


def _settings(module: JsonObject) -> Settings:
    found = ((kind, as_mapping(module.get(kind.value))) for kind in SettingKind)
    return {kind: setting(kind, fields) for kind, fields in found if _is_present(kind, fields)}


def _is_present(kind: SettingKind, fields: JsonObject) -> bool:
    """Whether the intercom has a setting; the studio is enabled on those that have it, also off."""
    if kind is SettingKind.PROFESSIONAL_STUDIO:
        return fields.get("ps_enabled") is True
    return bool(fields)


def setting(kind: SettingKind, fields: JsonObject) -> Setting:
    """Decode one setting."""
    prefix = PREFIXES[kind]
    unit = DURATION_UNITS.get(kind)
    duration = as_number(fields.get(f"{prefix}duration"), 1, LONGEST_DURATION // (unit or 1))
    mode = _mode(fields.get(f"{prefix}enabled"), as_float(fields.get(f"{prefix}mode")))
    return Setting(
        kind=kind,
        mode=mode,
        duration=int(duration) * unit if unit and duration else None,
        ends_at=_seconds(as_float(fields.get(f"{prefix}end_time_duration"))),
        has_schedule=bool(fields.get(f"{prefix}days")) or mode is SettingMode.SCHEDULED,
        raw=_known_fields(prefix, fields),
    )


def _known_fields(prefix: str, fields: JsonObject) -> dict[str, bool | int]:
    """Return the valid ones of the fields that a write may contain."""
    numbers = {
        key: as_number(fields.get(key), 0, LATEST_TIME * MS)
        for key in (prefix + name for name in SENT_NUMBERS)
    }
    known: dict[str, bool | int] = {key: int(n) for key, n in numbers.items() if n is not None}
    enabled = fields.get(f"{prefix}enabled")
    return known | ({f"{prefix}enabled": enabled} if isinstance(enabled, bool) else {})


def _mode(enabled: object, number: float | None) -> SettingMode:
    """Return the mode; a setting that is not enabled is off, unless its mode is unknown."""
    mode = SettingMode.UNKNOWN if number is None else MODES.get(number, SettingMode.UNKNOWN)
    is_off = enabled is False and (number is None or mode is not SettingMode.UNKNOWN)
    return SettingMode.OFF if is_off else mode


def _seconds(milliseconds: float | None) -> float | None:
    if milliseconds is None or not 0 < milliseconds <= LATEST_TIME * MS:
        return None
    return milliseconds / MS
