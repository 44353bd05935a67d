"""Client for the cloud of BTicino Classe intercoms, built on asyncio and aiohttp only.

The caller passes a session, stored tokens and a callback that saves new ones; see docs/client.md.
"""

from .account import (
    Account,
)
from .auth import (
    AuthHandler,
    TokenEvent,
)
from .calls import (
    SESSION_REUSE_SECONDS,
    STREAM,
    Call,
    CallChange,
    CallEventType,
    CallState,
    CallTracker,
    TrackedCall,
)
from .clock import (
    CloudClock,
)
from .configs import (
    Setting,
    SettingKind,
    SettingMode,
    Settings,
)
from .const import (
    PRODUCTION,
    Endpoints,
)
from .deadline import (
    Deadline,
)
from .decode import (
    limited_homes,
    with_reported_modules,
)
from .errors import (
    AnsweredElsewhereError,
    ApiError,
    AppClientRefusedError,
    AuthApiError,
    AuthConnectionError,
    AuthError,
    AuthRateLimitError,
    AuthServerError,
    BticinoError,
    CallError,
    CallLimitError,
    CallOverError,
    CommandRefusedError,
    DeadlineExpiredError,
    ForbiddenError,
    InvalidCredentialsError,
    InvalidRequestError,
    LineBusyError,
    NoAnswerError,
    NotFoundError,
    OfferTooLargeError,
    OutcomeUnknownError,
    PictureError,
    PictureFault,
    RateLimitError,
    ServerError,
    TokenRefusedError,
    UnexpectedAnswerError,
    UnknownModeError,
    UnreachableError,
)
from .images import (
    image_type,
)
from .models import (
    Candidate,
    Event,
    Home,
    IceServer,
    Module,
    ModuleKind,
    ModuleState,
    Picture,
    RingOffer,
    Topology,
)
from .pauses import (
    GrowingPause,
)
from .pictures import (
    StillImage,
    download_picture,
)
from .public_hosts import (
    own_network,
)
from .push import (
    CallPush,
    CallStep,
    Push,
    ReachabilityPush,
)
from .rate_limiter import (
    RateLimiter,
)
from .recording.recorder import (
    TrafficRecorder,
)
from .redaction import (
    Pseudonyms,
    redact,
)
from .values import (
    LATEST_TIME,
    is_mac,
)
from .webrtc.call_state import (
    CallObserver,
    SessionState,
)
from .webrtc.sdp import (
    origin_of,
    sends_audio,
)
from .webrtc.session import (
    CallSession,
)
from .webrtc.signaling import (
    SignalingChannel,
)
from .webrtc.two_way import (
    may_send,
    without_sent_audio,
)
from .webrtc.whep import (
    Gathering,
    TrickleFragment,
    complete_answer,
    gathering,
    is_offer,
    missing_codec,
    parse_fragment,
    sectionless_candidate,
    with_fixed_payload_types,
)
from .websocket.connection import (
    ReconnectingSocket,
    SocketState,
)
from .websocket.disconnect import (
    Offline,
    OfflineReason,
)
from .websocket.push_channel import (
    PushChannel,
)

__all__ = [
    "LATEST_TIME",
    "PRODUCTION",
    "SESSION_REUSE_SECONDS",
    "STREAM",
    "Account",
    "AnsweredElsewhereError",
    "ApiError",
    "AppClientRefusedError",
    "AuthApiError",
    "AuthConnectionError",
    "AuthError",
    "AuthHandler",
    "AuthRateLimitError",
    "AuthServerError",
    "BticinoError",
    "Call",
    "CallChange",
    "CallError",
    "CallEventType",
    "CallLimitError",
    "CallObserver",
    "CallOverError",
    "CallPush",
    "CallSession",
    "CallState",
    "CallStep",
    "CallTracker",
    "Candidate",
    "CloudClock",
    "CommandRefusedError",
    "Deadline",
    "DeadlineExpiredError",
    "Endpoints",
    "Event",
    "ForbiddenError",
    "Gathering",
    "GrowingPause",
    "Home",
    "IceServer",
    "InvalidCredentialsError",
    "InvalidRequestError",
    "LineBusyError",
    "Module",
    "ModuleKind",
    "ModuleState",
    "NoAnswerError",
    "NotFoundError",
    "OfferTooLargeError",
    "Offline",
    "OfflineReason",
    "OutcomeUnknownError",
    "Picture",
    "PictureError",
    "PictureFault",
    "Pseudonyms",
    "Push",
    "PushChannel",
    "RateLimitError",
    "RateLimiter",
    "ReachabilityPush",
    "ReconnectingSocket",
    "RingOffer",
    "ServerError",
    "SessionState",
    "Setting",
    "SettingKind",
    "SettingMode",
    "Settings",
    "SignalingChannel",
    "SocketState",
    "StillImage",
    "TokenEvent",
    "TokenRefusedError",
    "Topology",
    "TrackedCall",
    "TrafficRecorder",
    "TrickleFragment",
    "UnexpectedAnswerError",
    "UnknownModeError",
    "UnreachableError",
    "complete_answer",
    "download_picture",
    "gathering",
    "image_type",
    "is_mac",
    "is_offer",
    "limited_homes",
    "may_send",
    "missing_codec",
    "origin_of",
    "own_network",
    "parse_fragment",
    "redact",
    "sectionless_candidate",
    "sends_audio",
    "with_fixed_payload_types",
    "with_reported_modules",
    "without_sent_audio",
]
