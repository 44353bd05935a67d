"""Random walks of the signaling client against the simulated cloud, in virtual time."""

import gc
import os

import pytest

from custom_components.bticino_classe.client.websocket import connection
from tests.client.webrtc.walk.faulty_line import connect
from tests.client.webrtc.walk.virtual_time import VirtualTimeLoop
from tests.client.webrtc.walk.walker import AckMode, Walk

STEPS = 1000
SEEDS = [int(seed) for seed in os.environ.get("WALK_SEEDS", "1 2 3").split()]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("ack_mode", ["echo", "null", "absent"])
def test_random_walk(seed: int, ack_mode: AckMode, monkeypatch: pytest.MonkeyPatch) -> None:
    """No call without its one end, nothing left behind, nothing in the exception handler."""
    monkeypatch.setattr(connection, "connect_websocket", connect)
    loop = VirtualTimeLoop()
    walk = Walk(loop, seed, ack_mode)
    try:
        loop.run_until_complete(walk.run(STEPS))
        gc.collect()
        assert loop.errors == []
    except BaseException as err:
        err.add_note(f"seed {seed}, acknowledgements {ack_mode}, second {loop.time():.2f}")
        raise
    finally:
        loop.close()
