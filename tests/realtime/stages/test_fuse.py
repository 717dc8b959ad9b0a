from fractions import Fraction

import cv2
import numpy as np
import pytest

from realtime.feature_memory import MemoryConfig
from realtime.frame import Face, FaceState, Frame, Layer, Motion, PictureSpec, Pose
from realtime.geometry import apply, invert
from realtime.memory import Memory
from realtime.stages.fuse import Fuse

PERIOD_NS = 33_333_333
SIZE = (48, 40)
VIEW_PX = 80
SPEC = PictureSpec(160, 120, Fraction(30), live=False)
STEADY = 1.0
"""Grey levels: what rounding alone may change."""


def shifted(dx, dy):
    return np.float64([[1, 0, dx], [0, 1, dy]])


AT = shifted(-20, -15)


def motion(flow=(0, 0), confidence=1.0, *, now=AT, before=AT):
    size = (VIEW_PX, VIEW_PX)
    return Motion(
        now,
        before,
        np.full((*size, 2), flow, np.float32),
        np.broadcast_to(np.float32(confidence), size).copy(),
    )


def drawing(seed=2):
    """``(H, W, 3) u8`` smooth noise."""
    noise = np.random.default_rng(seed).normal(0, 1, (*SIZE, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.clip(np.round(128 + 40 * blurred / blurred.std()), 0, 255).astype(np.uint8)


def layer_of(face, alpha=255, at=AT):
    coverage = np.broadcast_to(np.uint8(alpha), SIZE).copy()
    return Layer(face.copy(), coverage, at)


def flat(value):
    return np.full((*SIZE, 3), value, np.uint8)


def face_with(layer, moved=None, *, track_id=1, score=0.95, **fields):
    return Face(
        track_id=track_id,
        box=np.array([20, 15, 60, 63], np.float32),
        landmarks=np.zeros((468, 3), np.float32),
        score=score,
        pose=Pose(0, 0, 0),
        motion=moved,
        layer=layer,
        **fields,
    )


@pytest.fixture
def fuse():
    stage = Fuse(MemoryConfig(limit=255))
    stage.open(SPEC, Memory())
    return stage


def show(stage, number, *faces, period_ns=PERIOD_NS):
    """One frame; the layers that come out."""
    frame = Frame(np.zeros((120, 160, 3), np.uint8), media_ns=number * period_ns, faces=list(faces))
    stage.process(frame)
    return [face.layer for face in frame.faces]


def apart(layer, face):
    return np.abs(layer.face.astype(int) - face)


def test_a_first_layer_is_shown_as_it_was_drawn(fuse):
    layer = layer_of(drawing(), alpha=90)
    (shown,) = show(fuse, 0, face_with(layer))
    np.testing.assert_array_equal(shown.face, layer.face)
    np.testing.assert_array_equal(shown.alpha, layer.alpha)
    np.testing.assert_array_equal(shown.crop_from_image, AT)
    assert fuse.name == "fuse"


def test_a_still_face_flickers_less(fuse):
    rng = np.random.default_rng(1)
    noisy = [
        np.clip(np.round(128 + rng.normal(0, 6, (*SIZE, 3))), 0, 255).astype(np.uint8)
        for _ in range(50)
    ]
    shown = [show(fuse, n, face_with(layer_of(f), motion()))[0].face for n, f in enumerate(noisy)]
    assert np.std(shown[15:], axis=0).mean() < 0.4 * np.std(noisy[15:], axis=0).mean()


def test_the_coverage_is_steadied_with_the_colours(fuse):
    show(fuse, 0, face_with(layer_of(drawing(), alpha=200)))
    (shown,) = show(fuse, 1, face_with(layer_of(drawing(), alpha=100), motion()))
    assert 150 < shown.alpha.min() <= shown.alpha.max() < 200


def test_a_moving_face_is_neither_blurred_nor_trailed(fuse):
    face = drawing()
    world = np.zeros((120, 160, 3), np.uint8)
    world[15:63, 20:60] = face
    for number in range(8):
        moved = cv2.warpAffine(world, shifted(1.5 * number, 0), (160, 120), flags=cv2.INTER_CUBIC)
        drawn = cv2.warpAffine(moved, AT, SIZE[::-1])
        (shown,) = show(fuse, number, face_with(layer_of(drawn), motion((-1.5, 0))))
    assert apart(shown, drawn)[6:-6, 20:-6].mean() < 3
    assert apart(shown, face)[6:-6, 20:-6].mean() > 15


def test_one_bad_frame_never_shows(fuse):
    good = drawing()
    for number in range(4):
        show(fuse, number, face_with(layer_of(good), motion()))
    bad = face_with(layer_of(flat(255), alpha=0), motion(), score=0.25)
    (shown,) = show(fuse, 4, bad)
    assert apart(shown, good).max() <= STEADY
    assert shown.alpha.min() >= 254
    (after,) = show(fuse, 5, face_with(layer_of(good), motion()))
    assert apart(after, good).max() <= STEADY


def test_the_surer_a_frame_is_the_more_of_it_shows():
    shares = []
    for score in (0.3, 0.55, 0.8, 1.0):
        stage = Fuse(MemoryConfig(limit=255))
        stage.open(SPEC, Memory())
        show(stage, 0, face_with(layer_of(flat(100))))
        (shown,) = show(stage, 1, face_with(layer_of(flat(200)), motion(), score=score))
        shares.append(shown.face.mean() - 100)
    assert shares[0] == 0
    assert 0 < shares[1] < shares[2] == shares[3] < 50


def test_an_opening_eye_is_seen_at_once_where_the_flow_is_not_trusted(fuse):
    shut, confidence = drawing(), np.ones((VIEW_PX, VIEW_PX), np.float32)
    opened = shut.copy()
    eye = np.s_[16:32, 8:24]
    opened[eye] = 255 - opened[eye]
    confidence[eye] = 0.0
    for number in range(4):
        show(fuse, number, face_with(layer_of(shut), motion()))
    (shown,) = show(fuse, 4, face_with(layer_of(opened), motion(confidence=confidence)))
    assert apart(shown, opened)[20:28, 12:20].max() <= STEADY
    assert apart(shown, shut)[36:].max() <= STEADY


def test_what_has_changed_fades_in_where_the_flow_is_trusted(fuse):
    show(fuse, 0, face_with(layer_of(flat(100))))
    left = [
        show(fuse, number, face_with(layer_of(flat(200)), motion()))[0].face.mean()
        for number in range(1, 40)
    ]
    assert left[0] < 120
    assert (np.diff(left) >= 0).all()
    assert left[-1] > 195


@pytest.mark.parametrize(
    ("track_id", "moved", "period_ns"),
    [(2, motion(), PERIOD_NS), (1, None, PERIOD_NS), (1, motion(), 501_000_000)],
    ids=["another person", "no motion", "a long gap"],
)
def test_memory_begins_afresh_with(fuse, track_id, moved, period_ns):
    show(fuse, 1, face_with(layer_of(flat(100))), period_ns=period_ns)
    layer = layer_of(flat(200))
    (shown,) = show(fuse, 2, face_with(layer, moved, track_id=track_id), period_ns=period_ns)
    assert (shown.face == 200).all()


def test_memory_goes_on_over_a_short_gap(fuse):
    show(fuse, 1, face_with(layer_of(flat(100))), period_ns=499_000_000)
    (shown,) = show(fuse, 2, face_with(layer_of(flat(200)), motion()), period_ns=499_000_000)
    assert shown.face.max() < 200


def test_a_face_that_is_gone_for_a_frame_is_forgotten(fuse):
    show(fuse, 0, face_with(layer_of(flat(100))))
    show(fuse, 1)
    (shown,) = show(fuse, 2, face_with(layer_of(flat(200)), motion()))
    assert (shown.face == 200).all()


def test_a_face_that_could_not_be_drawn_is_recalled_where_it_has_moved_to(fuse):
    good = drawing()
    show(fuse, 0, face_with(layer_of(good, alpha=180)))
    now = shifted(-24, -12)
    (shown,) = show(fuse, 1, face_with(None, motion(now=now)))
    assert apart(shown, good).max() <= STEADY
    assert (shown.alpha == 180).all()
    assert apply(invert(shown.crop_from_image), [(0, 0)])[0] == pytest.approx([24, 12])


def test_a_face_is_recalled_for_two_half_lives_at_most(fuse):
    show(fuse, 0, face_with(layer_of(drawing())))
    shown = [show(fuse, number, face_with(None, motion()))[0] for number in range(1, 15)]
    num_shown = [layer is not None for layer in shown].index(False)
    assert num_shown * PERIOD_NS == pytest.approx(2 * 150_000_000, abs=1.01 * PERIOD_NS)
    assert not any(shown[num_shown:])


def test_nothing_is_recalled_without_motion(fuse):
    show(fuse, 0, face_with(layer_of(drawing())))
    assert show(fuse, 1, face_with(None)) == [None]
    assert show(fuse, 2, face_with(None, motion())) == [None]


def test_a_face_that_was_never_drawn_is_not_recalled(fuse):
    assert show(fuse, 0, face_with(None, motion())) == [None]


def test_a_memory_of_doubtful_frames_is_not_recalled(fuse):
    show(fuse, 0, face_with(layer_of(drawing()), score=0.35))
    assert show(fuse, 1, face_with(None, motion())) == [None]


def test_two_faces_do_not_mix(fuse):
    for number in range(5):
        one, two = (
            face_with(layer_of(flat(value)), motion() if number else None, track_id=track_id)
            for track_id, value in ((1, 60), (2, 190))
        )
        order = (one, two) if number % 2 else (two, one)
        show(fuse, number, *order)
        assert (one.layer.face == 60).all()
        assert (two.layer.face == 190).all()


@pytest.mark.parametrize(
    "fields", [{"chosen": False}, {"state": FaceState.LOST}, {"swapped": True}]
)
def test_a_face_that_is_not_to_be_swapped_is_left_alone(fuse, fields):
    show(fuse, 0, face_with(layer_of(flat(100))))
    layer = layer_of(flat(200))
    (shown,) = show(fuse, 1, face_with(layer, motion(), **fields))
    assert shown is layer
    assert (layer.face == 200).all()
    assert show(fuse, 2, face_with(None, motion(), **fields)) == [None]


def test_what_the_swapper_drew_is_left_alone(fuse):
    show(fuse, 0, face_with(layer_of(flat(100))))
    layer = layer_of(flat(200))
    (shown,) = show(fuse, 1, face_with(layer, motion()))
    assert (layer.face == 200).all()
    shown.face[:] = 0
    (after,) = show(fuse, 2, face_with(layer_of(flat(200)), motion()))
    assert after.face.min() > 100


@pytest.mark.parametrize("end", ["close", "open"])
def test_a_closed_stage_has_forgotten(fuse, end):
    show(fuse, 0, face_with(layer_of(flat(100))))
    if end == "close":
        fuse.close()
    else:
        fuse.open(SPEC, Memory())
    (shown,) = show(fuse, 1, face_with(layer_of(flat(200)), motion()))
    assert (shown.face == 200).all()
