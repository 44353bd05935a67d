"""Command line options of scripts/develop."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.simulator import HOUSES

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent
STATE: Final = ROOT / ".dev"
STAND_IN: Final = "stand-in"
LANGUAGES: Final = ("en", "it")  # those of the dashboards
EPILOG: Final = (
    "Home Assistant logs to home-assistant.log in the state folder: follow it with "
    "'tail -f .dev/home-assistant.log'. To load changed code, restart Home Assistant "
    "(Settings, System, Restart); the account is kept."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of one run."""

    port: int = 8123
    simulator_port: int = 8124
    house: str = "classe_300x"
    language: str = "en"
    configured: bool = False
    fresh: bool = False
    go2rtc: str | None = None
    state: Path = STATE

    @property
    def log(self) -> Path:
        """The log file of Home Assistant."""
        return self.state / "home-assistant.log"


def parse(arguments: list[str]) -> Options:
    """Parse the command line; exits on --help and on invalid options."""
    parser = argparse.ArgumentParser(
        prog="scripts/develop",
        description="Run a simulated cloud and a real Home Assistant with BTicino Classe.",
        epilog=EPILOG,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    _add_arguments(parser)
    return Options(**vars(parser.parse_args(arguments)))


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    defaults = Options()
    parser.add_argument("--port", type=int, default=defaults.port, help="port of Home Assistant")
    parser.add_argument(
        "--simulator-port",
        type=int,
        default=defaults.simulator_port,
        help="port of the simulated cloud",
    )
    parser.add_argument(
        "--house", default=defaults.house, choices=HOUSES, help="house of the simulated account"
    )
    parser.add_argument(
        "--language",
        default=defaults.language,
        choices=LANGUAGES,
        help="language of Home Assistant and its dashboard; keep it, or add --fresh",
    )
    parser.add_argument("--configured", action="store_true", help="set up the simulated account")
    parser.add_argument("--fresh", action="store_true", help="delete the state of earlier runs")
    parser.add_argument(
        "--go2rtc",
        nargs="?",
        const=STAND_IN,
        metavar="URL",
        help="let Home Assistant use a go2rtc that runs already, or without a URL a stand-in",
    )
    parser.add_argument(
        "--state", type=_absolute, default=STATE, metavar="FOLDER", help="folder for the state"
    )


def _absolute(path: str) -> Path:
    return Path(path).absolute()
