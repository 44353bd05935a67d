"""Search everything that lives in memory for a text."""

import gc
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEXTS = (str, bytes, bytearray)


def holders_of(*parts: str) -> list[str]:
    """Return the types of the live objects that hold a text; its parts are passed.

    The whole text in the code of the test would be found.
    """
    text = "".join(parts)
    data = text.encode()
    gc.unfreeze()  # garbage of earlier tests may be frozen
    gc.collect()
    return [
        f"{type(each).__module__}.{type(each).__qualname__}"
        for each in _live_objects()
        for part in gc.get_referents(each)
        if isinstance(part, _TEXTS)
        and part is not text
        and part is not data
        and (text in part if isinstance(part, str) else data in part)
    ]


def _live_objects() -> Iterator[Any]:
    """Yield every object that refers to others; some containers are known only to others."""
    pending: list[Any] = gc.get_objects()
    seen = set(map(id, pending))
    while pending:
        yield (each := pending.pop())
        for part in gc.get_referents(each):
            if not isinstance(part, (*_TEXTS, int)) and id(part) not in seen:
                seen.add(id(part))
                pending.append(part)
