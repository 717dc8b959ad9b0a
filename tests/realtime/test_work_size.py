import pytest

from realtime.work_size import STEPS_PX, WorkSize, step_for


@pytest.mark.parametrize(
    ("needed_px", "step"), [(0, 64), (64, 64), (64.1, 96), (200, 256), (512, 512), (5000, 512)]
)
def test_a_face_gets_the_smallest_step_that_has_its_pixels(needed_px, step):
    assert step_for(needed_px) == step
    assert WorkSize().follow(needed_px) == step


def test_a_face_that_grows_is_never_worked_on_in_less_than_it_has():
    size = WorkSize()
    for needed_px in range(40, 500, 3):
        assert size.follow(needed_px) == step_for(needed_px)


def test_a_face_that_shrinks_goes_down_step_by_step_and_a_little_later():
    size = WorkSize()
    taken = [size.follow(needed_px) for needed_px in range(512, 40, -1)]
    assert list(dict.fromkeys(taken)) == list(reversed(STEPS_PX))
    for needed_px, step in zip(range(512, 40, -1), taken, strict=True):
        assert needed_px <= step <= step_for(1.15 * needed_px)


def test_a_face_that_trembles_between_two_steps_stays_in_one():
    size = WorkSize()
    assert len({size.follow(128 + swing) for swing in (1, -3, 2, -6, 0, -9, 1) * 4}) == 1


def test_steps_of_ones_own_are_kept_to():
    size = WorkSize((128, 256))
    assert [size.follow(px) for px in (30, 129, 900, 120, 100)] == [128, 256, 256, 256, 128]


def test_where_time_is_short_a_face_gets_the_largest_step_there_is_time_for():
    size = WorkSize()
    assert [size.follow(250, most_px) for most_px in (300, 200, 1, 300)] == [256, 192, 64, 256]
