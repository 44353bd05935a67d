"""The layers of pyproject.toml: kept by the code, and a broken one is found."""

from pathlib import Path
import shutil
import subprocess
import sys

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "custom_components/bticino_classe"


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter in a folder, as scripts/check does."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    return subprocess.run(  # noqa: S603 - our own environment's program
        command, capture_output=True, text=True, timeout=60, check=False, cwd=root
    )


@pytest.fixture(name="copy")
def _copy(tmp_path: Path) -> Path:
    """A copy of the integration, to break."""
    shutil.copytree(
        ROOT / PACKAGE, tmp_path / PACKAGE, ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_layers_are_kept() -> None:
    """No import points upwards, not even one of types only."""
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("coordinator.py", "from .runtime import RuntimeData"),
        ("client/decode.py", "import aiohttp"),
        ("client/redaction.py", "from aiohttp import web"),
        ("client/auth.py", "from .account import Account"),
        ("live/manager.py", "from ..client.auth import AuthHandler"),
        ("history/history.py", "from ..calls.events import CallEvents"),
    ],
)
def test_broken_layer_is_found(copy: Path, file: str, line: str) -> None:
    """Imports of types only count as well."""
    path = copy / PACKAGE / file
    path.write_text(f"{path.read_text()}\nif TYPE_CHECKING:\n    {line}\n")
    result = lint(copy)
    assert result.returncode == 1, result.stdout
    assert "BROKEN" in result.stdout
