import numpy as np
import pytest

from realtime.face_mesh import INNER_LIPS, LEFT_EYE, RIGHT_EYE
from realtime.frame import Occluder
from realtime.openings import carry_openings

SIZE = (200, 240, 3)
RINGS = {"right eye": RIGHT_EYE, "left eye": LEFT_EYE, "mouth": INNER_LIPS}
MIDDLES = {RIGHT_EYE: (70.0, 70.0), LEFT_EYE: (170.0, 70.0), INNER_LIPS: (120.0, 150.0)}


def oval(middle, across, down, count):
    angles = np.linspace(0.0, 2 * np.pi, count, endpoint=False)
    return np.column_stack(
        [middle[0] + across * np.cos(angles), middle[1] + down * np.sin(angles), np.zeros(count)]
    ).astype(np.float32)


def head(across=20.0, down=10.0):
    """468 landmarks of which only those around the openings matter."""
    landmarks = np.full((468, 3), 120.0, np.float32)
    for ring, middle in MIDDLES.items():
        landmarks[list(ring)] = oval(middle, across, down, len(ring))
    return landmarks


def slopes():
    """A picture whose first channel tells the column and whose second tells the row."""
    image = np.zeros(SIZE, np.uint8)
    image[..., 0] = np.arange(SIZE[1])
    image[..., 1] = np.arange(SIZE[0])[:, None]
    return image


def moved(landmarks, ring, shift, scale=(1.0, 1.0)):
    drawn = landmarks.copy()
    points = drawn[list(ring), :2]
    middle = points.mean(axis=0)
    drawn[list(ring), :2] = (points - middle) * scale + middle + shift
    return drawn


@pytest.mark.parametrize("ring", RINGS.values(), ids=RINGS)
def test_what_is_seen_in_an_opening_goes_where_it_is_drawn(ring):
    image, landmarks = slopes(), head()
    drawn = moved(landmarks, ring, (7.0, -5.0))
    carry_openings(image, landmarks, drawn, None)
    x, y = np.round(drawn[list(ring), :2].mean(axis=0)).astype(int)
    for right, down in ((0, 0), (-12, 2), (12, 2), (0, -7), (0, 7)):
        seen = image[y + down, x + right, :2].astype(int)
        assert np.abs(seen - (x + right - 7, y + down + 5)).max() <= 1


def test_an_opening_that_is_drawn_wider_shows_all_of_the_other():
    image, landmarks = slopes(), head()
    drawn = moved(landmarks, INNER_LIPS, (0.0, 0.0), scale=(1.5, 1.0))
    carry_openings(image, landmarks, drawn, None)
    for right in (-24, 0, 24):
        assert abs(int(image[150, 120 + right, 0]) - (120 + right / 1.5)) <= 1.5


def test_the_picture_beside_the_openings_stays_as_it_is():
    image, landmarks = slopes(), head()
    before = image.copy()
    carry_openings(image, landmarks, moved(landmarks, INNER_LIPS, (4.0, 3.0)), None)
    changed = (image != before).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert 140 <= rows.min() <= rows.max() <= 166
    assert 101 <= columns.min() <= columns.max() <= 147


def test_openings_that_are_drawn_where_they_are_are_left_alone():
    image, landmarks = slopes(), head()
    before = image.copy()
    carry_openings(image, landmarks, moved(landmarks, INNER_LIPS, (0.2, 0.2)), None)
    assert np.array_equal(image, before)


def test_a_shut_mouth_is_not_stretched_across():
    image, landmarks = slopes(), head(down=0.05)
    noise = np.random.default_rng(3).normal(0.0, 0.5, (len(INNER_LIPS), 2))
    drawn = moved(landmarks, INNER_LIPS, (0.0, -6.0))
    drawn[list(INNER_LIPS), :2] += noise.astype(np.float32)
    carry_openings(image, landmarks, drawn, None)
    for down in (-1, 0, 1):
        assert abs(int(image[144 + down, 120, 1]) - (150 + down)) <= 1


def test_what_is_behind_a_hand_stays_there():
    image, landmarks = slopes(), head()
    before = image.copy()
    mask = np.zeros((100, 120), np.uint8)
    mask[60:] = 255
    hand = Occluder(mask, np.array([[0.5, 0.0, -0.25], [0.0, 0.5, -0.25]]))
    drawn = moved(moved(landmarks, INNER_LIPS, (6.0, 6.0)), LEFT_EYE, (6.0, 6.0))
    carry_openings(image, landmarks, drawn, hand)
    assert np.array_equal(image[120:], before[120:])
    assert not np.array_equal(image[:110], before[:110])


@pytest.mark.parametrize(("part", "ring"), [("eyes", LEFT_EYE), ("mouth", INNER_LIPS)])
def test_what_is_to_be_kept_stays(part, ring):
    image, landmarks = slopes(), head()
    before = image.copy()
    carry_openings(image, landmarks, moved(landmarks, ring, (6.0, 6.0)), None, {part})
    assert np.array_equal(image, before)


@pytest.mark.parametrize("shift", [(-70.0, 0.0), (-200.0, 0.0), (0.0, 900.0)])
def test_an_opening_drawn_beyond_the_picture_does_no_harm(shift):
    image, landmarks = slopes(), head()
    carry_openings(image, landmarks, moved(landmarks, RIGHT_EYE, shift), None)
    assert image.shape == SIZE
