"""Stored calls, for tests with and without Home Assistant's test plugin."""

from custom_components.bticino_classe.history.records import CallRecord

PAGE = 4096  # bytes of a database


def record(number: int, now: float) -> CallRecord:
    """Return a call of an earlier hour."""
    at = now - number * 3600.0
    return CallRecord(
        id=f"{number:016x}",
        session=f"{number:016x}",
        bridge_id="00:03:50:ab:cd:ef",
        panel_id="abcdef-0101-aa11bb22cc33",
        time=at,
        outcome="missed",
        ended_at=at + 30,
        seen=number % 2 == 0,
    )
