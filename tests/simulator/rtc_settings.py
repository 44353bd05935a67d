"""How the intercom behaves in calls, to be changed at any time."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS: Mapping[str, tuple[str, ...]] = {
    "ack_echo": ("echo", "null", "absent"),
    "peer": ("scripted", "real"),
    "sound_needs": ("rtp", "sendrecv", "nothing"),
}


@dataclass(slots=True, kw_only=True)
class RtcSettings:
    """What the cloud and the intercom do in calls; a change holds for all frames after it.

    Times are seconds of the event loop. A new object is an intercom that behaves.
    """

    #: Who answers: a fixed text, or a WebRTC peer that sends and hears.
    peer: Literal["scripted", "real"] = "scripted"
    ack_delay: float = 0.0
    answer_delay: float = 0.0
    #: What an acknowledgement has as `correlation_id`.
    ack_echo: Literal["echo", "null", "absent"] = "echo"
    silent_acks: bool = False
    #: Offers are acknowledged, but neither answer nor candidates follow.
    silent_answers: bool = False
    #: The code of the acknowledgement that refuses offers; None: they are taken.
    refuse_offers: int | None = None
    answer_twice: bool = False
    candidates_before_answer: bool = False
    #: Each frame of the intercom's goes to every subscribed connection, not only to the call's.
    frames_to_all: bool = False
    #: Before each answer come frames of a call that nobody here has.
    foreign_frames: bool = False
    #: Calls that one bridge bears at a time.
    slots: int = 1
    #: How long a place stays taken after the end of its call.
    slot_lingers: float = 0.0
    #: After that the intercom ends a view, or a call that was answered.
    view_seconds: float = 30.0
    call_seconds: float = 180.0
    #: A longer description makes the bridge leave the cloud after a moment, and boot.
    big_offer_bytes: int = 8192
    reboot_delay: float = 3.0
    reboot_seconds: float = 60.0
    #: Our own answer to a ring is told to our own push sockets as well, as `rescind`.
    rescind_own: bool = True
    #: The real peer: its candidates come as frames of their own, or in its description.
    trickle: bool = True
    #: What wakes the real peer's microphone: RTP that arrives, an offer that sends, or nothing.
    sound_needs: Literal["rtp", "sendrecv", "nothing"] = "rtp"

    def reset(self) -> None:
        """Behave again; who answers stays."""
        usual = RtcSettings(peer=self.peer)
        for name in self.names():
            setattr(self, name, getattr(usual, name))

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of all settings."""
        return [each.name for each in fields(cls)]

    @staticmethod
    def fault_in(given: Mapping[str, object]) -> str | None:
        """Return what is wrong with the value of a setting, in words; its type is right."""
        for name, value in given.items():
            if name in WORDS and value not in WORDS[name]:
                return f"{name} is one of {', '.join(WORDS[name])}"
            if isinstance(value, int | float) and value < 0:
                return f"{name} is not negative"
        return None
