"""The account at the vendor: its password, the app's client, and all tokens ever issued."""

from dataclasses import dataclass, field
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

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
    """All tokens that go back to one log-in."""

    revoked: bool = False
    #: The only access token and the only refresh token that live.
    access: str = ""
    refresh: str = ""


@dataclass(slots=True)
class Access:
    """What is known of an access token."""

    family: Family
    expires_at: float
    refused: bool = False


@dataclass(slots=True, kw_only=True)
class Account:
    """One account; times are those of `clock`."""

    clock: Callable[[], float]
    email: str = EMAIL
    password: str = PASSWORD
    user_id: str = USER_ID
    #: Seconds; None: answers do not say, and the tokens live as long as usual.
    token_lifetime: float | None = TOKEN_LIFETIME
    #: Reported both as a list and as one string.
    scope_as_text: bool = False
    client_retired: bool = False
    #: How often somebody signed in with the password; each sends the owner a mail.
    logins: int = 0
    _access: dict[str, Access] = field(default_factory=dict, repr=False)
    _refresh: dict[str, Family] = field(default_factory=dict, repr=False)

    def log_in(self) -> Json:
        """Begin a new family and return its first pair; older families live on."""
        self.logins += 1
        return self._issue(Family())

    def rotate(self, refresh_token: str) -> Json | None:
        """Return a new pair and kill the old one; None if the token is no good.

        A spent token that comes back is taken for theft: its whole family dies.
        """
        family = self._refresh.get(refresh_token)
        if family is None or family.revoked:
            return None
        if refresh_token != family.refresh:
            family.revoked = True
            return None
        return self._issue(family)

    def token_error(self, access_token: str) -> int | None:
        """Return the error code that a request with this token meets, None if it is good."""
        access = self._access.get(access_token)
        if access is None or access.refused or access.family.revoked:
            return INVALID
        if access.family.access != access_token:
            return INVALID
        return EXPIRED if access.expires_at <= self.clock() else None

    def carries(self, access_token: str) -> bool:
        """Tell whether a connection that was subscribed with this token still gets pushes.

        A newer token of the same log-in does not end it; running out and being revoked do.
        """
        access = self._access.get(access_token)
        if access is None or access.family.revoked:
            return False
        return access.expires_at > self.clock()

    def expire_access_tokens(self) -> None:
        """Let all access tokens be past their time; refresh tokens live on."""
        for access in self._access.values():
            access.expires_at = 0.0

    def refuse_access_tokens(self) -> None:
        """Call all access tokens invalid; refresh tokens live on."""
        for access in self._access.values():
            access.refused = True

    def revoke(self) -> None:
        """Kill every token."""
        for family in self._refresh.values():
            family.revoked = True

    def live_families(self) -> int:
        """Count the log-ins that can still refresh."""
        return len({id(each) for each in self._refresh.values() if not each.revoked})

    def _issue(self, family: Family) -> Json:
        family.access, family.refresh = self._new_token(), self._new_token()
        lifetime = TOKEN_LIFETIME if self.token_lifetime is None else self.token_lifetime
        self._access[family.access] = Access(family, self.clock() + lifetime)
        self._refresh[family.refresh] = family
        pair: Json = {"access_token": family.access, "refresh_token": family.refresh}
        if self.token_lifetime is not None:
            pair |= {"expires_in": int(lifetime), "expire_in": int(lifetime)}
        return pair | {"scope": SCOPE if self.scope_as_text else [SCOPE]}

    def _new_token(self) -> str:
        return f"{self.user_id}|{secrets.token_hex(16)}"
