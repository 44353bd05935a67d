"""The vendor account: password, OAuth client and every token issued."""

from dataclasses import dataclass, field
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.simulator.house import Json

CLIENT_ID = "na_client_android_welcome"
CLIENT_SECRET = "8ab584d62ca2a77e37ccc6b2c7e4f29e"
SCOPE = "security_scopes"
EMAIL = "owner@example.org"
PASSWORD = "casa-dolce-casa"
USER_ID = "5f00aa11bb22cc33dd44ee55"
#: Seconds.
TOKEN_LIFETIME = 10_800

INVALID, EXPIRED = 2, 3


@dataclass(slots=True)
class Family:
    """All tokens that stem from one login."""

    revoked: bool = False
    #: The only valid access token and refresh token.
    access: str = ""
    refresh: str = ""


@dataclass(slots=True)
class AccessToken:
    """The state of one access token."""

    family: Family
    expires_at: float
    refused: bool = False


@dataclass(slots=True, kw_only=True)
class Account:
    """One account; times are by `clock`."""

    clock: Callable[[], float]
    email: str = EMAIL
    password: str = PASSWORD
    user_id: str = USER_ID
    #: Seconds; None: responses omit it, and the default lifetime applies.
    token_lifetime: float | None = TOKEN_LIFETIME
    #: Both forms were seen: a list and a plain string.
    scope_as_text: bool = False
    client_retired: bool = False
    #: Number of password logins; each one mails the owner.
    logins: int = 0
    #: When the newest tokens were issued.
    issued_at: float = 0.0
    _access: dict[str, AccessToken] = field(default_factory=dict, repr=False)
    _refresh: dict[str, Family] = field(default_factory=dict, repr=False)

    def log_in(self) -> Json:
        """Start a new token family and return its first pair; older families stay valid."""
        self.logins += 1
        return self._issue(Family())

    def rotate(self, refresh_token: str) -> Json | None:
        """Return a new pair and invalidate the old one; None if the token is not valid.

        Reuse of a rotated token counts as theft and revokes the whole family.
        """
        family = self._refresh.get(refresh_token)
        if family is None or family.revoked:
            return None
        if refresh_token != family.refresh:
            family.revoked = True
            return None
        return self._issue(family)

    def token_error(self, access_token: str) -> int | None:
        """Return the error code for a request with this token; None if it is valid."""
        access = self._access.get(access_token)
        if access is None or access.refused or access.family.revoked:
            return INVALID
        if access.family.access != access_token:
            return INVALID
        return EXPIRED if access.expires_at <= self.clock() else None

    def allows_pushes(self, access_token: str) -> bool:
        """Return whether a connection subscribed with this token still gets pushes.

        Expiry and revocation end it; a newer token of the same family does not.
        """
        access = self._access.get(access_token)
        if access is None or access.family.revoked:
            return False
        return access.expires_at > self.clock()

    def expire_access_tokens(self) -> None:
        """Expire all access tokens; refresh tokens stay valid."""
        for access in self._access.values():
            access.expires_at = 0.0

    def refuse_access_tokens(self) -> None:
        """Refuse all access tokens as invalid; refresh tokens stay valid."""
        for access in self._access.values():
            access.refused = True

    def revoke(self) -> None:
        """Revoke every token."""
        for family in self._refresh.values():
            family.revoked = True

    def issued(self) -> Iterator[str]:
        """Yield every access and refresh token that was ever issued."""
        yield from self._access
        yield from self._refresh

    def live_families(self) -> int:
        """Count the token families that can still be refreshed."""
        return len({id(each) for each in self._refresh.values() if not each.revoked})

    def _issue(self, family: Family) -> Json:
        self.issued_at = self.clock()
        family.access, family.refresh = self._new_token(), self._new_token()
        lifetime = TOKEN_LIFETIME if self.token_lifetime is None else self.token_lifetime
        self._access[family.access] = AccessToken(family, self.clock() + lifetime)
        self._refresh[family.refresh] = family
        pair: Json = {"access_token": family.access, "refresh_token": family.refresh}
        if self.token_lifetime is not None:
            pair |= {"expires_in": int(lifetime), "expire_in": int(lifetime)}
        return pair | {"scope": SCOPE if self.scope_as_text else [SCOPE]}

    def _new_token(self) -> str:
        return f"{self.user_id}|{secrets.token_hex(16)}"
