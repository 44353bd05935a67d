"""The file of a history, damaged anywhere: only our own errors, and what is kept is sound."""

import asyncio
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
import sqlite3
import tempfile
from typing import TYPE_CHECKING, Any, Final

from custom_components.bticino_classe.client import StillImage, values
from custom_components.bticino_classe.history import database, reading
from custom_components.bticino_classe.history.database import Database, FileError
from custom_components.bticino_classe.history.records import DAY, KINDS, Limits
from custom_components.bticino_classe.history.salvage import restore
from custom_components.bticino_classe.history.summary import Summary
from custom_components.bticino_classe.history.writing import Writer
from tests.calls import PAGE, record
from tests.simulator.pictures import jpeg

from .checks import aside, check, check_error
from .seeds import NOW
from .target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from custom_components.bticino_classe.history.records import CallRecord

    from .target import Run

CALLS: Final = 40
LIMITS: Final = Limits(days=90, calls=2000, megabytes=1)


def _call(number: int) -> CallRecord:
    return replace(record(number, NOW), outcome=("missed", "answered", "ended")[number % 3])


def _fill(db: sqlite3.Connection) -> None:
    writer = Writer(db, limits=LIMITS, now=NOW)
    writer.begin(deleted_until=None)
    for number in range(1, CALLS + 1):
        writer.put(_call(number))
    for number in range(1, CALLS, 20):
        picture = StillImage(content=jpeg(f"{number}-snapshot"), content_type="image/jpeg")
        writer.keep(f"{number:016x}", KINDS[0], picture)
    writer.delete([f"{CALLS:016x}"])


def _use(db: sqlite3.Connection) -> None:
    """Do what a start, a call and the views do."""
    writer = Writer(db, limits=LIMITS, now=NOW)
    writer.begin(deleted_until=None)
    writer.put(_call(0))
    writer.apply_limits()
    summary = Summary.read(db, NOW)
    summary.read_changed(db, NOW, writer.changed)
    calls, _ = reading.page(db, ("TRUE", ()), NOW + DAY, (0.0, -1))
    for call in calls:
        for kind in call.pictures:
            reading.picture(db, call.id, kind)
    reading.count(db)
    check(any(call.session == _call(0).session for call in calls), "a new call is not stored")


def _changed(good: bytes, case: Any) -> bytes:
    """Return the file with texts written at some positions: each a page, a byte in it, a text."""
    content = bytearray(good)
    for change in values.as_list(values.as_mapping(case).get("changes")):
        page, at, written = (*values.as_list(change), None, None, None)[:3]
        number, offset = (values.as_int(each) or 0 for each in (page, at))
        raw = (values.as_str(written) or "").encode("latin-1", "replace")
        start = (number * PAGE + offset) % len(content)
        content[start : start + len(raw)] = raw[: len(content) - start]
    return bytes(content)


def _check_restored(damaged: Path) -> None:
    with closing(sqlite3.connect(":memory:", autocommit=True)) as db:
        database._configure(db)
        db.execute("BEGIN")
        writer = Writer(db, limits=LIMITS, now=NOW)
        kept = restore(writer, damaged, NOW)
        writer.apply_limits()
        with aside():
            calls = reading.select(db, "ORDER BY time")
            check(len(calls) <= kept <= CALLS, "more calls than there were")
            check(reading.count(db).calls == len(calls), "wrong totals")
            check(f"{CALLS:016x}" not in {call.id for call in calls}, "a deleted call")


@contextmanager
def _histories() -> Iterator[Run]:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "history.db")

        async def create() -> None:
            store = Database(path)
            await store.run(_fill)
            await store.close()

        asyncio.run(create())
        good = path.read_bytes()

        def run(case: Any) -> None:
            with aside():
                for file in path.parent.iterdir():
                    file.unlink()
                path.write_bytes(_changed(good, case))
            store = Database(path)
            try:
                database._translate_errors(lambda: store._transaction(_use))
            except FileError as err:
                check_error(err)
                store._disconnect()
                _check_restored(path)
            finally:
                store._disconnect()

        yield run


TARGETS: tuple[Target, ...] = (
    Target(
        name="histories",
        seeds=[
            {"changes": [[5, 100, "\xa5" * 200]]},
            {"changes": [[22, 0, "\0" * PAGE]]},
            {"changes": [[3, 0, "\r\0\0\0\0"], [25, 4000, "x"]]},
            {"changes": [[30, 3000, "missed"], [0, 40, "\x01"], [14, 4090, "\0\0\x7f\xff"]]},
        ],
        open=_histories,
        is_measured=False,  # it runs in a thread, and depends on what can be read
    ),
)
