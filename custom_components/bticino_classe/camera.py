"""One camera per panel: live view with two-way audio in Home Assistant's player.

Or live view through Home Assistant's go2rtc, for any number of viewers.
"""

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Final, override

from homeassistant.auth.permissions.const import POLICY_READ
from homeassistant.components import camera as core
from homeassistant.components.camera import (
    Camera,
    CameraEntityFeature,
    StreamType,
    WebRTCAnswer,
    WebRTCCandidate,
    WebRTCClientConfiguration,
    WebRTCError,
    get_dynamic_camera_stream_settings,
)
from homeassistant.components.camera.const import DATA_CAMERA_PREFS
from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError
from webrtc_models import RTCConfiguration, RTCIceCandidateInit

from .client import Candidate, ModuleKind
from .const import DOMAIN, LOGGER, MANUFACTURER
from .entity import BticinoEntity, async_add_for_modules
from .errors import call_errors, refused, translated_error
from .history.downloads import async_placeholder
from .issues import PRELOAD_REFUSED, AccountIssues
from .live.indoor_unit import indoor_unit
from .markdown import escape_markdown
from .naming import model_name
from .permissions import Caller

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from homeassistant.components.camera import CameraCapabilities, WebRTCSendMessage
    from homeassistant.components.stream import Stream
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity import Entity
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .client import Module
    from .runtime import BticinoConfigEntry, RuntimeData

PARALLEL_UPDATES = 0

# Whether the address is for go2rtc: Home Assistant looks for a provider, or passes on an offer.
_IS_FOR_GO2RTC: Final[ContextVar[bool]] = ContextVar("is_for_go2rtc", default=False)


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: BticinoConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add a camera for every panel and CCTV camera, and for an intercom without listed panels.

    Every intercom has a camera to call its indoor unit.
    """

    def camera(runtime: RuntimeData, module: Module) -> BticinoLiveCamera:
        is_relayed = runtime.live.go2rtc.async_serves(module.id)
        return (BticinoRelayedCamera if is_relayed else BticinoCamera)(runtime, module, "camera")

    def build(runtime: RuntimeData, module: Module) -> list[Entity]:
        if module.kind is ModuleKind.BRIDGE:
            is_alone = not runtime.coordinator.data.panels_of(module.id)
            cameras = [camera(runtime, module)] if is_alone else []
            return [*cameras, BticinoCallHomeCamera(runtime, module, "call_home")]
        is_camera = module.kind in {ModuleKind.PANEL, ModuleKind.CAMERA}
        return [camera(runtime, module)] if is_camera else []

    async_add_for_modules(entry, async_add_entities, build)


class BticinoLiveCamera(BticinoEntity, Camera):
    """A camera that calls its panel only while somebody watches."""

    # Actions for an area turn every camera on or off, whatever its features; scripts end if it
    # raises.
    _attr_supported_features = CameraEntityFeature.STREAM | CameraEntityFeature.ON_OFF
    _attr_brand = MANUFACTURER

    def __init__(self, runtime: RuntimeData, module: Module, key: str) -> None:
        Camera.__init__(self)
        super().__init__(runtime, module, key)
        self._sources = (runtime.live.async_listen, runtime.history.async_listen)
        self._shown = self._picture
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

    @property
    def _picture(self) -> tuple[str, str] | None:
        """The call and the kind of the picture that is shown."""
        newest = next(iter(self._runtime.downloads.pictures_at(self.target.id)), None)
        return None if newest is None else (newest[0].id, newest[1])

    @callback
    @override
    def _on_source(self, changed: Collection[str] | None) -> None:
        """Change the address with the picture: browsers keep what they have fetched."""
        if self._shown != (shown := self._picture):
            self._shown = shown
            self.async_update_token()
        super()._on_source(changed)

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


class BticinoNativeCamera(BticinoLiveCamera):
    """A camera whose picture and sound go directly between the player and the intercom."""

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


class BticinoCamera(BticinoNativeCamera):
    """The camera of a panel; opening it while the panel is ringing answers the call.

    A CCTV camera never rings, so opening it never answers a call.
    """

    _attr_name = None
    _attr_translation_key = "camera"

    @override
    async def async_refresh_providers(self, *, write_state: bool = True) -> None:
        await super().async_refresh_providers(write_state=write_state)
        self._runtime.live.go2rtc.async_check(self.module.id, is_relayed=False)


class BticinoRelayedCamera(BticinoLiveCamera):
    """The camera of a panel that go2rtc shows to any number of viewers with one call.

    Opening it while the panel is ringing answers the call, as at the direct camera.
    """

    _attr_name = None

    def __init__(self, runtime: RuntimeData, module: Module, key: str) -> None:
        super().__init__(runtime, module, key)
        # Home Assistant takes a camera with an offer handler of its own for one without go2rtc.
        self._supports_native_async_webrtc = False

    @override
    async def async_handle_async_webrtc_offer(
        self, offer_sdp: str, session_id: str, send_message: WebRTCSendMessage
    ) -> None:
        """Pass the offer to go2rtc, unless the person may not open the camera, or not now."""
        audience, access = self._runtime.live.audience, Caller.current().access_to(self.entity_id)
        if key := audience.refusal(self.module, access, offer_sdp):
            send_message(WebRTCError(key, translated_error(self.hass, key)))
            return
        audience.async_open(session_id, self.module, access)
        try:
            with _for_go2rtc():
                await super().async_handle_async_webrtc_offer(offer_sdp, session_id, send_message)
        except Exception as err:  # noqa: BLE001 - core would log it with the secret of the source
            LOGGER.warning("go2rtc did not take an offer: %s", type(err).__name__)
            send_message(WebRTCError("go2rtc_failed", translated_error(self.hass, "go2rtc_failed")))

    @callback
    @override
    def close_webrtc_session(self, session_id: str) -> None:
        self._runtime.live.audience.async_close(session_id)
        super().close_webrtc_session(session_id)

    @property  # type: ignore[misc] # final in core, which offers HLS for every stream source
    @override
    def camera_capabilities(self) -> CameraCapabilities:
        """What works: the player would try HLS each time, which would end in an error."""
        found = super().camera_capabilities
        return replace(found, frontend_stream_types=found.frontend_stream_types - {StreamType.HLS})

    @override
    async def async_create_stream(self) -> Stream | None:
        """Refuse HLS, recordings and preloading, which Home Assistant starts without go2rtc."""
        if await self._async_refuse_preload():
            return None
        raise self._refused("stream_not_supported")

    @override
    async def stream_source(self) -> str | None:
        """Return the address, which has a secret, to go2rtc only.

        HomeAssistantError: go2rtc is about to preload the stream.
        """
        if _IS_FOR_GO2RTC.get():
            return self._runtime.live.go2rtc.async_source(self.entity_id, self.module.id)
        if await self._async_refuse_preload():
            raise self._refused("preload_refused")
        return None

    @override
    async def async_refresh_providers(self, *, write_state: bool = True) -> None:
        await self._async_refuse_preload()  # the provider reads the preference next
        with _for_go2rtc():
            await super().async_refresh_providers(write_state=write_state)
        self._runtime.live.go2rtc.async_check(self.module.id, is_relayed=True)

    async def _async_refuse_preload(self) -> bool:
        """Switch off preloading, which would call the intercom all the time; whether it was on."""
        settings = await get_dynamic_camera_stream_settings(self.hass, self.entity_id)
        if not settings.preload_stream:
            return False
        prefs = self.hass.data[DATA_CAMERA_PREFS]
        await prefs.async_update(self.entity_id, preload_stream=False)
        placeholders = {"camera": escape_markdown(self._device_name())}
        AccountIssues(self.hass, self._entry).async_raise(
            PRELOAD_REFUSED, placeholders=placeholders
        )
        return True

    def _refused(self, key: str) -> HomeAssistantError:
        """Return an error whose text is translated: the player shows it."""
        text = translated_error(self.hass, key)
        return HomeAssistantError(text, translation_domain=DOMAIN, translation_key=key)


class BticinoCallHomeCamera(BticinoNativeCamera):
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


@contextmanager
def _for_go2rtc() -> Iterator[None]:
    """Let `stream_source` return addresses: in this block, Home Assistant asks for go2rtc."""
    token = _IS_FOR_GO2RTC.set(True)
    try:
        yield
    finally:
        _IS_FOR_GO2RTC.reset(token)


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

    def candidates_complete(self) -> None:
        """Do nothing: the player needs no end of the candidates."""

    def postponed(self, key: str) -> None:
        # The player shows errors only, and closes the session on one; other clients may wait.
        self.failed(key)

    def failed(self, key: str) -> None:
        self._send(WebRTCError(key, translated_error(self._hass, key)))
