"""A request that the cloud refuses, and the checks that lead to it."""

from typing import TYPE_CHECKING

from tests.simulator.paths import BAD_TOKEN_CODES, ERRORS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.simulator.house import Json

type Kinds = type | tuple[type, ...]


class Refusal(Exception):  # noqa: N818 - it is an answer, not an error of ours
    """Ends a request: the answer, the reason, and whether the client is at fault."""

    def __init__(self, status: int, body: Json, reason: str, *, noted: bool) -> None:
        super().__init__(reason)
        self.status = status
        self.body = body
        self.reason = reason
        self.noted = noted
        self.bad_token = False


def api(code: int, reason: str, *, noted: bool = False, status: int | None = None) -> Refusal:
    """Make a refusal in the API's form; the usual status of the code unless another is given."""
    usual, message = ERRORS[code]
    body: Json = {"error": {"code": code, "message": message}}
    refusal = Refusal(status or usual, body, f"code {code}: {reason}", noted=noted)
    refusal.bad_token = code in BAD_TOKEN_CODES
    return refusal


def oauth(error: str, reason: str, *, noted: bool = False) -> Refusal:
    """Make a refusal in OAuth's form."""
    return Refusal(400, {"error": error}, f"{error}: {reason}", noted=noted)


def fault_in(
    given: Mapping[str, object],
    required: Mapping[str, Kinds],
    optional: Mapping[str, Kinds] | None = None,
) -> str | None:
    """Return the first missing, unknown or badly typed field, in words."""
    known = {**(optional or {}), **required}
    for name in required:
        if name not in given:
            return f"{name} is missing"
    for name, value in given.items():
        if name not in known:
            return f"{name} is unknown"
        if not _is_a(value, known[name]):
            return f"{name} is a {type(value).__name__}"
    return None


def _is_a(value: object, kinds: Kinds) -> bool:
    """Tell whether a value has the type; JSON's true is no number."""
    wanted = kinds if isinstance(kinds, tuple) else (kinds,)
    return type(value) in wanted
