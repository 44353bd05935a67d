"""Error responses of the cloud, and the validation of fields."""

from typing import TYPE_CHECKING

from tests.simulator.paths import BAD_TOKEN_CODES, ERRORS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.simulator.house import Json

type Types = type | tuple[type, ...]


class ErrorResponse(Exception):  # noqa: N818 - it is a response, not an error of the simulator
    """Ends a request with an error response; `violation` says that the client caused it."""

    def __init__(self, status: int, body: Json, reason: str, *, violation: bool) -> None:
        super().__init__(reason)
        self.status = status
        self.body = body
        self.reason = reason
        self.violation = violation
        self.bad_token = False


def api_error(code: int, reason: str, *, violation: bool = False) -> ErrorResponse:
    """Return an error in the API's format, with the default status of the code."""
    status, message = ERRORS[code]
    body: Json = {"error": {"code": code, "message": message}}
    response = ErrorResponse(status, body, f"code {code}: {reason}", violation=violation)
    response.bad_token = code in BAD_TOKEN_CODES
    return response


def oauth_error(error: str, reason: str, *, violation: bool = False) -> ErrorResponse:
    """Return an error in OAuth's format."""
    return ErrorResponse(400, {"error": error}, f"{error}: {reason}", violation=violation)


def field_error(
    given: Mapping[str, object],
    required: Mapping[str, Types],
    optional: Mapping[str, Types] | None = None,
) -> str | None:
    """Return a message about the first missing, unknown or mistyped field, if any."""
    known = {**(optional or {}), **required}
    for name in required:
        if name not in given:
            return f"{name} is missing"
    for name, value in given.items():
        if name not in known:
            return f"{name} is unknown"
        if not _has_type(value, known[name]):
            return f"{name} is a {type(value).__name__}"
    return None


def _has_type(value: object, types: Types) -> bool:
    """Return whether a value has the type; a bool is not a number."""
    return type(value) in (types if isinstance(types, tuple) else (types,))
