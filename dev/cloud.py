"""The simulated cloud of the development server; its account outlives a restart of both."""

from contextlib import asynccontextmanager, suppress
import pickle
from typing import TYPE_CHECKING, Final

from tests.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from .options import Options

HOST: Final = "127.0.0.1"


@asynccontextmanager
async def simulated_cloud(options: Options) -> AsyncIterator[Simulator]:
    """Run the simulator, with the password and the tokens that it had when it ended last.

    Its intercom has a picture and a voice.
    """
    simulator = Simulator(options.house)
    simulator.rtc.use("real")
    simulator.rtc.settings.peer = "real"  # a developer wants to see and hear something
    remembered = options.state / "config" / "simulated_account.pickle"
    _recall(simulator, remembered)
    await simulator.start(HOST, options.simulator_port)
    try:
        yield simulator
    finally:
        await simulator.stop()
        remembered.write_bytes(pickle.dumps(simulator.account))


def addresses(simulator: Simulator) -> dict[str, str]:
    """The environment that dev/configuration.yaml hands to the helper."""
    return {
        "SIMULATOR_URL": simulator.url,
        "SIMULATOR_PUSH_URL": simulator.push_url,
        "SIMULATOR_SIGNALING_URL": simulator.signaling_url,
    }


def _recall(simulator: Simulator, remembered: Path) -> None:
    # What an older simulator wrote may not fit: the account then begins anew.
    with suppress(OSError, pickle.UnpicklingError, AttributeError, ImportError, TypeError):
        simulator.account = pickle.loads(remembered.read_bytes())  # noqa: S301 - our own file
