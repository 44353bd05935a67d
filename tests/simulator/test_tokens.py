from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator.account import CLIENT_ID, CLIENT_SECRET, SCOPE
from tests.simulator.paths import HOMESDATA, TOKEN
from tests.simulator.visitor import Visitor

if TYPE_CHECKING:
    from tests.simulator.conftest import Clock
    from tests.simulator.server import Simulator


async def test_password_grant_gives_a_pair(stranger: Visitor, sim: Simulator) -> None:
    """A sign-in gives two tokens, of which the access token works."""
    answer = await stranger.sign_in()
    assert answer.status == 200
    assert {key: answer.json[key] for key in ("expires_in", "expire_in", "scope")} == {
        "expires_in": 10_800,
        "expire_in": 10_800,
        "scope": [SCOPE],
    }
    assert answer.json["access_token"].startswith(f"{sim.user_id}|")
    assert answer.json["access_token"] != answer.json["refresh_token"]
    assert (await stranger.api(HOMESDATA)).status == 200
    assert sim.violations == []


@pytest.mark.parametrize("wrong", [{"password": "x"}, {"username": "y@example.org"}])
async def test_wrong_credentials(stranger: Visitor, wrong: dict[str, str]) -> None:
    """Wrong credentials are invalid_grant."""
    answer = await stranger.sign_in(**wrong)
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
async def test_bad_forms_are_refused_and_noted(
    stranger: Visitor, sim: Simulator, change: dict[str, str | None], error: str
) -> None:
    """Missing, unknown and wrong fields are refused in OAuth's form."""
    answer = await stranger.sign_in(**change)
    assert (answer.status, answer.json) == (400, {"error": error})
    assert len(sim.violations) == 1
    assert sim.journal[0].refused


async def test_form_of_another_kind_is_refused(stranger: Visitor, sim: Simulator) -> None:
    """Only a readable form without repeated fields is taken."""
    form: Any = {"grant_type": "refresh_token", "refresh_token": "x"}
    client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    twice = [*(form | client).items(), ("refresh_token", "y")]
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for kind in ({"json": form | client}, {"data": twice}, {"data": b"\xff=1", "headers": headers}):
        answer = await stranger.post(TOKEN, **kind)
        assert (answer.status, answer.json) == (400, {"error": "invalid_request"})
    assert len(sim.violations) == 3


async def test_refresh_rotates_both(visitor: Visitor) -> None:
    """A refresh gives two new tokens and kills the old access token."""
    access, refresh = visitor.access, visitor.refresh
    assert (await visitor.renew()).status == 200
    assert visitor.access != access
    assert visitor.refresh != refresh
    assert (await visitor.api(HOMESDATA)).status == 200
    visitor.access = access
    answer = await visitor.api(HOMESDATA)
    assert (answer.status, answer.code) == (403, 2)


async def test_reuse_of_a_spent_token_kills_its_family_only(visitor: Visitor) -> None:
    """A spent refresh token that comes back ends its log-in, no other."""
    other = Visitor(visitor.sim, visitor.session)
    await other.sign_in()
    spent = visitor.refresh
    await visitor.renew()
    assert (await visitor.renew(spent)).json == {"error": "invalid_grant"}
    assert (await visitor.renew()).json == {"error": "invalid_grant"}
    assert (await visitor.api(HOMESDATA)).code == 2
    assert (await other.api(HOMESDATA)).status == 200
    assert (await other.renew()).status == 200


async def test_unknown_refresh_token(visitor: Visitor) -> None:
    """An invented refresh token harms nobody."""
    assert (await visitor.renew("nonsense")).json == {"error": "invalid_grant"}
    assert (await visitor.renew()).status == 200


async def test_tokens_run_out_by_the_clock(visitor: Visitor, clock: Clock) -> None:
    """An access token lives exactly as long as was said."""
    clock.now += 10_799
    assert (await visitor.api(HOMESDATA)).status == 200
    clock.now += 1
    answer = await visitor.api(HOMESDATA)
    assert (answer.status, answer.code) == (403, 3)
    assert (await visitor.renew()).status == 200


async def test_expiry_may_be_unsaid_and_scope_a_string(stranger: Visitor, sim: Simulator) -> None:
    """The two reported variants of the answer can be had."""
    sim.account.token_lifetime = None
    sim.account.scope_as_text = True
    answer = await stranger.sign_in()
    assert sorted(answer.json) == ["access_token", "refresh_token", "scope"]
    assert answer.json["scope"] == SCOPE


async def test_expired_by_hand(visitor: Visitor, sim: Simulator) -> None:
    """Expired access tokens are code 3, and can be refreshed."""
    sim.expire_access_tokens()
    answer = await visitor.api(HOMESDATA)
    assert (answer.status, answer.code) == (403, 3)
    assert (await visitor.renew()).status == 200
    assert (await visitor.api(HOMESDATA)).status == 200


async def test_refused_by_hand(visitor: Visitor, sim: Simulator) -> None:
    """Refused access tokens are code 2, and can be refreshed."""
    sim.refuse_access_tokens()
    answer = await visitor.api(HOMESDATA)
    assert (answer.status, answer.code) == (403, 2)
    assert (await visitor.renew()).status == 200
    assert (await visitor.api(HOMESDATA)).status == 200


async def test_revoked(visitor: Visitor, sim: Simulator) -> None:
    """After a revocation only the password helps."""
    sim.revoke()
    assert (await visitor.api(HOMESDATA)).code == 2
    assert (await visitor.renew()).json == {"error": "invalid_grant"}
    assert (await visitor.sign_in()).status == 200


async def test_changed_password(visitor: Visitor, sim: Simulator) -> None:
    """Another password signs everybody out and is the only one that counts."""
    old = sim.password
    sim.change_password("new")
    assert sim.password == "new"
    assert (await visitor.api(HOMESDATA)).code == 2
    assert (await visitor.renew()).json == {"error": "invalid_grant"}
    assert (await visitor.sign_in(password=old)).json == {"error": "invalid_grant"}
    assert (await visitor.sign_in(password="new")).status == 200


async def test_retired_client(visitor: Visitor, sim: Simulator) -> None:
    """A retired client gets no token, with whatever grant."""
    sim.retire_client()
    for answer in (await visitor.sign_in(), await visitor.renew()):
        assert (answer.status, answer.json) == (400, {"error": "invalid_client"})
    assert (await visitor.api(HOMESDATA)).status == 200
    sim.restore_client()
    assert (await visitor.renew()).status == 200


async def test_journal_masks_what_is_secret(visitor: Visitor, sim: Simulator) -> None:
    """Neither password, client secret nor token is in the journal."""
    await visitor.renew()
    await visitor.sign_in()
    form = sim.journal[1].body
    assert isinstance(form, dict)
    assert form["username"] == sim.email
    assert [entry.grant for entry in sim.journal] == ["refresh_token", "password"]
    written = str([entry.as_json() for entry in sim.journal])
    for secret in (sim.password, CLIENT_SECRET, visitor.access, visitor.refresh):
        assert secret not in written
