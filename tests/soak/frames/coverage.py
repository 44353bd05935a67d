"""Branches and lines of the product, observed with `sys.monitoring` (PEP 669)."""

from pathlib import Path
import sys
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import CodeType, TracebackType

PRODUCT: Final = str(Path(__file__).parents[3] / "custom_components")
_TOOL: Final = 4  # 0 to 2 are a debugger, coverage and a profiler
_EVENTS: Final = sys.monitoring.events


class Coverage:
    """Counts what was reached for the first time, or all lines that are executed.

    With `counts_all`, `executed` is a measure of work that does not depend on the machine. Without
    it every event is disabled once it was seen, so that inputs run at nearly full speed.
    """

    def __init__(self, *, counts_all: bool = False) -> None:
        self._counts_all = counts_all
        self._seen: set[tuple[CodeType, int]] = set()
        self.reached = 0
        self.executed = 0

    def __enter__(self) -> Self:
        monitoring = sys.monitoring
        monitoring.use_tool_id(_TOOL, "frames")
        line = self._count_line if self._counts_all else self._on_line
        monitoring.register_callback(_TOOL, _EVENTS.LINE, line)
        for event in (_EVENTS.BRANCH_LEFT, _EVENTS.BRANCH_RIGHT):
            monitoring.register_callback(_TOOL, event, self._on_branch)
        monitoring.set_events(_TOOL, _EVENTS.LINE | _EVENTS.BRANCH_LEFT | _EVENTS.BRANCH_RIGHT)
        monitoring.restart_events()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        sys.monitoring.set_events(_TOOL, _EVENTS.NO_EVENTS)
        sys.monitoring.free_tool_id(_TOOL)

    def _on_line(self, code: CodeType, _line: int) -> object:
        self.reached += code.co_filename.startswith(PRODUCT)
        return sys.monitoring.DISABLE

    def _on_branch(self, code: CodeType, _offset: int, _destination: int) -> object:
        self.reached += code.co_filename.startswith(PRODUCT)
        return sys.monitoring.DISABLE

    def _count_line(self, code: CodeType, line: int) -> object:
        if not code.co_filename.startswith(PRODUCT):
            return sys.monitoring.DISABLE
        self.executed += 1
        if (code, line) not in self._seen:
            self._seen.add((code, line))
            self.reached += 1
        return None
