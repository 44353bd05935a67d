"""Secrets are found in whatever form they are written."""

import pytest

from tests.soak.secrets import Secrets

TOKEN_PART = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (f"token=user|{TOKEN_PART}&", 1),
        (f"token=user%7C{TOKEN_PART}&", 1),
        (f"0a{TOKEN_PART}b1", 1),
        (TOKEN_PART[:-1], 0),
        ("f" * 64, 0),
        ("password=open sesame", 1),
        ("https://example.org/a.jpg?sig=" + "a" * 32, 1),
        ("username 1798758000:u", 1),
        ("lat=45.48642", 1),
        ("lat=45x48642, 0:u, short", 0),
    ],
)
def test_secrets(content: str, found: int) -> None:
    """Tokens are found in any form, also only their random part."""
    secrets = Secrets([f"user|{TOKEN_PART}", "open sesame", "short", "45.48642"])
    assert len([*secrets.find(content.encode())]) == found
