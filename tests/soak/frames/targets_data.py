"""Targets that decode answers, pushes and stored data, and redact them."""

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from custom_components.bticino_classe.client import (
    PRODUCTION,
    Home,
    Module,
    ModuleKind,
    PictureError,
    Pseudonyms,
    SettingMode,
    UnknownModeError,
    configs,
    decode,
    error_codes,
    http,
    images,
    pictures,
    push,
    redact,
    transport,
    values,
)
from custom_components.bticino_classe.client.public_hosts import is_public_address
from custom_components.bticino_classe.client.recording.pseudonyms import RandomPseudonyms
from custom_components.bticino_classe.client.recording.redactor import MessageRedactor
from custom_components.bticino_classe.client.redaction import (
    MAX_SHAPE_LENGTH,
    SECRET_KEYS,
    shape_of,
)
from custom_components.bticino_classe.history.records import (
    ListedCall,
    clamp_times,
    from_event,
    merged,
    pictures_of,
)
from tests.client.decoded import wrong_in

from . import seeds
from .checks import aside, check, check_data, check_error, check_repr
from .seeds import NOW, PLANTED
from .target import Target, pure, text

if TYPE_CHECKING:
    from custom_components.bticino_classe.client import Topology


def _topology(case: Any) -> Topology | None:
    return decode.topology(decode.body_of(values.as_mapping(case)))


def _homes(case: Any) -> None:
    found = _topology(case)
    check_data(found)
    with aside():
        check(found == _topology(case), "the same answer decodes differently")
    if found is not None:
        check(len(found.homes) <= decode.MAX_HOMES, "too many homes")
        modules = sum(len(home.modules) for home in found.homes.values())
        check(modules <= decode.MAX_MODULES + decode.MAX_OTHER_MODULES, "too many modules")
        sum(found.unknown_types.values())


def _states(case: Any) -> None:
    found = decode.states(decode.body_of(values.as_mapping(case)))
    check_data(found)
    home = Home(id="h", name=None, timezone=None, modules={})
    reported = decode.with_reported_modules(home, found or {})
    check_data(reported)
    with aside():
        homes, _ = decode.limited_homes({"h": reported})
        check(decode.limited_homes(homes)[0] == homes, "a limited list is limited again")


def _events(case: Any) -> None:
    body = decode.body_of(values.as_mapping(case))
    found = decode.events(body, 100) or ()
    check(len(found) <= 100, "too many events")
    check_data(found)
    records = [record for event in found if (record := from_event(event, NOW)) is not None]
    for event in found:
        pictures_of(event)
    with aside():
        check_data(decode.events(body))
        _check_records(records)


def _check_records(records: list[ListedCall]) -> None:
    for record in records:
        check(record.time <= NOW, "a call in the future")
        check((record.duration or 0) >= 0, "a negative duration")
        both = merged(record, records[0])
        check(merged(both, records[0]) == both, "a report counts twice")
        check(clamp_times(both, NOW) == clamp_times(clamp_times(both, NOW), NOW), "unstable times")


def _ice_servers(case: Any) -> None:
    found = decode.ice_servers(decode.body_of(values.as_mapping(case)))
    check_data(found)
    links = [link for server in found or () for link in server.urls]
    check(len(links) <= decode.MAX_ICE_URLS, "too many links")
    check(not any(".local" in link.lower() or ":127." in link for link in links), "a local server")


def _settings(case: Any) -> None:
    found = configs.settings(decode.body_of(values.as_mapping(case)))
    check_repr(found)
    module = Module(id="b", home_id="h", kind=ModuleKind.BRIDGE, type="BNC3")
    listed = [each for settings in (found or {}).values() for each in settings.values()]
    for setting in listed[:4]:
        setting.mode_at(NOW)
        for mode in (None, *SettingMode):
            for duration in (None, 1, 86_400):
                try:
                    changed = setting.changed(NOW, mode=mode, duration=duration)
                except UnknownModeError:
                    continue
                orjson.dumps(configs.write_request(module, changed, NOW))
                check(not changed.is_replaced_by(setting), "a change is replaced")


def _errors(case: Any) -> None:
    body = case if isinstance(case, dict) else None
    for status in (200, 400, 403, 404, 429, 500, 503):
        answer = http.Answer(status=status, body=body)
        if (error := transport.error_of(answer)) is not None:
            check_error(error)
        check_repr(answer)
    for error in decode.command_errors(values.as_mapping(case)):
        code = error_codes.error_number(values.as_mapping(error).get("code"))
        check_error(error_codes.module_error(code)(code=code))


def _headers(case: Any) -> None:
    retry_after, date = text(case, "Retry-After"), text(case, "Date")
    found = http.retry_after_of({"Retry-After": retry_after, "Date": date})
    check(found is None or 0 <= found <= 3600, f"a pause of {found} s")
    now = http._parse_date(date)
    check(now is None or abs(now) < 1e12, f"the time {now}")


def _push(case: Any) -> None:
    frame = values.as_mapping(case)
    found = push.decode(frame)
    with aside():
        check(not (wrong := wrong_in(found)), f"wrong types: {wrong}")
        check_repr(found)
    shape = str(shape_of(frame))
    check(PLANTED not in shape, "secret in the shape of a frame")
    check(len(shape) <= MAX_SHAPE_LENGTH, "a long shape")


def _redaction(case: Any) -> None:
    redactor = MessageRedactor(RandomPseudonyms(), started_at=NOW)
    shown = orjson.dumps(redactor.redact(case)).decode()
    check(PLANTED.lower() not in shown.lower(), "secret in a recorded message")
    with aside():
        secrets = _with_secrets(case)
    redacted = redact(secrets)
    with aside():
        check(PLANTED not in json.dumps(redacted), "secret in a redacted value")


def _with_secrets(value: Any) -> Any:
    """Return a copy with the secret in the secret fields only."""
    if isinstance(value, dict):
        return {
            key.replace(PLANTED, "x"): PLANTED
            if key.lower() in SECRET_KEYS
            else _with_secrets(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_with_secrets(item) for item in value]
    return value.replace(PLANTED, "x") if isinstance(value, str) else value


def _pseudonyms(case: Any) -> None:
    names = Pseudonyms()
    for n, name in enumerate((PLANTED, "00:03:50:ab:cd:ef", "64a1b2c3d4e5f60718293a4b")):
        names.name(name, f"kind{n}")
    replaced = names.replace(case)
    with aside():
        check(PLANTED not in json.dumps(replaced), "secret behind a pseudonym")


def _images(case: Any) -> None:
    raw = text(case, "image").encode("latin-1", "replace")
    found = images.image_type(raw)
    check(found is None or found.startswith("image/"), "no content type")


def _links(case: Any) -> None:
    link = text(case, "link")
    if (url := values.as_url(link)) is None:
        return
    try:
        address = pictures._address(url, PRODUCTION)
    except PictureError as err:
        check_error(err)
        return
    check(address.scheme == "https", "not encrypted")
    check(address.raw_query_string in url, "a changed signature")
    try:
        is_public_address(address.raw_host or "")
    except ValueError:
        return
    raise AssertionError("an IP address instead of a name")


_PNG = "89504e470d0a1a0a0000000d494844520000000100000001080600000" + "01f15c4890000000a49444154"
_JPEG = (
    "ffd8ffe000104a46494600010100000100010000ffc0000b080010001001011100ffda0008010100003f00d2ffd9"
)
_WEBP = "52494646240000005745425056503820180000003001009d012a0100010002003425a400037000fefbfd5000"
_EXTENDED = "52494646300000005745425056503858" + "0a00000000000000000000000000" + _WEBP[24:]
_DATES = ("Mon, 21 Sep 2026 13:33:20 GMT", "21 Sep 2026 13:33", "Mon, 21 Sep 9999 23:59:59 -2359")

TARGETS: tuple[Target, ...] = (
    pure("homes", _homes, seeds.homes()),
    pure("states", _states, seeds.states()),
    pure("events", _events, seeds.events()),
    pure("ice_servers", _ice_servers, [seeds.TURN, {"body": seeds.TURN}]),
    pure("settings", _settings, seeds.configs()),
    pure("errors", _errors, seeds.ERRORS),
    pure(
        "headers",
        _headers,
        [{"Retry-After": each, "Date": _DATES[0]} for each in ("30", "1e3", *_DATES)],
    ),
    pure("push", _push, seeds.push_frames()),
    pure(
        "redaction",
        _redaction,
        [*seeds.push_frames(), *seeds.homes()[:3], *seeds.events()[:1], seeds.TURN, seeds.TOKENS]
        + [{"sdp": each} for each in seeds.OFFERS.values()],
    ),
    pure("pseudonyms", _pseudonyms, [*seeds.homes()[:3], *seeds.push_frames()[:3]]),
    pure(
        "images",
        _images,
        [
            {"image": bytes.fromhex(each).decode("latin-1")}
            for each in (_PNG, _JPEG, _WEBP, _EXTENDED)
        ],
    ),
    pure(
        "links",
        _links,
        [{"link": each} for each in (seeds.LINK, f"https://a.example:443/{quote('ü')}?q=%2F")],
    ),
)
