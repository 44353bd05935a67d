"""What must hold for every input."""

from collections import Counter
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
import logging
import time
from typing import TYPE_CHECKING, override

from tests.client.decoded import unclean_in, wrong_in

from .seeds import PLANTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class FindingError(AssertionError):
    """Something that must not be."""


class Aside:
    """The processor time of the checks, which is not the product's."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Count the time of a block."""
        self._depth += 1
        start = time.thread_time()
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self.seconds += time.thread_time() - start


aside = Aside()


class LogWatch(logging.Handler):
    """Finds secrets in the product's log, at every level, and faults that were caught there."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.found: str | None = None

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if PLANTED in record.getMessage():
            self.found = f"secret in a log line: {record.msg}"
        elif record.levelno >= logging.ERROR:
            self.found = f"error in the log: {record.getMessage()}"

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the log; FindingError at the end if it has something that must not be."""
        self.found = None
        yield
        if self.found is not None:
            raise FindingError(self.found)


@contextmanager
def watched_log() -> Iterator[LogWatch]:
    """Install the handler at the product's logger."""
    logger = logging.getLogger("custom_components.bticino_classe")
    watch, level = LogWatch(), logger.level
    logger.addHandler(watch)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield watch
    finally:
        logger.propagate = True
        logger.setLevel(level)
        logger.removeHandler(watch)


def check(is_true: object, text: str) -> None:
    """Raise FindingError unless something is true."""
    if not is_true:
        raise FindingError(text)


def check_error(error: BaseException) -> None:
    """Check that an error, and what it was raised from, holds no secret."""
    seen: list[BaseException] = []
    with aside():
        while error not in seen:
            seen.append(error)
            shown = f"{error} {error!r} {error.args!r} {getattr(error, '__notes__', '')}"
            check(PLANTED not in shown, f"secret in an error: {type(error).__name__}")
            error = error.__cause__ or error.__context__ or error


def check_repr(value: object) -> None:
    """Check that the `repr` of data shows none of the fields that it hides."""
    with aside():
        if PLANTED in repr(value) and not _is_shown(value):
            raise FindingError(f"secret in the repr of {type(value).__name__}")


def check_data(found: object) -> None:
    """Check that decoded data has the declared types and clean texts, and hides what it should."""
    with aside():
        check(not (wrong := wrong_in(found)), f"wrong types: {wrong}")
        check(not unclean_in(found), "texts that are not clean")
        check_repr(found)


def _is_shown(value: object) -> bool:
    """Whether the planted text is in a field that may be shown."""
    if isinstance(value, str):
        return PLANTED in value
    if isinstance(value, dict):
        return any(_is_shown(item) for pair in value.items() for item in pair)
    if isinstance(value, tuple | list | set | frozenset):
        return any(map(_is_shown, value))
    if not is_dataclass(value):
        return False
    return any(_is_shown(getattr(value, each.name)) for each in fields(value) if each.repr)


def check_counters(counters: Mapping[str, int], *names: str) -> None:
    """Check that no fault was counted that a handler has caught."""
    found = Counter(counters)
    check(not any(found[name] for name in names), f"a fault was caught: {dict(found)}")
