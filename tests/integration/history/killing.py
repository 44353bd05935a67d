"""Keeps a history of a busy hour, is killed at every step, and reports what the next start lacks.

Run as a program, which forks: `python -m tests.integration.history.killing FOLDER`. A process is
killed at each statement that is no query; each prefix of the write-ahead log is what a kill between
two writes would leave.
"""

import asyncio
from dataclasses import replace
import json
import logging
import os
from pathlib import Path
import shutil
import signal
import sqlite3
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from homeassistant.core import HomeAssistant

from custom_components.bticino_classe.client import (
    Call,
    CallChange,
    CallEventType,
    CallState,
    StillImage,
)
from custom_components.bticino_classe.const import CONF_CALLS, CONF_HISTORY, DOMAIN
from custom_components.bticino_classe.history import database, reading
from custom_components.bticino_classe.history.history import CallHistory
from custom_components.bticino_classe.history.records import KINDS, session_hash
from custom_components.bticino_classe.house import House

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from custom_components.bticino_classe.history.records import CallRecord

BRIDGE, PANEL = "00:03:50:30:00:0a", "30000a-0101-aa11bb22cc01"
SESSIONS, KEPT, DELETED = 4, 3, "0"
STARTED_AT = time.time() - 100
FRAME_BYTES, LOG_HEADER_BYTES = 4096 + 24, 32
ENDINGS = {
    CallState.ANSWERED: CallEventType.ANSWERED,
    CallState.MISSED: CallEventType.MISSED,
}


async def a_history(folder: Path) -> CallHistory:
    """Return the history of an account as it is on disk."""
    entry = SimpleNamespace(
        entry_id="x",
        title="x",
        data={},
        options={CONF_HISTORY: {CONF_CALLS: KEPT}},
        async_on_unload=void,
    )
    house = House.of([], {})
    history = CallHistory(
        HomeAssistant(str(folder)),
        cast("Any", entry),
        clock=time.time,
        house=lambda: house,
        excluded_homes=(),
    )
    await history.async_load()
    return history


def content(session: str, kind: str) -> bytes:
    """Return a picture that is like no other, and larger than what is written at once."""
    return b"\xff\xd8\xff" + f"{session}-{kind}".encode() * 2000


async def live(history: CallHistory, report: Callable[[str], None]) -> None:
    """Have calls that ring, bring pictures and end; delete one; go above the limit."""
    report("begun")
    for number in range(SESSIONS):
        session = str(number)
        await one_call(history, session, report)
        if number == 1:
            deleted = history.find(DELETED, STARTED_AT)
            assert deleted is not None
            report(f"deleting {DELETED}")
            await history.async_delete([deleted.id])
            report(f"deleted {DELETED}")
    await history.async_mark_seen(BRIDGE)
    report("seen")
    report("end")


async def one_call(history: CallHistory, session: str, report: Callable[[str], None]) -> None:
    """Let one call happen, and report each part once it is stored."""
    call = Call(
        session_id=session,
        bridge_id=BRIDGE,
        panel_id=PANEL,
        began_at=STARTED_AT + int(session),
    )
    history.async_add(CallChange(type=CallEventType.RING, call=call))
    await history.async_settle()
    report(f"rang {session}")
    record = history.find(session, call.began_at)
    assert record is not None
    for kind in KINDS:
        image = StillImage(content=content(session, kind), content_type="image/jpeg")
        await history.async_keep(record.id, kind, image)
        report(f"{kind} {session}")
    state = CallState.ANSWERED if session == "2" else CallState.MISSED
    ended = replace(call, state=state, ended_at=call.began_at + 30)
    if state is CallState.ANSWERED:
        ended = replace(ended, answered_at=call.began_at + 10)
    history.async_add(CallChange(type=ENDINGS[state], call=ended))
    await history.async_settle()
    report(f"{state.value} {session}")


async def look(folder: Path, reported: list[str]) -> list[str]:
    """Return what is wrong with a history of which so much was reported as stored."""
    warnings: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: warnings.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    history = await a_history(folder)
    wrong = await _wrong_with_all(history, reported)
    await history.async_close()
    logging.getLogger().removeHandler(handler)
    return [*(f"warned: {each}" for each in warnings), *wrong]


async def _wrong_with_all(history: CallHistory, reported: list[str]) -> list[str]:
    calls = await history.async_read(lambda db: reading.select(db, "ORDER BY time"))
    check = "PRAGMA integrity_check"
    state = await history.async_read(lambda db: db.execute(check).fetchall())
    wrong = [] if state == [("ok",)] else [f"the file: {state}"]
    by_session = {call.session: call for call in calls}
    if len(by_session) != len(calls) or len(calls) > KEPT:
        wrong.append(f"{len(calls)} calls")
    if "seen" in reported and history.missed(BRIDGE):
        wrong.append("missed calls that were seen")
    for number in range(SESSIONS):
        session = str(number)
        call = by_session.get(session_hash(session))
        wrong += await _wrong_with(history, session, call, reported)
    return wrong


async def _wrong_with(
    history: CallHistory, session: str, call: CallRecord | None, reported: list[str]
) -> list[str]:
    if session == DELETED and f"deleted {DELETED}" in reported:
        return ["a deleted call is there"] if call else []
    if call is None:
        is_going = session == DELETED and f"deleting {DELETED}" in reported
        is_expected = f"rang {session}" not in reported or is_going
        return [] if is_expected else [f"call {session} is lost"]
    wrong = [
        f"call {session} is {call.outcome}"
        for state in ENDINGS
        if f"{state.value} {session}" in reported and call.outcome != state
    ]
    for kind in KINDS:
        image = await history.async_picture(call.id, kind)
        if image is None and (kind in call.pictures or f"{kind} {session}" in reported):
            wrong.append(f"call {session} has lost its {kind}")
        if image is not None and image.content != content(session, kind):
            wrong.append(f"call {session} has half of a {kind}, or another's")
    return wrong


def killed(folder: Path, step: int) -> list[str]:
    """Live in a process of its own until a statement; return what it had reported."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        _kill_at(step)
        _run(_live_in(folder, lambda line: void(os.write(writer, f"{line}\n".encode()))))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as lines:
        reported = lines.read().splitlines()
    os.wait()
    return reported


async def _live_in(folder: Path, report: Callable[[str], None]) -> None:
    await live(await a_history(folder), report)


def void(_: object) -> None:
    """Drop a value."""


def _kill_at(step: int) -> None:
    """Die at the start of a statement of SQLite's."""
    steps, connect = 0, sqlite3.connect

    def hook(statement: str) -> None:
        nonlocal steps
        steps += not statement.startswith("SELECT")
        if steps == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def traced(*args: Any, **how: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **how)
        connection.set_trace_callback(hook)
        return connection

    sqlite3.connect = traced  # type: ignore[assignment]


def logged(folder: Path) -> list[tuple[int, str]]:
    """Live without a checkpoint; return how long the log was at each report."""
    reports: list[tuple[int, str]] = []

    async def run() -> None:
        history = await a_history(folder)
        await history.async_freeze(frozen=True)
        log = _log(folder)
        await live(history, lambda line: reports.append((log.stat().st_size, line)))
        # Before it is closed: that would write the log into the file.
        for path in (_file(folder), log):
            shutil.copy(path, path.with_name(f"{path.name}.copy"))
        await history.async_close()

    _run(run())
    return reports


def torn(folder: Path, reports: list[tuple[int, str]]) -> dict[str, list[str]]:
    """Look at the history with every prefix of its log, also in the middle of a frame."""
    file, log = (path.with_name(f"{path.name}.copy") for path in (_file(folder), _log(folder)))
    content, wrong = log.read_bytes(), {}
    for at in range(LOG_HEADER_BYTES, len(content) + 1, FRAME_BYTES):
        for end in (at, at + FRAME_BYTES // 2):
            place = folder / str(end)
            _file(place).parent.mkdir(parents=True)
            shutil.copy(file, _file(place))
            _log(place).write_bytes(content[:end])
            reported = [line for size, line in reports if size <= end]
            if found := _run(look(place, reported)):
                wrong[f"log {end}"] = [*reported[-1:], *found]
            shutil.rmtree(place)
    return wrong


def _file(folder: Path) -> Path:
    return folder / ".storage" / DOMAIN / "x.db"


def _log(folder: Path) -> Path:
    return _file(folder).with_name(f"{_file(folder).name}-wal")


def looked(folder: Path, reported: list[str]) -> list[str]:
    """Look at what is left in a process of its own."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        wrong: list[str] = []
        try:
            wrong = _run(look(folder, reported))
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
    """Kill at every statement, then at none; then tear the log. Write what was wrong as JSON."""
    logging.basicConfig(level=logging.CRITICAL)
    # A process that is killed loses nothing that it has written: only a power cut would.
    database.SETTINGS = (*database.SETTINGS, "synchronous = OFF")  # type: ignore[misc, assignment]
    wrong: dict[str, list[str]] = {}
    step, reported = 0, [""]
    while reported[-1:] != ["end"]:
        step += 1
        place = folder / str(step)
        place.mkdir()
        reported = killed(place, step)
        if found := looked(place, reported):
            wrong[f"statement {step}"] = [*reported[-1:], *found]
        shutil.rmtree(place)
    place = folder / "log"
    place.mkdir()
    reports = logged(place)
    frames = (reports[-1][0] - LOG_HEADER_BYTES) // FRAME_BYTES
    wrong |= torn(place, reports)
    sys.stdout.write(json.dumps({"steps": step, "frames": frames, "wrong": wrong}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
