"""The token endpoint: password and refresh grant, form-encoded."""

import re
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from aiohttp import web

from tests.simulator.account import CLIENT_ID, CLIENT_SECRET, SCOPE, Account
from tests.simulator.cloud import CLOUD
from tests.simulator.refusal import Refusal, fault_in, oauth

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
    """Answer a token request with a pair, or refuse it in OAuth's form."""
    account = request.app[CLOUD].account
    form = _form(request.content_type, await request.read())
    grant = form.get("grant_type", "")
    if grant not in GRANTS:
        raise oauth("unsupported_grant_type" if grant else "invalid_request", "grant", noted=True)
    fault = fault_in(form, {**EVERY_GRANT, **GRANTS[grant]})
    if fault:
        raise oauth("invalid_request", fault, noted=True)
    _check_client(account, form)
    answer = _log_in(account, form) if grant == "password" else _refresh(account, form)
    return web.json_response(answer)


def _form(content_type: str, raw: bytes) -> dict[str, str]:
    if content_type != FORM:
        raise oauth("invalid_request", f"content type {content_type}", noted=True)
    try:
        pairs = parse_qsl(raw.decode(), keep_blank_values=True)
    except ValueError as error:
        raise oauth("invalid_request", "unreadable form", noted=True) from error
    if len(pairs) != len(dict(pairs)):
        raise oauth("invalid_request", "a field comes twice", noted=True)
    return dict(pairs)


def _check_client(account: Account, form: Mapping[str, str]) -> None:
    if account.client_retired:
        raise oauth("invalid_client", "this client was retired")
    if (form["client_id"], form["client_secret"]) != (CLIENT_ID, CLIENT_SECRET):
        raise oauth("invalid_client", "unknown client", noted=True)


def _log_in(account: Account, form: Mapping[str, str]) -> Json:
    if form["scope"] != SCOPE:
        raise oauth("invalid_scope", f"scope {form['scope']}", noted=True)
    if not VERSION.fullmatch(form["app_version"]):
        raise oauth("invalid_request", "app_version is no version", noted=True)
    if not _knows(account, form["username"], form["password"]):
        raise oauth("invalid_grant", "wrong e-mail or password")
    return account.log_in()


def _refresh(account: Account, form: Mapping[str, str]) -> Json:
    pair = account.rotate(form["refresh_token"])
    if pair is None:
        raise _dead_refresh_token()
    return pair


def _dead_refresh_token() -> Refusal:
    return oauth("invalid_grant", "the refresh token is unknown, spent or revoked")


def _knows(account: Account, email: str, password: str) -> bool:
    return email.casefold() == account.email.casefold() and password == account.password
