import numpy as np
import pytest

from tools.lag import first_reach, phase_lag, phasors, step_delay

FRAMES = np.arange(47)


def swing(cycles, lag=0.0, gain=1.0):
    turns = 2 * np.pi * (cycles - lag)
    return np.column_stack([gain * 7 * np.sin(turns) + 300, gain * 2 * np.cos(turns) - 5])


def test_a_sine_is_found_in_samples_that_hold_no_whole_number_of_turns():
    cycles = FRAMES / 13.7
    found = phasors(np.column_stack([3 * np.cos(2 * np.pi * cycles) + 9]), cycles)
    assert found[0] == pytest.approx(3, abs=1e-9)


@pytest.mark.parametrize("rate_hz", [1, 3])
@pytest.mark.parametrize(("late_frames", "gain"), [(0, 1), (1, 0.9), (2.25, 0.5), (-1, 1.1)])
def test_a_signal_that_comes_late_by_some_frames_is_found_to(rate_hz, late_frames, gain):
    cycles = FRAMES * rate_hz / 30
    seen = swing(cycles, late_frames * rate_hz / 30, gain)
    lag, found_gain = phase_lag(swing(cycles), seen, cycles)
    assert lag * 30 / rate_hz == pytest.approx(late_frames, abs=1e-6)
    assert found_gain == pytest.approx(gain)


def test_an_exponential_filter_lags_as_its_formula_says():
    # One pole: y += a (x - y); its phase at angle w is that of a / (1 - (1 - a) exp(-iw)).
    share, cycles = 0.4, np.arange(300) / 30
    truth = swing(cycles)
    seen = truth.copy()
    for number in range(1, len(seen)):
        seen[number] = seen[number - 1] + share * (truth[number] - seen[number - 1])
    settled = slice(60, None)
    lag, gain = phase_lag(truth[settled], seen[settled], cycles[settled])
    response = share / (1 - (1 - share) * np.exp(-2j * np.pi / 30))
    assert lag == pytest.approx(-np.angle(response) / (2 * np.pi), abs=1e-6)
    assert gain == pytest.approx(abs(response), rel=2e-2)


def test_the_first_value_at_a_level_is_found_or_none():
    assert first_reach([0.1, 0.5, 0.9, 1.0], 0.9) == 2
    assert first_reach([0.1, 0.5], 0.9) is None


@pytest.mark.parametrize(("late", "expected"), [(0, 0), (3, 3), (8, 8)])
def test_a_jump_that_is_followed_late_has_that_delay(late, expected):
    truth = np.zeros((30, 2))
    truth[10:] = (12, -4)
    seen = np.zeros((30, 2)) + 100
    seen[10 + late :] += (12, -4)
    assert step_delay(truth, seen, 10, 30) == expected


def test_a_constant_error_and_another_height_of_the_jump_do_not_count():
    truth, seen = np.zeros((20, 1)), np.full((20, 1), 5.0)
    truth[10:] = 10
    seen[12:] = 5 + 9
    assert step_delay(truth, seen, 10, 20) == 2


def test_a_jump_that_is_not_followed_has_no_delay():
    truth = np.zeros((20, 1))
    truth[10:] = 10
    assert step_delay(truth, np.zeros((20, 1)), 10, 20) is None
