"""docs/client.md matches the client: examples run, signatures and tables are right."""

import asyncio
from dataclasses import dataclass
import inspect
import json
import os
from pathlib import Path
import re
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe import client
from custom_components.bticino_classe.client import PRODUCTION, const, errors, http, rate_limiter
from tests.contract.client_reference import generated, parts_of
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
STUBS = re.findall(
    r"^class (\w+)",
    "".join(f["code"] for f in FENCE.finditer(TEXT) if not f["title"]),
    re.MULTILINE,
)

#: The line of the example that readers replace, and its replacement.
IN_PRODUCTION = "ENDPOINTS = PRODUCTION"
IN_SIMULATOR = "from simulator import ENDPOINTS"

PORTONE = "30000a-0404-aa11bb22cc04"


def _table(heading: str) -> list[list[str]]:
    """Return the rows of the first table below a heading, cell by cell."""
    section = TEXT.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    found = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert found is not None
    rows = [line.strip().strip("|").split("|") for line in found[0].splitlines()]
    return [[cell.strip() for cell in row] for row in rows[2:]]


LIMITS = dict(_table("Limits"))
ERRORS = {row[0].strip("`"): row[1:] for row in _table("Errors")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a script ended."""

    code: int | None
    out: str
    err: str


class Reader:
    """A reader who follows the text, in a separate folder."""

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
    """A reader who has copied the client and the examples."""
    return Reader(tmp_path, simulator)


def test_the_example_has_the_line_to_exchange() -> None:
    """These tests change in the examples what readers are asked to change."""
    assert EXAMPLES["open_door.py"].splitlines().count(IN_PRODUCTION) == 1
    assert f"`{IN_SIMULATOR}`" in PROSE
    assert f":{PORT}" in EXAMPLES["simulator.py"]


async def test_wrong_password_is_reported_and_nothing_is_opened(
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
    assert first == Outcome(code=0, out="Portone: the cloud accepted the command.\n", err="")
    assert [opening.module_id for opening in simulator.openings] == [PORTONE]
    assert reader.tokens.stat().st_mode & 0o777 == 0o600
    second = await reader.runs("open_door.py", PORTONE, password=simulator.password)
    assert second.code == 0
    assert [opening.module_id for opening in simulator.openings] == [PORTONE, PORTONE]
    assert [entry.grant for entry in simulator.journal.of(TOKEN)] == ["password"]
    assert simulator.violations == []


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
    ("failure", "advice"),
    [
        (Failure(drop=True, executed=True), "Look at the door before you try again."),
        (Failure(status=429, code=26, retry_after=90), "Wait 90 seconds."),
        (Failure(code=6), "The cloud cannot reach the intercom"),
    ],
)
async def test_failed_command_is_reported_and_not_repeated(
    reader: Reader, simulator: Simulator, failure: Failure, advice: str
) -> None:
    """Each kind of failure has a sentence of its own, and the door gets one command."""
    simulator.fail(SETSTATE, failure)
    outcome = await reader.runs("open_door.py", "Portone", password=simulator.password)
    assert (outcome.code, outcome.out) == (1, "")
    assert advice in outcome.err
    assert simulator.journal.count(SETSTATE) == 1


async def test_restored_tokens_are_renewed_and_saved(reader: Reader, simulator: Simulator) -> None:
    """The second example renews expired tokens and stores the new ones."""
    await reader.runs("open_door.py", password=simulator.password)
    before = json.loads(reader.tokens.read_text())
    reader.tokens.write_text(json.dumps({**before, "expires_at": 0}))
    outcome = await reader.runs("wifi.py", password=simulator.password)
    assert outcome == Outcome(code=0, out="Classe 300X: -64 dBm\n", err="")
    grants = [entry.grant for entry in simulator.journal.of(TOKEN)]
    assert grants == ["password", "refresh_token"]
    after = json.loads(reader.tokens.read_text())
    assert after["refresh_token"] != before["refresh_token"]
    assert simulator.account.token_error(after["access_token"]) is None


def test_stubs_and_the_list_of_names_are_those_of_the_code() -> None:
    """If this fails, run `python -m tests.contract.client_reference`."""
    assert generated(TEXT) == TEXT
    assert [name for name in client.__all__ if f"`{name}`" not in TEXT] == []


def test_stale_stubs_and_lists_are_found() -> None:
    """A changed signature, a method more, a name more and a name less each differ."""
    for before, after in (
        ("home_id: str) -> Mapping", "home: str) -> Mapping"),
        ("    def listen(", "    def renew(self) -> None: ...\n    def listen("),
        ("- `ModuleKind`: `BRIDGE`", "- `Kind`: `BRIDGE`\n- `ModuleKind`: `BRIDGE`"),
        ("`redact`, ", ""),
    ):
        stale = TEXT.replace(before, after)
        assert stale != TEXT
        assert generated(stale) == TEXT


def test_the_main_classes_have_stubs_and_their_members_are_mentioned() -> None:
    """The stubs are where the text explains the class; each method and parameter is named."""
    assert STUBS == ["AuthHandler", "Account"]
    for name in STUBS:
        methods = {each for each, value in vars(getattr(client, name)).items() if _is_method(value)}
        assert [each for each in methods if f"`{each}()`" not in PROSE] == [], name
    parameters = inspect.signature(client.AuthHandler).parameters
    assert [f"`{each}`" for each in parameters] == [
        row[0] for row in _table("Authentication: AuthHandler")
    ]


def _is_method(value: object) -> bool:
    return inspect.isfunction(value) and not value.__name__.startswith("_")


def test_every_name_in_the_prose_exists() -> None:
    """`Name`, `Name.part` and `method()` in the text are names of the client."""
    spans = re.findall(r"`([A-Z]\w*[a-z]\w*)(?:\.(\w+))?(?:\(.*?\))?`", PROSE)
    assert len(spans) > 40
    for name, part in spans:
        assert name in {*client.__all__, "Exception"}, name
        assert not part or part in _parts(name), f"{name}.{part}"
    methods = set(re.findall(r"`([a-z_]+)\(.*?\)`", PROSE))
    assert methods
    assert methods <= {part for name in STUBS for part in _parts(name)} | {"str"}


def _parts(name: str) -> set[str]:
    """What a class of the client has: methods, properties, members, fields."""
    return {*dir(getattr(client, name)), *parts_of(getattr(client, name))}


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("AuthHandler", lambda: client.AuthHandler("", "")),
        ("NoAnswerError", client.NoAnswerError),
        ("ApiError", client.ApiError),
        ("CallOverError", client.CallOverError),
        ("OfferTooLargeError", client.OfferTooLargeError),
        ("PictureError", client.PictureError),
    ],
)
def test_attributes_are_documented(name: str, make: Callable[[], object]) -> None:
    """What an object has beside methods; an error's fields are its constructor's parameters."""
    public = {each for each in vars(make()) if not each.startswith("_")}
    if name in ERRORS:
        assert public == inspect.signature(getattr(client, name)).parameters.keys()
    assert [each for each in public if f"`{each}`" not in PROSE] == []


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
