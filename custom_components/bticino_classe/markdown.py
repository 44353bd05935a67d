"""Names in texts that Home Assistant renders as Markdown."""

import re
from typing import Final

_PUNCTUATION: Final = re.compile(r"[!-/:-@\[-`{-~]")


def escape_markdown(name: str) -> str:
    """Return a name for a form or a repair issue: it is shown as it is."""
    return _PUNCTUATION.sub(r"\\\g<0>", name)
