"""A release as a user gets it: the archive, unpacked into an empty Home Assistant."""

import asyncio
from asyncio.subprocess import PIPE
from contextlib import AsyncExitStack, asynccontextmanager
import json
import re
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Final
import zipfile

import pytest

from dev.cloud import HOST, addresses
from dev.owner import POLL_INTERVAL, Owner
from dev.state import HELPER, prepare_storage
from tests.e2e.development import ROOT, START_TIMEOUT, free_ports
from tests.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="session"),
]

DOMAIN: Final = "bticino_classe"
# Their environment, and the version of what the web server stores.
HOME_ASSISTANTS: Final = {"2026.10": (".venv", 2), "2026.11": (".venv-live", 3)}
CONFIGURATION: Final = """
config:
onboarding:
bticino_classe_dev:
  url: {url}
  push_url: {push_url}
  signaling_url: {signaling_url}
"""
PROBLEM: Final = re.compile(r" (WARNING|ERROR|CRITICAL) ")
# Home Assistant warns of every custom integration.
EXPECTED: Final = "We found a custom integration"


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the archive of the committed state, as the workflow of a release builds it."""
    clone = tmp_path_factory.mktemp("release") / "clone"
    _run("git", "clone", "--quiet", ROOT, clone, cwd=ROOT)
    path = clone / "custom_components" / DOMAIN / "manifest.json"
    manifest = path.read_text()
    version = json.loads(manifest)["version"]
    path.write_text(manifest.replace('"codeowners": []', '"codeowners": ["@somebody"]'))
    changes = clone / "CHANGELOG.md"
    heading = f"## {version} (2026-12-01)"
    changes.write_text(re.sub("^## .*", heading, changes.read_text(), count=1, flags=re.MULTILINE))
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.com")
    _run(
        "git", *identity, "commit", "--quiet", "--all", "--allow-empty", "-m", "Release", cwd=clone
    )
    _run("scripts/lib/archive.sh", version, cwd=clone)
    return clone / f"{DOMAIN}.zip"


@pytest.mark.parametrize(
    ("environment", "http_version"), HOME_ASSISTANTS.values(), ids=HOME_ASSISTANTS
)
async def test_release_in_an_empty_home_assistant(
    archive: Path, environment: str, http_version: int, tmp_path: Path
) -> None:
    """The account is set up in the user interface's way, and loaded again after a restart."""
    port, cloud_port = free_ports()
    cloud = Simulator()
    async with AsyncExitStack() as stack:
        await cloud.start(HOST, cloud_port)
        stack.push_async_callback(cloud.stop)
        config = _install(archive, tmp_path / "config", cloud)
        prepare_storage(config, port, http_version=http_version)
        async with _home_assistant(environment, config, port) as owner:
            await owner.add_account(cloud.email, cloud.password)
            await _expect_loaded(owner)
        async with _home_assistant(environment, config, port) as owner:
            await _expect_loaded(owner)
    log = (config / "home-assistant.log").read_text().splitlines()
    problems = [line for line in log if PROBLEM.search(line) and "bticino" in line]
    assert [line for line in problems if EXPECTED not in line] == []


def _install(archive: Path, config: Path, cloud: Simulator) -> Path:
    """Unpack the archive as HACS does, beside the helper that replaces the vendor's hosts.

    Only the manifest is changed, so that the helper is set up first.
    """
    components = config / "custom_components"
    with zipfile.ZipFile(archive) as release:
        release.extractall(components / DOMAIN)
    shutil.copytree(HELPER, components / HELPER.name)
    path = components / DOMAIN / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["dependencies"].append(HELPER.name)
    path.write_text(json.dumps(manifest))
    urls = {name.removeprefix("SIMULATOR_").lower(): url for name, url in addresses(cloud).items()}
    configuration = CONFIGURATION.format(**urls)
    (config / "configuration.yaml").write_text(configuration)
    return config


@asynccontextmanager
async def _home_assistant(environment: str, config: Path, port: int) -> AsyncIterator[Owner]:
    """Run Home Assistant; it ends without an error."""
    python = ROOT / environment / "bin" / "python"
    command = (python, "-m", "homeassistant", "--config", config, "--skip-pip")
    process = await asyncio.create_subprocess_exec(*command, cwd=config, stdout=PIPE, stderr=PIPE)
    output = asyncio.ensure_future(process.communicate())
    try:
        async with Owner(f"http://{HOST}:{port}/", "a password of the owner") as owner:
            await owner.sign_in()
            await owner.wait_until_running()
            yield owner
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(START_TIMEOUT):
            printed = await output
    assert process.returncode == 0, printed


async def _expect_loaded(owner: Owner) -> None:
    """Wait until the account is loaded, and expect entities of it."""
    async with asyncio.timeout(START_TIMEOUT):
        entries = await owner.entries()
        while [entry["state"] for entry in entries] != ["loaded"]:
            await asyncio.sleep(POLL_INTERVAL)
            entries = await owner.entries()
    states = await owner.call("get", "api/states")
    found = {state["entity_id"].partition(".")[0] for state in states}
    assert {"binary_sensor", "camera", "event", "lock"} <= found


def _run(*command: str | Path, cwd: Path) -> None:
    """Run a command of the release."""
    subprocess.run(command, cwd=cwd, check=True, timeout=60, capture_output=True)  # noqa: S603 - fixed commands of ours
