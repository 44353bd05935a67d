"""The notification of a ring, in each language."""

from typing import TYPE_CHECKING

import pytest

from tests.integration.blueprints.conftest import (
    STREET,
    STREET_DOORBELL,
    Automate,
    Phone,
    in_each_language,
    texts_of,
)
from tests.integration.conftest import wait_until
from tests.simulator import Failure
from tests.simulator.paths import SETSTATE

if TYPE_CHECKING:
    from tests.simulator import Simulator


@in_each_language
@pytest.mark.parametrize("fails", [False, True])
async def test_ring(
    automate: Automate, simulator: Simulator, anna: Phone, *, language: str, fails: bool
) -> None:
    """Title, message, channel, button and outcome are in the chosen language."""
    inputs = {"phones": [anna.device_id], "doors": ["lock.portone"], "language": language}
    await automate("ring_notification", doorbells=[STREET_DOORBELL], **inputs)
    if fails:
        simulator.fail(SETSTATE, Failure(drop=True, executed=True))
    simulator.ring(STREET)
    await wait_until(lambda: anna.sent)
    text = texts_of("ring_notification", language, panel=STREET, door="Portone")
    await anna.tap(anna.button(text["button"]))
    await wait_until(lambda: len(anna.sent) == 2)
    assert anna.texts == [text["message"], text["failed" if fails else "opened"]]
    assert [each["title"] for each in anna.sent] == [text["title"]] * 2
    channels = [each["data"]["channel"] for each in anna.sent]
    assert channels == [text["channel"], text["channel" if fails else "channel_done"]]


@pytest.mark.parametrize(
    ("language", "title", "message"),
    [
        ("it", "Campanello", f"Suonano: {STREET}."),
        ("de", "Türklingel", f"Es klingelt: {STREET}."),
        ("pt-BR", "Campainha", f"Estão tocando a campainha: {STREET}."),
        ("pt-br", "Doorbell", f"Somebody is ringing at {STREET}."),  # written in YAML
    ],
)
@pytest.mark.parametrize("own_title", ["", "Porta"])
async def test_own_text_replaces_one(  # noqa: PLR0917 - fixtures and cases
    automate: Automate,
    simulator: Simulator,
    anna: Phone,
    language: str,
    title: str,
    message: str,
    own_title: str,
) -> None:
    """The others stay in the chosen language."""
    inputs = {"phones": [anna.device_id], "language": language, "title": own_title}
    await automate("ring_notification", doorbells=[STREET_DOORBELL], **inputs)
    simulator.ring(STREET)
    await wait_until(lambda: anna.sent)
    (sent,) = anna.sent
    assert (sent["title"], sent["message"]) == (own_title or title, message)
