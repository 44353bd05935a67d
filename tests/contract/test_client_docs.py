"""docs/client.md is true to the client: its examples run, its signatures and tables are right."""

import annotationlib
import asyncio
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum, StrEnum
import inspect
import json
import os
from pathlib import Path
import re
import shutil
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from custom_components.bticino_classe import client
from custom_components.bticino_classe.client import PRODUCTION, const, errors, http, rate_limiter
from tests.simulator import Failure
from tests.simulator.__main__ import PORT
from tests.simulator.paths import SETSTATE, TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator import Simulator

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
PROSE = re.sub(r"^```.*?^```$", "", TEXT, flags=re.DOTALL | re.MULTILINE)
FENCE = re.compile(
    r'^```python(?: title="(?P<title>[^"]+)")?\n(?P<code>.*?)^```$', re.DOTALL | re.MULTILINE
)
EXAMPLES = {found["title"]: found["code"] for found in FENCE.finditer(TEXT) if found["title"]}
STUBS = "\n".join(found["code"] for found in FENCE.finditer(TEXT) if not found["title"])

#: The line of the example that the text tells people to exchange, and what it tells them to write.
IN_PRODUCTION = "ENDPOINTS = PRODUCTION"
IN_SIMULATOR = "from simulator import ENDPOINTS"

#: Annotations as they are written.
STRING = annotationlib.Format.STRING

PORTONE = "30000a-0404-aa11bb22cc04"


def _documented() -> dict[str, type]:
    """Run the stubs of the text, and return the classes that they describe."""
    names: dict[str, Any] = {**vars(client), "StrEnum": StrEnum, "time": time}
    before = dict(names)
    exec(STUBS, names)  # noqa: S102 - our own document
    return {
        name: value
        for name, value in names.items()
        if isinstance(value, type) and value is not before.get(name)
    }


def _table(heading: str) -> list[list[str]]:
    """Return the rows of the first table below a heading, cell by cell."""
    section = TEXT.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    found = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert found is not None
    rows = [line.strip().strip("|").split("|") for line in found[0].splitlines()]
    return [[cell.strip() for cell in row] for row in rows[2:]]


STUB_CLASSES = _documented()
DATA = [name for name, cls in vars(client).items() if isinstance(cls, type) and is_dataclass(cls)]
LIMITS = dict(_table("Limits"))
ERRORS = {row[0].strip("`"): row[1:] for row in _table("Errors, and what to do about each")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a script ended."""

    code: int | None
    out: str
    err: str


class Reader:
    """Somebody who does what the text says, in a folder of their own."""

    def __init__(self, folder: Path, simulator: Simulator) -> None:
        self.folder = folder
        self.environment = {"BTICINO_EMAIL": simulator.email}
        self._copy_client()
        for title, code in EXAMPLES.items():
            there = code.replace(str(PORT), str(simulator.port))
            (folder / title).write_text(there.replace(IN_PRODUCTION, IN_SIMULATOR))

    @property
    def tokens(self) -> Path:
        """The file that the example keeps the tokens in."""
        return self.folder / "tokens.json"

    async def runs(self, script: str, *arguments: str, password: str) -> Outcome:
        """Run a script as it would run outside of Home Assistant, warnings being errors."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", script, *arguments),
            cwd=self.folder,
            env={**os.environ, **self.environment, "BTICINO_PASSWORD": password},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        return Outcome(code=process.returncode, out=out.decode(), err=err.decode())

    def _copy_client(self) -> None:
        """Copy the folder as the text has it, and let an import of Home Assistant fail."""
        found = re.search(r"^cp -r (\S+) (\S+)$", TEXT, re.MULTILINE)
        assert found is not None
        shutil.copytree(ROOT / found[1], self.folder / found[2])
        (self.folder / "homeassistant.py").write_text("raise ImportError")


@pytest.fixture
def reader(tmp_path: Path, simulator: Simulator) -> Reader:
    """Somebody who has copied the client and the examples."""
    return Reader(tmp_path, simulator)


def test_the_example_has_the_line_to_exchange() -> None:
    """What these tests change in the examples is what the text tells people to change."""
    assert EXAMPLES["open_door.py"].splitlines().count(IN_PRODUCTION) == 1
    assert f"`{IN_SIMULATOR}`" in PROSE
    assert f":{PORT}" in EXAMPLES["simulator.py"]


async def test_a_wrong_password_is_told_and_nothing_is_opened(
    reader: Reader, simulator: Simulator
) -> None:
    """One try, a sentence for the person, no tokens, no opening."""
    outcome = await reader.runs("open_door.py", "Portone", password="open-sesame")
    assert (outcome.code, outcome.out) == (1, "")
    assert (
        outcome.err == f"{client.InvalidCredentialsError()}. Correct them before the next start.\n"
    )
    assert [entry.path for entry in simulator.journal] == [TOKEN]
    assert not reader.tokens.exists()
    assert simulator.openings == []


async def test_the_door_opens_once_and_later_runs_sign_in_no_more(
    reader: Reader, simulator: Simulator
) -> None:
    """The first run signs in and stores the tokens for its owner alone; the second uses them."""
    first = await reader.runs("open_door.py", "Portone", password=simulator.password)
    assert first == Outcome(code=0, out="Portone: the cloud has taken the command.\n", err="")
    assert [opening.module_id for opening in simulator.openings] == [PORTONE]
    assert reader.tokens.stat().st_mode & 0o777 == 0o600
    second = await reader.runs("open_door.py", PORTONE, password=simulator.password)
    assert second.code == 0
    assert [opening.module_id for opening in simulator.openings] == [PORTONE, PORTONE]
    assert [entry.grant for entry in simulator.journal.of(TOKEN)] == ["password"]
    assert simulator.notes == []


async def test_the_list_names_each_door_and_an_unknown_name_opens_none(
    reader: Reader, simulator: Simulator
) -> None:
    """Without a name the doors are listed, with one that fits none nothing is sent."""
    listed = await reader.runs("open_door.py", password=simulator.password)
    assert f"Casa: Portone ({PORTONE})\n" in listed.out
    assert len(listed.out.splitlines()) == 3
    unknown = await reader.runs("open_door.py", "Garage", password=simulator.password)
    assert unknown.out == "0 doors are called Garage. Nothing was opened; use an id.\n"
    assert simulator.journal.commands == []


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (Failure(drop=True, executed=True), "Look at the door before you try again."),
        (Failure(status=429, code=26, retry_after=90), "Wait 90 seconds."),
        (Failure(code=6), "The intercom cannot be reached by the cloud"),
    ],
)
async def test_a_failed_command_is_told_and_not_repeated(
    reader: Reader, simulator: Simulator, failure: Failure, told: str
) -> None:
    """Each kind of failure has a sentence of its own, and the door gets one command."""
    simulator.fail(SETSTATE, failure)
    outcome = await reader.runs("open_door.py", "Portone", password=simulator.password)
    assert (outcome.code, outcome.out) == (1, "")
    assert told in outcome.err
    assert simulator.journal.count(SETSTATE) == 1


async def test_restored_tokens_are_renewed_and_saved(reader: Reader, simulator: Simulator) -> None:
    """The second example renews stored tokens that have run out, and leaves living ones behind."""
    await reader.runs("open_door.py", password=simulator.password)
    before = json.loads(reader.tokens.read_text())
    reader.tokens.write_text(json.dumps({**before, "expires_at": 0}))
    outcome = await reader.runs("wifi.py", password=simulator.password)
    assert outcome == Outcome(code=0, out="Classe 300X: -64 dBm\n", err="")
    grants = [entry.grant for entry in simulator.journal.of(TOKEN)]
    assert grants == ["password", "refresh_token"]
    after = json.loads(reader.tokens.read_text())
    assert after["refresh_token"] != before["refresh_token"]
    assert simulator.account.trouble(after["access_token"]) is None


def test_every_public_name_is_documented_and_no_other() -> None:
    """By a stub, a row of the error table, or, what is no class, by name in the prose."""
    values = {name for name in client.__all__ if not isinstance(getattr(client, name), type)}
    assert STUB_CLASSES.keys() | ERRORS.keys() | values == set(client.__all__)
    assert [name for name in values if f"`{name}`" not in PROSE] == []


def test_every_name_in_the_prose_exists() -> None:
    """`Name`, `Name.part` and `method()` in the text are names of the client."""
    spans = re.findall(r"`([A-Z]\w*[a-z]\w*)(?:\.(\w+))?(?:\(.*?\))?`", PROSE)
    assert len(spans) > 40
    for name, part in spans:
        assert name in {*client.__all__, "Exception"}, name
        assert not part or part in _parts(name), f"{name}.{part}"
    methods = set(re.findall(r"`([a-z_]+)\(.*?\)`", PROSE))
    assert methods
    assert methods <= {part for name in STUB_CLASSES for part in _parts(name)} | {"str"}


def _parts(name: str) -> set[str]:
    """What a class of the client has: methods, properties, members, fields, attributes."""
    cls: type = getattr(client, name)
    annotated = annotationlib.get_annotations(STUB_CLASSES.get(name, cls), format=STRING)
    return {*dir(cls), *annotated}


def _public(cls: type) -> dict[str, inspect.Signature | None]:
    """Return the signatures of a class's own public methods; None for a property."""
    return {
        name: inspect.signature(value, annotation_format=STRING) if callable(value) else None
        for name, value in vars(cls).items()
        if (inspect.isfunction(value) and (not name.startswith("_") or name == "__init__"))
        or isinstance(value, property)
    }


@pytest.mark.parametrize("name", ["AuthHandler", "Account", "RateLimiter"])
def test_signatures_are_those_of_the_code(name: str) -> None:
    """Every public method and property, with parameters, defaults, types, in and out."""
    code, documented = getattr(client, name), STUB_CLASSES[name]
    assert _public(documented) == _public(code)
    for method in _public(code):
        waits = inspect.iscoroutinefunction(getattr(documented, method))
        assert waits is inspect.iscoroutinefunction(getattr(code, method)), method


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("AuthHandler", lambda: client.AuthHandler("", "")),
        ("Account", lambda: client.Account(client.AuthHandler("", ""))),
        ("NoAnswerError", client.NoAnswerError),
        ("ApiError", client.ApiError),
    ],
)
def test_documented_attributes_exist(name: str, make: Callable[[], object]) -> None:
    """What the text says that an object of the class has."""
    documented = annotationlib.get_annotations(STUB_CLASSES[name], format=STRING)
    held = make()
    assert documented
    assert [attribute for attribute in documented if not hasattr(held, attribute)] == []


@pytest.mark.parametrize("name", ["ApiError", "NoAnswerError"])
def test_every_field_of_an_error_is_documented(name: str) -> None:
    """The fields are what the constructor takes, with their types."""
    parameters = inspect.signature(getattr(client, name), annotation_format=STRING).parameters
    taken = {each.name: each.annotation for each in parameters.values()}
    assert annotationlib.get_annotations(STUB_CLASSES[name], format=STRING) == taken


@pytest.mark.parametrize("name", DATA)
def test_data_has_the_documented_fields(name: str) -> None:
    """Every field in its order, with type and default, and every property."""
    code, documented = getattr(client, name), STUB_CLASSES[name]
    expected = annotationlib.get_annotations(code, format=STRING)
    assert list(annotationlib.get_annotations(documented, format=STRING).items()) == list(
        expected.items()
    )
    defaults = {each.name: each.default for each in fields(code) if each.default is not MISSING}
    given = {key: value for key, value in vars(documented).items() if key in expected}
    assert given == defaults
    properties = {key for key, value in vars(code).items() if isinstance(value, property)}
    assert properties == {k for k, v in vars(documented).items() if isinstance(v, property)}


def test_kinds_of_modules_are_those_of_the_code() -> None:
    """Every member with its value."""
    documented = STUB_CLASSES["ModuleKind"]
    assert issubclass(documented, Enum)
    assert {kind.name: kind.value for kind in documented} == {
        kind.name: kind.value for kind in client.ModuleKind
    }


def test_the_error_table_is_the_whole_tree() -> None:
    """Every error with its parents, and each with a cause and an advice."""
    tree = {
        name: ", ".join(f"`{base.__name__}`" for base in kind.__bases__)
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.BticinoError)
    }
    assert {name: row[0] for name, row in ERRORS.items()} == tree
    assert [name for name, row in ERRORS.items() if len(row) != 3 or not all(row)] == []


def test_the_limits_are_those_of_the_code() -> None:
    """Every number of the table."""
    (short, short_span), (long, long_span) = rate_limiter.LIMITS
    assert list(LIMITS.values()) == [
        f"{PRODUCTION.timeout:g} s",
        f"{http.CONNECT_TIMEOUT:g} s",
        f"{http.MAX_ANSWER_BYTES >> 20} MiB",
        f"{const.REFRESH_MARGIN.total_seconds():g} s",
        f"{const.ASSUMED_LIFETIME.total_seconds():g} s",
        f"{short} requests in {short_span:g} s",
        f"{long} requests in {long_span:g} s",
        f"{rate_limiter.ROUTINE_SHARE:.0%}".replace("%", " %"),
        f"{rate_limiter.LONGEST_PAUSE:g} s",
        f"{rate_limiter.SHORT_PAUSE:g} s",
    ]
