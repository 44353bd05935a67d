"""The vendor's cloud and an intercom behind it, played over real sockets."""

from tests.simulator.faults import (
    Failure,
    concurrency,
    empty_topology,
    maintenance,
    too_many,
    usage_limit,
)
from tests.simulator.house import House, Opening
from tests.simulator.houses import HOUSES, many_modules
from tests.simulator.journal import Entry, Journal
from tests.simulator.server import Simulator

__all__ = [
    "HOUSES",
    "Entry",
    "Failure",
    "House",
    "Journal",
    "Opening",
    "Simulator",
    "concurrency",
    "empty_topology",
    "maintenance",
    "many_modules",
    "too_many",
    "usage_limit",
]
