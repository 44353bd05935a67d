"""Settings of the intercom's behaviour in sessions."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

CHOICES: Mapping[str, tuple[str, ...]] = {
    "ack_echo": ("echo", "null", "absent"),
    "peer": ("scripted", "real"),
    "audio_requires": ("rtp", "sendrecv", "nothing"),
}


@dataclass(slots=True, kw_only=True)
class RtcSettings:
    """The behaviour of the signaling service and the intercom; changes apply to later frames.

    Times are in seconds. The defaults are normal behaviour.
    """

    #: What answers: a fixed SDP, or a WebRTC peer that sends and receives media.
    peer: Literal["scripted", "real"] = "scripted"
    ack_delay: float = 0.0
    answer_delay: float = 0.0
    #: The `correlation_id` of acknowledgements.
    ack_echo: Literal["echo", "null", "absent"] = "echo"
    silent_acks: bool = False
    #: Offers are acknowledged, but get no answer and no candidates.
    silent_answers: bool = False
    #: The error code that refuses offers; None: they are accepted.
    refuse_offers: int | None = None
    answer_twice: bool = False
    candidates_before_answer: bool = False
    #: Frames of the intercom go to all subscribed connections, not only to the session's.
    broadcast_frames: bool = False
    #: Frames of an unknown session precede each answer.
    foreign_frames: bool = False
    #: Peer slots of a bridge: sessions at a time.
    slots: int = 1
    #: Offers meet a busy bridge during calls that it pushed without an offer (protocol.md 3.8).
    busy_while_ringing: bool = False
    #: How long a slot stays held after a client's terminate.
    slot_release_delay: float = 0.0
    #: Time limits of a view and of an answered ring.
    view_seconds: float = 30.0
    call_seconds: float = 180.0
    #: A larger offer makes the bridge go offline and reboot.
    big_offer_bytes: int = 8192
    reboot_delay: float = 3.0
    reboot_seconds: float = 60.0
    #: A client's answer to a ring is also pushed as `rescind`, to its own connection too.
    rescind_own: bool = True
    #: The real peer sends its candidates as separate frames instead of in the SDP.
    trickle: bool = True
    #: The last of those frames is a relayed candidate, as of a TURN server; nobody is there.
    relayed_candidate: bool = False
    #: The real peer sends 111 and 109 whatever was negotiated.
    fixed_payload_types: bool = False
    #: What the real peer needs to send audio: received RTP, a sending offer, or nothing.
    audio_requires: Literal["rtp", "sendrecv", "nothing"] = "rtp"

    def reset(self) -> None:
        """Restore the defaults, except the peer."""
        defaults = RtcSettings(peer=self.peer)
        for name in self.names():
            setattr(self, name, getattr(defaults, name))

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of all settings."""
        return [each.name for each in fields(cls)]

    @staticmethod
    def invalid_value(given: Mapping[str, object]) -> str | None:
        """Return a message about the first invalid value, if any; types are already checked."""
        for name, value in given.items():
            if name in CHOICES and value not in CHOICES[name]:
                return f"{name} must be one of {', '.join(CHOICES[name])}"
            if isinstance(value, int | float) and value < 0:
                return f"{name} must not be negative"
        return None
