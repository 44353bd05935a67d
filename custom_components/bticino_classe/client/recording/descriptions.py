"""Redaction of session descriptions (SDP) and ICE candidates: codecs stay, addresses go."""

import ipaddress
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .texts import TextRedactor

MAX_LINES: Final = 500
_MID: Final = r"(?:[0-9]{1,2}|audio|video|data)"
_WORD: Final = r"[a-z][a-z-]{0,30}"
_EXTENSION: Final = r"urn:(?:ietf:params:rtp-hdrext|3gpp):[a-z0-9:-]{1,48}"
_PARAMETER: Final = r"[a-z][a-z-]{1,30}=[0-9a-f]{1,8}"

# Lines that contain neither addresses nor keys nor names.
_PLAIN_LINES: Final = re.compile(
    "|".join(
        (
            r"v=0",
            r"s=-",
            r"t=0 0",
            r"b=(?:AS|CT|TIAS):[0-9]{1,9}",
            r"c=IN IP4 0\.0\.0\.0",
            r"m=(?:audio|video) [09] [A-Z/]{3,24}(?: [0-9]{1,3}){1,64}",
            r"m=application [09] (?:UDP|TCP)/DTLS/SCTP webrtc-datachannel",
            r"a=(?:sendrecv|sendonly|recvonly|inactive)",
            r"a=(?:rtcp-mux|rtcp-mux-only|rtcp-rsize|bundle-only|end-of-candidates|ice-lite)",
            r"a=extmap-allow-mixed",
            r"a=rtcp:9 IN IP4 0\.0\.0\.0",
            r"a=setup:(?:actpass|active|passive|holdconn)",
            rf"a=mid:{_MID}",
            rf"a=group:(?:BUNDLE|LS)(?: {_MID}){{0,16}}",
            r"a=rtpmap:[0-9]{1,3} [A-Za-z][A-Za-z0-9-]{1,15}/[0-9]{1,6}(?:/[0-9])?",
            rf"a=rtcp-fb:(?:[0-9]{{1,3}}|\*) {_WORD}(?: {_WORD})?",
            rf"a=fmtp:[0-9]{{1,3}} {_PARAMETER}(?:; ?{_PARAMETER}){{0,15}};?",
            r"a=fmtp:[0-9]{1,3} [0-9]{1,3}(?:[/-][0-9]{1,3}){1,4}",
            r"a=(?:ptime|maxptime|framerate|sctp-port|max-message-size):[0-9]{1,7}",
            r"a=ice-options:(?:trickle|renomination|ice2)(?: (?:trickle|renomination|ice2))*",
            r"a=msid-semantic: ?WMS(?: \*)?",
            rf"a=extmap:[0-9]{{1,3}}(?:/[a-z]{{8}})? {_EXTENSION}",
        )
    )
)
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]+")
_ATTRIBUTE: Final = re.compile(rf"(?P<name>a={_WORD})(?P<colon>:?)(?P<value>.*)")
_SSRC: Final = re.compile(
    r"(?P<ssrc>[0-9]{1,10})(?: (?P<name>cname|msid|label|mslabel):(?P<rest>.*))?"
)
_ORIGIN: Final = re.compile(
    r"o=(?P<user>\S+) (?P<id>[0-9]+) (?P<version>[0-9]+) IN IP[46] (?P<host>\S+)"
)
_MEDIA: Final = re.compile(
    r"(m=(?:audio|video|application)) [0-9]{1,5}( [A-Z/]{3,24}(?: [0-9]{1,3})+)"
)
_CANDIDATE: Final = re.compile(
    r"(?P<start>candidate:)?(?P<foundation>\S{1,32}) (?P<component>[0-9]{1,3}) "
    r"(?P<transport>udp|tcp|UDP|TCP) (?P<priority>[0-9]{1,10}) (?P<host>\S+) (?P<port>[0-9]{1,5}) "
    r"typ (?P<type>host|srflx|prflx|relay)(?P<rest>(?: .*)?)"
)
_RELATED: Final = re.compile(r" raddr (?P<host>\S+) rport (?P<port>[0-9]{1,5})")
_TCP_TYPE: Final = re.compile(r" tcptype (?:active|passive|so)")
# Attributes whose values are the same in several messages, by the kind of their pseudonyms.
_SECRETS: Final = {
    "a=fingerprint": "fingerprint",
    "a=ice-pwd": "ice-pwd",
    "a=ice-ufrag": "ufrag",
    "a=msid": "msid",
}


class DescriptionRedactor:
    """Redacts a description line by line; lines of an unknown form keep their attribute's name."""

    def __init__(self, texts: TextRedactor) -> None:
        self._texts = texts

    def description(self, sdp: str) -> str:
        """Return a description with its line endings."""
        lines = sdp.splitlines(keepends=True)
        kept = [self._line(line) for line in lines[:MAX_LINES]]
        return "".join(
            [*kept, *([f"<{len(lines) - MAX_LINES} more>"] if lines[MAX_LINES:] else [])]
        )

    def candidate(self, text: str) -> str:
        """Return a candidate with its types, without addresses and ports."""
        found = _CANDIDATE.fullmatch(text)
        if found is None:
            return f"<str:{len(text)}>" if text else text
        host, related = self.address(found["host"]), _RELATED.search(found["rest"])
        tcp_type = _TCP_TYPE.search(found["rest"])
        return " ".join(
            [
                f"{found['start'] or ''}<foundation>",
                *(found["component"], found["transport"], "<priority>", host, "<port>"),
                f"typ {found['type']}{tcp_type[0] if tcp_type else ''}",
                *([f"raddr {self.address(related['host'])} rport <port>"] if related else []),
            ]
        )

    def address(self, host: str) -> str:
        """Return the pseudonym of an address or a host name."""
        if host.lower().endswith(".local"):
            return self._texts.name(host, "mdns")
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return self._texts.name(host, "host")
        return self._texts.name(host, "address")

    def _line(self, line: str) -> str:
        text = line.rstrip("\r\n")
        return f"{self._shown(text)}{_ending(line[len(text) :])}"

    def _shown(self, text: str) -> str:
        if not text or (_PLAIN_LINES.fullmatch(text) and not self._has_name(text)):
            return text
        if found := _ORIGIN.fullmatch(text):
            origin = self._texts.name(found["id"], "origin")
            return f"o=- {origin} <int> IN {self.address(found['host'])}"
        if found := _MEDIA.fullmatch(text):
            return f"{found[1]} <port>{found[2]}"
        if found := _ATTRIBUTE.fullmatch(text):
            name, colon, value = found["name"], found["colon"], found["value"]
            if not self._has_name(name):
                return f"{name}{colon}{self._value(name, value)}"
        known = text[:2] if re.match(r"[abceikmoprstuvz]=", text) else ""
        return f"{known}<str:{len(text) - len(known)}>"

    def _has_name(self, text: str) -> bool:
        """Whether an attribute contains a word that is the name of something."""
        words = _NAME.findall(text) if text.startswith("a=") else []
        return any(map(self._texts.is_personal, words))

    def _value(self, name: str, value: str) -> str:
        if name == "a=candidate":
            return self.candidate(value)
        if name == "a=ssrc" and (found := _SSRC.fullmatch(value)):
            more = f" {found['name']}:<str:{len(found['rest'])}>" if found["name"] else ""
            return f"{self._texts.name(found['ssrc'], 'ssrc')}{more}"
        if name in _SECRETS and value:
            return self._texts.name(value, _SECRETS[name])
        return f"<str:{len(value)}>" if value else ""


def _ending(text: str) -> str:
    """Return the end of a line; SDP has only these two."""
    return text if text in {"\r\n", "\n", ""} else "\n"
