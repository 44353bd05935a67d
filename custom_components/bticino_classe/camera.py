"""One camera per panel: live view with two-way audio in Home Assistant's player."""

from typing import TYPE_CHECKING, override

from homeassistant.auth.permissions.const import POLICY_READ
from homeassistant.components import camera as core
from homeassistant.components.camera import (
    Camera,
    CameraEntityFeature,
    WebRTCAnswer,
    WebRTCCandidate,
    WebRTCClientConfiguration,
    WebRTCError,
)
from homeassistant.core import callback
from webrtc_models import RTCConfiguration, RTCIceCandidateInit

from .client import Candidate, ModuleKind
from .const import MANUFACTURER
from .entity import BticinoEntity, async_add_for_modules
from .errors import call_errors, refused, translated_error
from .history.downloads import async_placeholder
from .live.indoor_unit import indoor_unit
from .naming import model_name
from .permissions import Caller

if TYPE_CHECKING:
    from homeassistant.components.camera import WebRTCSendMessage
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity import Entity
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .client import Module
    from .runtime import BticinoConfigEntry, RuntimeData

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: BticinoConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add a camera for every panel and CCTV camera, and for an intercom without listed panels.

    Every intercom has a camera to call its indoor unit.
    """

    def build(runtime: RuntimeData, module: Module) -> list[Entity]:
        if module.kind is ModuleKind.BRIDGE:
            is_alone = not runtime.coordinator.data.panels_of(module.id)
            cameras = [BticinoCamera(runtime, module, "camera")] if is_alone else []
            return [*cameras, BticinoCallHomeCamera(runtime, module, "call_home")]
        is_camera = module.kind in {ModuleKind.PANEL, ModuleKind.CAMERA}
        return [BticinoCamera(runtime, module, "camera")] if is_camera else []

    async_add_for_modules(entry, async_add_entities, build)


class BticinoLiveCamera(BticinoEntity, Camera):
    """A camera whose picture and sound go directly between the player and the intercom."""

    # Actions for an area turn every camera on or off, whatever its features; scripts end if it
    # raises.
    _attr_supported_features = CameraEntityFeature.STREAM | CameraEntityFeature.ON_OFF
    _attr_brand = MANUFACTURER

    def __init__(self, runtime: RuntimeData, module: Module, key: str) -> None:
        Camera.__init__(self)
        super().__init__(runtime, module, key)
        self._sources = (runtime.live.async_listen,)
        self._attr_model = model_name(runtime.coordinator.hass, module.type)
        if capabilities := getattr(core, "CameraEntityCapabilities", None):  # since 2026.11
            self._attr_camera_entity_capabilities = capabilities(two_way_audio=True)

    @property
    def target(self) -> Module:
        """What opening the camera calls."""
        return self.module

    @property
    @override
    def available(self) -> bool:
        """Also during a call: actions skip unavailable entities, and hanging up has to work."""
        return (
            super().available
            or self._runtime.live.in_call(self.target.id)
            or self._runtime.calls.ringing_at(self.target) is not None
        )

    @callback
    def async_entity_id_changed(self, old_entity_id: str) -> None:
        """Keep the call when renamed (Home Assistant 2026.11)."""

    @property
    @override
    def extra_state_attributes(self) -> dict[str, bool]:
        """Whether somebody watches; as a state, Activity would list it besides the call."""
        return {"watched": self._runtime.live.is_watched(self.target.id)}

    @override
    async def async_camera_image(
        self, width: int | None = None, height: int | None = None
    ) -> bytes | None:
        """Return the picture of the last call, or a placeholder; the intercom is not dialled."""
        still = await self._runtime.downloads.async_of(self.target.id)
        still = still or await async_placeholder(self.hass)
        self.content_type = still.content_type
        return still.content

    @override
    async def async_handle_async_webrtc_offer(
        self, offer_sdp: str, session_id: str, send_message: WebRTCSendMessage
    ) -> None:
        client = _FrontendClient(self.hass, send_message)
        # Home Assistant's commands for the player check no permission.
        access = Caller.current().access_to(self.entity_id)
        await self._runtime.live.async_view(self.target, offer_sdp, session_id, client, access)

    @override
    async def async_on_webrtc_candidate(
        self, session_id: str, candidate: RTCIceCandidateInit
    ) -> None:
        found = Candidate(
            candidate=candidate.candidate, mid=candidate.sdp_mid, index=candidate.sdp_m_line_index
        )
        await self._runtime.live.async_add_candidate(session_id, found, Caller.current().user_id)

    @callback
    @override
    def close_webrtc_session(self, session_id: str) -> None:
        self._runtime.live.async_leave(session_id, Caller.current().user_id)

    @callback
    @override
    def _async_get_webrtc_client_configuration(self) -> WebRTCClientConfiguration:
        may_watch = Caller.current().may(POLICY_READ, self.entity_id)
        servers = self._runtime.live.ice_servers.servers if may_watch else []
        return WebRTCClientConfiguration(configuration=RTCConfiguration(ice_servers=servers))

    @override
    async def async_will_remove_from_hass(self) -> None:
        """End the views of a camera that is removed."""
        self._runtime.live.async_hang_up(self.target)
        await super().async_will_remove_from_hass()

    @override
    async def async_turn_on(self) -> None:
        """Do nothing: the intercom is never dialled by an action for an area or a group."""

    @override
    async def async_turn_off(self) -> None:
        """End the call, if there is one."""
        self._runtime.live.async_hang_up(self.target)

    async def async_hang_up(self) -> None:
        """End the call (action)."""
        if not self._runtime.live.async_hang_up(self.target):
            raise refused("no_call")

    async def async_decline_ring(self) -> None:
        """Decline a ring (action)."""
        call = self._runtime.calls.ringing_at(self.target)
        if call is None:
            raise refused("nobody_rings")
        if call.offer is None:
            raise refused("cannot_decline")
        with call_errors():
            await self._runtime.live.async_decline(self.target, call, call.offer)

    async def async_next_panel(self) -> None:
        """Switch the current view to the next panel (action)."""
        with call_errors():
            found = await self._runtime.live.async_next_panel(self.target)
        if not found:
            raise refused("no_call")


class BticinoCamera(BticinoLiveCamera):
    """The camera of a panel; opening it while the panel is ringing answers the call.

    A CCTV camera never rings, so opening it never answers a call.
    """

    _attr_name = None
    _attr_translation_key = "camera"


class BticinoCallHomeCamera(BticinoLiveCamera):
    """Calls the indoor unit once the microphone is on, so that nothing rings by accident.

    A camera, because only its player has a microphone. Disabled by default: it is not known which
    models can be called.
    """

    _attr_translation_key = "call_home"
    _attr_entity_registry_enabled_default = False

    @property
    @override
    def target(self) -> Module:
        return indoor_unit(self.module)


class _FrontendClient:
    """The player of Home Assistant's frontend in one browser."""

    relay = None

    def __init__(self, hass: HomeAssistant, send: WebRTCSendMessage) -> None:
        self._hass = hass
        self._send = send

    def answered(self, sdp: str) -> None:
        self._send(WebRTCAnswer(sdp))

    def candidate(self, candidate: Candidate) -> None:
        found = RTCIceCandidateInit(
            candidate.candidate, sdp_mid=candidate.mid, sdp_m_line_index=candidate.index
        )
        self._send(WebRTCCandidate(found))

    def postponed(self, key: str) -> None:
        # The player shows errors only, and closes the session on one; other clients may wait.
        self.failed(key)

    def failed(self, key: str) -> None:
        self._send(WebRTCError(key, translated_error(self._hass, key)))
