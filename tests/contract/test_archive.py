"""scripts/lib/archive.sh: the contents of the release archive, and when it is not built."""

from pathlib import Path
import re
import subprocess
import zipfile

import pytest

from . import sample

SCRIPT = Path(__file__).parents[2] / "scripts" / "lib" / "archive.sh"
CHANGELOG = Path("CHANGELOG.md")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a committed repository whose change log has the release and its date."""
    sample.write(tmp_path)
    sample.put(tmp_path, CHANGELOG, "# Changes\n\n## 0.1.0 (2026-12-01)\n")
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    return tmp_path


def git(root: Path, *arguments: str) -> None:
    """Run git in the repository, with an invented identity."""
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.com")
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, timeout=30)  # noqa: S603, S607 - fixed arguments; git is on every developer's path


def commit(root: Path) -> None:
    """Commit all files."""
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "All")


def archive(root: Path, tag: str) -> subprocess.CompletedProcess[str]:
    """Build the archive for a release with this tag."""
    return subprocess.run(  # noqa: S603 - our own script
        [SCRIPT, tag], cwd=root, capture_output=True, text=True, timeout=30, check=False
    )


def test_archive_has_the_committed_files_at_its_root(root: Path) -> None:
    """HACS unpacks it directly into custom_components/bticino_classe."""
    sample.put(root, sample.PACKAGE / "__pycache__" / "lock.pyc", "left over")
    assert archive(root, "0.1.0").returncode == 0
    with zipfile.ZipFile(root / "bticino_classe.zip") as built:
        names = built.namelist()
    assert {"manifest.json", "lock.py", "translations/en.json", "brand/icon.png"} <= set(names)
    assert not [name for name in names if "pycache" in name or name.startswith("custom_")]


@pytest.mark.parametrize("tag", ["v0.1.0", "0.1.1", ""])
def test_tag_must_equal_version(root: Path, tag: str) -> None:
    """Otherwise HACS and Home Assistant would show different versions."""
    result = archive(root, tag)
    assert result.returncode == 1
    assert "have to be the same" in result.stderr
    assert not (root / "bticino_classe.zip").exists()


@pytest.mark.parametrize("heading", ["## 0.1.0 (not released yet)", "## 0.2.0 (2026-12-01)"])
def test_change_log_must_have_the_release(root: Path, heading: str) -> None:
    """HACS users read it before they update."""
    sample.put(root, CHANGELOG, f"# Changes\n\n{heading}\n")
    commit(root)
    result = archive(root, "0.1.0")
    assert result.returncode == 1
    assert "CHANGELOG.md begins with" in result.stderr


def test_release_needs_a_code_owner(root: Path) -> None:
    """HACS and the Marketplace show the code owners as the authors."""
    manifest = root / sample.MANIFEST
    manifest.write_text(
        re.sub(r'(?s)"codeowners": \[.*?\]', '"codeowners": []', manifest.read_text())
    )
    commit(root)
    result = archive(root, "0.1.0")
    assert result.returncode == 1
    assert "no code owner" in result.stderr
