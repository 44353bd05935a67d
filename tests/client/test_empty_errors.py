"""An answer or frame whose `error` holds nothing is a good one."""

from typing import TYPE_CHECKING, Any

import pytest

from custom_components.bticino_classe.client import Account, AuthApiError, AuthHandler, ModuleKind
from custom_components.bticino_classe.client.error_codes import has_error
from custom_components.bticino_classe.client.webrtc.pending import PendingRequests
from custom_components.bticino_classe.client.websocket.connection import SocketState
from tests.client.answers import HOME, HOMES
from tests.client.lines import Line, answering, obey
from tests.client.running import ONLINE, running, until
from tests.client.signed_in import home_of, module_of
from tests.simulator import Failure
from tests.simulator.paths import HOMESDATA, SETSTATE, TOKEN

if TYPE_CHECKING:
    from tests.simulator import Simulator

EMPTY = pytest.mark.parametrize("error", [None, {}, "", False, []], ids=repr)


@EMPTY
def test_empty_error_is_none(error: object) -> None:
    """Any other value is an error."""
    assert not has_error({"error": error})
    assert not has_error({})
    assert has_error({"error": {"code": 2}})
    assert has_error({"error": "invalid_grant"})


@EMPTY
async def test_answer_of_the_api(auth: AuthHandler, simulator: Simulator, error: object) -> None:
    """Its data is read; a command is done."""
    account = Account(auth)
    simulator.fail(HOMESDATA, Failure(body={"status": "ok", "body": HOMES, "error": error}))
    assert list((await account.topology()).homes) == [HOME]
    simulator.fail(SETSTATE, Failure(body={"status": "ok", "error": error}))
    home = home_of(simulator)
    await account.unlock(home, module_of(home, ModuleKind.DOOR))


@EMPTY
async def test_answer_with_tokens(auth: AuthHandler, simulator: Simulator, error: object) -> None:
    """The sign-in has succeeded."""
    tokens = {"access_token": "new", "refresh_token": "newer", "expires_in": 10_800}
    simulator.fail(TOKEN, Failure(body={**tokens, "error": error}))
    await auth.authenticate()
    assert await auth.get_access_token() == "new"


@EMPTY
async def test_bad_status_refuses_no_token(
    auth: AuthHandler, simulator: Simulator, error: object
) -> None:
    """Without an error in the answer, the refresh token is kept."""
    auth.invalidate(await auth.get_access_token())
    simulator.fail(TOKEN, Failure(status=403, body={"error": error}))
    with pytest.raises(AuthApiError):
        await auth.get_access_token()
    await auth.get_access_token()
    assert simulator.journal.count(TOKEN, grant="password") == 0


@EMPTY
@pytest.mark.parametrize("status", [{}, {"status": "ok"}], ids=str)
async def test_reply_to_a_subscription(
    auth: AuthHandler, status: dict[str, str], error: object
) -> None:
    """The subscription is confirmed."""
    async with running(auth, answering({**status, "error": error})) as (client, cloud):
        await until(lambda: client.states[2:])
        assert client.states == ONLINE
        assert cloud.handshakes == 1


@EMPTY
async def test_frame_that_nothing_waits_for(auth: AuthHandler, error: object) -> None:
    """The connection lasts."""

    async def script(line: Line) -> None:
        await line.receive()
        await line.send({"status": "ok"})
        await line.send({"status": "ok", "error": error})
        await line.send({"push_type": "BNC1-connection", "error": error})
        await obey(line)

    async with running(auth, script) as (client, cloud):
        await until(lambda: client.frames and client.socket.state is SocketState.ONLINE)
        assert cloud.handshakes == 1


@EMPTY
async def test_acknowledgement_by_order(error: object) -> None:
    """It is for the oldest request that is no offer, and refuses nothing."""
    table = PendingRequests()
    offer = table.add("1", lifetime=60, is_offer=True)
    other = table.add("2", lifetime=60)
    ack: dict[str, Any] = {"type": "ack", "status": "ok", "error": error}
    assert table.match(ack) is other
    assert not offer.is_refused
