from itertools import pairwise

import pytest

from realtime.device_settings import DeviceSettings

SLOW, FAST = DeviceSettings(rate_hz=30.0), DeviceSettings(rate_hz=60.0)


def test_what_is_remembered_is_meant_for_any_frame_rate():
    assert SLOW.fuse_strengths[0] == pytest.approx(0.7)
    assert SLOW.restore_strengths[0] == pytest.approx(0.6)
    for slow, fast in (
        (SLOW.fuse_strengths, FAST.fuse_strengths),
        (SLOW.restore_strengths, FAST.restore_strengths),
    ):
        assert [one**2 for one in fast] == pytest.approx(slow)
        assert all(a < b for a, b in pairwise(slow))


def test_what_stands_still_has_its_coarsest_band_remembered_for_longer():
    for settings, weights in ((SLOW, (0.9, 0.775)), (FAST, (0.9**0.5, 0.775**0.5))):
        assert settings.fuse_gain * settings.fuse_strengths[-1] == pytest.approx(weights[0])
        assert settings.restore_gain * settings.restore_strengths[-1] == pytest.approx(weights[1])
    assert DeviceSettings(fuse_weight=0.0).fuse_gain == 1.0


def test_colours_and_sharpness_follow_at_the_same_pace_at_any_frame_rate():
    assert (1 - FAST.colour_rate) ** 2 == pytest.approx(1 - SLOW.colour_rate)
    assert (1 - FAST.sharpness_rate) ** 2 == pytest.approx(1 - SLOW.sharpness_rate)
    assert (1 - SLOW.sharpness_rate) ** 15 == pytest.approx(0.5)
    assert DeviceSettings(settle_ms=0.0).colour_rate == 1.0
