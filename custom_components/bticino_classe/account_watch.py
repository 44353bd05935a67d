"""Raises and deletes the repair issues about an account's connection to the cloud."""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from homeassistant.core import CALLBACK_TYPE, HassJob, callback
from homeassistant.helpers.event import async_call_later
from homeassistant.util import dt as dt_util

from .client import OfflineReason, TokenEvent
from .issues import APP_CLIENT_REFUSED, NO_INTERCOM, NOTHING_RINGS, USAGE_LIMIT, AccountIssues

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from .client import AuthHandler, PushChannel, SocketState

USAGE_LIMIT_AFTER: Final = timedelta(minutes=15)
NOTHING_RINGS_AFTER: Final = timedelta(minutes=30)
NO_INTERCOM_AFTER: Final = timedelta(hours=1)

# If the credentials were refused, Home Assistant itself asks for the password.
RINGS_TEXTS: Final = {
    OfflineReason.CONNECTING: "nothing_rings_connecting",
    OfflineReason.UNREACHABLE: "nothing_rings_unreachable",
    OfflineReason.CLOSED: "nothing_rings_closed",
    OfflineReason.NO_REPLY: "nothing_rings_no_reply",
    OfflineReason.OUTAGE: "nothing_rings_outage",
    OfflineReason.TOO_MANY_REQUESTS: "nothing_rings_too_many_requests",
    OfflineReason.REFUSED: "nothing_rings_refused",
    OfflineReason.TOKEN_REFUSED: "nothing_rings_token_refused",
    OfflineReason.SIGN_IN_FAILED: "nothing_rings_sign_in_failed",
    OfflineReason.APP_CLIENT_REFUSED: "nothing_rings_app_client_refused",
    OfflineReason.UNEXPECTED: "nothing_rings_unexpected",
}


class LastingCondition:
    """Calls `on_lasting` once a condition has lasted, and at every update after that.

    `on_over` is called at every update without the condition.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        after: timedelta,
        *,
        on_lasting: Callable[[], None],
        on_over: Callable[[], None],
    ) -> None:
        self._hass = hass
        self._after = after.total_seconds()
        self._on_lasting = on_lasting
        self._on_over = on_over
        self._is_lasting = False
        self._cancel_timer: CALLBACK_TYPE | None = None

    @callback
    def async_update(self, since: float | None) -> None:
        """Note since when the condition holds, by the event loop's clock; None: it does not."""
        if since is None:
            self.async_cancel()
            self._is_lasting = False
            self._on_over()
        elif self._is_lasting:
            self._on_lasting()
        elif self._cancel_timer is None:
            self._wait(since + self._after - self._hass.loop.time())

    @callback
    def async_cancel(self) -> None:
        """Stop waiting."""
        if self._cancel_timer is not None:
            self._cancel_timer()
            self._cancel_timer = None

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            job = HassJob(self._on_time, cancel_on_shutdown=True)
            self._cancel_timer = async_call_later(self._hass, seconds, job)
        else:
            self._on_time()

    @callback
    def _on_time(self, _now: datetime | None = None) -> None:
        self._cancel_timer = None
        if not self._hass.is_stopping:
            self._is_lasting = True
            self._on_lasting()


class AccountWatch:
    """Follows sign-in, usage limit and push connection of an account."""

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry, auth: AuthHandler, push: PushChannel
    ) -> None:
        self._hass = hass
        self._entry = entry
        self._auth = auth
        self._push = push
        self._issues = AccountIssues(hass, entry)
        self._offline_since: float | None = None
        self._usage_limit = LastingCondition(
            hass,
            USAGE_LIMIT_AFTER,
            on_lasting=lambda: self._issues.async_raise(USAGE_LIMIT),
            on_over=lambda: self._issues.async_delete(USAGE_LIMIT),
        )
        self._nothing_rings = LastingCondition(
            hass,
            NOTHING_RINGS_AFTER,
            on_lasting=self._update_nothing_rings,
            on_over=self._update_nothing_rings,
        )

    @callback
    def async_start(self) -> None:
        """Follow them until the entry is unloaded."""
        limiter = self._auth.limiter
        for stop in (
            self._auth.listen(self._on_token),
            limiter.listen(self._usage_limit.async_update),
            self._push.listen_states(self._on_push_state),
            self._usage_limit.async_cancel,
            self._nothing_rings.async_cancel,
        ):
            self._entry.async_on_unload(stop)
        self._usage_limit.async_update(limiter.usage_limit_since)  # it outlives a reload

    @callback
    def _on_token(self, event: TokenEvent) -> None:
        if event is TokenEvent.CLIENT_REFUSED:
            self._issues.async_raise(APP_CLIENT_REFUSED)
        elif event is TokenEvent.REPLACED:
            self._issues.async_delete(APP_CLIENT_REFUSED)

    @callback
    def _on_push_state(self, _state: SocketState) -> None:
        if self._push.offline is None:
            self._offline_since = None
        elif self._offline_since is None:
            self._offline_since = self._hass.loop.time()
        self._nothing_rings.async_update(self._offline_since)

    @callback
    def _update_nothing_rings(self) -> None:
        """Show why nothing rings; while the password is asked for, there is no second issue."""
        offline = self._push.offline
        text = None if offline is None else RINGS_TEXTS.get(offline.reason)
        if offline is None or text is None:
            self._issues.async_delete(NOTHING_RINGS)
            return
        since = dt_util.as_local(dt_util.utc_from_timestamp(offline.since))
        placeholders = {"since": since.strftime("%Y-%m-%d %H:%M")}
        self._issues.async_raise(NOTHING_RINGS, text=text, placeholders=placeholders)


class MissingIntercom:
    """Raises an issue if all of the cloud's answers of an hour, at least two, lack an intercom."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        self._hass = hass
        self._issues = AccountIssues(hass, entry)
        self._missing_since: float | None = None

    @callback
    def async_note_answer(self, *, has_intercom: bool) -> None:
        """Note whether an answer contained an intercom."""
        now = self._hass.loop.time()
        if has_intercom:
            self._missing_since = None
            self._issues.async_delete(NO_INTERCOM)
        elif self._missing_since is None:
            self._missing_since = now
        elif now - self._missing_since >= NO_INTERCOM_AFTER.total_seconds():
            self._issues.async_raise(NO_INTERCOM)
