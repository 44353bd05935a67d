"""Runs Home Assistant, whose web server refuses requests of foreign web pages.

A script of its own, because middlewares cannot be added once the server is running, and it runs
before custom integrations are set up.
"""

from pathlib import Path
import sys
from typing import TYPE_CHECKING, Final

from homeassistant.__main__ import main
from homeassistant.components.http import server

if TYPE_CHECKING:
    from aiohttp.web import Application

ROOT: Final = Path(__file__).parents[1]


def refuse_foreign_requests() -> None:
    """Make Home Assistant add the middleware before its own."""
    # The repository is not on the path of the running Home Assistant.
    sys.path.append(str(ROOT))
    from dev.local_requests import local_requests  # noqa: PLC0415 - once it is on the path

    sys.path.remove(str(ROOT))
    add_next = server.setup_security_filter

    def add_middlewares(app: Application) -> None:
        app.middlewares.append(local_requests())
        add_next(app)

    server.setup_security_filter = add_middlewares


if __name__ == "__main__":
    refuse_foreign_requests()
    sys.exit(main())
