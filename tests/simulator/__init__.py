"""A simulator of the vendor's cloud and of an intercom, on real sockets."""

from tests.simulator.calls import Call
from tests.simulator.connection import Connection
from tests.simulator.faults import (
    Failure,
    concurrency,
    empty_topology,
    maintenance,
    too_many,
    usage_limit,
)
from tests.simulator.house import House, Opening
from tests.simulator.houses import HOUSES, many_modules, many_panels
from tests.simulator.journal import Entry, Journal
from tests.simulator.rtc_session import AudioStats, Session
from tests.simulator.rtc_settings import RtcSettings
from tests.simulator.server import Simulator
from tests.simulator.socket_settings import SocketSettings

__all__ = [
    "HOUSES",
    "AudioStats",
    "Call",
    "Connection",
    "Entry",
    "Failure",
    "House",
    "Journal",
    "Opening",
    "RtcSettings",
    "Session",
    "Simulator",
    "SocketSettings",
    "concurrency",
    "empty_topology",
    "maintenance",
    "many_modules",
    "many_panels",
    "too_many",
    "usage_limit",
]
