"""The state folder: Home Assistant's storage, and its configuration linked to the sources."""

from contextlib import contextmanager
import fcntl
import json
import secrets
import shutil
from typing import TYPE_CHECKING, Final

from .errors import DevelopError
from .options import HERE, ROOT, Options

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHIPPED: Final = ROOT / "custom_components" / "bticino_classe"
HELPER: Final = HERE / "custom_components" / "bticino_classe_dev"
LINKED: Final = ("configuration.yaml", "dashboards")
GO2RTC: Final = "go2rtc.yaml"
WRITTEN_BY_THE_UI: Final = ("automations.yaml", "scripts.yaml", "scenes.yaml")


@contextmanager
def locked_config(options: Options) -> Iterator[Path]:
    """Lock the state folder and yield the prepared configuration folder."""
    options.state.mkdir(parents=True, exist_ok=True)
    with (options.state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DevelopError(f"another scripts/develop is using {options.state}.") from None
        config = options.state / "config"
        if options.fresh:
            shutil.rmtree(config, ignore_errors=True)
        _prepare(config, options)
        yield config


def owner_password(config: Path) -> str:
    """Return the password of Home Assistant's owner, which is made at the first start."""
    path = config / "owner_password"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(12))
    return path.read_text()


def link_components(config: Path) -> None:
    """Link the current sources of the integration and the helper into the configuration.

    The copied manifest of the integration adds the helper as a dependency. Home Assistant then
    sets up the helper first; if that fails, it loads neither entries nor the config flow, so
    passwords can only be sent to the simulator.
    """
    components = config / "custom_components"
    shutil.rmtree(components, ignore_errors=True)
    (components / SHIPPED.name).mkdir(parents=True)
    (components / HELPER.name).symlink_to(HELPER)
    for source in SHIPPED.iterdir():
        if source.name not in {"manifest.json", "__pycache__"}:
            (components / SHIPPED.name / source.name).symlink_to(source)
    manifest = json.loads((SHIPPED / "manifest.json").read_text())
    manifest["dependencies"] = [*manifest.get("dependencies", []), HELPER.name]
    _write_json(components / SHIPPED.name / "manifest.json", manifest)


def prepare_storage(config: Path, port: int, *, http_version: int = 3) -> None:
    """Store the port of Home Assistant, and that nothing but an owner is missing."""
    storage = config / ".storage"
    storage.mkdir(parents=True, exist_ok=True)
    _write_store(storage / "http", version=http_version, data=_http(port))
    if not (storage / "onboarding").exists():
        done = ["core_config", "analytics", "integration"]
        _write_store(storage / "onboarding", version=4, data={"done": done})
        # Enables the talk button of the camera dialog. The owner can switch it off.
        two_way_audio = {"domain": "camera", "preview_feature": "two_way_audio"}
        _write_store(
            storage / "core.labs", version=1, data={"preview_feature_status": [two_way_audio]}
        )


def _prepare(config: Path, options: Options) -> None:
    prepare_storage(config, options.port)
    for name in LINKED:
        (config / name).unlink(missing_ok=True)
        (config / name).symlink_to(HERE / name)
    packages = config / "packages"
    shutil.rmtree(packages, ignore_errors=True)
    packages.mkdir()
    if options.go2rtc is not None:
        (packages / GO2RTC).symlink_to(HERE / "packages" / GO2RTC)
    for name in WRITTEN_BY_THE_UI:
        (config / name).touch()


def _http(port: int) -> dict[str, object]:
    # An `http:` section in YAML is deprecated: migrated settings are reverted after five minutes,
    # with a restart, unless they are confirmed. The API is not available before a port is set.
    stable = {
        "server_host": ["127.0.0.1"],
        "server_port": port,
        "cors_allowed_origins": [],
        "login_attempts_threshold": -1,
        "ip_ban_enabled": False,
        "ssl_profile": "intermediate_v6",
        "use_x_frame_options": True,
        "created_at": "2026-11-01T00:00:00+00:00",
        "error": None,
        "error_message": None,
    }
    return {"stable": stable, "pending": None, "yaml_migration_done": True}


def _write_store(path: Path, *, version: int, data: dict[str, object]) -> None:
    store = {"version": version, "minor_version": 1, "key": path.name, "data": data}
    _write_json(path, store)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")
