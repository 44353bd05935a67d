"""Entry point of scripts/drift: prints how a recording differs from what is known."""

import argparse
from pathlib import Path
import sys
from typing import TYPE_CHECKING, Final

from .checks import SECTIONS, Difference, differences
from .doubts import NOT_RECORDED, Doubt, answers
from .recording import NotARecordingError, Recording, read

if TYPE_CHECKING:
    from collections.abc import Iterator

SAME, DIFFERENT, UNUSABLE = 0, 1, 2
MAX_SHOWN: Final = 5  # numbers of messages of a difference
MAX_LINE: Final = 300  # characters


def report(recording: Recording) -> Iterator[str]:
    """Yield the lines of the report."""
    yield from _summary(recording)
    found, said = differences(recording), answers(recording)
    for section, title in SECTIONS.items():
        yield f"\n{section} {title}"
        lines = [
            *(_difference(each) for each in found if each.section == section),
            *(_doubt(doubt, sentences) for doubt, sentences in said if doubt.section == section),
            *(f"  not in a recording: {each}" for each in NOT_RECORDED.get(section, ())),
        ]
        yield from lines or ["  nothing to say"]
    settled = sum(bool(sentences) for _, sentences in said)
    yield f"\n{len(found)} differences; {settled} of {len(said)} doubts settled"


def _difference(difference: Difference) -> str:
    return f"  differs: {difference.text}{_places(difference.messages)}"


def _doubt(doubt: Doubt, sentences: list[str]) -> str:
    if sentences:
        return f"  settled: {doubt.question} {' '.join(sentences)}"
    hint = "" if doubt.number is None else f" (thing {doubt.number} of docs/protocol.md)"
    return f"  open: {doubt.question}{hint}"


def _summary(recording: Recording) -> Iterator[str]:
    software = ", ".join(f"{name} {version}" for name, version in recording.software.items())
    seconds = max((each.time for each in recording.messages), default=0.0)
    yield f"{len(recording.messages)} messages in {seconds:.0f} s ({software or 'no versions'})"
    if not recording.end:
        yield "The recording was cut: it has no last line."
    if recording.damaged:
        yield f"{recording.damaged} lines cannot be read."


def _places(numbers: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, numbers[:MAX_SHOWN]))
    more = f" and {len(numbers) - MAX_SHOWN} more" if len(numbers) > MAX_SHOWN else ""
    return f" [message {shown}{more}]"


def printable(line: str) -> str:
    """Return a line without control characters: a file may contain anything."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in line)[:MAX_LINE]


def main(arguments: list[str]) -> int:
    """Print the report; 0: no differences, 1: differences, 2: not a recording."""
    parser = argparse.ArgumentParser(
        prog="scripts/drift",
        description="Compares a recording with docs/protocol.md and the code.",
        epilog="Exit code: 0 no differences, 1 differences, 2 the file is not a recording.",
    )
    parser.add_argument("file", type=Path, help="a recording, or diagnostics that contain one")
    path: Path = parser.parse_args(arguments).file
    try:
        recording = read(path)
    except NotARecordingError as err:
        print(f"{path}: {err}", file=sys.stderr)
        return UNUSABLE
    for line in report(recording):
        print(printable(line))
    return DIFFERENT if differences(recording) else SAME


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
