"""The simulated cloud of the development server; its account survives restarts."""

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
    """Run the simulator with the password and tokens of its last run, and a real WebRTC peer."""
    simulator = Simulator(options.house)
    simulator.rtc.use_peer("real")
    simulator.rtc.settings.peer = "real"
    state_file = options.state / "config" / "simulated_account.pickle"
    _restore_account(simulator, state_file)
    await simulator.start(HOST, options.simulator_port)
    try:
        yield simulator
    finally:
        await simulator.stop()
        state_file.write_bytes(pickle.dumps(simulator.account))


def addresses(simulator: Simulator) -> dict[str, str]:
    """The environment variables that dev/configuration.yaml uses."""
    return {
        "SIMULATOR_URL": simulator.url,
        "SIMULATOR_PUSH_URL": simulator.push_url,
        "SIMULATOR_SIGNALING_URL": simulator.signaling_url,
    }


def _restore_account(simulator: Simulator, state_file: Path) -> None:
    # A file of an older simulator may not fit; the account then starts from scratch.
    with suppress(OSError, pickle.UnpicklingError, AttributeError, ImportError, TypeError):
        simulator.account = pickle.loads(state_file.read_bytes())  # noqa: S301 - our own file
