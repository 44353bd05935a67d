from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator.account import CLIENT_ID, CLIENT_SECRET, SCOPE
from tests.simulator.http_client import HttpClient
from tests.simulator.paths import HOMESDATA, TOKEN

if TYPE_CHECKING:
    from tests.simulator.conftest import Clock
    from tests.simulator.server import Simulator


async def test_password_grant(anonymous: HttpClient, sim: Simulator) -> None:
    """A login returns a token pair, and the access token is valid."""
    answer = await anonymous.sign_in()
    assert answer.status == 200
    assert {key: answer.json[key] for key in ("expires_in", "expire_in", "scope")} == {
        "expires_in": 10_800,
        "expire_in": 10_800,
        "scope": [SCOPE],
    }
    assert answer.json["access_token"].startswith(f"{sim.user_id}|")
    assert answer.json["access_token"] != answer.json["refresh_token"]
    assert (await anonymous.api(HOMESDATA)).status == 200
    assert sim.violations == []


@pytest.mark.parametrize("wrong", [{"password": "x"}, {"username": "y@example.org"}])
async def test_wrong_credentials(anonymous: HttpClient, wrong: dict[str, str]) -> None:
    """Wrong credentials are invalid_grant."""
    answer = await anonymous.sign_in(**wrong)
    assert (answer.status, answer.json) == (400, {"error": "invalid_grant"})


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"client_id": "another"}, "invalid_client"),
        ({"client_secret": "another"}, "invalid_client"),
        ({"client_secret": None}, "invalid_request"),
        ({"scope": None}, "invalid_request"),
        ({"scope": "read_station"}, "invalid_scope"),
        ({"app_version": None}, "invalid_request"),
        ({"app_version": "new"}, "invalid_request"),
        ({"password": None}, "invalid_request"),
        ({"device_id": "1"}, "invalid_request"),
        ({"grant_type": None}, "invalid_request"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
    ],
)
async def test_invalid_forms_are_violations(
    anonymous: HttpClient, sim: Simulator, change: dict[str, str | None], error: str
) -> None:
    """Missing, unknown and wrong fields get an OAuth error."""
    answer = await anonymous.sign_in(**change)
    assert (answer.status, answer.json) == (400, {"error": error})
    assert len(sim.violations) == 1
    assert sim.journal[0].refused


async def test_form_encoding(anonymous: HttpClient, sim: Simulator) -> None:
    """Only a valid form without duplicate fields is accepted."""
    form: Any = {"grant_type": "refresh_token", "refresh_token": "x"}
    client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    twice = [*(form | client).items(), ("refresh_token", "y")]
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for kind in ({"json": form | client}, {"data": twice}, {"data": b"\xff=1", "headers": headers}):
        answer = await anonymous.post(TOKEN, **kind)
        assert (answer.status, answer.json) == (400, {"error": "invalid_request"})
    assert len(sim.violations) == 3


async def test_refresh_rotates_both(client: HttpClient) -> None:
    """A refresh returns two new tokens and invalidates the old access token."""
    access, refresh = client.access, client.refresh
    assert (await client.renew()).status == 200
    assert client.access != access
    assert client.refresh != refresh
    assert (await client.api(HOMESDATA)).status == 200
    client.access = access
    answer = await client.api(HOMESDATA)
    assert (answer.status, answer.code) == (403, 2)


async def test_reuse_of_refresh_token_revokes_its_family(client: HttpClient) -> None:
    """A reused refresh token revokes its login, but no other one."""
    other = HttpClient(client.sim, client.session)
    await other.sign_in()
    spent = client.refresh
    await client.renew()
    assert (await client.renew(spent)).json == {"error": "invalid_grant"}
    assert (await client.renew()).json == {"error": "invalid_grant"}
    assert (await client.api(HOMESDATA)).code == 2
    assert (await other.api(HOMESDATA)).status == 200
    assert (await other.renew()).status == 200


async def test_unknown_refresh_token(client: HttpClient) -> None:
    """An unknown refresh token revokes nothing."""
    assert (await client.renew("nonsense")).json == {"error": "invalid_grant"}
    assert (await client.renew()).status == 200


async def test_access_token_expires(client: HttpClient, clock: Clock) -> None:
    """An access token is valid for exactly the announced time."""
    clock.now += 10_799
    assert (await client.api(HOMESDATA)).status == 200
    clock.now += 1
    answer = await client.api(HOMESDATA)
    assert (answer.status, answer.code) == (403, 3)
    assert (await client.renew()).status == 200


async def test_variants_of_token_response(anonymous: HttpClient, sim: Simulator) -> None:
    """The expiry can be missing, and the scope can be a string."""
    sim.account.token_lifetime = None
    sim.account.scope_as_text = True
    answer = await anonymous.sign_in()
    assert sorted(answer.json) == ["access_token", "refresh_token", "scope"]
    assert answer.json["scope"] == SCOPE


@pytest.mark.parametrize(
    ("action", "code"), [("expire_access_tokens", 3), ("refuse_access_tokens", 2)]
)
async def test_expired_or_refused_access_tokens(
    client: HttpClient, sim: Simulator, action: str, code: int
) -> None:
    """The access tokens get an error code and can be refreshed."""
    getattr(sim, action)()
    answer = await client.api(HOMESDATA)
    assert (answer.status, answer.code) == (403, code)
    assert (await client.renew()).status == 200
    assert (await client.api(HOMESDATA)).status == 200


async def test_revoke(client: HttpClient, sim: Simulator) -> None:
    """After a revocation only the password works."""
    sim.revoke()
    assert (await client.api(HOMESDATA)).code == 2
    assert (await client.renew()).json == {"error": "invalid_grant"}
    assert (await client.sign_in()).status == 200


async def test_change_password(client: HttpClient, sim: Simulator) -> None:
    """A changed password revokes all tokens and is the only valid one."""
    old = sim.password
    sim.change_password("new")
    assert sim.password == "new"
    assert (await client.api(HOMESDATA)).code == 2
    assert (await client.renew()).json == {"error": "invalid_grant"}
    assert (await client.sign_in(password=old)).json == {"error": "invalid_grant"}
    assert (await client.sign_in(password="new")).status == 200


async def test_retired_client(client: HttpClient, sim: Simulator) -> None:
    """A retired client gets no token, with any grant."""
    sim.retire_client()
    for answer in (await client.sign_in(), await client.renew()):
        assert (answer.status, answer.json) == (400, {"error": "invalid_client"})
    assert (await client.api(HOMESDATA)).status == 200
    sim.restore_client()
    assert (await client.renew()).status == 200


async def test_journal_masks_secrets(client: HttpClient, sim: Simulator) -> None:
    """Neither password, client secret nor tokens are in the journal."""
    await client.renew()
    await client.sign_in()
    form = sim.journal[1].body
    assert isinstance(form, dict)
    assert form["username"] == sim.email
    assert [entry.grant for entry in sim.journal] == ["refresh_token", "password"]
    written = str([entry.as_json() for entry in sim.journal])
    for secret in (sim.password, CLIENT_SECRET, client.access, client.refresh):
        assert secret not in written
