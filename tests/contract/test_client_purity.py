"""The client knows nothing of Home Assistant, and the simulator nothing of the client."""

import ast
from pathlib import Path
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "custom_components" / "bticino_classe" / "client"
SIMULATOR = ROOT / "tests" / "simulator"

# Loads the package by its folder, under a name that has no parent, where Home Assistant cannot be
# imported. A relative import that leaves the folder has nothing to resolve to.
LOAD_ALONE = """
import importlib.util, pathlib, sys

class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"homeassistant", "custom_components", "tests"}:
            raise ImportError(f"{name} is behind the wall")

sys.meta_path.insert(0, Wall())
folder = pathlib.Path(sys.argv[1])
files = sorted(folder.rglob("*.py"), key=lambda file: (file.stem != "__init__", file))
for file in files:
    is_package = file.stem == "__init__"
    parts = file.parent.parts if is_package else file.with_suffix("").parts
    name = ".".join(("client", *parts[len(folder.parts) :]))
    if name in sys.modules:
        continue
    inside = [str(file.parent)] if is_package else None
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=inside)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
print(len([name for name in sys.modules if name.partition(".")[0] == "client"]))
"""


def load_alone(folder: Path) -> subprocess.CompletedProcess[str]:
    """Import every module of a folder in a process of its own, behind the wall."""
    # -P: platforms have names of standard modules (calendar, select), which must not be taken.
    command = [sys.executable, "-P", "-c", LOAD_ALONE, str(folder)]
    return subprocess.run(  # noqa: S603 - our own program on our own files
        command, capture_output=True, text=True, timeout=60, check=False, cwd=folder.parent
    )


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Yield each imported module with its level: the dots before it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node.level


def leaks(folder: Path, *forbidden: str) -> list[str]:
    """Name the imports that leave the folder or lead to something forbidden."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        depth = len(path.relative_to(folder).parts)
        for name, level in imports(path):
            if level > depth or (level == 0 and name.partition(".")[0] in forbidden):
                found.append(f"{path.name}: {'.' * level}{name}")
    return found


def test_the_client_loads_without_home_assistant() -> None:
    """Every module of it, in a process in which Home Assistant cannot be imported."""
    result = load_alone(CLIENT)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) == len(list(CLIENT.rglob("*.py")))


@pytest.mark.parametrize(
    "line",
    [
        "import homeassistant.const",
        "from homeassistant import core",
        "from ..const import DOMAIN",
        "from custom_components.bticino_classe import const",
    ],
)
def test_a_client_that_leans_on_home_assistant_does_not_load(tmp_path: Path, line: str) -> None:
    """The wall holds, and the look at the source sees the same."""
    folder = tmp_path / "client"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "auth.py").write_text(f"{line}\n")
    assert load_alone(folder).returncode != 0
    assert leaks(folder, "homeassistant", "custom_components") != []


def test_no_import_of_the_client_leaves_it() -> None:
    """Not even inside of a function or under TYPE_CHECKING."""
    assert leaks(CLIENT, "homeassistant", "custom_components", "tests") == []


def test_the_simulator_shares_nothing_with_the_client() -> None:
    """Two readings of the protocol have to meet on the wire, or the tests prove nothing."""
    assert leaks(SIMULATOR, "homeassistant", "custom_components") == []


PURE = (
    "calls",
    "decode",
    "models",
    "push",
    "error_codes",
    "clock",
    "configs",
    "public_hosts",
    "redaction",
    "values",
)
PURE_WEBRTC = ("sdp", "sections", "rtc_errors", "whep")


def imported_by(module: Path) -> set[Path]:
    """Return a module of the client and all its modules that it imports, packages left out."""
    found, pending = set[Path](), [module]
    while pending:
        path = pending.pop()
        if path in found:
            continue
        found.add(path)
        for name, level in imports(path):
            folder = path.parents[level - 1] if level else None
            if folder is not None:
                pending += _files(folder, name)
    return found


def _files(folder: Path, name: str) -> list[Path]:
    """Return the file of a relative import, or all files it can mean (`from . import a, b`)."""
    file = folder.joinpath(*name.split(".")) if name else folder
    if file.is_dir():
        return [each for each in file.glob("*.py") if each.stem in PURE]
    return [file.with_suffix(".py")]


@pytest.mark.parametrize("module", [*PURE, *(f"webrtc/{name}" for name in PURE_WEBRTC)])
def test_pure_modules_do_not_reach_aiohttp(module: str) -> None:
    """Calls, decoding and SDP work without a network; type-only imports count as well."""
    reached = imported_by(CLIENT / f"{module}.py")
    used = {
        name.partition(".")[0] for each in reached for name, level in imports(each) if not level
    }
    assert {each.stem for each in reached} <= {*PURE, *PURE_WEBRTC, "const", "errors"}
    assert used & {"aiohttp", "yarl", "orjson", "asyncio"} == set()


def test_modules_with_network_reach_aiohttp() -> None:
    """The search finds imports through other modules."""
    reached = imported_by(CLIENT / "websocket" / "push_channel.py")
    assert {"connection", "http", "push"} <= {each.stem for each in reached}
    assert "aiohttp" in {name for each in reached for name, _ in imports(each)}
