"""Actions besides those of the entities."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final
import uuid

from homeassistant.const import ATTR_DEVICE_ID, Platform
from homeassistant.core import callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.service import (
    async_register_admin_service,
    async_register_platform_entity_service,
)
import voluptuous as vol

from .client import CallPush, CallStep, ModuleKind
from .const import CONF_SIMULATED_RINGS, DOMAIN
from .history.actions import async_setup_history_actions
from .runtime import async_loaded_entries
from .service_helpers import async_find_module

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant, ServiceCall

    from .calls.events import CallEvents
    from .client import Module

RESET_MISSED_CALLS: Final = "reset_missed_calls"
SIMULATE_RING: Final = "simulate_ring"
CAMERA_ACTIONS: Final = ("hang_up", "decline_ring", "next_panel")
ATTR_OUTCOME: Final = "outcome"
ATTR_SECONDS: Final = "seconds"

_OUTCOMES: Final = {
    "answered": CallStep.ACCEPTED,
    "missed": CallStep.MISSED,
    "ended": CallStep.TERMINATED,
}
_RESET_SCHEMA: Final = vol.Schema({vol.Optional(ATTR_DEVICE_ID): cv.string})
_RING_SCHEMA: Final = vol.Schema(
    {
        vol.Required(ATTR_DEVICE_ID): cv.string,
        vol.Optional(ATTR_OUTCOME, default="missed"): vol.In(_OUTCOMES),
        vol.Optional(ATTR_SECONDS, default=10): vol.All(vol.Coerce(float), vol.Range(1, 40)),
    }
)


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the actions; they exist while no account is loaded, too."""
    hass.services.async_register(
        DOMAIN, RESET_MISSED_CALLS, partial(_reset_missed_calls, hass), _RESET_SCHEMA
    )
    async_register_admin_service(
        hass, DOMAIN, SIMULATE_RING, partial(_simulate_ring, hass), _RING_SCHEMA
    )
    for action in CAMERA_ACTIONS:
        async_register_platform_entity_service(
            hass,
            DOMAIN,
            action,
            entity_domain=Platform.CAMERA,
            func=f"async_{action}",
            schema=None,
        )
    async_setup_history_actions(hass)


@callback
def _reset_missed_calls(hass: HomeAssistant, call: ServiceCall) -> None:
    """Reset the missed calls of one intercom, or of all."""
    if device_id := call.data.get(ATTR_DEVICE_ID):
        entry, module = async_find_module(hass, device_id)
        entry.runtime_data.history.async_mark_seen(module.intercom_id)
        return
    for runtime in (entry.runtime_data for entry in async_loaded_entries(hass)):
        for bridge in runtime.coordinator.data.bridges:
            runtime.history.async_mark_seen(bridge.id)


@callback
def _simulate_ring(hass: HomeAssistant, call: ServiceCall) -> None:
    """Simulate a ring, to try out automations; nothing is sent to the cloud."""
    entry, module = async_find_module(hass, call.data[ATTR_DEVICE_ID])
    if not entry.options.get(CONF_SIMULATED_RINGS, False):
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="simulated_rings_not_allowed"
        )
    outcome = _OUTCOMES[call.data[ATTR_OUTCOME]]
    ring = _ring(entry.runtime_data.calls, module, outcome, call.data[ATTR_SECONDS])
    entry.async_create_background_task(hass, ring, "bticino_classe simulated ring")


async def _ring(calls: CallEvents, module: Module, outcome: CallStep, seconds: float) -> None:
    """Ring for some seconds, then end the call with the outcome."""
    session_id = f"simulated-{uuid.uuid4().hex}"
    panel_id = module.id if module.kind is ModuleKind.PANEL else None
    for step, pause in ((CallStep.OFFERED, seconds), (outcome, 0.0)):
        calls.async_handle_push(
            CallPush(
                step=step,
                session_id=session_id,
                bridge_id=module.intercom_id,
                home_id=module.home_id,
                panel_id=panel_id,
            )
        )
        await asyncio.sleep(pause)
