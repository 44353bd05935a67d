"""What can be recovered from a damaged history, for damage in each part of its file."""

from contextlib import closing
from dataclasses import replace
import re
import sqlite3
import time
from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.client import StillImage
from custom_components.bticino_classe.history import salvage
from custom_components.bticino_classe.history.database import Database
from custom_components.bticino_classe.history.reading import select
from custom_components.bticino_classe.history.records import DAY, GONE, KINDS, Limits, Location
from custom_components.bticino_classe.history.salvage import restore
from custom_components.bticino_classe.history.writing import Writer
from tests.calls import PAGE, record
from tests.simulator.pictures import jpeg

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 400  # calls
LIMITS = Limits(days=4000, calls=20_000, megabytes=50)


async def fill_file(path: Path, now: float) -> None:
    """Write a file with calls, pictures of some, and deletions of others."""
    store = Database(path)

    def fill_it(db: sqlite3.Connection) -> None:
        writer = Writer(db, limits=LIMITS, now=now)
        writer.begin(deleted_until=None)
        for number in range(COUNT + 20):
            writer.insert(record(number, now))
        for number in range(0, COUNT, 20):
            picture = StillImage(content=jpeg("STREET"), content_type="image/jpeg")
            writer.keep(f"{number:016x}", KINDS[0], picture)
        writer.delete(f"{number:016x}" for number in range(COUNT, COUNT + 20))

    await store.run(fill_it)
    await store.close()


async def salvaged(damaged: Path, into: Path, now: float) -> tuple[int, int, int]:
    """Return the numbers of calls, pictures and deletions that can still be read."""
    store = Database(into)

    def restore_and_count(db: sqlite3.Connection) -> tuple[int, int, int]:
        kept = restore(Writer(db, limits=LIMITS, now=now), damaged, now)
        sql = """
            SELECT (SELECT total(calls) FROM totals), (SELECT count(*) FROM pictures),
            (SELECT count(*) FROM deletions)
        """
        calls, pictures, deletions = db.execute(sql).fetchone()
        assert calls == kept
        return kept, pictures, deletions

    found = await store.run(restore_and_count)
    await store.close()
    return found


async def test_each_page(tmp_path: Path) -> None:
    """A page costs what is on it; without those of the schema, nothing can be found."""
    now, new = time.time(), Database(tmp_path / "empty.db")
    await new.run(lambda _: None)
    await new.close()
    pages_of_empty = (tmp_path / "empty.db").stat().st_size // PAGE
    await fill_file(tmp_path / "good.db", now)
    good = (tmp_path / "good.db").read_bytes()
    lost = []
    for number in range(1, len(good) // PAGE + 1):
        damaged = tmp_path / f"{number}.db"
        damaged.write_bytes(good[: (number - 1) * PAGE] + b"\xa5" * PAGE + good[number * PAGE :])
        found = await salvaged(damaged, tmp_path / f"{number}.new.db", now)
        if number > pages_of_empty:  # else a schema, or the root of a table
            lost.append((COUNT - found[0], COUNT // 20 - found[1], 20 - found[2]))
    assert max(lost) < (50, 20, 1)
    # Each call is on one page; a picture is lost with it, or with one of its own pages.
    assert len(lost) > 20
    assert sum(calls for calls, *_ in lost) == COUNT
    assert sum(pictures for _, pictures, _ in lost) > COUNT // 20


@pytest.mark.parametrize("bit", [0, 3, 4, 5, 6, 7, 8, 12])
@pytest.mark.parametrize("number", [201, COUNT])
async def test_wrong_number_of_a_call(tmp_path: Path, bit: int, number: int) -> None:
    """It costs some calls on its page, no newer ones."""
    now = time.time()
    await fill_file(tmp_path / "a.db", now)
    content = (tmp_path / "a.db").read_bytes()
    wrong = number ^ 1 << bit  # SQLite writes seven bits in a byte
    right, other = (bytes([0x80 | n >> 7, n & 0x7F]) for n in (number, wrong))
    before_id = rb"(.{30})" + f"{number - 1:016x}".encode()
    (row,) = (m[0] for m in re.finditer(before_id, content, re.DOTALL) if right in m[1])
    assert row.count(right) == 1
    (tmp_path / "a.db").write_bytes(content.replace(row, row.replace(right, other)))
    calls, *_ = await salvaged(tmp_path / "a.db", tmp_path / "new.db", now)
    assert COUNT - 70 <= calls <= COUNT


async def test_page_of_the_tree(tmp_path: Path) -> None:
    """Calls below it are lost, not those below the others."""
    now = time.time()
    store = Database(tmp_path / "a.db")

    def fill_it(db: sqlite3.Connection) -> None:
        writer = Writer(db, limits=LIMITS, now=now)
        writer.begin(deleted_until=None)
        for number in range(10_000):
            name = Location(name="A panel with a rather long name " * 4)
            writer.insert(replace(record(number, now), location=name))

    await store.run(fill_it)
    await store.close()
    content = bytearray((tmp_path / "a.db").read_bytes())
    with closing(sqlite3.connect(tmp_path / "a.db")) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'calls'").fetchone()
    page = int.from_bytes(content[(root - 1) * PAGE :][8:12])  # its last child
    assert content[(page - 1) * PAGE] == 5  # it is no leaf
    content[(page - 1) * PAGE : page * PAGE] = bytes(PAGE)
    (tmp_path / "a.db").write_bytes(bytes(content))
    calls, *_ = await salvaged(tmp_path / "a.db", tmp_path / "new.db", now)
    assert 4000 < calls < 10_000


async def test_undamaged_file(tmp_path: Path) -> None:
    """Everything is copied."""
    now = time.time()
    await fill_file(tmp_path / "good.db", now)
    assert await salvaged(tmp_path / "good.db", tmp_path / "new.db", now) == (COUNT, 20, 20)


async def test_what_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of the future, and all but the newest pictures; a picture that is gone stays so."""
    now, gone = time.time(), f"{5:016x}"
    await fill_file(tmp_path / "a.db", now)
    old = Database(tmp_path / "a.db")

    def change(db: sqlite3.Connection) -> None:
        writer = Writer(db, limits=LIMITS, now=now)
        writer.insert(replace(record(1, now), id="future", session="future", time=now + 2 * DAY))
        writer.give_up(gone, KINDS[0])

    await old.run(change)
    await old.close()
    monkeypatch.setattr(salvage, "MAX_PICTURES", 3.5 * len(jpeg("STREET")))
    assert await salvaged(tmp_path / "a.db", tmp_path / "new.db", now) == (COUNT, 3, 20)
    new = Database(tmp_path / "new.db")
    kept = {call.id: call for call in await new.read(lambda db: select(db, ""))}
    await new.close()
    assert "future" not in kept
    assert kept[gone].snapshot == GONE
    pictured = [number for number in range(COUNT) if kept[f"{number:016x}"].snapshot]
    assert pictured == [340, 360, 380]
