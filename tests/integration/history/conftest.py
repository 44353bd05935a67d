"""Fixtures for tests of the history."""

import pytest


@pytest.fixture(autouse=True)
def _enabled(all_entities: None) -> None:
    """Enable also what is disabled by default."""
