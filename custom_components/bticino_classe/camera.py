"""See and talk: one camera per panel, in Home Assistant's own player."""

from typing import TYPE_CHECKING, override

from homeassistant.components import camera as core
from homeassistant.components.camera import Camera
from homeassistant.components.camera.const import CameraEntityFeature
from homeassistant.components.camera.webrtc import (
    WebRTCAnswer,
    WebRTCCandidate,
    WebRTCClientConfiguration,
    WebRTCError,
)
from homeassistant.core import callback
from webrtc_models import RTCConfiguration, RTCIceCandidateInit

from .client import Candidate, ModuleKind
from .const import MANUFACTURER
from .devices import MODELS
from .entity import BticinoEntity, async_add_for_modules
from .errors import call_errors, refused
from .history.downloads import async_placeholder

if TYPE_CHECKING:
    from homeassistant.components.camera.webrtc import WebRTCSendMessage
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity import Entity
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .client import Module
    from .coordinator import BticinoConfigEntry, BticinoCoordinator

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: BticinoConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add a camera for every panel, and for an intercom whose panels the cloud does not list."""

    def build(coordinator: BticinoCoordinator, module: Module) -> list[Entity]:
        is_panel = module.kind is ModuleKind.PANEL
        is_alone = module.kind is ModuleKind.BRIDGE and not coordinator.data.panels_of(module.id)
        return [BticinoCamera(coordinator, module)] if is_panel or is_alone else []

    async_add_for_modules(entry, async_add_entities, build)


class BticinoCamera(BticinoEntity, Camera):
    """What a panel sees; whoever opens it while it rings answers the bell."""

    _attr_name = None
    _attr_supported_features = CameraEntityFeature.STREAM
    _attr_brand = MANUFACTURER

    def __init__(self, coordinator: BticinoCoordinator, module: Module) -> None:
        Camera.__init__(self)
        super().__init__(coordinator, module, "camera")
        self._attr_model = MODELS.get(module.type)
        if capabilities := getattr(core, "CameraEntityCapabilities", None):  # since 2026.11
            self._attr_camera_entity_capabilities = capabilities(two_way_audio=True)

    @property
    @override
    def available(self) -> bool:
        """Also in a call: actions pass over what is not available, and hanging up has to work."""
        intercom = self.coordinator.intercom
        return (
            super().available
            or intercom.in_call(self.module.id)
            or intercom.ringing_at(self.module) is not None
        )

    @callback
    def async_entity_id_changed(self, old_entity_id: str) -> None:
        """Go on with the call when renamed (Home Assistant 2026.11)."""

    @property
    @override
    def is_streaming(self) -> bool:
        return self.coordinator.intercom.is_watched(self.module.id)

    @override
    async def async_camera_image(
        self, width: int | None = None, height: int | None = None
    ) -> bytes | None:
        """Return the picture of the last ring, or a drawn one: the intercom is not dialled."""
        still = await self.coordinator.pictures.async_of(self.module.id)
        still = still or await async_placeholder(self.hass)
        self.content_type = still.content_type
        return still.content

    @override
    async def async_handle_async_webrtc_offer(
        self, offer_sdp: str, session_id: str, send_message: WebRTCSendMessage
    ) -> None:
        page = _Page(send_message)
        await self.coordinator.intercom.async_view(self.module, offer_sdp, session_id, page)

    @override
    async def async_on_webrtc_candidate(
        self, session_id: str, candidate: RTCIceCandidateInit
    ) -> None:
        found = Candidate(
            candidate=candidate.candidate, mid=candidate.sdp_mid, index=candidate.sdp_m_line_index
        )
        await self.coordinator.intercom.async_add_candidate(session_id, found)

    @callback
    @override
    def close_webrtc_session(self, session_id: str) -> None:
        self.coordinator.intercom.async_leave(session_id)

    @callback
    @override
    def _async_get_webrtc_client_configuration(self) -> WebRTCClientConfiguration:
        servers = self.coordinator.intercom.relays.servers
        return WebRTCClientConfiguration(configuration=RTCConfiguration(ice_servers=servers))

    @override
    async def async_will_remove_from_hass(self) -> None:
        """End the calls of a camera that goes away."""
        self.coordinator.intercom.async_hang_up(self.module)
        await super().async_will_remove_from_hass()

    async def async_hang_up(self) -> None:
        """End the call (action)."""
        if not self.coordinator.intercom.async_hang_up(self.module):
            raise refused("no_call")

    async def async_decline_ring(self) -> None:
        """Send away who rings (action)."""
        call = self.coordinator.intercom.ringing_at(self.module)
        if call is None:
            raise refused("nobody_rings")
        if call.offer is None:
            raise refused("cannot_decline")
        with call_errors():
            await self.coordinator.intercom.async_decline(call, call.offer)

    async def async_next_panel(self) -> None:
        """Show the next panel in this call (action)."""
        with call_errors():
            found = await self.coordinator.intercom.async_next_panel(self.module)
        if not found:
            raise refused("no_call")


class _Page:
    """Home Assistant's player in somebody's browser."""

    def __init__(self, send: WebRTCSendMessage) -> None:
        self._send = send

    def answered(self, sdp: str) -> None:
        self._send(WebRTCAnswer(sdp))

    def candidate(self, candidate: Candidate) -> None:
        found = RTCIceCandidateInit(
            candidate.candidate, sdp_mid=candidate.mid, sdp_m_line_index=candidate.index
        )
        self._send(WebRTCCandidate(found))

    def failed(self, key: str, text: str) -> None:
        self._send(WebRTCError(key, text))
