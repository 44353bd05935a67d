"""The open questions of docs/protocol.md, and what a recording says about each."""

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from custom_components.bticino_classe.client.values import as_list, as_mapping, as_mappings
from custom_components.bticino_classe.client.webrtc.sections import parse

from .checks import descriptions_of, events_of, pushes_of, settings_of
from .recording import PUSH, SIGNALING, Exchange, Message, Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

COMMANDS: Final = ("/syncapi/v1/setstate", "/syncapi/v1/setconfigs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """An open question; `number` is that in "Ten things an owner can settle".

    `settle` returns what a recording says, one sentence each, or nothing.
    """

    section: str
    question: str
    settle: Callable[[Recording], Iterator[str]]
    number: int | None = None


def answers(recording: Recording) -> list[tuple[Doubt, list[str]]]:
    """Return every doubt with what the recording says about it."""
    return [(doubt, list(dict.fromkeys(doubt.settle(recording)))) for doubt in DOUBTS]


def _refresh_tokens(recording: Recording) -> Iterator[str]:
    for exchange in recording.exchanges("/oauth2/token"):
        used = exchange.request.data.get("refresh_token")
        new = exchange.data.get("refresh_token")
        if used and new:
            yield "It stays the same." if used == new else "It changes."
        elif used and exchange.data.get("access_token"):
            yield "The answer has no refresh token."


def _lifetimes(recording: Recording) -> Iterator[str]:
    for exchange in recording.exchanges("/oauth2/token"):
        if exchange.data.get("access_token"):
            seconds = exchange.data.get("expires_in")
            yield "expires_in is missing." if seconds is None else f"{_shown(seconds)} seconds."


def _relays(recording: Recording) -> Iterator[str]:
    for exchange in recording.exchanges("/api/getcredentials"):
        if "iceServers" in as_mapping(exchange.data.get("body")):
            yield "In body."
        if "iceServers" in exchange.data:
            yield "At the top."


def _command_errors(recording: Recording) -> Iterator[str]:
    for exchange in (each for path in COMMANDS for each in recording.exchanges(path)):
        if as_mapping(exchange.data.get("body")).get("errors"):
            yield "In body."
        if exchange.data.get("errors"):
            yield "At the top."


def _order_of_steps(recording: Recording) -> Iterator[str]:
    for exchange in recording.exchanges("/api/getevents"):
        for event in events_of(exchange.data):
            times = [each.get("time") for each in as_mappings(event.get("subevents"))]
            numbers = [time for time in times if isinstance(time, int | float)]
            steps = {after > before for before, after in pairwise(numbers) if after != before}
            if steps:
                named = {frozenset({True}): "Oldest first.", frozenset({False}): "Newest first."}
                yield named.get(frozenset(steps), "Neither oldest nor newest first.")


def _place_of_events(recording: Recording) -> Iterator[str]:
    for exchange in recording.exchanges("/api/getevents"):
        body = as_mapping(exchange.data.get("body"))
        if "events" in as_mapping(body.get("home")):
            yield "In body.home."
        if "events" in body:
            yield "In body."


def _calls_of(recording: Recording) -> dict[str, list[tuple[str, Message]]]:
    """Return the pushes of each call, in their order."""
    found: dict[str, list[tuple[str, Message]]] = {}
    for kind, message in pushes_of(recording):
        session = as_mapping(message.data.get("extra_params")).get("session_id")
        if isinstance(session, str):
            found.setdefault(session, []).append((kind, message))
    return found


def _order_of_pushes(recording: Recording) -> Iterator[str]:
    for steps in _calls_of(recording).values():
        kinds = [kind for kind, _ in steps]
        if "offer" in kinds or "incoming_call" in kinds:
            model = str(steps[0][1].data.get("push_type")).partition("-")[0]
            yield f"{_shown(model)}: {', '.join(map(_shown, kinds))}."


def _panel_of_status(recording: Recording) -> Iterator[str]:
    for kind, message in pushes_of(recording):
        extra = as_mapping(message.data.get("extra_params"))
        if kind == "incoming_call":
            named = extra.get("module_id") not in (None, extra.get("device_id"))
            yield "incoming_call names a module." if named else "incoming_call names no panel."


def _rescinds(recording: Recording) -> Iterator[str]:
    for steps in _calls_of(recording).values():
        kinds = [kind for kind, _ in steps]
        if "accepted_call" in kinds:
            answer = "A rescind" if "rescind" in kinds else "No rescind"
            yield f"{answer} came for a call that was accepted."


def _missed_calls(recording: Recording) -> Iterator[str]:
    for steps in _calls_of(recording).values():
        times = {kind: message.time for kind, message in reversed(steps)}
        began = min(
            (times[kind] for kind in ("offer", "incoming_call") if kind in times), default=None
        )
        if began is not None and "missed_call" in times:
            yield f"After {times['missed_call'] - began:.0f} seconds."


def _acknowledgements(recording: Recording) -> Iterator[str]:
    sent = {str(each.data.get("correlation_id")) for each in recording.of(SIGNALING, "sent")}
    for message in recording.of(SIGNALING, "received"):
        if message.data.get("type") == "ack":
            found = message.data.get("correlation_id")
            if found is None:
                yield "It is missing or null."
            elif isinstance(found, str):
                is_repeated = found.replace(" int>", ">") in sent
                yield "It is repeated." if is_repeated else "It is another one."


def _views(recording: Recording) -> Iterator[str]:
    answered: float | None = None
    for message in recording.messages:
        kind = as_mapping(message.data.get("data")).get("type")
        if message.channel != SIGNALING or message.kind not in {"sent", "received"}:
            continue
        if kind == "answer":
            answered = message.time
        elif kind == "terminate" and answered is not None:
            who = "Home Assistant" if message.kind == "sent" else "the cloud"
            yield f"{message.time - answered:.0f} seconds, ended by {who}."
            answered = None


def _payload_types(recording: Recording) -> Iterator[str]:
    for sdp, message in descriptions_of(recording):
        if message.kind == "received" and message.channel in {PUSH, SIGNALING}:
            media = [each for each in parse(sdp)[1] if each.kind in {"audio", "video"}]
            types = [f"{each.kind} {' '.join(each.supported_payload_types)}" for each in media]
            kind = _shown(as_mapping(_data_of(message)).get("type"))
            yield f"In its {kind}: {', '.join(types)}."


def _candidates(recording: Recording) -> Iterator[str]:
    for message in recording.of(SIGNALING, "received"):
        candidate = as_mapping(as_mapping(message.data.get("data")).get("ice_candidate"))
        text = candidate.get("candidate")
        if isinstance(text, str) and " typ " in text:
            start, _, rest = text.partition(" typ ")
            transport = "tcp" if " tcp " in start.lower() else "udp"
            name = " with a .local name" if "<mdns-" in start else ""
            yield f"{transport} {_shown(rest.split()[0] if rest.split() else '')}{name}."


def _data_of(message: Message) -> Any:
    found = message.data.get("data")
    return as_mapping(message.data.get("extra_params")).get("data") if found is None else found


def _models_with_settings(recording: Recording) -> Iterator[str]:
    for exchange in recording.exchanges("/syncapi/v1/getconfigs"):
        named = {id(module): module for module, _, _ in settings_of(exchange.data)}
        for module in named.values():
            yield f"{_shown(module.get('type'))} has settings."
        if not named and exchange.answer is not None:
            models = ", ".join(_models(recording, exchange)) or "This model"
            error = as_mapping(exchange.data.get("error")).get("code")
            yield f"{models}: none{'' if error is None else f', error {_shown(error)}'}."


def _models(recording: Recording, exchange: Exchange) -> list[str]:
    """Return the types of the modules that a request names."""
    asked = {str(each) for each in as_list(exchange.request.data.get("module_ids"))}
    homes = [
        home
        for each in recording.exchanges("/api/homesdata")
        for home in as_mappings(as_mapping(each.data.get("body")).get("homes"))
    ]
    modules = [module for home in homes for module in as_mappings(home.get("modules"))]
    return sorted({_shown(m.get("type")) for m in modules if str(m.get("id")) in asked})


def _modes(recording: Recording) -> Iterator[str]:
    for exchange in recording.exchanges("/syncapi/v1/getconfigs"):
        for _, kind, fields in settings_of(exchange.data):
            if kind.value == "do_not_disturb" and fields.get("dnd_mode") not in (None, 0, 1, 3):
                days = " with days" if fields.get("dnd_days") else ""
                yield f"Mode {_shown(fields['dnd_mode'])} was seen{days}."


def _shown(value: object) -> str:
    return str(value)[:40]


DOUBTS: Final = (
    Doubt(
        number=10, section="3.1", question="Does a refresh token change?", settle=_refresh_tokens
    ),
    Doubt(section="3.1", question="How long is a token valid?", settle=_lifetimes),
    Doubt(section="3.2", question="Where is iceServers?", settle=_relays),
    Doubt(
        number=7,
        section="3.4",
        question="Where is the error of a refused command?",
        settle=_command_errors,
    ),
    Doubt(
        number=3,
        section="3.6",
        question="In which order are the steps of a call?",
        settle=_order_of_steps,
    ),
    Doubt(section="3.6", question="Where is events?", settle=_place_of_events),
    Doubt(
        number=2,
        section="3.7",
        question="Which messages does a ring send, in which order?",
        settle=_order_of_pushes,
    ),
    Doubt(section="3.7", question="Does a status push name the panel?", settle=_panel_of_status),
    Doubt(
        number=1,
        section="3.7",
        question="Does a rescind come when a phone answers?",
        settle=_rescinds,
    ),
    Doubt(section="3.7", question="When does missed_call follow?", settle=_missed_calls),
    Doubt(
        number=4,
        section="3.8",
        question="Do acknowledgements repeat the correlation_id?",
        settle=_acknowledgements,
    ),
    Doubt(number=5, section="3.8", question="How long does a view last?", settle=_views),
    Doubt(
        number=6,
        section="3.9",
        question="Which payload types does the intercom use?",
        settle=_payload_types,
    ),
    Doubt(section="3.9", question="Which candidates does it send?", settle=_candidates),
    Doubt(
        number=8,
        section="3.10",
        question="Which models have settings?",
        settle=_models_with_settings,
    ),
    Doubt(number=9, section="3.10", question="Is dnd_mode 2 the schedule?", settle=_modes),
)
# What needs something that the integration does not do.
NOT_RECORDED: Final[Mapping[str, tuple[str, ...]]] = {
    "3.1": ("Does /oauth2/authorize accept Home Assistant's address?",),
    "3.2": ("What does /api/refreshbloburl take?",),
    "3.7": ("Do pings of the client end the connection?",),
    "3.8": ("Does an offer of the type vod play a recording?",),
}
