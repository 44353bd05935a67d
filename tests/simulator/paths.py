"""The cloud's URL paths and error codes."""

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN = "/oauth2/token"
HOMESDATA = "/api/homesdata"
HOMESTATUS = "/syncapi/v1/homestatus"
SETSTATE = "/syncapi/v1/setstate"
GETCONFIGS = "/syncapi/v1/getconfigs"
SETCONFIGS = "/syncapi/v1/setconfigs"
GETEVENTS = "/api/getevents"
TURN = "/api/getcredentials"
PUSH = "/ws/"
SIGNALING = "/appws/"
#: Prefix of a picture's id; in the journal it stands for all pictures.
BLOB = "/blob/"

#: The default HTTP status and the message of each error code.
ERRORS: Mapping[int, tuple[int, str]] = MappingProxyType(
    {
        2: (403, "Invalid access token"),
        3: (403, "Access token expired"),
        5: (200, "Command refused"),
        6: (200, "Device is unreachable"),
        9: (404, "Device not found"),
        11: (429, "Failed to enter concurrency limited section"),
        13: (403, "Operation is forbidden"),
        21: (400, "Invalid argument"),
        26: (403, "User usage reached"),
    }
)
BAD_TOKEN_CODES = (2, 3)
