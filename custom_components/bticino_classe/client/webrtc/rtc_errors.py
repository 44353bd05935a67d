"""The errors that cloud and intercom report in a call."""

from typing import TYPE_CHECKING, Final

from ..error_codes import RTC_MAX_PEERS, RTC_UNREACHABLE, code_error, error_code
from ..errors import (
    BticinoError,
    CallOverError,
    CommandRefusedError,
    LineBusyError,
    UnreachableError,
)
from ..values import as_int, as_mapping, as_str

if TYPE_CHECKING:
    from ..values import JsonObject

MAX_PEERS_TEXT: Final = "number of peers"


def ack_error(ack: JsonObject) -> BticinoError:
    """Return the error of a negative acknowledgement."""
    code = error_code(ack)
    if _is_busy(ack):
        return LineBusyError()
    kind = UnreachableError if code == RTC_UNREACHABLE else code_error(code)
    return (kind or CommandRefusedError)(code=code)


def terminate_error(data: JsonObject) -> BticinoError:
    """Return why the intercom has terminated a call."""
    code = error_code(data)
    if _is_busy(data):
        return LineBusyError()
    return UnreachableError(code=code) if code == RTC_UNREACHABLE else CallOverError(code=code)


def _is_busy(source: JsonObject) -> bool:
    """Return whether the error says that there are too many viewers, by its code or its text."""
    error = as_mapping(source.get("error"))
    return as_int(error.get("code")) == RTC_MAX_PEERS or MAX_PEERS_TEXT in (
        as_str(error.get("message")) or ""
    )
