"""Changes inputs: JSON values as values, session descriptions by lines, texts by characters."""

from functools import partial
import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    import random

MAX_REPEATS: Final = 4000
DEPTHS: Final = (2, 12, 40, 300)
NUMBERS: Final[tuple[float, ...]] = (
    *(
        0,
        1,
        -1,
        2,
        5,
        6,
        9,
        11,
        13,
        26,
        41,
        255,
        65_536,
        2**31,
        2**53 + 1,
        -(2**63),
        2**64,
        10**400,
    ),
    *(0.5, -0.0, 5e-324, 1e308, math.inf, -math.inf, math.nan, 1_790_000_000, 1_790_000_000_000),
)
CHARACTERS: Final = (
    "\0",
    "\r",
    "\n",
    "\r\n",
    " ",
    "\t",
    "\x85",
    "\u2028",
    "\u202e",
    "\u200b",
    "\ud800",
)
TEXTS: Final = (
    *(
        "",
        "-",
        "0",
        "é",
        "門",
        "🚪",
        "\u0131",
        "ß",
        "²",
        "\u0661",
        "..",
        "../x",
        "NaN",
        "1e999",
        "0x10",
        "%s",
    ),
    *("{x}", "{0.__class__}", "[]", "[[", "::1", "[::1]", "127.0.0.1", "fe80::1%eth0", "localhost"),
    *("turn:", "https://", "@", "a@b", "00:03:50:ab:cd:ef", "x" * 70, "9" * 400, "\\", '"', "'"),
)
_DESCENT: Final = 0.75
_REPEATS: Final = (*[2, 3, 4] * 6, 33, 33, 65, 600, MAX_REPEATS)  # mostly few: that is faster


def size_of(value: object) -> int:
    """Return about how many characters a value has as JSON."""
    if isinstance(value, str):
        return len(value) + 2
    if isinstance(value, dict):
        return 2 + sum(len(key) + 4 + size_of(item) for key, item in value.items())
    if isinstance(value, list):
        return 2 + sum(1 + size_of(item) for item in value)
    return 8


class Mutator:
    """Makes a changed copy of an input, of at most `max_size` characters.

    `words` are texts of the protocol.
    """

    def __init__(self, random: random.Random, words: Sequence[str], max_size: int) -> None:
        self._random = random
        self._max_size = max_size
        self._words = words

    def mutate(self, case: Any, other: Any) -> Any:
        """Return a changed copy, which may contain parts of another input."""
        self._other = other
        found = case
        for _ in range(1 + min(6, int(self._random.expovariate(0.8)))):
            changed = self._descend(found)
            found = changed if size_of(changed) <= self._max_size else found
        return found

    def _descend(self, value: Any) -> Any:
        """Return a copy with a change at a random place."""
        if isinstance(value, dict) and value and self._random.random() < _DESCENT:
            key = self._pick(list(value))
            return {**value, key: self._descend(value[key])}
        if isinstance(value, list) and value and self._random.random() < _DESCENT:
            index = self._random.randrange(len(value))
            return [*value[:index], self._descend(value[index]), *value[index + 1 :]]
        return self._changed(value)

    def _changed(self, value: Any) -> Any:
        if self._random.random() < 0.12:
            return self._anything()
        if isinstance(value, dict):
            return self._changed_mapping(value)
        if isinstance(value, list):
            return self._changed_list(value)
        if isinstance(value, str):
            return self._changed_text(value)
        if isinstance(value, bool) or value is None:
            return self._anything()
        return self._changed_number(value)

    def _anything(self) -> Any:
        kinds: tuple[Callable[[], Any], ...] = (
            lambda: None,
            lambda: self._random.random() < 0.5,
            lambda: self._pick(NUMBERS),
            self._text,
            dict,
            list,
            self._nested,
            lambda: self._part(self._other),
            lambda: [self._text() for _ in range(self._random.randrange(4))],
        )
        return self._pick(kinds)()

    def _nested(self) -> Any:
        value: Any = self._text()
        is_list = self._random.random() < 0.5
        key = self._pick(self._words)
        for _ in range(self._pick(DEPTHS)):
            value = [value] if is_list else {key: value}
        return value

    def _part(self, value: Any) -> Any:
        """Return a random part of a value."""
        while isinstance(value, dict | list) and value and self._random.random() < _DESCENT:
            value = self._pick(list(value.values()) if isinstance(value, dict) else value)
        return value

    def _changed_mapping(self, value: dict[str, Any]) -> Any:
        keys = list(value)
        change = self._random.randrange(6)
        if change == 0 or not keys:
            return {**value, self._pick(self._words): self._anything()}
        key = self._pick(keys)
        if change == 1:
            return {name: item for name, item in value.items() if name != key}
        if change == 2:
            new = self._pick((self._pick(self._words), key.upper(), self._changed_text(key)))
            return {new if name == key else name: item for name, item in value.items()}
        if change == 3:
            other = self._pick(keys)
            return {**value, key: value[other], other: value[key]}
        if change == 4:
            return [value]
        room = self._repeats(len(key) + size_of(value[key]) + 8)
        return {**value, **{f"{key}{number}": value[key] for number in range(room)}}

    def _changed_list(self, value: list[Any]) -> Any:
        change = self._random.randrange(6)
        if change == 0 or not value:
            return [*value, self._anything()]
        index = self._random.randrange(len(value))
        if change == 1:
            return [*value[:index], *value[index + 1 :]]
        if change == 2:
            return [*value[:index], *self._repeated(value[index]), *value[index:]]
        if change == 3:
            return self._random.sample(value, len(value)) if len(value) < MAX_REPEATS else value[:9]
        if change == 4:
            return value[index]
        return {self._pick(self._words): value}

    def _repeated(self, item: Any) -> list[Any]:
        """Return an item several times, sometimes with ids of its own."""
        count = self._repeats(size_of(item) + 8)
        if isinstance(item, dict) and "id" in item and self._random.random() < 0.7:
            return [{**item, "id": f"{item['id']}{number}"} for number in range(count)]
        return [item] * count

    def _repeats(self, size: int) -> int:
        return min(self._pick(_REPEATS), max(1, self._max_size // size))

    def _changed_number(self, value: float) -> Any:
        changes: tuple[Callable[[], Any], ...] = (
            lambda: self._pick(NUMBERS),
            lambda: -value,
            lambda: value + self._pick((-1, 1, 0.5)),
            lambda: value * self._pick((10, 1000, -1)),
            partial(str, value),
        )
        try:
            return self._pick(changes)()
        except ArithmeticError:  # the number is too large for that
            return 0

    def _text(self) -> str:
        return self._pick(self._pick((self._words, TEXTS, CHARACTERS)))

    def _changed_text(self, value: str) -> str:
        if value.count("\n") > 1 and self._random.random() < 0.7:
            return self._changed_lines(value)
        start, end = sorted(self._random.randrange(len(value) + 1) for _ in range(2))
        before, part, after = value[:start], value[start:end], value[end:]
        changes: tuple[Callable[[], str], ...] = (
            self._text,
            lambda: before + self._text() + part + after,
            lambda: before + after,
            lambda: before + self._text() + after,
            lambda: before + self._repeated_text(part) + after,
            lambda: self._pick((value.upper(), value.swapcase(), value[::-1], value.strip())),
            lambda: before + self._flipped(part) + after,
            lambda: before + self._foreign_text() + after,
        )
        return self._pick(changes)()

    def _repeated_text(self, part: str) -> str:
        repeated = part[:500] or self._text()
        return repeated * self._repeats(len(repeated) + 1)

    def _flipped(self, part: str) -> str:
        return chr(ord(part[0]) ^ (1 << self._random.randrange(7))) + part[1:] if part else part

    def _foreign_text(self) -> str:
        other = self._part(self._other)
        return other[:2000] if isinstance(other, str) else ""

    def _changed_lines(self, value: str) -> str:
        end = "\r\n" if "\r\n" in value else "\n"
        lines = value.split(end)
        first, last = sorted(self._random.randrange(len(lines)) for _ in range(2))
        before, block, after = lines[:first], lines[first : last + 1], lines[last + 1 :]
        size = sum(map(len, block)) + 2 * len(block) + 1
        changes: tuple[Callable[[], list[str]], ...] = (
            list,
            lambda: [*self._foreign_lines(), *block],
            lambda: block * self._repeats(size),
            lambda: [block[-1], *block[1:-1], block[0]],
            lambda: self._random.sample(block, len(block)),
            lambda: [self._changed_line(block[0]), *block[1:]],
            lambda: [f"{block[0]}{n}" for n in range(self._repeats(size))],
            lambda: [self._changed_text(block[0]), *block[1:]],
        )
        if self._random.random() < 0.1:
            end = self._pick(("\r\n", "\n", "\r", "\r\r\n"))
        return end.join([*before, *self._pick(changes)(), *after])

    def _changed_line(self, line: str) -> str:
        """Return a line with another word."""
        words = line.split(" ")
        words[self._random.randrange(len(words))] = self._text()
        return " ".join(words)

    def _foreign_lines(self) -> list[str]:
        other = self._part(self._other)
        lines = other.splitlines() if isinstance(other, str) else [self._text()]
        start = self._random.randrange(len(lines) + 1)
        return lines[start : start + self._pick((1, 1, 3, 20))]

    def _pick[Item](self, items: Sequence[Item]) -> Item:
        return items[self._random.randrange(len(items))]
