"""A session description (SDP) as data: the session-level lines and the m-sections."""

from dataclasses import dataclass, replace
from functools import cached_property
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

# The only codec of the device for each kind of media (protocol.md 3.9).
SUPPORTED_CODECS: Final = {"audio": "opus", "video": "h264"}

DIRECTION: Final = re.compile(r"a=(sendrecv|sendonly|recvonly|inactive)")
SETUP: Final = re.compile(r"a=setup:(.*)")
MID: Final = re.compile(r"a=mid:(.*)")
HEADER_EXTENSION: Final = re.compile(r"a=extmap(?::|-allow-mixed).*")
BUNDLE_ONLY: Final = re.compile(r"a=bundle-only")
_PAYLOAD_TYPE_ATTRIBUTE: Final = re.compile(r"a=(?:rtpmap|fmtp|rtcp-fb|imageattr):(\S+).*")
_RTPMAP: Final = re.compile(r"a=rtpmap:(\S+) +([^/]+).*")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDefaults:
    """What m-sections inherit from the session-level lines, evaluated once for all of them."""

    direction: str = "sendrecv"
    setup: str | None = None
    header_extensions: frozenset[str] = frozenset()


@dataclass(frozen=True)
class SdpSection:
    """The session-level lines, or one m-section; lines include their line ending."""

    lines: tuple[str, ...]
    defaults: SessionDefaults = SessionDefaults()

    @cached_property
    def bare_lines(self) -> tuple[str, ...]:
        """The lines without their line endings."""
        return tuple(map(without_eol, self.lines))

    @property
    def m_line(self) -> list[str]:
        """The fields of the m-line: kind, port, protocol, payload types; empty for the session."""
        return self.lines[0].split() if self.lines and self.lines[0].startswith("m=") else []

    @property
    def kind(self) -> str:
        """The media kind: audio, video or application; empty for the session."""
        return "".join(self.m_line[:1]).removeprefix("m=")

    @property
    def is_rejected(self) -> bool:
        """Whether the port is 0, unless that means that the section is in a BUNDLE group only."""
        return self.has_no_port and self.value(BUNDLE_ONLY) is None

    @property
    def has_no_port(self) -> bool:
        """Whether the port is 0."""
        return self.m_line[1:2] == ["0"]

    @property
    def payload_types(self) -> list[str]:
        """The payload types in order of preference."""
        return self.m_line[3:]

    @property
    def codecs(self) -> dict[str, str]:
        """The lower-case codec name of each payload type, or its number if it has no rtpmap."""
        found = filter(None, map(_RTPMAP.fullmatch, self.bare_lines))
        names = {match[1]: match[2].lower() for match in found}
        return {
            payload_type: names.get(payload_type, payload_type)
            for payload_type in self.payload_types
        }

    @property
    def supported_payload_types(self) -> list[str]:
        """The payload types of the codec that the device supports."""
        codec = SUPPORTED_CODECS.get(self.kind)
        return [payload_type for payload_type, name in self.codecs.items() if name == codec]

    @cached_property
    def mid(self) -> str | None:
        """The media identification (mid)."""
        return self.value(MID)

    @cached_property
    def setup(self) -> str | None:
        """The DTLS role."""
        return self.value(SETUP) or self.defaults.setup

    @cached_property
    def direction(self) -> str:
        """The direction."""
        return self.value(DIRECTION) or self.defaults.direction

    @property
    def header_extensions(self) -> frozenset[str]:
        """The lines about header extensions, without those of the session."""
        return frozenset(filter(HEADER_EXTENSION.fullmatch, self.bare_lines))

    @property
    def sends(self) -> bool:
        """Whether the author of the description sends media."""
        return self.direction in {"sendrecv", "sendonly"}

    @property
    def receives(self) -> bool:
        """Whether the author of the description receives media."""
        return self.direction in {"sendrecv", "recvonly"}

    def value(self, attribute: re.Pattern[str]) -> str | None:
        """Return the value of the first own line that matches the attribute, None without one."""
        found = filter(None, map(attribute.fullmatch, self.bare_lines))
        return next((match[match.re.groups] for match in found), None)

    def without(self, unwanted: Callable[[str], object]) -> SdpSection:
        """Drop the lines for which `unwanted`, called without the line ending, is true."""
        pairs = zip(self.lines, self.bare_lines, strict=True)
        return self._with(line for line, bare in pairs if not unwanted(bare))

    def appended(self, *lines: str) -> SdpSection:
        """Append lines to a section."""
        return self._with([*self.lines, *(line + line_ending(self.lines[0]) for line in lines)])

    def with_line(self, attribute: re.Pattern[str], line: str) -> SdpSection:
        """Replace the lines of the attribute by this one, or append it."""
        if self.value(attribute) is None:
            return self.appended(line)
        return self._with(
            line + line_ending(old) if attribute.fullmatch(without_eol(old)) else old
            for old in self.lines
        )

    def with_payload_types(self, kept: Sequence[str]) -> SdpSection:
        """Drop all other payload types and the lines that describe them."""
        dropped = set(self.payload_types) - set(kept)
        if not dropped:
            return self
        m_line = " ".join([*self.m_line[:3], *kept]) + line_ending(self.lines[0])
        others = self.without(
            lambda line: (found := _PAYLOAD_TYPE_ATTRIBUTE.fullmatch(line)) and found[1] in dropped
        )
        return self._with([m_line, *others.lines[1:]])

    def renumbered(self, number: str) -> SdpSection:
        """Keep the first payload type of the device's codec, under another number."""
        if not self.supported_payload_types:
            return self
        old = self.supported_payload_types[0]
        kept = self.with_payload_types([old])
        m_line = " ".join([*kept.m_line[:3], number]) + line_ending(kept.lines[0])
        pattern = re.compile(rf"(a=(?:rtpmap|fmtp|rtcp-fb):){re.escape(old)} ")
        return self._with([m_line, *(pattern.sub(rf"\g<1>{number} ", x) for x in kept.lines[1:])])

    def _with(self, lines: Iterable[str]) -> SdpSection:
        return replace(self, lines=tuple(lines))


def parse(sdp: str) -> tuple[SdpSection, list[SdpSection]]:
    """Split a description into session and m-sections; completes an unterminated last line."""
    *lines, last = sdp.split("\n")
    if last:
        is_unix = lines and not lines[0].endswith("\r")
        lines.append(last.removesuffix("\r") + ("" if is_unix else "\r"))
    found: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("m="):
            found.append([])
        found[-1].append(f"{line}\n")
    session, *sections = (SdpSection(tuple(lines)) for lines in found)
    defaults = SessionDefaults(
        direction=session.value(DIRECTION) or "sendrecv",
        setup=session.value(SETUP),
        header_extensions=session.header_extensions,
    )
    return session, [replace(section, defaults=defaults) for section in sections]


def serialize(session: SdpSection, sections: Iterable[SdpSection]) -> str:
    """Join session and m-sections to a description."""
    return "".join(line for section in (session, *sections) for line in section.lines)


def without_eol(line: str) -> str:
    """Return the line without its line ending."""
    return line.rstrip("\r\n")


def line_ending(line: str) -> str:
    """Return the line ending of the line."""
    return "\r\n" if line.endswith("\r\n") else "\n"
