from fractions import Fraction

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from cuda_kernels.sharpness import finest_sigma_px
from realtime.frame import Face, Frame, Layer, PictureSpec, Pose
from realtime.memory import Memory
from realtime.stages.match import Match, MatchConfig

MS_NS = 1_000_000
SPEC = PictureSpec(96, 80, Fraction(30), live=False)


@pytest.fixture
def opened():
    """Gives a function that opens a stage with settings."""

    def open_stage(**settings):
        stage = Match(MatchConfig(**settings))
        stage.open(SPEC, Memory())
        return stage

    return open_stage


def grained(strength, size=(40, 48), seed=1):
    """A grey picture with a fine pattern: ``(h, w, 3) u8``."""
    pattern = np.random.default_rng(seed).normal(0, strength, (*size, 1))
    return np.repeat(np.clip(np.round(120 + pattern), 0, 255).astype(np.uint8), 3, axis=-1)


def under_of(strength):
    return grained(strength, (80, 96), seed=9)


SHARP = grained(24)
"""What a swapper draws."""


def face_with(drawn=SHARP, at=(20, 15), *, track_id=1, alpha=255, scale=1.0):
    """A face whose layer's first pixel lies at this pixel of the picture."""
    left, top = at
    height, width = drawn.shape[:2]
    crop_from_image = np.float64([[scale, 0, -left * scale], [0, scale, -top * scale]])
    box = [left, top, left + width / scale, top + height / scale]
    return Face(
        track_id=track_id,
        box=np.array(box, np.float32),
        landmarks=np.zeros((468, 3), np.float32),
        score=0.9,
        pose=Pose(0, 0, 0),
        layer=Layer(drawn.copy(), np.full((height, width), alpha, np.uint8), crop_from_image),
    )


def match(stage, *faces, under, media_ns=0):
    """One frame; the colours of its layers."""
    frame = Frame(under.copy(), media_ns=media_ns, faces=list(faces))
    stage.process(frame)
    np.testing.assert_array_equal(frame.image, under)
    return [face.layer.face for face in faces]


def detail(image):
    """Strength of the finest detail, away from the rim."""
    grey = image[..., 0].astype(np.float32)
    fine = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), finest_sigma_px(48)))
    return float(fine[3:-3, 3:-3].mean())


def test_a_face_is_made_no_sharper_than_the_picture(opened):
    under = under_of(6)
    stage = opened()
    (shown,) = match(stage, face_with(), under=under)
    assert detail(SHARP) > 3 * detail(under)
    assert detail(under) < detail(shown) < 1.6 * detail(under)
    assert stage.name == "match"


def test_what_is_coarser_than_the_finest_detail_stays(opened):
    rows, columns = np.indices((40, 48))
    light = 40 * np.sin(rows / 7) * np.cos(columns / 6)
    drawn = np.clip(SHARP + light[..., None], 0, 255).astype(np.uint8)
    (shown,) = match(opened(), face_with(drawn), under=under_of(1))
    assert detail(shown) < 0.4 * detail(drawn)
    coarse = [cv2.GaussianBlur(image.astype(np.float32), (0, 0), 4) for image in (shown, drawn)]
    assert np.abs(coarse[0] - coarse[1]).max() < 3


def test_a_face_that_is_soft_already_stays_as_it_is(opened):
    (shown,) = match(opened(), face_with(grained(3)), under=under_of(9))
    np.testing.assert_array_equal(shown, grained(3))


def test_switched_off_it_changes_nothing(opened):
    (shown,) = match(opened(sharpness=False), face_with(), under=under_of(2))
    np.testing.assert_array_equal(shown, SHARP)


def test_what_the_swapper_drew_is_left_alone_and_its_place_is_kept(opened):
    face = face_with(alpha=200)
    drawn, alpha = face.layer.face, face.layer.alpha.copy()
    face.layer.origin = 3
    place = face.layer.crop_from_image.copy()
    (shown,) = match(opened(), face, under=under_of(2))
    np.testing.assert_array_equal(drawn, SHARP)
    assert not np.shares_memory(shown, drawn)
    np.testing.assert_array_equal(face.layer.alpha, alpha)
    np.testing.assert_array_equal(face.layer.crop_from_image, place)
    assert face.layer.origin == 3
    assert not face.swapped


def test_detail_is_looked_for_where_the_face_covers_the_picture(opened):
    half = np.zeros((40, 48), np.uint8)
    half[:, :24] = 255
    under = under_of(2)
    under[:, 44:] = grained(24, (80, 52), seed=4)
    whole, left = face_with(), face_with()
    left.layer.alpha = half
    gains = [detail(*match(opened(), face, under=under)) for face in (whole, left)]
    assert gains[1] < 0.6 * gains[0]


def test_a_face_hardly_any_of_which_is_shown_stays_as_it_is(opened):
    (shown,) = match(opened(), face_with(alpha=120), under=under_of(2))
    np.testing.assert_array_equal(shown, SHARP)


def test_the_picture_is_looked_at_in_the_place_and_scale_of_the_layer(opened):
    under = under_of(24)
    under[15:35, 20:44] = 120
    # The layer is twice as fine as the picture, so all of it lies in the part without detail.
    (shown,) = match(opened(), face_with(scale=2.0), under=under)
    assert detail(shown) < 0.4 * detail(SHARP)
    (beside,) = match(opened(), face_with(scale=2.0, at=(44, 35)), under=under)
    assert detail(beside) > 1.2 * detail(shown)


def test_a_face_beyond_the_edge_of_the_picture_is_matched_as_well(opened):
    (shown,) = match(opened(), face_with(at=(-20, -15)), under=under_of(2))
    assert detail(shown) < 0.4 * detail(SHARP)


def test_a_face_without_a_layer_is_passed_over(opened):
    face = face_with()
    face.layer = None
    frame = Frame(under_of(2), faces=[face])
    opened().process(frame)
    assert face.layer is None
    np.testing.assert_array_equal(frame.image, under_of(2))


def test_sharpness_follows_the_picture_slowly(opened):
    stage = opened(sharpness_ms=400)
    details = [
        detail(
            *match(
                stage,
                face_with(),
                under=under_of(2 if number == 0 else 24),
                media_ns=number * 100 * MS_NS,
            )
        )
        for number in range(30)
    ]
    full = detail(SHARP)
    assert details[0] < 0.4 * full
    # In between it is not measured again.
    assert details[1] == details[0]
    way = [(value - details[0]) / (full - details[0]) for value in details]
    assert (way[3], way[5]) == pytest.approx((1 - 0.5**0.5, 0.5), abs=0.08)
    assert (np.diff(details) >= -1e-6).all()
    assert details[-1] > 0.9 * full


def test_each_face_has_its_own_sharpness(opened):
    stage = opened()
    under = np.hstack([under_of(2), under_of(24)])
    one, two = (face_with(at=(left, 15), track_id=n) for n, left in ((1, 20), (2, 20 + 96)))
    match(stage, one, under=under)
    one = face_with(at=(20, 15), track_id=1)
    soft, hard = match(stage, one, two, under=under, media_ns=MS_NS)
    assert detail(soft) < 0.4 * detail(SHARP)
    assert detail(hard) > 0.9 * detail(SHARP)


def test_a_face_that_is_gone_for_a_frame_is_measured_anew(opened):
    stage = opened()
    (first,) = match(stage, face_with(), under=under_of(2))
    match(stage, under=under_of(2), media_ns=MS_NS)
    (again,) = match(stage, face_with(), under=under_of(24), media_ns=2 * MS_NS)
    assert detail(again) > 2 * detail(first)


@pytest.mark.parametrize("end", ["close", "open"])
def test_a_closed_stage_has_forgotten(opened, end):
    stage = opened()
    (first,) = match(stage, face_with(), under=under_of(2))
    if end == "close":
        stage.close()
    else:
        stage.open(SPEC, Memory())
    (again,) = match(stage, face_with(), under=under_of(24), media_ns=MS_NS)
    assert detail(again) > 2 * detail(first)


@pytest.mark.parametrize("settings", [{"sharpness_ms": 0}, {"sharpness_ms": 60_001}, {"blur": 1}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValidationError):
        MatchConfig(**settings)
