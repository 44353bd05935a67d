"""The development server's Home Assistant: its owner's password, and requests of foreign pages."""

from http import HTTPStatus
from typing import TYPE_CHECKING

from homeassistant.components.http import server
from homeassistant.setup import async_setup_component
import pytest

from dev.home_assistant import refuse_foreign_requests
from dev.state import owner_password

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, HTTPStatus.OK),
        ({"Host": "localhost:8123", "Origin": "http://localhost:8123"}, HTTPStatus.OK),
        ({"Host": "evil.example:8123"}, HTTPStatus.FORBIDDEN),
        ({"Origin": "http://evil.example"}, HTTPStatus.FORBIDDEN),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, HTTPStatus.FORBIDDEN),
    ],
    ids=str,
)
async def test_requests_of_foreign_pages(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    monkeypatch: pytest.MonkeyPatch,
    headers: dict[str, str],
    status: HTTPStatus,
) -> None:
    """They are refused, even if they are signed in."""
    monkeypatch.setattr(server, "setup_security_filter", server.setup_security_filter)
    refuse_foreign_requests()
    assert await async_setup_component(hass, "api", {})
    client = await hass_client()
    assert (await client.get("/api/", headers=headers)).status == status


def test_password_of_the_owner(tmp_path: Path) -> None:
    """It is made once for a folder, random, and readable only for the developer."""
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
    password = owner_password(one)
    assert len(password) >= 12
    assert password == owner_password(one) != owner_password(other)
    assert (one / "owner_password").stat().st_mode & 0o777 == 0o600
