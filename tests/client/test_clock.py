"""The client's clock: the cloud's time, and a monotonic one."""

from hypothesis import given, strategies as st
import pytest

from custom_components.bticino_classe.client import CloudClock


class Machine:
    """A machine with a clock, `ahead` seconds ahead of the cloud's."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.cloud, self.uptime, self.ahead = 1_790_000_000.0, 5.0, ahead
        self.clock = CloudClock(
            wall_clock=lambda: self.cloud + self.ahead, monotonic=lambda: self.uptime
        )

    def receive(self, *errors: float) -> None:
        """Receive answers whose time is wrong by so many seconds, one second apart."""
        for error in errors:
            self.wait(1.0)
            self.clock.set_from_answer(self.cloud + error)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.cloud += seconds
        self.uptime += seconds


def test_time_of_the_cloud_runs_on_the_monotonic_clock() -> None:
    """Once several answers agree; an answer without a time changes nothing."""
    machine = Machine(ahead=500.0)
    machine.clock.set_from_answer(None)
    assert machine.clock.now() == machine.cloud + 500
    machine.receive(0.0, 0.0, 0.0)
    machine.ahead = 900.0
    assert machine.clock.now() == machine.cloud
    machine.wait(30.0)
    machine.clock.set_from_answer(None)
    assert machine.clock.now() == machine.cloud
    assert machine.clock.monotonic() == machine.uptime


@given(error=st.floats(-1e6, 1e6), before=st.integers(0, 8), after=st.integers(0, 8))
def test_one_answer_with_a_wrong_time_changes_nothing(
    error: float, before: int, after: int
) -> None:
    """The first answer, the only one, or one of many."""
    machine = Machine()
    machine.receive(*[0.0] * before, error, *[0.0] * after)
    assert abs(machine.clock.now() - machine.cloud) <= 1


@pytest.mark.parametrize("errors", [(45.0, -3600.0), (45.0, -3600.0, 60.0, 7200.0)])
def test_answers_that_disagree_are_not_used(errors: tuple[float, ...]) -> None:
    """This machine's clock is used then."""
    machine = Machine(ahead=3.0)
    machine.receive(*errors)
    assert machine.clock.now() == machine.cloud + 3


def test_cloud_that_corrects_its_clock_is_followed() -> None:
    """After some answers, also if it was far ahead."""
    machine = Machine(ahead=500.0)
    machine.receive(*[7200.0] * 5)
    assert machine.clock.now() == machine.cloud + 7200
    machine.receive(*[0.0] * 5)
    assert machine.clock.now() == machine.cloud


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0, 2)), min_size=1, max_size=30))
def test_whole_seconds_never_make_time_run_backwards(answers: list[tuple[float, float]]) -> None:
    """The time of an answer has no fractions, and the answer takes time to arrive."""
    machine, seen = Machine(), []
    for pause, delay in answers:
        machine.wait(pause)
        machine.clock.set_from_answer(float(int(machine.cloud - delay)))
        seen.append(machine.clock.now())
    assert seen == sorted(seen)


@pytest.mark.parametrize(("cloud", "own"), [(0.0, 0.0), (3600.0, 0.0), (0.0, 3600.0), (0.0, -1e9)])
def test_age_is_the_least_that_either_clock_says(cloud: float, own: float) -> None:
    """One clock that is ahead makes nothing old; in the future is what both say is."""
    machine = Machine(ahead=own)
    machine.receive(*[cloud] * 3)
    assert machine.clock.age(machine.cloud - 20) == min(cloud, own) + 20
    assert not machine.clock.is_future(machine.cloud + max(cloud, own))
    assert machine.clock.is_future(machine.cloud + max(cloud, own) + 1)


def test_own_clock_that_agrees_is_more_precise() -> None:
    """The time of an answer has no fractions; an hour is an hour on the own clock."""
    machine = Machine(ahead=0.7)
    before = machine.clock.now()
    machine.receive(-0.4, -0.9, 0.0, -0.2)
    machine.wait(3596.0)
    assert machine.clock.now() - before == 3600.0
    machine.ahead += 86400
    assert abs(machine.clock.now() - machine.cloud) < 1


def test_clock_without_arguments_uses_the_machine_s() -> None:
    """Both never run backwards."""
    clock = CloudClock()
    before = clock.now(), clock.monotonic()
    assert (clock.now(), clock.monotonic()) >= before
