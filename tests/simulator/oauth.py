"""The token endpoint: password and refresh token grants, form-encoded."""

import re
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from aiohttp import web

from tests.simulator.account import CLIENT_ID, CLIENT_SECRET, SCOPE, Account
from tests.simulator.cloud import CLOUD
from tests.simulator.errors import field_error, oauth_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.simulator.house import Json

FORM = "application/x-www-form-urlencoded"
VERSION = re.compile(r"\d+(\.\d+)+")
EVERY_GRANT: Mapping[str, type] = MappingProxyType(
    {"grant_type": str, "client_id": str, "client_secret": str}
)
GRANTS: Mapping[str, Mapping[str, type]] = MappingProxyType(
    {
        "password": {"username": str, "password": str, "scope": str, "app_version": str},
        "refresh_token": {"refresh_token": str},
    }
)


async def token(request: web.Request) -> web.Response:
    """Return a token pair, or an error in OAuth's format."""
    account = request.app[CLOUD].account
    form = _form(request.content_type, await request.read())
    grant = form.get("grant_type", "")
    if grant not in GRANTS:
        raise oauth_error(
            "unsupported_grant_type" if grant else "invalid_request", "grant", violation=True
        )
    fault = field_error(form, {**EVERY_GRANT, **GRANTS[grant]})
    if fault:
        raise oauth_error("invalid_request", fault, violation=True)
    _check_client(account, form)
    answer = (
        _password_grant(account, form) if grant == "password" else _refresh_grant(account, form)
    )
    return web.json_response(answer)


def _form(content_type: str, raw: bytes) -> dict[str, str]:
    if content_type != FORM:
        raise oauth_error("invalid_request", f"content type {content_type}", violation=True)
    try:
        pairs = parse_qsl(raw.decode(), keep_blank_values=True)
    except ValueError as error:
        raise oauth_error("invalid_request", "unreadable form", violation=True) from error
    if len(pairs) != len(dict(pairs)):
        raise oauth_error("invalid_request", "duplicate field", violation=True)
    return dict(pairs)


def _check_client(account: Account, form: Mapping[str, str]) -> None:
    if account.client_retired:
        raise oauth_error("invalid_client", "this client was retired")
    if (form["client_id"], form["client_secret"]) != (CLIENT_ID, CLIENT_SECRET):
        raise oauth_error("invalid_client", "unknown client", violation=True)


def _password_grant(account: Account, form: Mapping[str, str]) -> Json:
    if form["scope"] != SCOPE:
        raise oauth_error("invalid_scope", f"scope {form['scope']}", violation=True)
    if not VERSION.fullmatch(form["app_version"]):
        raise oauth_error("invalid_request", "app_version is not a version", violation=True)
    if not _credentials_match(account, form["username"], form["password"]):
        raise oauth_error("invalid_grant", "wrong e-mail or password")
    return account.log_in()


def _refresh_grant(account: Account, form: Mapping[str, str]) -> Json:
    pair = account.rotate(form["refresh_token"])
    if pair is None:
        raise oauth_error("invalid_grant", "the refresh token is unknown, already used or revoked")
    return pair


def _credentials_match(account: Account, email: str, password: str) -> bool:
    return email.casefold() == account.email.casefold() and password == account.password
