"""The client's clock: the cloud's time, and a monotonic one."""

from custom_components.bticino_classe.client import CloudClock


def test_time_of_the_cloud_runs_on_the_monotonic_clock() -> None:
    """Until the first answer it is this machine's; an answer without a time changes nothing."""
    wall, monotonic = [1000.0], [5.0]
    clock = CloudClock(wall_clock=lambda: wall[0], monotonic=lambda: monotonic[0])
    clock.set_from_answer(None)
    assert clock.now() == 1000.0
    clock.set_from_answer(7000.0)
    wall[0] += 100
    assert clock.now() == 7000.0
    monotonic[0] += 30
    assert clock.now() == 7030.0
    clock.set_from_answer(None)
    assert clock.now() == 7030.0
    assert clock.monotonic() == 35.0


def test_clock_without_arguments_uses_the_machine_s() -> None:
    """Both never run backwards."""
    clock = CloudClock()
    before = clock.now(), clock.monotonic()
    assert (clock.now(), clock.monotonic()) >= before
