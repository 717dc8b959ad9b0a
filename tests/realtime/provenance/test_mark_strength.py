import numpy as np
import pytest

from realtime.provenance.mark_strength import LIVELY, RESTLESS, Liveliness, MarkStrength

SIZE, GRID = (640, 352), (40, 22)  # blocks of 16 by 16 pixels
MS_NS = 1_000_000
NONE, HALF, FULL = range(3)


def chosen(faces, media_ns=0):
    return MarkStrength(SIZE, GRID).choose(faces, media_ns)


def test_without_faces_the_mark_is_everywhere():
    assert (chosen([]) == FULL).all()


def test_a_face_has_none_and_what_is_beside_it_has_half():
    strengths = chosen([(100, 60, 200, 190)])
    # Pixels 100 to 199 lie in the columns 6 to 12, and 60 to 189 in the rows 3 to 11.
    assert (strengths[3:12, 6:13] == NONE).all()
    assert (strengths[2:13, 5:14] == HALF).sum() == 11 * 9 - 9 * 7
    assert (strengths == FULL).sum() == 40 * 22 - 11 * 9


def test_where_two_faces_are_close_neither_gets_any_of_the_mark():
    strengths = chosen([(100, 60, 200, 190), (208, 60, 300, 190)])
    assert (strengths[4:11, 6:18] == NONE).all()


@pytest.mark.parametrize(
    "box",
    [
        (-900.0, -900.0, -400.0, -400.0),
        (900.0, 100.0, 1200.0, 300.0),
        (np.nan, 0.0, 10.0, 10.0),
        (0.0, 0.0, np.inf, 10.0),
    ],
)
def test_a_box_outside_or_without_a_place_changes_nothing(box):
    assert (chosen([box]) == FULL).all()


def test_a_face_at_the_edge_leaves_the_other_edge_alone():
    strengths = chosen([(-40, -40, 60, 60)])
    assert (strengths[:4, :4] == NONE).all()
    assert (strengths[-1] == FULL).all()
    assert (strengths[:, -1] == FULL).all()


def test_the_mark_goes_at_once_and_comes_back_in_steps():
    strength = MarkStrength(SIZE, GRID)
    strength.choose([], 0)
    assert strength.choose([(100, 60, 200, 190)], 40 * MS_NS)[5, 8] == NONE
    seen = [int(strength.choose([], (80 + 50 * step) * MS_NS)[5, 8]) for step in range(14)]
    assert seen == [NONE] * 6 + [HALF] * 6 + [FULL] * 2


def test_a_face_that_sways_makes_the_mark_go_only_once():
    strength = MarkStrength(SIZE, GRID)
    changes, before = 0, None
    for number in range(120):
        left = 150 + 40 * np.sin(2 * np.pi * number / 8)
        now = strength.choose([(left, 60, left + 100, 190)], number * 33 * MS_NS).copy()
        if before is not None and number > 10:
            changes += int((now != before).sum())
        before = now
    assert changes == 0


def test_a_face_that_fills_the_picture_gets_half_until_there_is_clearly_room():
    strength = MarkStrength(SIZE, GRID)
    near = strength.choose([(20, 0, 600, 352)], 0)
    assert near.min() == HALF
    # A little less of the picture is still too much, so that it does not flicker.
    assert strength.choose([(130, 0, 510, 352)], 33 * MS_NS).min() == HALF
    assert strength.choose([(250, 50, 400, 300)], 66 * MS_NS).min() == NONE


def test_a_face_at_the_limit_that_never_filled_the_picture_gets_none():
    assert chosen([(130, 0, 510, 352)]).min() == NONE


def test_a_clip_that_begins_anew_does_not_stop_the_mark_from_coming_back():
    strength = MarkStrength(SIZE, GRID)
    strength.choose([(100, 60, 200, 190)], 9_000 * MS_NS)
    strength.choose([], 9_033 * MS_NS)
    for number in range(25):
        strengths = strength.choose([], number * 33 * MS_NS)
    assert (strengths == FULL).all()


@pytest.mark.parametrize("most", [LIVELY, RESTLESS])
def test_lively_pictures_get_more_but_not_on_faces_and_not_beside_them(most):
    face = (100, 60, 200, 190)
    calm = chosen([face])
    lively = MarkStrength(SIZE, GRID).choose([face], 0, most=most)
    assert ((lively == most) == (calm == FULL)).all()
    assert (lively[calm < FULL] == calm[calm < FULL]).all()


def test_more_comes_in_steps_and_goes_at_once():
    strength = MarkStrength(SIZE, GRID)
    seen = [
        int(
            strength.choose([], number * 100 * MS_NS, most=RESTLESS if 1 <= number < 9 else FULL)[
                0, 0
            ]
        )
        for number in range(11)
    ]
    assert seen == [FULL] * 4 + [LIVELY] * 3 + [RESTLESS] * 2 + [FULL] * 2


def level(value):
    return np.full((64, 96, 3), value, np.uint8)


def flicker(liveliness, step):
    """What sixty pictures can bear, one after the other, that are brighter and darker in turn."""
    found = []
    for number in range(60):
        liveliness.see(level(100 + step * (number % 2)))
        found.append(liveliness.strength)
    return found


def test_flashes_are_restless_and_stay_so_until_it_is_clearly_calmer():
    liveliness = Liveliness()
    assert set(flicker(liveliness, 0)) == {FULL}
    flashes = flicker(liveliness, 10)
    assert flashes[1] < RESTLESS
    assert flashes[-1] == RESTLESS
    assert set(flicker(liveliness, 6)) == {RESTLESS}
    assert flicker(liveliness, 4)[-1] == LIVELY


def noisy(deviation, number_of_cut=None):
    """What thirty noisy pictures can bear, of which one is a cut."""
    rng = np.random.default_rng(0)
    liveliness = Liveliness()
    found = []
    for number in range(30):
        mean = 80 + 60 * (number_of_cut is not None and number > number_of_cut)
        picture = rng.normal(mean, deviation, (180, 320, 3))
        liveliness.see(picture.clip(0, 255).astype(np.uint8))
        found.append(liveliness.strength)
    return found


def test_noise_makes_pictures_lively_but_not_restless():
    assert set(noisy(0.5)) == {FULL}
    assert noisy(3)[-1] == LIVELY
    assert RESTLESS not in noisy(3)


def test_a_single_cut_makes_nothing_restless():
    assert RESTLESS not in noisy(1, number_of_cut=15)


def test_a_mark_that_waits_to_come_back_does_so_though_nothing_else_changes():
    strength = MarkStrength(SIZE, GRID)
    strength.choose([(100, 60, 200, 190)], 0)
    for number in range(1, 40):
        strengths = strength.choose([], number * 33 * MS_NS)
    assert (strengths == FULL).all()
