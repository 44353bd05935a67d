"""Kills a process at every step of a busy hour, and reports what is wrong after the next start.

Run as a program, which forks: `python -m tests.integration.history.killing FOLDER`. A process is
killed at each statement that changes something; each prefix of the write-ahead log is the state
after a kill between two writes.
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
from tests.simulator.pictures import jpeg

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


async def open_history(folder: Path) -> CallHistory:
    """Open the history of an account."""
    entry = SimpleNamespace(
        entry_id="x",
        title="x",
        data={},
        options={CONF_HISTORY: {CONF_CALLS: KEPT}},
        async_on_unload=ignore,
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
    """Return a unique picture that is larger than a database page."""
    return jpeg(f"{session}-{kind}") + bytes(20_000)


async def simulate(history: CallHistory, report: Callable[[str], None]) -> None:
    """Let calls ring, get pictures and end; delete one; exceed the limit."""
    report("begun")
    for number in range(SESSIONS):
        session = str(number)
        await simulate_call(history, session, report)
        if number == 1:
            deleted = history.find(DELETED, STARTED_AT)
            assert deleted is not None
            report(f"deleting {DELETED}")
            await history.async_delete([deleted.id])
            report(f"deleted {DELETED}")
    await history.async_mark_seen(BRIDGE)
    report("seen")
    report("end")


async def simulate_call(history: CallHistory, session: str, report: Callable[[str], None]) -> None:
    """Simulate one call, and report each step once it is stored."""
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


async def find_faults(folder: Path, reported: list[str]) -> list[str]:
    """Return the faults of a history, given which steps were reported as stored."""
    warnings: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: warnings.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    history = await open_history(folder)
    wrong = await _faults_of_history(history, reported)
    await history.async_close()
    logging.getLogger().removeHandler(handler)
    return [*(f"warned: {each}" for each in warnings), *wrong]


async def _faults_of_history(history: CallHistory, reported: list[str]) -> list[str]:
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
        wrong += await _faults_of_call(history, session, call, reported)
    return wrong


async def _faults_of_call(
    history: CallHistory, session: str, call: CallRecord | None, reported: list[str]
) -> list[str]:
    if session == DELETED and f"deleted {DELETED}" in reported:
        return ["a deleted call is there"] if call else []
    if call is None:
        is_being_deleted = session == DELETED and f"deleting {DELETED}" in reported
        is_expected = f"rang {session}" not in reported or is_being_deleted
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


def simulate_until_killed(folder: Path, step: int) -> list[str]:
    """Simulate in a new process until it is killed; return the steps that it had reported."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        _kill_at(step)
        _run(_simulate_in(folder, lambda line: ignore(os.write(writer, f"{line}\n".encode()))))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as lines:
        reported = lines.read().splitlines()
    os.wait()
    return reported


async def _simulate_in(folder: Path, report: Callable[[str], None]) -> None:
    await simulate(await open_history(folder), report)


def ignore(_: object) -> None:
    """Do nothing."""


def _kill_at(step: int) -> None:
    """Kill this process at the start of a statement of SQLite."""
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


def simulate_without_checkpoint(folder: Path) -> list[tuple[int, str]]:
    """Simulate without a checkpoint; return the size of the log at each report."""
    reports: list[tuple[int, str]] = []

    async def run() -> None:
        history = await open_history(folder)
        await history.async_freeze(frozen=True)
        log = _log(folder)
        await simulate(history, lambda line: reports.append((log.stat().st_size, line)))
        # Closing would write the log into the file.
        for path in (_file(folder), log):
            shutil.copy(path, path.with_name(f"{path.name}.copy"))
        await history.async_close()

    _run(run())
    return reports


def find_faults_of_torn_logs(folder: Path, reports: list[tuple[int, str]]) -> dict[str, list[str]]:
    """Return the faults for every prefix of the log, also in the middle of a frame."""
    file, log = (path.with_name(f"{path.name}.copy") for path in (_file(folder), _log(folder)))
    content, wrong = log.read_bytes(), {}
    for at in range(LOG_HEADER_BYTES, len(content) + 1, FRAME_BYTES):
        for end in (at, at + FRAME_BYTES // 2):
            place = folder / str(end)
            _file(place).parent.mkdir(parents=True)
            shutil.copy(file, _file(place))
            _log(place).write_bytes(content[:end])
            reported = [line for size, line in reports if size <= end]
            if found := _run(find_faults(place, reported)):
                wrong[f"log {end}"] = [*reported[-1:], *found]
            shutil.rmtree(place)
    return wrong


def _file(folder: Path) -> Path:
    return folder / ".storage" / DOMAIN / "x.db"


def _log(folder: Path) -> Path:
    return _file(folder).with_name(f"{_file(folder).name}-wal")


def find_faults_in_process(folder: Path, reported: list[str]) -> list[str]:
    """Return the faults, found by a new process."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        wrong: list[str] = []
        try:
            wrong = _run(find_faults(folder, reported))
        except BaseException as err:  # noqa: BLE001 - every error is reported to the test
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
    """Kill at every statement, then tear the log at every frame; print the faults as JSON."""
    logging.basicConfig(level=logging.CRITICAL)
    # A killed process loses nothing that it has written; only a power cut would.
    database.SETTINGS = (*database.SETTINGS, "synchronous = OFF")  # type: ignore[misc, assignment]
    wrong: dict[str, list[str]] = {}
    step, reported = 0, [""]
    while reported[-1:] != ["end"]:
        step += 1
        place = folder / str(step)
        place.mkdir()
        reported = simulate_until_killed(place, step)
        if found := find_faults_in_process(place, reported):
            wrong[f"statement {step}"] = [*reported[-1:], *found]
        shutil.rmtree(place)
    place = folder / "log"
    place.mkdir()
    reports = simulate_without_checkpoint(place)
    frames = (reports[-1][0] - LOG_HEADER_BYTES) // FRAME_BYTES
    wrong |= find_faults_of_torn_logs(place, reports)
    sys.stdout.write(json.dumps({"steps": step, "frames": frames, "wrong": wrong}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
