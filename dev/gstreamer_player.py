"""Plays a stream address with GStreamer's WebRTC, and saves a picture of it as PNG.

Prints the number of frames, and the level and the pitch of the sound, as JSON. It runs with the
system's Python, which has GStreamer's bindings, and uses nothing of this repository.

Usage: /usr/bin/python3 dev/gstreamer_player.py ADDRESS FILE [--vanish]
With --vanish the view is not ended at the endpoint.
"""

from array import array
from http.client import HTTPConnection
from itertools import pairwise
import json
import math
import os
from pathlib import Path
from queue import Queue
import sys
import threading
from typing import Any
from urllib.parse import urljoin, urlsplit

try:
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstSdp", "1.0")
    gi.require_version("GstWebRTC", "1.0")
    from gi.repository import Gst, GstSdp, GstWebRTC
except (ImportError, ValueError) as error:
    print(f"GStreamer's bindings for Python are missing: {error}")
    sys.exit(os.EX_UNAVAILABLE)

FRAMES = 15  # one second
RATE = 48_000  # samples a second
VANISH = "--vanish"
SECONDS = 1.0  # of sound that is measured
TIMEOUT = 60.0  # seconds
NANOSECONDS = 1_000_000_000
ELEMENTS = ("webrtcbin", "nicesrc", "dtlsdec", "srtpdec", "avdec_h264", "opusdec", "pngenc")
OFFERED = {
    "video": "encoding-name=H264,payload=96,clock-rate=90000,packetization-mode=(string)1",
    "audio": "encoding-name=OPUS,payload=97,clock-rate=48000,encoding-params=(string)2",
}
DECODERS = {
    "video": "rtph264depay ! avdec_h264 ! videoconvert ! pngenc ! appsink name=sink sync=false",
    "audio": "rtpopusdepay ! opusdec ! audioconvert ! audioresample"
    f" ! audio/x-raw,format=S16LE,channels=1,rate={RATE} ! appsink name=sink sync=false",
}


class Player:
    """A WHEP client: one WebRTC connection that only receives."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._location = ""
        self._sinks: dict[str, Queue[Any]] = {media: Queue() for media in OFFERED}
        self._gathered = threading.Event()
        self._pipeline = Gst.Pipeline.new(None)
        self._webrtc = Gst.ElementFactory.make("webrtcbin")
        self._webrtc.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        self._pipeline.add(self._webrtc)
        self._webrtc.connect("pad-added", self._on_pad)
        self._webrtc.connect("notify::ice-gathering-state", self._on_gathering)

    def connect(self) -> None:
        """Send a complete offer, and apply the answer."""
        direction = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
        for media, caps in OFFERED.items():
            offered = Gst.Caps.from_string(f"application/x-rtp,media={media},{caps}")
            self._webrtc.emit("add-transceiver", direction, offered)
        self._pipeline.set_state(Gst.State.PLAYING)
        reply = self._request("create-offer", None)
        self._request("set-local-description", reply.get_value("offer"))
        if not self._gathered.wait(TIMEOUT):
            sys.exit("GStreamer has gathered no candidates.")
        offer = self._webrtc.get_property("local-description").sdp.as_text()
        _, answer = GstSdp.SDPMessage.new_from_text(self._post(offer))
        kind = GstWebRTC.WebRTCSDPType.ANSWER
        description = GstWebRTC.WebRTCSessionDescription.new(kind, answer)
        self._request("set-remote-description", description)

    def watch(self) -> bytes:
        """Return the last of some frames, as PNG."""
        sink = self._sinks["video"].get(timeout=TIMEOUT)
        return [self._pull(sink) for _ in range(FRAMES)][-1]

    def listen(self) -> tuple[float, float]:
        """Return the level, of 1, and the pitch in hertz of some sound."""
        sink = self._sinks["audio"].get(timeout=TIMEOUT)
        samples = array("h")
        while len(samples) < SECONDS * RATE:
            samples.frombytes(self._pull(sink))
        level = math.sqrt(sum(each * each for each in samples) / len(samples)) / (1 << 15)
        rises = sum(a < 0 <= b for a, b in pairwise(samples))
        return level, rises * RATE / len(samples)

    def close(self) -> None:
        """Close the connection, without ending the view at the endpoint."""
        self._pipeline.set_state(Gst.State.NULL)

    def end(self) -> None:
        """End the view at the endpoint."""
        status, _, detail = self._send("DELETE", self._location)
        if status != 200:  # noqa: PLR2004 - a status
            sys.exit(f"The view was not ended: {status} {detail}")

    def _request(self, signal: str, argument: Any) -> Any:
        """Emit a signal that is answered by a promise; return the reply, or None."""
        promise = Gst.Promise.new()
        self._webrtc.emit(signal, argument, promise)
        promise.wait()
        reply = promise.get_reply()
        if reply is not None and reply.has_field("error"):
            sys.exit(f"GStreamer refused {signal}: {reply.to_string()}")
        return reply

    def _post(self, offer: str) -> str:
        status, headers, text = self._send("POST", self._address, offer)
        if status != 201:  # noqa: PLR2004 - a status
            sys.exit(f"The stream address returned {status}: {text}")
        self._location = urljoin(self._address, headers["Location"])
        return text

    def _send(self, method: str, url: str, body: str | None = None) -> tuple[int, Any, str]:
        parts = urlsplit(url)
        connection = HTTPConnection(parts.netloc, timeout=TIMEOUT)
        path = f"{parts.path}?{parts.query}"
        connection.request(method, path, body, {"Content-Type": "application/sdp"})
        response = connection.getresponse()
        answer = response.status, response.headers, response.read().decode()
        connection.close()
        return answer

    def _on_gathering(self, *_: Any) -> None:
        state = self._webrtc.get_property("ice-gathering-state")
        if state == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            self._gathered.set()

    def _on_pad(self, _: Any, pad: Any) -> None:
        media = pad.get_current_caps().get_structure(0).get_string("media")
        decoder = Gst.parse_bin_from_description(DECODERS[media], True)
        self._pipeline.add(decoder)
        decoder.sync_state_with_parent()
        pad.link(decoder.get_static_pad("sink"))
        self._sinks[media].put(decoder.get_by_name("sink"))

    def _pull(self, sink: Any) -> bytes:
        sample = sink.emit("try-pull-sample", int(TIMEOUT * NANOSECONDS))
        if sample is None:
            sys.exit("The stream has ended.")
        buffer = sample.get_buffer()
        content: bytes = buffer.extract_dup(0, buffer.get_size())
        return content


def missing() -> list[str]:
    """Return the elements that are not installed."""
    return [name for name in ELEMENTS if Gst.ElementFactory.find(name) is None]


def main(address: str, file: str, *options: str) -> None:
    """Watch and listen for a second each."""
    player = Player(address)
    try:
        player.connect()
        picture = player.watch()
        level, hertz = player.listen()
        if VANISH not in options:
            player.end()
    finally:
        player.close()
    Path(file).write_bytes(picture)
    print(json.dumps({"frames": FRAMES, "level": round(level, 3), "hertz": round(hertz)}))


if __name__ == "__main__":
    Gst.init(None)
    if absent := missing():
        print(f"GStreamer lacks {', '.join(absent)}.")
        sys.exit(os.EX_UNAVAILABLE)
    if len(sys.argv) < 3 or sys.argv[3:] not in ([], [VANISH]):  # noqa: PLR2004 - the two names
        sys.exit(__doc__)
    main(*sys.argv[1:])
