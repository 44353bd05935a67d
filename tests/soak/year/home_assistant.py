"""Run Home Assistant in virtual time, each account with its own simulated cloud.

A script of its own, because time has to be replaced before Home Assistant is imported.
"""

from datetime import timedelta
from functools import wraps
import json
from pathlib import Path
import socket
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path(__file__).parents[3]


def use_simulated_clouds(config: Path, clouds: Mapping[str, Mapping[str, Any]]) -> None:
    """Make the client of each account, by its e-mail address, use a simulated cloud."""
    sys.path.insert(0, str(config))
    from custom_components.bticino_classe.client import AuthHandler, Endpoints  # noqa: PLC0415

    construct = AuthHandler.__init__

    @wraps(construct)
    def constructor(handler: AuthHandler, username: str, *rest: Any, **named: Any) -> None:
        construct(handler, username, *rest, **named, endpoints=Endpoints(**clouds[username]))

    setattr(AuthHandler, "__init__", constructor)  # noqa: B010 - a method cannot be assigned to


def slow_down_timers() -> None:
    """Slow down timers of others that make a year long.

    Two fire every few seconds. Every five minutes, statistics are compiled, and all cameras and
    images get new tokens; here this is done every hour.
    """
    from homeassistant.components import camera, image  # noqa: PLC0415 - in virtual time
    from homeassistant.components.device_tracker import legacy  # noqa: PLC0415 - in virtual time
    from homeassistant.components.recorder import core  # noqa: PLC0415 - in virtual time
    from zeroconf import _engine  # noqa: PLC0415 - in virtual time

    track = core.async_track_utc_time_change

    def track_hourly(hass: Any, action: Any, **_: Any) -> Any:
        return track(hass, action, minute=0, second=10)

    vars(core)["async_track_utc_time_change"] = track_hourly
    for component in (camera, image):
        vars(component)["TOKEN_CHANGE_INTERVAL"] = timedelta(hours=1)
    vars(legacy)["async_track_utc_time_change"] = lambda *_, **__: lambda: None
    vars(_engine)["_CACHE_CLEANUP_INTERVAL"] = 24 * 60 * 60


def main() -> int:
    """Run until it is stopped: CONFIG FD WALL MONOTONIC REAL SEED CLOUDS (as JSON)."""
    config, descriptor, wall, monotonic, real, seed, clouds = sys.argv[1:]
    sys.path.insert(0, str(ROOT))
    from tests.soak.year.virtual_time import follow  # noqa: PLC0415 - once it is on the path

    sys.path.remove(str(ROOT))
    orders = socket.socket(fileno=int(descriptor))
    follow(float(wall), float(monotonic), float(real), orders, int(seed))
    use_simulated_clouds(Path(config), json.loads(clouds))
    slow_down_timers()
    from homeassistant.__main__ import main as run  # noqa: PLC0415 - in virtual time

    sys.argv[1:] = ["--skip-pip", "--log-no-color", "--config", config]
    return run()


if __name__ == "__main__":
    sys.exit(main())
