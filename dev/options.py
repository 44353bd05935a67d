"""What a developer may choose on the command line of scripts/develop."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.simulator import HOUSES

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent
STATE: Final = ROOT / ".dev"
EPILOG: Final = (
    "Home Assistant's log is home-assistant.log in the state folder: follow it with "
    "'tail -f .dev/home-assistant.log'. Its own restart (Developer tools, Restart) takes changed "
    "code in and keeps the account."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One start of the development server."""

    port: int = 8123
    simulator_port: int = 8124
    house: str = "classe_300x"
    configured: bool = False
    fresh: bool = False
    state: Path = STATE

    @property
    def log(self) -> Path:
        """Where Home Assistant's log goes."""
        return self.state / "home-assistant.log"


def parse(arguments: list[str]) -> Options:
    """Read the command line; argparse itself ends the process on --help and on nonsense."""
    parser = argparse.ArgumentParser(
        prog="scripts/develop",
        description="A simulated cloud and a real Home Assistant with BTicino Classe.",
        epilog=EPILOG,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    _add_arguments(parser)
    return Options(**vars(parser.parse_args(arguments)))


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    chosen = Options()
    parser.add_argument("--port", type=int, default=chosen.port, help="Home Assistant's port")
    parser.add_argument(
        "--simulator-port", type=int, default=chosen.simulator_port, help="the simulated cloud's"
    )
    parser.add_argument(
        "--house", default=chosen.house, choices=HOUSES, help="what the simulated account holds"
    )
    parser.add_argument(
        "--configured", action="store_true", help="start with the simulated account set up"
    )
    parser.add_argument("--fresh", action="store_true", help="forget what earlier starts left")
    parser.add_argument(
        "--state", type=_absolute, default=STATE, metavar="FOLDER", help="where state is kept"
    )


def _absolute(path: str) -> Path:
    return Path(path).absolute()
