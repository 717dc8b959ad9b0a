from fractions import Fraction

import cv2
import numpy as np
import pytest

from cuda_kernels.paste import paste
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


def outline_points(dx=0.0, dy=0.0):
    """``(468, 3)`` landmarks on an ellipse that fills most of the crop."""
    around = np.linspace(0, 2 * np.pi, 468, endpoint=False)
    points = np.zeros((468, 3), np.float32)
    points[:, 0] = 40 + dx + 17 * np.cos(around)
    points[:, 1] = 39 + dy + 21 * np.sin(around)
    return points


def away_from_outline():
    """``(H, W)`` how far each pixel of the crop at its first place lies inside the ellipse."""
    contour = np.round(outline_points()[:, None, :2] - (20, 15)).astype(np.float32)
    return np.array(
        [
            [cv2.pointPolygonTest(contour, (float(x), float(y)), True) for x in range(SIZE[1])]
            for y in range(SIZE[0])
        ]
    )


WITHIN = away_from_outline() > 4
"""The inner face, where its outline covers in full."""
BEYOND = away_from_outline() < -4
"""Beyond where it has faded out."""
EYE = np.s_[16:32, 8:24]
"""An opening of a layer, well inside the face."""


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


def face_with(layer, moved=None, *, track_id=1, score=0.95, landmarks=None, **fields):
    return Face(
        track_id=track_id,
        box=np.array([20, 15, 60, 63], np.float32),
        landmarks=outline_points() if landmarks is None else landmarks,
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


def show(stage, number, *faces, period_ns=PERIOD_NS, picture=None):
    """One frame; the layers that come out."""
    picture = np.zeros((120, 160, 3), np.uint8) if picture is None else picture
    frame = Frame(picture.copy(), media_ns=number * period_ns, faces=list(faces))
    stage.process(frame)
    np.testing.assert_array_equal(frame.image, picture)
    return [face.layer for face in frame.faces]


def grained(strength, seed=1, size=(120, 160)):
    """A picture with noise about 128: ``(h, w, 3) u8``."""
    noise = np.random.default_rng(seed).normal(0, strength, (*size, 3))
    return np.clip(np.round(128 + noise), 0, 255).astype(np.uint8)


def with_eye(drawn, alpha_there=0):
    """A layer that leaves an eye open."""
    layer = layer_of(drawn)
    layer.alpha[EYE] = alpha_there
    return layer


def apart(layer, face):
    return np.abs(layer.face.astype(int) - face)


def test_a_first_layer_is_shown_as_it_was_drawn(fuse):
    layer = layer_of(drawing())
    layer.origin = 3
    (shown,) = show(fuse, 0, face_with(layer))
    np.testing.assert_array_equal(shown.face, layer.face)
    np.testing.assert_array_equal(shown.alpha, layer.alpha)
    np.testing.assert_array_equal(shown.crop_from_image, AT)
    assert shown.origin == 3
    assert fuse.name == "fuse"


def test_what_is_shown_looks_as_the_layer_laid_over_the_picture(fuse):
    alpha = np.random.default_rng(3).integers(0, 256, SIZE, np.uint8)
    layer, picture = layer_of(drawing(), alpha), grained(30)
    (shown,) = show(fuse, 0, face_with(layer), picture=picture)
    share = alpha[..., None] / 255
    wanted = share * layer.face + (1 - share) * picture[15:63, 20:60]
    np.testing.assert_allclose(shown.face, wanted, atol=0.51)


def test_a_first_frame_is_the_same_inside_the_outline_whether_it_is_fused_or_not(fuse):
    layer, picture = with_eye(drawing(), alpha_there=70), grained(30)
    plain, fused = picture.copy(), picture.copy()
    paste(layer.face, layer.alpha, AT, out=plain)
    (shown,) = show(fuse, 0, face_with(layer), picture=picture)
    paste(shown.face, shown.alpha, AT, out=fused)
    apart_there = np.abs(plain.astype(int) - fused)[15:63, 20:60][WITHIN]
    assert apart_there.max() <= STEADY


def test_a_face_is_shown_whole_inside_its_outline_and_fades_out_at_it(fuse):
    (shown,) = show(fuse, 0, face_with(layer_of(drawing(), alpha=0)))
    assert (shown.alpha[WITHIN] == 255).all()
    assert (shown.alpha[BEYOND] == 0).all()
    # From the left edge of the crop to the middle of the face.
    rising = shown.alpha[24, :20].astype(int)
    assert (np.diff(rising) >= 0).all()
    assert np.count_nonzero((rising > 0) & (rising < 255)) >= 2


def test_beyond_the_outline_a_layer_covers_what_it_covered(fuse):
    (shown,) = show(fuse, 0, face_with(layer_of(drawing(), alpha=90)))
    assert (shown.alpha[BEYOND] == 90).all()
    assert (shown.alpha[WITHIN] == 255).all()


def test_an_outline_beyond_the_crop_is_cut_off(fuse):
    landmarks = outline_points()
    landmarks[:, :2] = (landmarks[:, :2] - (40, 39)) * 10 + (40, 39)
    (shown,) = show(fuse, 0, face_with(layer_of(drawing(), alpha=0), landmarks=landmarks))
    assert (shown.alpha == 255).all()
    landmarks[:, 0] += 900
    (shown,) = show(fuse, 1, face_with(layer_of(drawing(), alpha=0), landmarks=landmarks))
    assert (shown.alpha == 0).all()


def turned(degrees, *, period_ns=PERIOD_NS, lean=0.0):
    """How far a memory of 100 grey levels shows in a frame of 180, 0..1, when the head turns."""
    stage = Fuse(MemoryConfig(limit=255))
    stage.open(SPEC, Memory())
    for number in range(5):
        show(stage, number, face_with(layer_of(flat(100)), motion()), period_ns=period_ns)
    face = face_with(layer_of(flat(180)), motion())
    face.pose = Pose(degrees, 0.0, lean)
    (shown,) = show(stage, 5, face, period_ns=period_ns)
    return float((180 - shown.face.astype(float))[WITHIN].mean() / 80)


def test_a_head_that_turns_quickly_shows_its_new_view_at_once():
    assert turned(15.0) < 0.02
    assert turned(4.0) == turned(0.0) > 0.5
    assert 0.1 < turned(7.5) < 0.9 * turned(0.0)


def test_how_fast_a_head_turns_is_told_by_the_time_and_leaning_is_no_turn():
    assert turned(9.0, period_ns=2 * PERIOD_NS) == turned(0.0, period_ns=2 * PERIOD_NS)
    assert turned(0.0, lean=20.0) == turned(0.0)


def test_around_a_face_at_the_edge_of_the_picture_the_edge_goes_on(fuse):
    picture = grained(30)
    at = shifted(10, 8)
    (shown,) = show(fuse, 0, face_with(layer_of(drawing(), 0, at)), picture=picture)
    wide = np.pad(picture, ((8, 0), (10, 0), (0, 0)), mode="edge")
    np.testing.assert_array_equal(shown.face, wide[: SIZE[0], : SIZE[1]])


def test_a_still_face_flickers_less(fuse):
    rng = np.random.default_rng(1)
    noisy = [
        np.clip(np.round(128 + rng.normal(0, 6, (*SIZE, 3))), 0, 255).astype(np.uint8)
        for _ in range(50)
    ]
    shown = [show(fuse, n, face_with(layer_of(f), motion()))[0].face for n, f in enumerate(noisy)]
    assert np.std(shown[15:], axis=0).mean() < 0.4 * np.std(noisy[15:], axis=0).mean()


def test_the_noise_of_the_camera_does_not_stand_out_in_the_openings(fuse):
    shown, seen = [], []
    for number in range(50):
        picture = grained(6, seed=number)
        face = face_with(with_eye(flat(128)), motion())
        (layer,) = show(fuse, number, face, picture=picture)
        assert (layer.alpha[EYE][4:12, 4:12] == 255).all()
        shown.append(layer.face[EYE])
        seen.append(picture[15:63, 20:60][EYE])
    assert np.std(shown[15:], axis=0).mean() < 0.4 * np.std(seen[15:], axis=0).mean()


def test_the_noise_of_the_camera_does_not_stand_out_at_the_rim(fuse):
    rim = np.abs(away_from_outline()) < 1
    shown, seen = [], []
    for number in range(50):
        picture = grained(6, seed=number)
        face = face_with(layer_of(flat(128), alpha=0), motion())
        (layer,) = show(fuse, number, face, picture=picture)
        paste(layer.face, layer.alpha, AT, out=picture)
        shown.append(picture[15:63, 20:60][rim])
        seen.append(grained(6, seed=number)[15:63, 20:60][rim])
    assert np.std(shown[15:], axis=0).mean() < 0.5 * np.std(seen[15:], axis=0).mean()


def test_a_change_of_coverage_is_steadied_with_the_colours(fuse):
    show(fuse, 0, face_with(layer_of(flat(200), alpha=200)))
    (shown,) = show(fuse, 1, face_with(layer_of(flat(200), alpha=100), motion()))
    before, now = 200 * 200 / 255, 200 * 100 / 255
    middle = shown.face[WITHIN]
    assert (before + now) / 2 < middle.min() <= middle.max() < before
    # Beyond the outline it is how far the layer covers now that counts.
    assert (shown.alpha[BEYOND] == 100).all()


@pytest.mark.parametrize(("joined", "share"), [(False, 1.0), (True, 0.5)])
def test_of_a_face_that_fusenet_made_less_is_remembered(joined, share):
    stage = Fuse(MemoryConfig(weight=0.6, still_weight=0.6, limit=255), joined_share=0.5)
    stage.open(SPEC, Memory())
    for number, level in enumerate((100, 140)):
        layer = layer_of(flat(level))
        layer.joined = joined
        (shown,) = show(stage, number, face_with(layer, motion()))
    steps = 140 - shown.face[20:28, 16:24].astype(float).mean()
    # Light is remembered a little longer than detail.
    assert 40 * 0.6 * share <= steps <= 40 * (0.6 * share) ** (1 / 1.4) + 1


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
    (shown,) = show(fuse, 4, bad, picture=grained(30))
    assert apart(shown, good).max() <= STEADY
    assert (shown.alpha[WITHIN] == 255).all()
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
    opened[EYE] = 255 - opened[EYE]
    confidence[EYE] = 0.0
    for number in range(4):
        show(fuse, number, face_with(layer_of(shut), motion()))
    (shown,) = show(fuse, 4, face_with(layer_of(opened), motion(confidence=confidence)))
    assert apart(shown, opened)[20:28, 12:20].max() <= STEADY
    assert apart(shown, shut)[36:].max() <= STEADY


def test_the_person_s_own_eye_opens_at_once_where_the_flow_is_not_trusted(fuse):
    confidence = np.ones((VIEW_PX, VIEW_PX), np.float32)
    confidence[EYE] = 0.0
    shut, opened = (np.full((120, 160, 3), value, np.uint8) for value in (60, 220))
    for number in range(4):
        show(fuse, number, face_with(with_eye(flat(128)), motion()), picture=shut)
    face = face_with(with_eye(flat(128)), motion(confidence=confidence))
    (shown,) = show(fuse, 4, face, picture=opened)
    assert apart(shown, flat(220))[20:28, 12:20].max() <= STEADY
    assert apart(shown, flat(128))[36:].max() <= STEADY


def test_the_person_s_own_mouth_opens_at_once_even_where_the_flow_is_trusted(fuse):
    shut, opened = (np.full((120, 160, 3), value, np.uint8) for value in (150, 30))
    for number in range(4):
        show(fuse, number, face_with(with_eye(flat(128)), motion()), picture=shut)
    (shown,) = show(fuse, 4, face_with(with_eye(flat(128)), motion()), picture=opened)
    # All but the edge of what is open, where the memory is blended into it.
    assert apart(shown, flat(30))[22:26, 14:18].max() <= 2
    assert apart(shown, flat(128))[36:].max() <= STEADY


def test_what_has_changed_fades_in_where_the_flow_is_trusted(fuse):
    show(fuse, 0, face_with(layer_of(flat(100))))
    left = [
        show(fuse, number, face_with(layer_of(flat(200)), motion()))[0].face.mean()
        for number in range(1, 40)
    ]
    assert left[0] < 125
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


def changed(origin, person):
    """A white face of this swapper that becomes this person."""
    layer = layer_of(flat(200))
    layer.origin = origin
    return face_with(layer, motion(), person=person)


@pytest.mark.parametrize(("origin", "person"), [(1, 0), (0, 1), (1, 1)])
def test_of_another_swapper_or_person_nothing_is_remembered(fuse, origin, person):
    show(fuse, 0, face_with(layer_of(flat(100))))
    (shown,) = show(fuse, 1, changed(origin, person))
    assert (shown.face == 200).all()
    assert shown.origin == origin
    # From then on it is remembered as any other.
    layer = layer_of(flat(100))
    layer.origin = origin
    (shown,) = show(fuse, 2, face_with(layer, motion(), person=person))
    assert shown.face.min() > 150


def test_a_frame_that_could_not_be_drawn_does_not_hide_the_change_of_the_swapper(fuse):
    show(fuse, 0, face_with(layer_of(flat(100))))
    (recalled,) = show(fuse, 1, face_with(None, motion()))
    assert (recalled.face == 100).all()
    (shown,) = show(fuse, 2, changed(1, 0))
    assert (shown.face == 200).all()


def test_a_frame_that_could_not_be_drawn_does_not_make_it_forget(fuse):
    show(fuse, 0, face_with(layer_of(flat(100))))
    show(fuse, 1, face_with(None, motion()))
    (shown,) = show(fuse, 2, changed(0, 0))
    assert shown.face.max() < 150


def test_another_person_is_not_recalled_in_place_of_the_one_wanted(fuse):
    show(fuse, 0, face_with(layer_of(flat(100))))
    assert show(fuse, 1, face_with(None, motion(), person=1)) == [None]


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
    show(fuse, 0, face_with(layer_of(good)))
    now = shifted(-24, -12)
    face = face_with(None, motion(now=now), landmarks=outline_points(4, -3))
    (shown,) = show(fuse, 1, face)
    assert apart(shown, good).max() <= STEADY
    assert apply(invert(shown.crop_from_image), [(0, 0)])[0] == pytest.approx([24, 12])
    assert (shown.alpha[WITHIN] == 255).all()
    assert (shown.alpha[BEYOND] == 0).all()


def test_what_is_recalled_has_the_person_s_own_eyes_as_they_were(fuse):
    picture = np.full((120, 160, 3), 60, np.uint8)
    show(fuse, 0, face_with(with_eye(flat(128))), picture=picture)
    (shown,) = show(fuse, 1, face_with(None, motion()), picture=picture + np.uint8(100))
    assert apart(shown, flat(60))[20:28, 12:20].max() <= STEADY
    assert apart(shown, flat(128))[36:].max() <= STEADY


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


@pytest.mark.parametrize("scale", [0.75, 0.5, 0.3])
@pytest.mark.parametrize("degrees", [0, 20])
def test_the_noise_around_a_face_larger_than_its_crop_is_averaged(fuse, scale, degrees):
    picture = grained(20, size=(240, 240))
    at = cv2.getRotationMatrix2D((120, 120), degrees, scale)
    at[:, 2] += (20 - 120, 24 - 120)
    (shown,) = show(fuse, 0, face_with(layer_of(flat(0), 0, at)), picture=picture)
    # A pixel of the crop stands for this many of the picture.
    assert shown.face.std() < 1.35 * scale * picture.std()
    assert shown.face.mean() == pytest.approx(picture.mean(), abs=1.0)


@pytest.mark.parametrize("scale", [1.3, 0.9, 0.7, 0.5])
def test_the_picture_around_a_face_is_seen_where_it_lies(fuse, scale):
    rows, columns = np.indices((120, 120), np.uint8)
    at = cv2.getRotationMatrix2D((60, 60), 10, scale)
    at[:, 2] += (20 - 60, 24 - 60)
    layer = layer_of(flat(0), 0, at)
    (shown,) = show(fuse, 0, face_with(layer), picture=2 * np.dstack([columns, rows, rows]))
    rows, columns = np.indices(SIZE)
    pixels = np.stack([columns.ravel(), rows.ravel()], axis=-1)
    away = shown.face[..., :2] / 2 - apply(invert(at), pixels).reshape(*SIZE, 2)
    assert np.abs(away).max() <= 0.6
    assert np.abs(away.mean(axis=(0, 1))).max() < 0.25


@pytest.mark.parametrize("end", ["close", "open"])
def test_a_closed_stage_has_forgotten(fuse, end):
    show(fuse, 0, face_with(layer_of(flat(100))))
    if end == "close":
        fuse.close()
    else:
        fuse.open(SPEC, Memory())
    (shown,) = show(fuse, 1, face_with(layer_of(flat(200)), motion()))
    assert (shown.face == 200).all()
