"""The shortest input that still shows a fault."""

from typing import TYPE_CHECKING, Any, Final

from .mutator import size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_ATTEMPTS: Final = 3000
MAX_ITEMS: Final = 200
_SIMPLE: Final[tuple[Any, ...]] = (None, "", 0, [], {})


def shrink(case: Any, is_faulty: Callable[[Any], bool]) -> Any:
    """Return an input that is as small as a number of attempts can make it."""
    left = MAX_ATTEMPTS
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for smaller in _smaller(case):
            left -= 1
            if left < 0:
                return case
            if is_faulty(smaller):
                case, is_smaller = smaller, True
                break
    return case


def _smaller(value: Any) -> Iterator[Any]:
    """Yield simpler inputs, those with the largest part removed first."""
    yield from (simple for simple in _SIMPLE if size_of(simple) < size_of(value))
    if isinstance(value, str | list):
        yield from _shorter(value)
    if isinstance(value, list):
        yield from value[:MAX_ITEMS]
        for index, item in enumerate(value[:MAX_ITEMS]):
            for smaller in _smaller(item):
                yield [*value[:index], smaller, *value[index + 1 :]]
    elif isinstance(value, dict):
        yield from _smaller_mappings(value)


def _smaller_mappings(value: dict[str, Any]) -> Iterator[Any]:
    keys = sorted(value, key=lambda key: -size_of(value[key]))
    for key in keys:
        yield {name: item for name, item in value.items() if name != key}
    yield from (value[key] for key in keys)
    for key in keys[:MAX_ITEMS]:
        for smaller in _smaller(value[key]):
            yield {**value, key: smaller}


def _shorter(value: Any) -> Iterator[Any]:
    """Yield a text or a list without some of it: halves first, then smaller parts."""
    size = len(value) // 2
    while size:
        for start in range(0, len(value), size):
            yield value[:start] + value[start + size :]
        size //= 2
