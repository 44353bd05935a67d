"""How long it takes to import the package, and the client alone."""

from dataclasses import dataclass
import os
from statistics import median
import subprocess
import sys
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from .cloud import ROOT
from .figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PACKAGE: Final = "custom_components.bticino_classe"
FOLDER: Final = ROOT / "custom_components" / "bticino_classe"
PREFIX: Final = "import time:"
US: Final = 1000.0  # per millisecond

# As a package of its own, since the parent brings Home Assistant along; last on the path, since
# platform files may bear names of standard modules.
CLIENT: Final = f"import sys; sys.path.append({str(FOLDER)!r}); import client"


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """Microseconds that a module took by itself, and with all that it brought along."""

    name: str
    own: int
    whole: int


def measure(runs: int) -> Iterator[Figure]:
    """Import in fresh processes, so many times, with bytecode at hand as after a first start."""
    with TemporaryDirectory() as folder:
        package, client = (_imports(code, folder, runs) for code in (_package(), CLIENT))
    yield _figure("package", "the package, its own files", [_own(it, PACKAGE) for it in package])
    yield _figure("client", "the client, its own files", [_own(it, "client") for it in client])
    yield _figure("client_all", "the client and all it needs", [it[-1].whole for it in client])


def _package() -> str:
    names = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
    return f"import {', '.join([PACKAGE, *(f'{PACKAGE}.{name}' for name in names)])}"


def _figure(key: str, text: str, microseconds: Sequence[int]) -> Figure:
    samples = [each / US for each in microseconds]
    return Figure(
        key=f"import_{key}.ms",
        text=f"import of {text}",
        value=median(samples),
        unit="ms",
        samples=samples,
    )


def _own(imports: Iterable[Import], package: str) -> int:
    return sum(each.own for each in imports if f"{each.name}.".startswith(f"{package}."))


def _imports(code: str, bytecode: str, runs: int) -> list[list[Import]]:
    """Run the code so many times; a run before them writes the bytecode."""
    return [_run(code, bytecode) for _ in range(runs + 1)][1:]


def _run(code: str, bytecode: str) -> list[Import]:
    """Return the imports of one process, in the order in which they ended."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-X", "importtime", "-c", code]
    said = subprocess.run(  # noqa: S603 - our own
        command, cwd=ROOT, env=environment, check=True, stderr=subprocess.PIPE, text=True
    ).stderr
    rows = (line.removeprefix(PREFIX).split("|") for line in said.splitlines() if PREFIX in line)
    return [
        Import(name=name.strip(), own=int(own), whole=int(whole))
        for own, whole, name in rows
        if own.strip().isdigit()
    ]
