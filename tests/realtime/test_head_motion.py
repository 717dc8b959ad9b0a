import numpy as np
import pytest

from realtime.head_motion import HeadState, Steps, Swing, Talk

SECOND_NS = 1_000_000_000


@pytest.fixture(scope="module")
def minute():
    """A talk of two minutes, every 10 ms; its script repeats after one."""
    talk = Talk()
    return [talk.at(ms * 1_000_000) for ms in range(0, 120_000, 10)]


def values(states, name):
    return np.array([getattr(state, name) for state in states])


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("yaw", -18, 18),
        ("pitch", -8, 8),
        ("roll", -6, 6),
        ("mouth_open", 0, 1),
        ("mouth_round", -1, 1),
        ("eyes_closed", 0, 1),
        ("brows_up", 0, 1),
        ("shift_x", -0.1, 0.1),
        ("shift_y", -0.03, 0.03),
    ],
)
def test_talk_stays_within_its_bounds_and_uses_them(minute, name, low, high):
    found = values(minute, name)
    assert low <= found.min() <= found.max() <= high
    assert np.ptp(found) > 0.3 * (high - low)


@pytest.mark.parametrize(
    ("name", "step"),
    [("yaw", 1.5), ("pitch", 1.0), ("roll", 1.0), ("mouth_open", 0.25), ("eyes_closed", 0.3)],
)
def test_talk_never_jumps_not_even_where_its_script_begins_anew(minute, name, step):
    assert np.abs(np.diff(values(minute, name))).max() < step


def test_blinks_come_every_two_to_five_seconds_and_are_short(minute):
    closed = values(minute, "eyes_closed") > 0.5
    starts = np.flatnonzero(closed[1:] & ~closed[:-1]) * 0.01
    gaps = np.diff(starts[starts < 59.0])
    assert len(gaps) > 10
    assert 1.9 < gaps.min() <= gaps.max() < 5.3
    assert 0.05 < closed.sum() * 0.01 / len(starts) < 0.15


def test_the_head_holds_still_between_turns(minute):
    speed = np.abs(np.diff(values(minute, "yaw"))) / 0.01
    assert (speed < 8.0).mean() > 0.3
    assert speed.max() > 30.0


def test_another_seed_is_another_script_and_the_same_seed_the_same():
    moment_ns = 12_345_678_901
    assert Talk(1).at(moment_ns) == Talk(1).at(moment_ns)
    assert Talk(1).at(moment_ns) != Talk(2).at(moment_ns)


def test_a_swing_is_a_sine_from_rest():
    swing = Swing(2.0, yaw=10.0, pitch=-4.0, roll=3.0, mouth_open=0.8, eyes_closed=1.0)
    assert swing.at(0) == HeadState()
    peak = swing.at(SECOND_NS // 8)
    assert (peak.yaw, peak.pitch, peak.roll) == pytest.approx((10.0, -4.0, 3.0))
    open_wide = swing.at(SECOND_NS // 4)
    assert open_wide.mouth_open == pytest.approx(0.8)
    assert open_wide.eyes_closed == pytest.approx(1.0)
    assert open_wide.yaw == pytest.approx(0.0, abs=1e-9)


def test_steps_hold_each_state_and_begin_anew():
    states = tuple(HeadState(yaw=float(yaw)) for yaw in (-5, 0, 5))
    steps = Steps(states, hold_ns=100)
    assert [steps.at(at_ns).yaw for at_ns in (0, 99, 100, 299, 300)] == [-5, -5, 0, 5, -5]
