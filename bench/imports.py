"""How long it takes to import the integration, and the client alone."""

from dataclasses import dataclass
import os
import subprocess
import sys
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from .support.cloud import ROOT
from .support.report import Figure, median_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PACKAGE: Final = "custom_components.bticino_classe"
FOLDER: Final = ROOT / "custom_components" / "bticino_classe"
PREFIX: Final = "import time:"
US_PER_SECOND: Final = 1_000_000

# Not as a subpackage, whose parent imports Home Assistant; last on the path, since platform files
# can have names of standard modules.
CLIENT: Final = f"import sys; sys.path.append({str(FOLDER)!r}); import client"


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """The microseconds of a module by itself, and with everything that it imports."""

    name: str
    own: int
    total: int


def measure(runs: int) -> Iterator[Figure]:
    """Import many times in new processes, with compiled bytecode as after a first start."""
    with TemporaryDirectory() as folder:
        package, client = (_imports(code, folder, runs) for code in (_package(), CLIENT))
    yield _figure(
        "package", "the integration, its own files", [_own(run, PACKAGE) for run in package]
    )
    yield _figure("client", "the client, its own files", [_own(run, "client") for run in client])
    yield _figure(
        "client_all", "the client and everything it needs", [run[-1].total for run in client]
    )


def _package() -> str:
    names = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
    return f"import {', '.join([PACKAGE, *(f'{PACKAGE}.{name}' for name in names)])}"


def _figure(key: str, text: str, microseconds: Iterable[int]) -> Figure:
    seconds = [each / US_PER_SECOND for each in microseconds]
    return median_ms(f"import_{key}.ms", f"import of {text}", seconds)


def _own(imports: Iterable[Import], package: str) -> int:
    return sum(each.own for each in imports if f"{each.name}.".startswith(f"{package}."))


def _imports(code: str, bytecode: str, runs: int) -> list[list[Import]]:
    """Run the code many times; the first run, which compiles, does not count."""
    return [_run(code, bytecode) for _ in range(runs + 1)][1:]


def _run(code: str, bytecode: str) -> list[Import]:
    """Return the imports of one process in the order of their end."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-X", "importtime", "-c", code]
    output = subprocess.run(  # noqa: S603 - our own
        command, cwd=ROOT, env=environment, check=True, stderr=subprocess.PIPE, text=True
    ).stderr
    rows = (line.removeprefix(PREFIX).split("|") for line in output.splitlines() if PREFIX in line)
    return [
        Import(name=name.strip(), own=int(own), total=int(total))
        for own, total, name in rows
        if own.strip().isdigit()
    ]
