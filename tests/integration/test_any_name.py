"""Whatever names, ids and texts the cloud sends, Home Assistant gets clean ones."""

from collections.abc import Mapping
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeassistant.helpers import device_registry as dr, entity_registry as er
from hypothesis import HealthCheck, given, settings, strategies as st

from custom_components.bticino_classe.const import DOMAIN
from custom_components.bticino_classe.known_homes import TOPOLOGY_INTERVAL
from tests.client.answers import HOSTILE, RING, VALUES, damaged, spoiled
from tests.integration.conftest import poll, wait_idle

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    import pytest

    from tests.simulator import Simulator

TEXTS = st.sampled_from(HOSTILE) | st.text(max_size=200)
FEW = settings(
    max_examples=15,
    deadline=None,
    # One Home Assistant for all examples: what one leaves must not harm the next.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def texts_in(value: object) -> list[str]:
    """Return the texts in a value, at any depth."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for pair in value.items() for each in pair for text in texts_in(each)]
    if isinstance(value, list | tuple | set | frozenset):
        return [text for each in value for text in texts_in(each)]
    return []


def unclean(texts: list[str], max_length: int = 255) -> list[str]:
    """Return the texts with control or bidirectional characters, and the long ones."""
    return [text for text in texts if len(text) > max_length or not text.isprintable()]


def shown(hass: HomeAssistant, entry: ConfigEntry[Any]) -> list[str]:
    """Return the texts in states and registries."""
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    return texts_in(
        [
            *((state.state, dict(state.attributes)) for state in hass.states.async_all()),
            *((d.name, d.model, d.model_id, d.sw_version, list(d.identifiers)) for d in devices),
            *((e.entity_id, e.unique_id, e.original_name) for e in entities),
        ]
    )


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines that the integration logged."""
    return [each.getMessage() for each in caplog.records if DOMAIN in each.name]


def files(hass: HomeAssistant) -> list[str]:
    """Return the files in the folder of the configuration, and around it."""
    folder = Path(hass.config.config_dir)
    return [str(path.relative_to(folder.parent)) for path in folder.parent.rglob("*")]


@given(data=st.data())
@FEW
async def test_any_name(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    simulator: Simulator,
    entry: ConfigEntry[Any],
    *,
    caplog: pytest.LogCaptureFixture,
    data: st.DataObject,
) -> None:
    """Names of homes and modules, versions, addresses and time zones."""
    home = simulator.house.homes[0]
    home.name = data.draw(TEXTS)
    for module in home.modules.values():
        module.name = data.draw(TEXTS | st.none())
        module.extra = {k: data.draw(TEXTS) for k in ("firmware_name", "local_ipv4", "status")}
    await poll(hass, freezer, TOPOLOGY_INTERVAL)
    assert unclean(shown(hass, entry)) == []
    assert unclean(logged(caplog), 1000) == []
    assert unclean(files(hass)) == []
    assert hass.states.get("lock.cancello") is not None


@given(data=st.data())
@FEW
async def test_any_push(
    hass: HomeAssistant,
    simulator: Simulator,
    online_entry: ConfigEntry[Any],
    caplog: pytest.LogCaptureFixture,
    data: st.DataObject,
) -> None:
    """Rings with any ids, links and texts, and frames of any shape."""
    for frame in (data.draw(damaged(RING) | VALUES), spoiled(RING, data.draw)):
        simulator.push_raw(json.dumps(frame))
    await wait_idle(hass)
    assert unclean(shown(hass, online_entry)) == []
    assert unclean(logged(caplog), 1000) == []
    assert unclean(files(hass)) == []
