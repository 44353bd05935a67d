"""What in a recording differs from what is known, by the sections of docs/protocol.md."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from custom_components.bticino_classe.client import ModuleKind, decode as client_decode, push
from custom_components.bticino_classe.client.configs import MODES, PREFIXES
from custom_components.bticino_classe.client.decode import KINDS_BY_TYPE, TYPES_OF_EITHER_KIND
from custom_components.bticino_classe.client.error_codes import (
    API_CODES,
    MODULE_CODES,
    RTC_MAX_PEERS,
    RTC_UNREACHABLE,
)
from custom_components.bticino_classe.client.values import as_list, as_mapping, as_mappings
from custom_components.bticino_classe.client.webrtc.sections import SdpSection, parse
from custom_components.bticino_classe.client.websocket.connection import MAX_FRAME_BYTES

from . import known
from .recording import PUSH, SIGNALING, Message, Recording, walk

if TYPE_CHECKING:
    from collections.abc import Callable

SECTIONS: Final[Mapping[str, str]] = {
    "3.1": "Tokens",
    "3.2": "Homes, modules and states",
    "3.3": "Errors",
    "3.4": "Commands",
    "3.6": "List of events",
    "3.7": "Pushes",
    "3.8": "Calls",
    "3.9": "Session descriptions",
    "3.10": "Settings",
}
PATHS: Final[Mapping[str, str]] = {
    "/oauth2/token": "3.1",
    "/api/homesdata": "3.2",
    "/syncapi/v1/homestatus": "3.2",
    "/api/getcredentials": "3.2",
    "/syncapi/v1/setstate": "3.4",
    "/api/getevents": "3.6",
    "/syncapi/v1/getconfigs": "3.10",
    "/syncapi/v1/setconfigs": "3.10",
}
DECODERS: Final[Mapping[str, Callable[[Mapping[str, Any]], object]]] = {
    "/api/homesdata": client_decode.topology,
    "/syncapi/v1/homestatus": client_decode.states,
    "/api/getevents": client_decode.events,
}
SLOW_SECONDS: Final = 10.0  # an answer that takes longer
MAX_OFFER_BYTES: Final = 8192
MISSED_SECONDS: Final = range(20, 46)  # after the ring
USUAL_EXPIRY: Final = 30
_LATER_STEPS: Final = frozenset({"accepted_call", "missed_call", "rescind", "terminate"})
_RTC_CODES: Final = frozenset({RTC_MAX_PEERS, RTC_UNREACHABLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something that is not known, and the numbers of the messages in which it is."""

    section: str
    text: str
    messages: tuple[int, ...]


type Found = Iterator[tuple[str, str, int]]  # section, text, number of the message


def differences(recording: Recording) -> list[Difference]:
    """Return what differs, each once."""
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    of_api = (_requests, _modules, _errors, _events, _settings)
    for check in (*of_api, _pushes, _rings, _calls, _descriptions):
        for section, text, number in check(recording):
            found[section, text].append(number)
    order = list(SECTIONS)
    return [
        Difference(section=section, text=text, messages=tuple(numbers))
        for (section, text), numbers in sorted(
            found.items(), key=lambda item: (order.index(item[0][0]), item[1])
        )
    ]


def _requests(recording: Recording) -> Found:
    """Find fields, types, unreadable and slow answers."""
    for exchange in recording.exchanges():
        path, answer = exchange.path, exchange.answer
        section = PATHS.get(path, "3.2")
        if answer is None:
            continue
        if path not in known.ANSWERS:
            yield section, f"{path} is not known", answer.number
        elif not isinstance(answer.body, Mapping):
            yield "3.3", f"{path}: status {answer.status} without JSON", answer.number
        elif not answer.data.get("error"):
            for place, what in known.unknown_fields(answer.body, known.ANSWERS[path]):
                if not _is_foreign(path, place):
                    yield section, f"{path}: {place}: {what}", answer.number
            if path in DECODERS and DECODERS[path](as_mapping(answer.data.get("body"))) is None:
                yield section, f"{path}: the answer cannot be decoded", answer.number
        if answer.time - exchange.request.time > SLOW_SECONDS:
            yield section, f"{path}: took more than {SLOW_SECONDS:.0f} s", answer.number


def _is_foreign(path: str, place: str) -> bool:
    """Whether a field is in a module; those of the intercom are checked by `_modules`."""
    listed = ("/api/homesdata", "/syncapi/v1/homestatus")
    return path in listed and "modules[]." in place


def _modules(recording: Recording) -> Found:
    """Find types and fields of modules that belong to an intercom."""
    for path, spec in (
        ("/api/homesdata", known.LISTED_MODULE),
        ("/syncapi/v1/homestatus", known.STATE),
    ):
        for exchange in recording.exchanges(path):
            if exchange.answer is None:
                continue
            for module in _modules_of(as_mapping(exchange.data.get("body"))):
                found = _module_differences(module, spec)
                yield from (("3.2", text, exchange.answer.number) for text in found)


def _modules_of(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the modules that are a part of an intercom, or that belong to one."""
    homes = [*as_mappings(body.get("homes")), as_mapping(body.get("home"))]
    modules = [module for home in homes for module in as_mappings(home.get("modules"))]
    bridges = [module for module in modules if _kind(module) is ModuleKind.BRIDGE]
    bridged = {str(each) for bridge in bridges for each in as_list(bridge.get("modules_bridged"))}
    ids = {bridge.get("id") for bridge in bridges if isinstance(bridge.get("id"), str)}
    return [
        module
        for module in modules
        if _kind(module) is not None
        or str(module.get("id")) in bridged
        or (isinstance(module.get("bridge"), str) and module["bridge"] in ids)
    ]


def _kind(module: Mapping[str, Any]) -> ModuleKind | None:
    module_type = module.get("type")
    return KINDS_BY_TYPE.get(module_type) if isinstance(module_type, str) else None


def _module_differences(module: Mapping[str, Any], spec: known.Spec) -> Iterator[str]:
    module_type = str(module.get("type"))
    if _kind(module) is None and module_type not in TYPES_OF_EITHER_KIND:
        yield f"module type {module_type} is not known"
    for place, what in known.unknown_fields(module, spec):
        yield f"module {module_type}: {place}: {what}"


def _errors(recording: Recording) -> Found:
    """Find error codes, of the API, of modules and of calls."""
    for message in recording.messages:
        for key, value in walk(message.body):
            if key == "error":
                code = value.get("code") if isinstance(value, Mapping) else value
                codes = {*API_CODES, *(_RTC_CODES if message.channel == SIGNALING else ())}
                if isinstance(code, int | str) and code not in codes and code:
                    yield "3.3", f"error {code} is not known", message.number
            elif key == "errors":
                for error in as_mappings(value):
                    code = error.get("code")
                    if isinstance(code, int | str) and code not in MODULE_CODES:
                        yield "3.3", f"error {code} of a module is not known", message.number


def _events(recording: Recording) -> Found:
    for exchange in recording.exchanges("/api/getevents"):
        if exchange.answer is None:
            continue
        for event in events_of(exchange.data):
            for each in (event, *as_mappings(event.get("subevents"))):
                if (kind := str(each.get("type"))) not in known.EVENT_TYPES:
                    yield "3.6", f"event type {kind} is not known", exchange.answer.number


def events_of(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the events of an answer, at either place."""
    body = as_mapping(answer.get("body"))
    home = as_mapping(body.get("home"))
    return [*as_mappings(home.get("events")), *as_mappings(body.get("events"))]


def pushes_of(recording: Recording) -> list[tuple[str, Message]]:
    """Return the pushes with their kinds; a repeated step of a call is left out."""
    found: list[tuple[str, Message]] = []
    seen: set[tuple[str, str]] = set()
    for message in recording.of(PUSH, "received"):
        if "push_type" not in message.data and "extra_params" not in message.data:
            continue
        extra = as_mapping(message.data.get("extra_params"))
        kind = push.kind_of(message.data)
        if kind == "rtc":
            kind = str(as_mapping(extra.get("data")).get("type"))
        session = extra.get("session_id")
        if isinstance(session, str) and (kind, session) in seen:
            continue
        seen.add((kind, str(session)))
        found.append((kind, message))
    return found


def _pushes(recording: Recording) -> Found:
    """Find kinds, fields, unreadable and large frames."""
    for message in recording.of(PUSH, "received"):
        if not isinstance(message.body, Mapping):
            yield "3.7", "a frame is not an object", message.number
            continue
        if (message.size or 0) > MAX_FRAME_BYTES:
            yield "3.7", f"a frame is larger than {MAX_FRAME_BYTES} bytes", message.number
        for place, what in known.unknown_fields(message.body, known.PUSH):
            yield "3.7", f"push: {place}: {what}", message.number
    for kind, message in pushes_of(recording):
        if push.decode(message.data) is None and kind not in known.UNUSED_PUSHES:
            shown = message.data.get("push_type")
            yield "3.7", f"push {shown} ({kind}) is not understood", message.number


def _rings(recording: Recording) -> Found:
    """Find the times of a ring that are unusual."""
    began: dict[str, float] = {}
    for kind, message in pushes_of(recording):
        session = str(as_mapping(message.data.get("extra_params")).get("session_id"))
        if kind in {"offer", "incoming_call"}:
            began.setdefault(session, message.time)
            expiry = message.data.get("expiry", USUAL_EXPIRY)
            if expiry != USUAL_EXPIRY:
                yield "3.7", f"a ring lasts {expiry} s, not {USUAL_EXPIRY} s", message.number
        elif kind in _LATER_STEPS and session not in began:
            yield "3.7", f"{kind} without a ring before it", message.number
        elif kind == "missed_call":
            seconds = round(message.time - began[session])
            if seconds not in MISSED_SECONDS:
                yield "3.7", f"missed_call {seconds} s after the ring, not 30 s", message.number


def _calls(recording: Recording) -> Found:
    """Find kinds, fields and the order of signaling messages."""
    offers = 0
    for message in recording.messages:
        if message.channel != SIGNALING:
            continue
        kind = str(as_mapping(message.data.get("data")).get("type"))
        if message.kind == "sent":
            offers += kind == "offer"
            continue
        if message.kind != "received":
            continue
        if not isinstance(message.body, Mapping):
            yield "3.8", "a frame is not an object", message.number
            continue
        for place, what in known.unknown_fields(message.body, known.SIGNALING):
            yield "3.8", f"signaling: {place}: {what}", message.number
        is_ack = message.data.get("type") == "ack" or "data" not in message.data
        if not is_ack and kind not in known.SIGNALS:
            yield "3.8", f"message {kind} is not known", message.number
        if kind == "answer":
            offers -= 1
            if offers < 0:
                yield "3.8", "an answer without an offer", message.number


def descriptions_of(recording: Recording) -> Iterator[tuple[str, Message]]:
    """Yield every session description with its message."""
    for message in recording.messages:
        for key, value in walk(message.body):
            if key == "sdp" and isinstance(value, str) and value:
                yield value, message


def _descriptions(recording: Recording) -> Found:
    for sdp, message in descriptions_of(recording):
        if message.kind == "sent":
            if (message.size or 0) > MAX_OFFER_BYTES:
                yield "3.9", f"an offer of more than {MAX_OFFER_BYTES} bytes", message.number
            continue
        if "\r\n" not in sdp:
            yield "3.9", "lines do not end with CR LF", message.number
        for section in parse(sdp)[1]:
            if section.kind not in {"audio", "video", "application"}:
                yield "3.9", f"m-section {section.kind}", message.number
            elif _lacks_codec(section):
                codecs = ", ".join(dict.fromkeys(section.codecs.values()))
                yield "3.9", f"{section.kind} without a known codec: {codecs}", message.number


def _lacks_codec(section: SdpSection) -> bool:
    is_media = section.kind != "application" and not section.is_rejected
    return is_media and not section.supported_payload_types


def _settings(recording: Recording) -> Found:
    for exchange in recording.exchanges("/syncapi/v1/getconfigs"):
        if exchange.answer is None:
            continue
        for module, kind, fields in settings_of(exchange.data):
            mode = fields.get(f"{PREFIXES[kind]}mode")
            if isinstance(mode, int | str) and mode not in MODES:
                text = f"{module.get('type')}: {kind.value} has the unknown mode {mode}"
                yield "3.10", text, exchange.answer.number


def settings_of(
    answer: Mapping[str, Any],
) -> Iterator[tuple[Mapping[str, Any], Any, Mapping[str, Any]]]:
    """Yield each module with the kind and the fields of each of its settings."""
    home = as_mapping(as_mapping(answer.get("body")).get("home"))
    for module in as_mappings(home.get("modules")):
        for kind in PREFIXES:
            if fields := as_mapping(module.get(kind.value)):
                yield module, kind, fields
