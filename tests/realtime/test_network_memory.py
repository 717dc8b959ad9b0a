from fractions import Fraction

import numpy as np
import pytest

from realtime.feature_memory import MemoryConfig
from realtime.frame import Face, Frame, Motion, PictureSpec, Pose
from realtime.geometry import compose
from realtime.network_memory import NetworkMemory

SHAPE = (1, 6, 16, 16)
CROP_PX, VIEW_PX = 128, 72
PERIOD_NS = 33_333_333
AT = np.float64([[0.6, 0.1, -20], [-0.1, 0.6, 9]])
SPEC = PictureSpec(64, 48, Fraction(30), live=False)


def view_of(crop_from_image):
    """The aligned view that shows what a crop shows."""
    scale = VIEW_PX / CROP_PX
    middle = (scale - 1) / 2
    return compose(np.float64([[scale, 0, middle], [0, scale, middle]]), crop_from_image)


def motion(flow=(0.0, 0.0)):
    size, both = (VIEW_PX, VIEW_PX), view_of(AT)
    return Motion(both, both, np.full((*size, 2), flow, np.float32), np.ones(size, np.float32))


def face(track_id=1, *, moved=None, person=0):
    landmarks = np.zeros((468, 3), np.float32)
    box = np.zeros(4, np.float32)
    return Face(track_id, box, landmarks, 0.99, Pose(0, 0, 0), person=person, motion=moved)


class Film:
    """Goes through a memory frame by frame.

    Args:
        dtype: of the features.
        weight: of the memory.
    """

    def __init__(self, dtype=np.float32, **settings):
        self.memory = NetworkMemory(MemoryConfig(**settings), SHAPE, CROP_PX)
        self.now_ns = 0
        self.dtype = dtype
        self.random = np.random.default_rng(5)
        self.scene = (
            self.random.normal(size=SHAPE) * np.float64([1, 0.01, 30, 1, 1, 0])[:, None, None]
        )

    def noisy(self):
        spread = np.float64([1, 0.01, 30, 1, 1, 0])[:, None, None]
        return self.scene + 0.3 * spread * self.random.normal(size=SHAPE)

    def see(self, faces, features=None, *, elapsed_ns=PERIOD_NS):
        """Features before and after, for each face of one frame."""
        self.now_ns += elapsed_ns
        frame = Frame.blank(SPEC)
        frame.faces = list(faces)
        self.memory.begin(frame)
        pairs = []
        for one in faces:
            given = (self.noisy() if features is None else features).astype(self.dtype)
            after = given.copy()
            self.memory.work(one, AT, self.now_ns)(after)
            pairs.append((given, after))
        return pairs


def is_same(pair):
    given, after = (array.astype(np.float64) for array in pair)
    return np.allclose(given, after, rtol=1e-3, atol=1e-5)


@pytest.fixture
def film():
    """Has seen a face in two frames."""
    film = Film()
    film.see([face()])
    film.see([face(moved=motion())])
    return film


def test_the_first_features_pass_as_they_are():
    (pair,) = Film().see([face()])
    assert is_same(pair)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_the_noise_of_a_face_that_keeps_still_is_averaged_away_in_every_channel(dtype):
    film = Film(dtype)
    film.see([face()])
    pairs = [film.see([face(moved=motion())])[0] for _ in range(40)]
    before, after = (np.std([pair[n][0] for pair in pairs[10:]], axis=0) for n in (0, 1))
    # Of independent noise a memory of weight 0.7 leaves sqrt((1 - w) / (1 + w)) = 0.42 at most.
    assert (after[:5].mean(axis=(1, 2)) < 0.55 * before[:5].mean(axis=(1, 2))).all()
    np.testing.assert_allclose(pairs[-1][1][0, 5], 0.0, atol=1e-4)


def test_without_weight_on_the_past_nothing_changes():
    film = Film(weight=0.0)
    film.see([face()])
    assert is_same(film.see([face(moved=motion())])[0])


def test_what_is_remembered_moves_with_the_face():
    film = Film(limit=255.0)
    pattern = np.zeros(SHAPE, np.float32)
    pattern[..., 8, 8] = 1.0
    film.see([face()], pattern)
    pixel = VIEW_PX / SHAPE[3]
    # What is seen here was seen two features to the left before: it moved to the right.
    ((_, after),) = film.see([face(moved=motion((-2 * pixel, 0.0)))], np.zeros(SHAPE, np.float32))
    assert np.unravel_index(after[0, 0].argmax(), SHAPE[2:]) == (8, 10)
    assert after[0, 0].max() > 0.25


@pytest.mark.parametrize(
    ("again", "elapsed_ns"),
    [
        (face(), PERIOD_NS),
        (face(moved=motion(), person=1), PERIOD_NS),
        (face(moved=motion()), 600_000_000),
        (face(2, moved=motion()), PERIOD_NS),
    ],
    ids=["cut", "another person", "gap", "another face"],
)
def test_it_begins_afresh(film, again, elapsed_ns):
    assert is_same(film.see([again], elapsed_ns=elapsed_ns)[0])
    assert not is_same(film.see([face(again.track_id, moved=motion(), person=again.person)])[0])


@pytest.mark.parametrize("others", [[], [face(2)]], ids=["nobody", "somebody else"])
def test_a_face_that_was_not_drawn_in_the_frame_before_begins_afresh(film, others):
    film.see(others)
    assert is_same(film.see([face(moved=motion())])[0])


def test_after_a_reset_every_face_begins_afresh(film):
    film.memory.reset()
    assert is_same(film.see([face(moved=motion())])[0])


def test_features_that_are_no_numbers_pass_and_are_not_remembered(film):
    broken = np.full(SHAPE, np.nan, np.float32)
    ((_, after),) = film.see([face(moved=motion())], broken)
    assert np.isnan(after).all()
    pair = film.see([face(moved=motion())])[0]
    assert np.isfinite(pair[1]).all()
    assert is_same(pair)


def test_faces_do_not_mix():
    film, alone = Film(limit=255.0), Film(limit=255.0)
    one, other = np.ones(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    one[..., ::2, :] = 3.0
    for moved in (None, motion(), motion()):
        film.now_ns += PERIOD_NS
        frame = Frame.blank(SPEC)
        frame.faces = [face(1, moved=moved), face(2, moved=moved)]
        film.memory.begin(frame)
        results = [one.copy(), other.copy()]
        for item, array in zip(frame.faces, results, strict=True):
            film.memory.work(item, AT, film.now_ns)(array)
        ((_, expected),) = alone.see([face(1, moved=moved)], one)
        np.testing.assert_allclose(results[0], expected, atol=1e-5)
        np.testing.assert_allclose(results[1], other, atol=1e-5)
