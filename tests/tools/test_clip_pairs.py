import numpy as np
import pytest

from realtime.errors import MediaError
from tools.clip_pairs import clip_moments, pair_up


def joined(before, after, tolerance_ns=5):
    """Times of both clips joined; a picture here is its own time."""
    pairs = pair_up([(t, t) for t in before], [(t, t) for t in after], tolerance_ns)
    return [(moment.before, moment.after) for moment in pairs]


def test_pictures_of_the_same_time_belong_together():
    assert joined([0, 10, 20], [0, 10, 20]) == [(0, 0), (10, 10), (20, 20)]


def test_times_may_be_rounded():
    assert joined([0, 10, 20], [1, 7, 22]) == [(0, 1), (10, 7), (20, 22)]


@pytest.mark.parametrize("lost", [0, 10, 20])
def test_a_picture_lost_in_the_output_is_missing_and_shifts_nothing(lost):
    times = [0, 10, 20]
    left = [time for time in times if time != lost]
    assert joined(times, left) == [(t, None if t == lost else t) for t in times]


@pytest.mark.parametrize("more", [-10, 5, 30])
def test_a_picture_more_in_the_output_is_extra(more):
    pairs = joined([0, 10, 20], sorted([0, 10, 20, more]), tolerance_ns=2)
    assert (None, more) in pairs
    assert [pair for pair in pairs if pair[0] is not None] == [(0, 0), (10, 10), (20, 20)]


def test_an_empty_clip_lacks_everything():
    assert joined([0, 10], []) == [(0, None), (10, None)]
    assert joined([], [0]) == [(None, 0)]


def test_files_are_joined_picture_by_picture(write_clip):
    pictures = [np.full((16, 32, 3), 10 * index, np.uint8) for index in range(5)]
    before = write_clip("before.mkv", pictures)
    after = write_clip("after.mkv", pictures, skip=(2,))
    seen = []
    for moment in clip_moments(before, after):
        assert moment.before is not None
        assert moment.after is None or (moment.before == moment.after).all()
        seen.append((round(moment.media_ns / 1e6 * 0.03), moment.after is None))
    assert seen == [(0, False), (1, False), (2, True), (3, False), (4, False)]


def test_clips_of_two_sizes_are_refused(write_clip):
    before = write_clip("before.mkv", [np.zeros((16, 32, 3), np.uint8)])
    after = write_clip("after.mkv", [np.zeros((32, 16, 3), np.uint8)])
    with pytest.raises(MediaError, match="32×16, got 16×32"):
        list(clip_moments(before, after))
