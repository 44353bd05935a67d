"""Targets behind a connection: answers with status and headers, frames of both sockets."""

import asyncio
from contextlib import contextmanager
from itertools import count
import json
from typing import TYPE_CHECKING, Any, Final, cast, override
from unittest.mock import patch

from custom_components.bticino_classe.client import (
    Account,
    AuthHandler,
    BticinoError,
    CallObserver,
    CallSession,
    CallTracker,
    Candidate,
    CloudClock,
    Home,
    Module,
    ModuleKind,
    PushChannel,
    RateLimiter,
    RingOffer,
    SettingKind,
    SettingMode,
    SignalingChannel,
    TrafficRecorder,
)
from custom_components.bticino_classe.client.push import CallPush
from custom_components.bticino_classe.client.webrtc import sdp
from custom_components.bticino_classe.client.websocket import connection
from custom_components.bticino_classe.client.websocket.connection import MAX_FRAME_BYTES
from custom_components.bticino_classe.client.websocket.disconnect import ConnectionEndedError

from . import seeds
from .checks import check, check_counters, check_data, check_error, check_repr
from .fakes import AnsweringSession, ScriptedSocket, encoded
from .seeds import CANDIDATE, NOW, PLANTED, SESSION
from .target import Target, text
from .virtual_loop import VirtualLoop, virtual_loop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    import aiohttp

    from .target import Run

_BRIDGE: Final = "00:03:50:ab:cd:ef"
_PANEL: Final = "abcdef-0101-aa11bb22cc33"


def _home() -> Home:
    kinds = {_BRIDGE: ModuleKind.BRIDGE, _PANEL: ModuleKind.PANEL, "door": ModuleKind.DOOR}
    modules = {
        key: Module(id=key, home_id="h", kind=kind, type="", bridge_id=_BRIDGE)
        for key, kind in kinds.items()
    }
    return Home(id="h", name=None, timezone=None, modules=modules)


HOME: Final = _home()
BRIDGE: Final = HOME.modules[_BRIDGE]
REQUESTS: Final[dict[str, Callable[[Account], Awaitable[object]]]] = {
    "topology": lambda account: account.topology(),
    "states": lambda account: account.states("h"),
    "events": lambda account: account.events("h"),
    "ice_servers": lambda account: account.ice_servers(),
    "unlock": lambda account: account.unlock(HOME, HOME.modules["door"]),
    "settings": lambda account: account.settings(HOME),
    "change": lambda account: account.change_setting(
        HOME, BRIDGE, SettingKind.DO_NOT_DISTURB, mode=SettingMode.TIMED
    ),
    "sign in": lambda account: account.auth.authenticate(),
    "renew": lambda account: account.auth.get_access_token(),
}
_OF_TOKENS: Final = ("sign in", "renew")


def _account(session: AnsweringSession | None = None) -> Account:
    auth = AuthHandler(
        f"{PLANTED}@example.org",
        PLANTED,
        session=cast("aiohttp.ClientSession | None", session),
        limiter=RateLimiter(clock=count(step=86_400).__next__),
    )
    return Account(auth)


async def _request(case: dict[str, Any]) -> None:
    name = text(case, "request")
    name = name if name in REQUESTS else list(REQUESTS)[len(name) % len(REQUESTS)]
    account = _account(AnsweringSession(case, is_for_tokens=name in _OF_TOKENS))
    expires_at = None if name == "renew" else 1e12
    account.auth.set_tokens(f"access-{PLANTED}", f"refresh-{PLANTED}", expires_at)
    try:
        found = await REQUESTS[name](account)
    except BticinoError as err:
        check_error(err)
    else:
        check_data(None if name == "renew" else found)
    check(PLANTED not in repr(account.auth), "secret in a repr")
    check_counters(account.auth.counters, "failed_listeners")
    await account.auth.wait_idle()


@contextmanager
def _answers() -> Iterator[Run]:
    with virtual_loop() as loop:
        yield lambda case: _run(loop, _request(case if isinstance(case, dict) else {"body": case}))


def _run(loop: VirtualLoop, work: Any) -> float:
    longest = loop.run(work)
    left = [task for task in asyncio.all_tasks(loop) if not task.done()]
    check(not left, f"tasks that are left: {[task.get_name() for task in left]}")
    return longest


@contextmanager
def _pushes() -> Iterator[Run]:
    """Provide one channel for all frames, with a tracker of calls and a recorder behind it."""
    lines: list[bytes] = []
    with virtual_loop() as loop:
        channel = PushChannel(_account().auth, clock=loop.time)
        clock = CloudClock(wall_clock=lambda: NOW, monotonic=loop.time)
        tracker = CallTracker(
            panels_of=lambda bridge: (_PANEL,) if bridge == _BRIDGE else (),
            offers_follow=lambda _: True,
            clock=clock,
        )
        channel.listen_pushes(lambda push: _track(tracker, push))

        def run(case: Any) -> None:
            lines.clear()
            recorder = TrafficRecorder(channel.socket._auth.tap, lines.append)
            recorder.start()
            try:
                channel.socket._on_text(encoded(case).decode())
            except ConnectionEndedError as err:
                check_error(err)
            check(recorder._tap.observer is not None, "the recorder has failed")
            recorder.stop("end")
            check(PLANTED.encode() not in b"".join(lines), "secret in a recording")
            loop.sleep(1)
            for change in tracker.advance():
                check_repr(change)
            check(PLANTED not in str(channel.unknown), "secret in the unknown frames")
            check(len(tracker.tracked) <= 64, "too many calls")
            check_counters(channel.counters, "failed_listeners")
            check_counters(channel.socket.counters, "failed_frames")

        yield run


def _track(tracker: CallTracker, push: object) -> None:
    if isinstance(push, CallPush):
        for change in tracker.apply(push):
            check_repr(change)


class _Viewer(CallObserver):
    """A viewer that checks the order of what is reported."""

    def __init__(self, offer: str) -> None:
        self._offer = offer
        self.answers: list[str] = []
        self.candidates = 0
        self.ends: list[BticinoError] = []

    @override
    def answered(self, sdp: str) -> None:
        check(not self.answers and not self.ends, "a second answer, or one after the end")
        self.answers.append(sdp)

    @override
    def candidate(self, candidate: Candidate) -> None:
        self.candidates += 1
        check(self.answers and not self.ends, "a candidate before the answer or after the end")
        check(sdp.candidate_is_useful(candidate.candidate), "a candidate of no use")

    @override
    def ended(self, error: BticinoError) -> None:
        check(not self.ends, "a second end")
        check_error(error)
        self.ends.append(error)


async def _call(case: dict[str, Any]) -> None:
    """Make one call from the first frame to the last, with the intercom's replies."""
    replies = case.get("replies")
    script = list(replies) if isinstance(replies, list) else []
    sockets: list[ScriptedSocket] = []

    async def connect(*_: object, **__: object) -> ScriptedSocket:
        sockets.append(ScriptedSocket(script))
        return sockets[-1]

    account = _account(AnsweringSession({}, is_for_tokens=False))
    account.auth.set_tokens("access", "refresh", 1e12)
    with patch.object(connection, "connect_websocket", connect):
        channel = SignalingChannel(account.auth)
        try:
            await _dial(channel, case)
        finally:
            await channel.close()
    check(channel.is_idle, "the channel is still in use")
    check_counters(channel.socket.counters, "failed_frames", "faults", "failed_states")
    check(len(sockets) < 40, "too many connections")
    account.auth.limiter.refused_tokens.reset()
    await account.auth.wait_idle()


async def _dial(channel: SignalingChannel, case: dict[str, Any]) -> None:
    offer, ring = text(case, "offer"), case.get("ring")
    viewer = _Viewer(offer)
    session = CallSession(channel, viewer, bridge_id=_BRIDGE, panel_id=_PANEL)
    candidate = Candidate(candidate=CANDIDATE, mid="0", index=0)
    await session.add_candidate(candidate)
    try:
        if isinstance(ring, str):
            ids = {"session_id": SESSION, "tag_id": PLANTED, "correlation_id": "9"}
            await session.answer(RingOffer(**ids, sdp=ring), offer)
        else:
            await session.dial(offer)
        await session.add_candidate(candidate)
        await session.next_panel()
        await asyncio.sleep(5)
    except BticinoError as err:
        check_error(err)
    check(viewer.candidates <= sdp.MAX_CANDIDATES, "too many candidates")
    session.hang_up()


@contextmanager
def _calls() -> Iterator[Run]:
    with virtual_loop() as loop:
        yield lambda case: _run(loop, _call(case if isinstance(case, dict) else {}))


def _answer_seeds() -> list[dict[str, Any]]:
    good: dict[str, list[Any]] = {
        "topology": seeds.homes()[:6],
        "states": seeds.states()[:6],
        "events": seeds.events()[:2],
        "ice_servers": [seeds.TURN],
        "settings": seeds.configs(),
        "change": seeds.configs(),
        "unlock": [{}],
    }
    headers = {"Date": "Mon, 21 Sep 2026 13:33:20 GMT", "Retry-After": "30"}
    found = [
        {"request": name, "status": 200, "headers": {}, "body": {"status": "ok", "body": body}}
        for name, bodies in good.items()
        for body in bodies
    ]
    found += [
        {"request": name, "status": 200, "headers": {}, "body": seeds.TOKENS} for name in _OF_TOKENS
    ]
    return (
        found
        + [
            {"request": name, "status": status, "headers": headers, "body": error}
            for name in ("topology", "unlock", "sign in", "renew", "change")
            for status, error in (
                (200, seeds.ERRORS[5]),
                (403, seeds.ERRORS[0]),
                (429, seeds.ERRORS[1]),
            )
        ]
        + [{"request": "states", "status": 503, "headers": headers, "body": f"<html>{PLANTED}"}]
    )


def _frames() -> list[Any]:
    frames = seeds.push_frames()
    return [*frames, *(json.dumps(frame) for frame in frames[::4])]


TARGETS: tuple[Target, ...] = (
    Target(name="answers_on_the_wire", seeds=_answer_seeds(), open=_answers),
    Target(name="push_channel", seeds=_frames(), open=_pushes, max_size=MAX_FRAME_BYTES),
    Target(name="calls", seeds=seeds.call_scripts(), open=_calls),
)
