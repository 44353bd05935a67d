"""Keeps a history of calls and is killed at every step on disk; says what a new start finds wrong.

Run as a program, which forks: `python -m tests.integration.history.killing FOLDER`.
"""

import asyncio
import json
import logging
import os
from pathlib import Path
import signal
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from homeassistant.core import HomeAssistant

from custom_components.bticino_classe.client.calls import Call, CallChange, CallEventType, CallState
from custom_components.bticino_classe.client.pictures import StillImage
from custom_components.bticino_classe.const import CONF_CALLS, CONF_HISTORY
from custom_components.bticino_classe.history.history import CallHistory
from custom_components.bticino_classe.history.records import KINDS, call_id

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

BRIDGE, PANEL = "00:03:50:30:00:0a", "30000a-0101-aa11bb22cc01"
STEPS = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "os.chmod", "os.rmdir"})
SESSIONS, KEPT = 4, 3
STARTED_AT = time.time() - 100
ANSWERED_AT = 5  # seconds after the ring


async def a_history(folder: Path) -> CallHistory:
    """Return the history of an account as it is on disk."""
    hass = HomeAssistant(str(folder))
    entry = SimpleNamespace(entry_id="x", data={}, options={CONF_HISTORY: {CONF_CALLS: KEPT}})
    history = CallHistory(hass, cast("Any", entry), clock=time.time, panels_of=lambda _: (PANEL,))
    await history.async_load(lambda _: BRIDGE)
    await history.async_save()
    return history


def content(session: int, kind: str) -> bytes:
    """Return a picture that is like no other, and larger than what is written at once."""
    return b"\xff\xd8\xff" + f"{session}-{kind}".encode() * 20_000


async def live(folder: Path, tell: Callable[[str], None]) -> None:
    """Have calls that ring, bring pictures and are missed; delete one; go above the limit."""
    history = await a_history(folder)
    tell("begun")
    for session in range(SESSIONS):
        await ring(history, session, tell)
        if session == 1:
            deleted = history.call(call_id("0"))
            assert deleted is not None
            tell("deleting 0")
            history.async_delete([deleted])
            await history.async_save()
            tell("deleted 0")
    tell("end")


async def ring(history: CallHistory, session: int, tell: Callable[[str], None]) -> None:
    """Let one call happen, and tell of each part once it is to be on disk."""
    call = Call(
        session_id=str(session),
        bridge_id=BRIDGE,
        panel_id=PANEL,
        began_at=STARTED_AT + session,
    )
    history.async_add(CallChange(type=CallEventType.RING, call=call))
    await history.async_save()
    tell(f"rang {session}")
    for kind in KINDS:
        image = StillImage(content=content(session, kind), content_type="image/jpeg")
        await history.async_keep(call_id(str(session)), kind, image)
    await history.async_save()
    tell(f"pictured {session}")
    missed = Call(
        session_id=str(session),
        bridge_id=BRIDGE,
        panel_id=PANEL,
        began_at=STARTED_AT + session,
        state=CallState.MISSED,
        ended_at=STARTED_AT + session + 30,
    )
    history.async_add(CallChange(type=CallEventType.MISSED, call=missed))
    await history.async_save()
    tell(f"missed {session}")


async def look(folder: Path, told: list[str]) -> list[str]:
    """Return what is wrong with a history of which so much was told."""
    warnings: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: warnings.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    history = await a_history(folder)
    found = {call.id: call for call in history.calls}
    wrong = [f"warned: {each}" for each in warnings]
    if len(history.calls) != len(found) or len(found) > KEPT:
        wrong.append(f"{len(history.calls)} calls")
    for session in range(SESSIONS):
        wrong += await _wrong_with(history, session, told)
    owned = {file for call in history.calls for file in call.files}
    place = folder / ".storage" / "bticino_classe" / "x"
    there = {f"{path.parent.name}/{path.name}" for path in place.rglob("*") if path.is_file()}
    if there != owned:
        wrong.append(f"files without a call or calls without their files: {there ^ owned}")
    return wrong


async def _wrong_with(history: CallHistory, session: int, told: list[str]) -> list[str]:
    call = history.call(call_id(str(session)))
    if session == 0 and "deleted 0" in told:
        return ["a deleted call is there"] if call else []
    if call is None:
        # The limit lets the first go; the deletion may have been on its way.
        may_be_gone = f"rang {session}" not in told or (session == 0 and "deleting 0" in told)
        return [] if may_be_gone else [f"call {session} is lost"]
    wrong = []
    if f"missed {session}" in told and call.outcome != CallState.MISSED:
        wrong.append(f"call {session} is {call.outcome}")
    for kind in KINDS:
        image = await history.async_picture(call, kind)
        if image is None and f"pictured {session}" in told:
            wrong.append(f"call {session} has lost its {kind}")
        if image is not None and image.content != content(session, kind):
            wrong.append(f"call {session} has half of a {kind}, or another's")
    return wrong


def killed(folder: Path, step: int) -> list[str]:
    """Live in a process of its own until the step on disk; return what it had told."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        _kill_at(folder, step)
        _run(live(folder, lambda line: void(os.write(writer, f"{line}\n".encode()))))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as lines:
        told = lines.read().splitlines()
    os.wait()
    return told


def void(_: object) -> None:
    """Drop a value."""


def _kill_at(folder: Path, step: int) -> None:
    steps = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal steps
        if event in STEPS and str(folder) in str(arguments[0]):
            steps += 1
            if steps == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def looked(folder: Path, told: list[str]) -> list[str]:
    """Look at what is left in a process of its own."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        wrong: list[str] = []
        try:
            wrong = _run(look(folder, told))
        except BaseException as err:  # noqa: BLE001 - whatever it is, the test has to know
            wrong = [repr(err)]
        os.write(writer, json.dumps(wrong).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        found: list[str] = json.loads(answer.read())
    os.wait()
    return found


def _run[Result](coroutine: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(coroutine)


def main(folder: Path) -> None:
    """Kill at every step, then at none; write what was wrong as JSON."""
    logging.basicConfig(level=logging.CRITICAL)
    wrong: dict[int, list[str]] = {}
    step, told = 0, [""]
    while told[-1:] != ["end"]:
        step += 1
        place = folder / str(step)
        (place / ".storage").mkdir(parents=True)
        told = killed(place, step)
        if found := looked(place, told):
            wrong[step] = [*told[-1:], *found]
    sys.stdout.write(json.dumps({"steps": step, "wrong": wrong}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
