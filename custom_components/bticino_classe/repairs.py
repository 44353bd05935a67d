"""The dialogs of repair issues."""

from typing import TYPE_CHECKING, Final, override

from homeassistant.components.repairs import ConfirmRepairFlow, RepairsFlow

from .issues import HISTORY_DAMAGED
from .runtime import async_loaded_entries

if TYPE_CHECKING:
    from homeassistant.components.repairs import RepairsFlowResult
    from homeassistant.core import HomeAssistant

NOT_DELETED: Final = "not_deleted"


class DamagedHistoryFlow(ConfirmRepairFlow):
    """Deletes the copies of damaged files, once that is confirmed."""

    @override
    async def async_step_confirm(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Ask, then delete."""
        if user_input is not None and not await self._async_delete():
            return self.async_abort(reason=NOT_DELETED)
        return await super().async_step_confirm(user_input)

    async def _async_delete(self) -> bool:
        """Delete the copies of the issue's account; returns whether none is left."""
        found = [
            entry.runtime_data.history
            for entry in async_loaded_entries(self.hass)
            if HISTORY_DAMAGED.id_of(entry.entry_id) == self.issue_id
        ]
        return bool(found) and await found[0].async_delete_damaged()


async def async_create_fix_flow(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    issue_id: str,  # noqa: ARG001 - one kind of issue can be fixed
    data: dict[str, str | int | float | None] | None,  # noqa: ARG001 - as above
) -> RepairsFlow:
    """Return the flow of a fixable issue."""
    return DamagedHistoryFlow()
