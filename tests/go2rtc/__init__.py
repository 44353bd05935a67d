"""A stand-in for go2rtc: its WebRTC peer alone, or the server that Home Assistant uses."""

from .peer import VOICE_HERTZ, Go2rtcPeer, captured_offer

__all__ = ["VOICE_HERTZ", "Go2rtcPeer", "captured_offer"]
