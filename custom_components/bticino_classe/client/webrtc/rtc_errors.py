"""What cloud and intercom complain of in a call."""

from typing import TYPE_CHECKING, Final

from ..decode import as_int, as_mapping, as_str
from ..error_codes import code_error, error_code
from ..errors import (
    BticinoError,
    CallOverError,
    CommandRefusedError,
    LineBusyError,
    UnreachableError,
)

if TYPE_CHECKING:
    from ..decode import JsonObject

# "Max number of peers reached" is the one complaint on record (protocol.md 3.8).
BUSY_CODE: Final = 1
BUSY_WORDS: Final = "number of peers"
DEVICE_UNREACHABLE: Final = 41


def refusal(reply: JsonObject) -> BticinoError:
    """Return what an acknowledgement complains of."""
    code = error_code(reply)
    if _is_busy(reply):
        return LineBusyError()
    kind = UnreachableError if code == DEVICE_UNREACHABLE else code_error(code)
    return (kind or CommandRefusedError)(code=code)


def end_of_call(data: JsonObject) -> BticinoError:
    """Return why the intercom ended a call."""
    code = error_code(data)
    if _is_busy(data):
        return LineBusyError()
    return UnreachableError(code=code) if code == DEVICE_UNREACHABLE else CallOverError(code=code)


def _is_busy(source: JsonObject) -> bool:
    """Whether an error says that all places are taken: by its number or by its words."""
    error = as_mapping(source.get("error"))
    return as_int(error.get("code")) == BUSY_CODE or BUSY_WORDS in (
        as_str(error.get("message")) or ""
    )
