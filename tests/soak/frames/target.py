"""An entry of the product that takes input, and how to read parts of an input."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

type Run = Callable[[Any], float | None]

MAX_SIZE: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An entry; `run` raises FindingError if something must not be, and nothing else.

    `open` prepares what lives longer than an input, and provides `run`. That returns the seconds of
    processor time to compare with the limit, if it is not all of its own time. `max_size` is of an
    input, in characters. Without `is_measured`, neither time nor work is limited.
    """

    name: str
    seeds: Sequence[Any]
    open: Callable[[], AbstractContextManager[Run]]
    max_size: int = MAX_SIZE
    is_measured: bool = True


def pure(name: str, run: Run, seeds: Sequence[Any], *, max_size: int = MAX_SIZE) -> Target:
    """Return a target that keeps nothing between two inputs."""
    return Target(name=name, seeds=seeds, open=lambda: nullcontext(run), max_size=max_size)


def text(case: object, key: str) -> str:
    """Return a text of an input; an empty one if the mutator has removed it."""
    found = case.get(key) if isinstance(case, Mapping) else case
    return found if isinstance(found, str) else ""
