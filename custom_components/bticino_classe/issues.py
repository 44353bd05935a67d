"""The repair issues of an account: raised and deleted here only."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from homeassistant.core import callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.loader import async_get_loaded_integration

from .const import DOMAIN
from .markdown import escape_markdown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

_HELP: Final = "/blob/main/docs/troubleshooting.md#repairs"
_PLACEHOLDER: Final = "title"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """A kind of issue; `key` is the beginning of its id, and the key of its texts.

    It describes the present state, and is deleted when the account is unloaded. A persistent one
    stays over restarts, until the account is removed.
    """

    key: str
    severity: ir.IssueSeverity = ir.IssueSeverity.WARNING
    is_fixable: bool = False
    is_persistent: bool = False

    def id_of(self, entry_id: str) -> str:
        """Return the id of an account's issue."""
        return f"{self.key}_{entry_id}"


APP_CLIENT_REFUSED: Final = Issue(key="app_client_refused", severity=ir.IssueSeverity.ERROR)
USAGE_LIMIT: Final = Issue(key="usage_limit")
NOTHING_RINGS: Final = Issue(key="nothing_rings", severity=ir.IssueSeverity.ERROR)
NO_INTERCOM: Final = Issue(key="no_intercom", severity=ir.IssueSeverity.ERROR)
OFFER_TOO_LARGE: Final = Issue(key="offer_too_large")
GO2RTC_UNAVAILABLE: Final = Issue(key="go2rtc_unavailable")
PRELOAD_REFUSED: Final = Issue(key="preload_refused")
TOO_MANY_MODULES: Final = Issue(key="too_many_modules", is_persistent=True)
HISTORY_DAMAGED: Final = Issue(key="history_damaged", is_fixable=True)
HISTORY_NEWER: Final = Issue(key="history_newer")
HISTORY_NOT_STORED: Final = Issue(key="history_not_stored")
ISSUES: Final = (
    APP_CLIENT_REFUSED,
    USAGE_LIMIT,
    NOTHING_RINGS,
    NO_INTERCOM,
    OFFER_TOO_LARGE,
    GO2RTC_UNAVAILABLE,
    PRELOAD_REFUSED,
    TOO_MANY_MODULES,
    HISTORY_DAMAGED,
    HISTORY_NEWER,
    HISTORY_NOT_STORED,
)


class AccountIssues:
    """Raises and deletes the issues of one account."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        self._hass = hass
        self._entry = entry

    @callback
    def async_raise(
        self,
        issue: Issue,
        *,
        text: str | None = None,
        placeholders: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
    ) -> None:
        """Raise an issue, or update it.

        `text` is the key of its texts if it has several, with more `placeholders` than the title
        of the account. `data` is stored with a persistent one.
        """
        integration = async_get_loaded_integration(self._hass, DOMAIN)
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            issue.id_of(self._entry.entry_id),
            data=dict(data or {}),
            is_fixable=issue.is_fixable,
            is_persistent=issue.is_persistent,
            learn_more_url=f"{integration.documentation}{_HELP}",
            severity=issue.severity,
            translation_key=text or issue.key,
            translation_placeholders={
                _PLACEHOLDER: escape_markdown(self._entry.title),
                **(placeholders or {}),
            },
        )

    @callback
    def async_delete(self, issue: Issue) -> None:
        """Delete an issue, if there is one."""
        ir.async_delete_issue(self._hass, DOMAIN, issue.id_of(self._entry.entry_id))

    @callback
    def data_of(self, issue: Issue) -> Mapping[str, object]:
        """Return what is stored with an issue."""
        registry, issue_id = ir.async_get(self._hass), issue.id_of(self._entry.entry_id)
        found = registry.async_get_issue(DOMAIN, issue_id)
        return (found and found.data) or {}


@callback
def async_delete_issues(hass: HomeAssistant, entry_id: str, *, is_removed: bool) -> None:
    """Delete the issues of an account that is unloaded or removed."""
    for issue in ISSUES:
        if is_removed or not issue.is_persistent:
            ir.async_delete_issue(hass, DOMAIN, issue.id_of(entry_id))
