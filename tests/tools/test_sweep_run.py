import math
from dataclasses import replace

import numpy as np
import pytest

from tools.sweep_run import SweepFrame, YawSweep, band

FRAME = SweepFrame(
    yaw=0.0,
    input_change=4.0,
    output_change=5.0,
    landmark_error=0.02,
    seen_error=0.03,
    seen=True,
)


def test_a_sweep_goes_from_the_camera_to_both_sides_and_back_at_one_speed():
    sweep = YawSweep(75.0, 50.0)
    assert sweep.seconds == 6.0
    times_s = np.linspace(0.0, 6.0, 601)
    yaws = np.array([sweep.at(round(time_s * 1e9)).yaw for time_s in times_s])
    assert yaws[0] == pytest.approx(0.0)
    assert yaws[150] == pytest.approx(-75.0)
    assert yaws[450] == pytest.approx(75.0)
    assert yaws[-1] == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(np.abs(np.diff(yaws)), 0.5, atol=1e-6)


def test_a_band_takes_the_pictures_of_both_sides_between_its_edges():
    frames = [replace(FRAME, yaw=yaw) for yaw in (-45.0, -30.0, -29.9, 30.0, 44.9, 45.0)]
    assert band(frames, 30.0, 45.0).frames == 3


def test_a_band_has_means_and_worst_values_of_what_was_found():
    frames = [
        FRAME,
        replace(FRAME, output_change=6.0, landmark_error=0.04, seen_error=0.1),
        replace(FRAME, landmark_error=math.nan, seen_error=math.nan, seen=False),
    ]
    found = band(frames, 0.0, 15.0)
    assert (found.frames, found.unseen, found.missing) == (3, 1, 1)
    assert found.input_change == pytest.approx(4.0)
    assert found.ratio == pytest.approx((1.25 + 1.5 + 1.25) / 3)
    assert found.worst_ratio == pytest.approx(1.5)
    assert found.error == pytest.approx(0.03)
    assert (found.worst_error, found.worst_seen) == (0.04, 0.1)


def test_a_band_without_pictures_has_no_figures():
    empty = band([FRAME], 60.0, 75.0)
    assert empty.frames == 0
    assert math.isnan(empty.worst_ratio)
    assert math.isnan(empty.error)
