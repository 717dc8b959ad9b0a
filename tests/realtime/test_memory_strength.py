import pytest

from realtime.memory_strength import band_strengths, still_gain


def test_coarser_bands_are_remembered_for_longer():
    fine, middle, coarse = band_strengths(0.7, 1.0)
    assert fine == pytest.approx(0.7)
    assert fine < middle < coarse < 0.8


def test_two_frames_forget_what_two_times_one_does():
    once, twice = band_strengths(0.7, 1.0), band_strengths(0.7, 2.0)
    assert twice == pytest.approx([one**2 for one in once])


def test_what_stands_still_may_be_remembered_for_longer_and_never_for_less():
    assert still_gain(0.7, 0.9, 1.0) * band_strengths(0.7, 1.0)[-1] == pytest.approx(0.9)
    assert still_gain(0.7, 0.2, 1.0) == 1.0
    assert still_gain(0.0, 0.9, 1.0) == 1.0
