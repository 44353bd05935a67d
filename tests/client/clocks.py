"""A clock that tests set."""


class Clock:
    """Returns the time that is set."""

    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now
