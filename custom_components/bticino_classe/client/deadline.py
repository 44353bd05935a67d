"""Until when a command may be sent, and whether it was."""

import asyncio
from dataclasses import dataclass
import math


@dataclass(slots=True)
class Deadline:
    """A command is not sent after `at`, a time of the running loop, nor once it is withdrawn."""

    at: float
    is_sent: bool = False

    @property
    def is_expired(self) -> bool:
        """Whether the command must not be sent any more."""
        return asyncio.get_running_loop().time() >= self.at

    def withdraw(self) -> bool:
        """Forbid sending; returns False if the command was sent already."""
        if not self.is_sent:
            self.at = -math.inf
        return not self.is_sent
