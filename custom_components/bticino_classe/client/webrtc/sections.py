"""A session description as what it is made of: the session's lines and its m-sections."""

from dataclasses import dataclass, replace
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

# The one codec that the device speaks, for each kind of section (protocol.md 3.9).
SUPPORTED_CODECS: Final = {"audio": "opus", "video": "h264"}

DIRECTION: Final = re.compile(r"a=(sendrecv|sendonly|recvonly|inactive)")
SETUP: Final = re.compile(r"a=setup:(.*)")
MID: Final = re.compile(r"a=mid:(.*)")
_OF_PAYLOAD: Final = re.compile(r"a=(?:rtpmap|fmtp|rtcp-fb|imageattr):(\S+).*")
_CODEC: Final = re.compile(r"a=rtpmap:(\S+) +([^/]+).*")


@dataclass(frozen=True, slots=True)
class SdpSection:
    """The lines of the session, or of an m-section, which inherits the session's `outer` ones."""

    lines: tuple[str, ...]
    outer: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """The m-line: kind, port, protocol, payload types; nothing in a session."""
        return self.lines[0].split() if self.lines and self.lines[0].startswith("m=") else []

    @property
    def kind(self) -> str:
        """Audio, video, application; empty for the session."""
        return "".join(self.words[:1]).removeprefix("m=")

    @property
    def is_rejected(self) -> bool:
        """Whether its port says that it is not wanted."""
        return self.words[1:2] == ["0"]

    @property
    def payloads(self) -> list[str]:
        """The payload types, by preference."""
        return self.words[3:]

    @property
    def codecs(self) -> dict[str, str]:
        """The name of each payload type's codec; what has none goes by its number."""
        found = filter(None, (_CODEC.fullmatch(without_eol(line)) for line in self.lines))
        names = {match[1]: match[2].lower() for match in found}
        return {payload: names.get(payload, payload) for payload in self.payloads}

    @property
    def supported_payload_types(self) -> list[str]:
        """The payload types of the codec that the device speaks."""
        codec = SUPPORTED_CODECS.get(self.kind)
        return [payload for payload, name in self.codecs.items() if name == codec]

    @property
    def mid(self) -> str | None:
        """Its name."""
        return self.value(MID)

    @property
    def setup(self) -> str | None:
        """Its DTLS role."""
        return self.value(SETUP) or _value(self.outer, SETUP)

    @property
    def direction(self) -> str:
        """Its direction; none written means both."""
        return self.value(DIRECTION) or _value(self.outer, DIRECTION) or "sendrecv"

    @property
    def sends(self) -> bool:
        """Whether its writer sends."""
        return self.direction in {"sendrecv", "sendonly"}

    @property
    def receives(self) -> bool:
        """Whether its writer receives."""
        return self.direction in {"sendrecv", "recvonly"}

    def value(self, attribute: re.Pattern[str]) -> str | None:
        """Return what its own first line of this attribute says."""
        return _value(self.lines, attribute)

    def without(self, unwanted: Callable[[str], object]) -> SdpSection:
        """Drop the lines that are not wanted; they are asked about without their ends."""
        return self._with(line for line in self.lines if not unwanted(without_eol(line)))

    def appended(self, *lines: str) -> SdpSection:
        """Add lines at the end of a section."""
        return self._with([*self.lines, *(line + line_ending(self.lines[0]) for line in lines)])

    def with_line(self, attribute: re.Pattern[str], line: str) -> SdpSection:
        """Put the line in the place of those of its attribute, or at the end of a section."""
        if self.value(attribute) is None:
            return self.appended(line)
        return self._with(
            line + line_ending(old) if attribute.fullmatch(without_eol(old)) else old
            for old in self.lines
        )

    def with_payloads(self, kept: Sequence[str]) -> SdpSection:
        """Drop all other payload types, with the lines that describe them."""
        dropped = set(self.payloads) - set(kept)
        if not dropped:
            return self
        first = " ".join([*self.words[:3], *kept]) + line_ending(self.lines[0])
        others = self.without(
            lambda line: (found := _OF_PAYLOAD.fullmatch(line)) and found[1] in dropped
        )
        return self._with([first, *others.lines[1:]])

    def _with(self, lines: Iterable[str]) -> SdpSection:
        return replace(self, lines=tuple(lines))


def parse(sdp: str) -> tuple[SdpSection, list[SdpSection]]:
    """Split a text into its session and its sections; an unfinished last line is finished."""
    *lines, last = sdp.split("\n")
    if last:
        is_unix = lines and not lines[0].endswith("\r")
        lines.append(last.removesuffix("\r") + ("" if is_unix else "\r"))
    found: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("m="):
            found.append([])
        found[-1].append(f"{line}\n")
    session, *sections = map(tuple, found)
    return SdpSection(session), [SdpSection(lines, session) for lines in sections]


def serialize(session: SdpSection, sections: Iterable[SdpSection]) -> str:
    """Put the parts together again."""
    return "".join(line for part in (session, *sections) for line in part.lines)


def without_eol(line: str) -> str:
    """Return the line without its end."""
    return line.rstrip("\r\n")


def line_ending(line: str) -> str:
    """Return the line's end."""
    return "\r\n" if line.endswith("\r\n") else "\n"


def _value(lines: Iterable[str], attribute: re.Pattern[str]) -> str | None:
    found = (attribute.fullmatch(without_eol(line)) for line in lines)
    return next((match[1] for match in found if match), None)
