"""Any answer of the token endpoint: the outcome, and that no secret is shown."""

from contextlib import suppress
import json
import logging
import traceback
from typing import TYPE_CHECKING, Any

import aiohttp
from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from custom_components.bticino_classe.client.auth import AuthHandler
from custom_components.bticino_classe.client.const import CLIENT_SECRET
from custom_components.bticino_classe.client.errors import AuthError
from custom_components.bticino_classe.client.http import Answer
from tests.simulator import Failure
from tests.simulator.paths import TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from custom_components.bticino_classe.client.const import Endpoints
    from tests.simulator import Simulator

USES = ("get_access_token", "authenticate")
SECRETS = {
    "user": "user-0wn3r",
    "password": "pass-w0rd",
    "access": "acc-3ss",
    "refresh": "ref-r3sh",
}
EXAMPLES = settings(
    max_examples=50,
    deadline=None,
    database=None,
    # The simulator's failures are used up, or taken back, by each example.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
ERRORS = (
    JSON
    | st.sampled_from(["invalid_grant", "invalid_client", 26, 11])
    | st.fixed_dictionaries({"code": JSON})
)
ANSWERS = JSON | st.fixed_dictionaries(
    {},
    optional={
        "access_token": JSON,
        "refresh_token": JSON,
        "expires_in": JSON,
        "expire_in": JSON,
        "error": ERRORS,
    },
)


@pytest.fixture
async def session(simulator: Simulator) -> AsyncIterator[aiohttp.ClientSession]:  # noqa: ARG001 - opens sockets
    """A session that was passed to the handler."""
    async with aiohttp.ClientSession() as shared:
        yield shared


def handler_of(session: aiohttp.ClientSession, endpoints: Endpoints, tail: str = "") -> AuthHandler:
    """Return a handler with marked credentials and tokens, each with a suffix."""
    marked = {name: mark + tail for name, mark in SECRETS.items()}
    auth = AuthHandler(marked["user"], marked["password"], session=session, endpoints=endpoints)
    auth.set_tokens(marked["access"], marked["refresh"])
    return auth


async def failure_of(auth: AuthHandler, use: str) -> AuthError:
    """Return the error of a call."""
    with pytest.raises(AuthError) as caught:
        await getattr(auth, use)()
    return caught.value


@EXAMPLES
@given(
    body=ANSWERS.map(json.dumps) | st.text(),
    status=st.sampled_from([200, 201, 400, 401, 403, 404, 429, 500, 503]),
    use=st.sampled_from(USES),
)
async def test_any_answer_ends_in_a_token_or_an_auth_error(
    session: aiohttp.ClientSession, simulator: Simulator, endpoints: Endpoints, **example: Any
) -> None:
    """No other exception is raised, and the stored tokens are valid in a header."""
    simulator.clear_failures()
    answer = Failure(body=example["body"], status=example["status"])
    simulator.fail(TOKEN, answer, times=2)
    auth = handler_of(session, endpoints)
    with suppress(AuthError):
        await getattr(auth, example["use"])()
    assert (auth._access_token or "").isprintable()
    assert (auth._access_token or "").isascii()


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes and contexts."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def shown(error: AuthError) -> str:
    """Return every text that an error can show."""
    parts = traceback.format_exception(error)
    for each in chain(error):
        held = {name: getattr(each, name) for name in dir(each) if not name.startswith("__")}
        parts += [str(each), repr(each), repr(each.args), repr(held)]
    return "\n".join(parts)


def echo_of(tail: str, shape: str) -> dict[str, object]:
    """Return an error answer that repeats everything that was sent."""
    text = " ".join([*(mark + tail for mark in SECRETS.values()), CLIENT_SECRET])
    error: object = {"code": text, "message": text} if shape == "nested" else text
    if shape == "known":
        error = "invalid_grant"
    return {"error": error, "error_description": text, text: text, "access_token": text + "\n"}


@EXAMPLES
@given(
    tail=st.text(max_size=8).map(lambda text: text.encode("utf-8", "ignore").decode()),
    shape=st.sampled_from(["bare", "nested", "known"]),
    status=st.sampled_from([200, 400, 401, 403, 429, 500]),
    use=st.sampled_from(USES),
)
async def test_no_secret_is_shown(
    session: aiohttp.ClientSession,
    simulator: Simulator,
    endpoints: Endpoints,
    caplog: pytest.LogCaptureFixture,
    **example: Any,
) -> None:
    """A cloud that repeats requests cannot get secrets into a log, an error or a `repr`."""
    caplog.set_level(logging.DEBUG)
    caplog.clear()
    simulator.clear_failures()
    body = echo_of(example["tail"], example["shape"])
    simulator.fail(TOKEN, Failure(body=body, status=example["status"]), times=2)
    auth = handler_of(session, endpoints, example["tail"])
    seen = [repr(auth), shown(await failure_of(auth, example["use"])), caplog.text]
    for secret in (*SECRETS.values(), CLIENT_SECRET):
        assert secret not in "\n".join(seen)


async def test_success_shows_no_secret(
    session: aiohttp.ClientSession,
    simulator: Simulator,
    endpoints: Endpoints,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """New tokens are as secret as old ones."""
    caplog.set_level(logging.DEBUG)
    body: dict[str, object] = {"access_token": "acc-new", "refresh_token": "ref-new"}
    simulator.fail(TOKEN, Failure(body=body))
    auth = handler_of(session, endpoints)
    assert await auth.get_access_token() == "acc-new"
    seen = f"{auth!r} {Answer(status=200, body=body)!r} {caplog.text}"
    for secret in (*SECRETS.values(), "acc-new", "ref-new", CLIENT_SECRET):
        assert secret not in seen
