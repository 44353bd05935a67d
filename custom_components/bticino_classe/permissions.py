"""Who makes a request, and what that caller may do with an entity.

The only place where permissions are checked: live view, media browser, pictures and actions use it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from homeassistant.auth.permissions.const import POLICY_CONTROL, POLICY_READ
from homeassistant.components.http import KEY_HASS_USER
from homeassistant.components.websocket_api import current_connection
from homeassistant.core import callback
from homeassistant.exceptions import Unauthorized, UnknownUser
from homeassistant.helpers.http import current_request

if TYPE_CHECKING:
    from homeassistant.auth.models import User
    from homeassistant.core import Context, HomeAssistant


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityAccess:
    """What a caller may do with an entity; `user_id` is None for Home Assistant itself."""

    user_id: str | None
    may_read: bool
    may_control: bool


@dataclass(frozen=True, slots=True)
class Caller:
    """A user, or Home Assistant itself (None), which may do everything.

    Automations and other integrations in the same process are Home Assistant itself.
    """

    user: User | None

    @classmethod
    @callback
    def current(cls) -> Self:
        """Return the user of the WebSocket connection or HTTP request that is being handled.

        A task that was started by a user's request has the permissions of that user.
        """
        if (connection := current_connection.get()) is not None:
            return cls(connection.user)
        request = current_request.get()
        return cls(None if request is None else request.get(KEY_HASS_USER))

    @classmethod
    async def async_of(cls, hass: HomeAssistant, context: Context) -> Self:
        """Return the caller of an action; UnknownUser if the user is deleted or not active."""
        if context.user_id is None:
            return cls(None)
        user = await hass.auth.async_get_user(context.user_id)
        if user is None or not user.is_active:
            raise UnknownUser(context=context)
        return cls(user)

    @property
    def user_id(self) -> str | None:
        """The id of the user; None: Home Assistant itself."""
        return None if self.user is None else self.user.id

    @callback
    def may(self, policy: str, entity_id: str | None) -> bool:
        """Whether the caller may read or control an entity; None: all entities."""
        if self.user is None:
            return True
        if entity_id is None:
            return self.user.permissions.access_all_entities(policy)
        return self.user.permissions.check_entity(entity_id, policy)

    @callback
    def check(self, policy: str, entity_id: str | None) -> None:
        """Raise Unauthorized unless the caller may read or control an entity; None: all."""
        if not self.may(policy, entity_id):
            raise Unauthorized(user_id=self.user_id, entity_id=entity_id, permission=policy)

    @callback
    def check_admin(self) -> None:
        """Raise Unauthorized unless the caller is an administrator or Home Assistant itself."""
        if self.user is not None and not self.user.is_admin:
            raise Unauthorized(user_id=self.user_id)

    @callback
    def access_to(self, entity_id: str) -> EntityAccess:
        """Return what the caller may do with an entity."""
        return EntityAccess(
            user_id=self.user_id,
            may_read=self.may(POLICY_READ, entity_id),
            may_control=self.may(POLICY_CONTROL, entity_id),
        )
