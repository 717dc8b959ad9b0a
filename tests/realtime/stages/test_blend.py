from dataclasses import replace
from fractions import Fraction
from importlib import util
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.config import load_config
from realtime.errors import ConfigError
from realtime.face_mesh import INNER_LIPS, LEFT_BROW, LEFT_EYE, OUTER_LIPS, RIGHT_EYE
from realtime.frame import Face, Frame, Layer, Occluder, PictureSpec, Pose
from realtime.memory import Memory
from realtime.stages.blend import Blend, CompositeConfig
from realtime.stages.composite import Composite

_SPEC = util.spec_from_file_location("portrait", Path(__file__).parents[1] / "portrait.py")
_PORTRAIT = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_PORTRAIT)

SIDE = 320
SPEC = PictureSpec(SIDE, SIDE, Fraction(30), live=False)
POINTS = _PORTRAIT.neutral_landmarks((160.0, 160.0), 190.0)
SKIN = np.float32([120, 150, 195])
MODES = ("multiband", "poisson", "feather")
MS = 1_000_000


def picture(colour=SKIN, lamp=0.0, seed=1):
    """Skin, brighter to one side, with pores, and a green wall above."""
    rng = np.random.default_rng(seed)
    pores = cv2.GaussianBlur(rng.normal(0, 4, (SIDE, SIDE)).astype(np.float32), (0, 0), 1)
    across = np.linspace(-lamp, lamp, SIDE, dtype=np.float32)
    skin = np.clip(colour + pores[..., None] + across[None, :, None], 0, 255).astype(np.uint8)
    skin[:20] = (90, 160, 60)
    return skin


def oval(shift=(0.0, 0.0), soft_px=7):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    centre = (round((160 + shift[0]) * 16), round((160 + shift[1]) * 16))
    cv2.ellipse(mask, centre, (78 * 16, 94 * 16), 0, 0, 360, 255, -1, cv2.LINE_AA, 4)
    return cv2.blur(mask, (soft_px, soft_px))


def face_with(drawn, *, alpha=None, lit=True, occluder=None, glasses=None, origin=0):
    box = np.concatenate([POINTS[:, :2].min(0), POINTS[:, :2].max(0)])
    alpha = oval() if alpha is None else alpha
    left, top = 60, 40
    part = np.s_[top : top + 240, left : left + 200]
    crop_from_image = np.float64([[1, 0, -left], [0, 1, -top]])
    layer = Layer(drawn[part].copy(), alpha[part].copy(), crop_from_image, origin, lit)
    return Face(
        track_id=1,
        box=box.astype(np.float32),
        landmarks=POINTS,
        score=0.9,
        pose=Pose(0, 0, 0),
        occluder=occluder,
        glasses=glasses,
        layer=layer,
    )


def opened(**settings):
    stage = Blend(CompositeConfig(**settings))
    stage.open(SPEC, Memory())
    return stage


def output(stage, under, face, media_ns=0):
    frame = Frame(under.copy(), media_ns=media_ns, faces=[face])
    stage.process(frame)
    Composite().process(frame)
    return frame.image


def rim_gradient(under, out):
    change = cv2.GaussianBlur(out.astype(np.float32) - under, (0, 0), 1.5)
    down, across = np.gradient(change, axis=(0, 1))
    inside = (oval() > 127).astype(np.uint8)
    away = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    away += cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    return float(np.sqrt(across**2 + down**2)[away < 4].mean())


def middle(image):
    """Of cheek and nose, away from eyes and mouth."""
    return image[150:175, 150:170].astype(np.float32).mean(axis=(0, 1))


def test_feathering_leaves_a_face_that_is_lit_as_it_was_drawn():
    face = face_with(picture(SKIN * 0.7))
    drawn, alpha = face.layer.face, face.layer.alpha
    output(opened(blend="feather"), picture(), face)
    assert face.layer.face is drawn
    assert face.layer.alpha is alpha


@pytest.mark.parametrize("blend", ["multiband", "poisson"])
@pytest.mark.parametrize("tone", [0.7, 0.85, 1.2])
def test_a_seam_is_at_most_half_of_what_feathering_leaves(blend, tone):
    under, drawn = picture(), picture(SKIN * tone, seed=2)
    plain = rim_gradient(under, output(opened(blend="feather"), under, face_with(drawn)))
    own = rim_gradient(under, output(opened(blend=blend), under, face_with(drawn)))
    assert own <= 0.5 * plain


@pytest.mark.parametrize("blend", MODES)
def test_layers_of_the_stage_before_are_not_written(blend):
    face = face_with(picture(SKIN * 0.7), lit=False)
    drawn, alpha = face.layer.face, face.layer.alpha
    kept = drawn.copy(), alpha.copy()
    output(opened(blend=blend, keep=("eyes", "mouth")), picture(), face)
    np.testing.assert_array_equal(drawn, kept[0])
    np.testing.assert_array_equal(alpha, kept[1])


@pytest.mark.parametrize("blend", MODES)
def test_what_lies_outside_the_mask_keeps_every_bit(blend):
    under = picture(lamp=20)
    face = face_with(picture(SKIN * 0.7), lit=False)
    out = output(opened(blend=blend), under, face)
    np.testing.assert_array_equal(out[oval() == 0], under[oval() == 0])


@pytest.mark.parametrize("blend", MODES)
@pytest.mark.parametrize("shift", [(0.5, 0.0), (0.0, 0.5)])
def test_a_mask_that_moves_by_half_a_pixel_changes_no_more_than_feathering_does(blend, shift):
    under, drawn = picture(lamp=25), picture(SKIN * 0.8, seed=2)

    def change(mode):
        outs = [
            output(opened(blend=mode), under, face_with(drawn, alpha=oval(at))).astype(int)
            for at in ((0.0, 0.0), shift)
        ]
        return np.abs(outs[0] - outs[1])

    own, plain = change(blend), change("feather")
    # One level more for rounding; elsewhere than at the rim two at most.
    assert own.max() <= plain.max() + 1
    assert own.mean() <= plain.mean() + 0.3
    inner = cv2.erode((oval() == 255).astype(np.uint8), np.ones((9, 9))) > 0
    assert own[inner].max() <= 2


@pytest.mark.parametrize("blend", MODES)
def test_the_light_of_the_picture_is_carried_onto_a_face_drawn_without_it(blend):
    under, flat = picture(lamp=45), picture(SKIN, seed=2)
    out = output(opened(blend=blend, color="off"), under, face_with(flat, lit=False))
    left, right = (out[140:180, x : x + 15].astype(float).mean() for x in (100, 205))
    wanted = [under[140:180, x : x + 15].astype(float).mean() for x in (100, 205)]
    assert right - left > 0.7 * (wanted[1] - wanted[0])
    dark = output(opened(blend="feather", color="off", light=False), under, face_with(flat))
    lit_left, lit_right = (dark[140:180, x : x + 15].astype(float).mean() for x in (100, 205))
    assert lit_right - lit_left < 5


@pytest.mark.parametrize("color", ["yuv_histogram", "mean_std"])
@pytest.mark.parametrize("tone", [0.4, 0.75, 1.25])
def test_the_colours_of_the_skin_come_to_those_of_the_picture(color, tone):
    under, drawn = picture(), picture(SKIN * tone, seed=3)
    settings = {"blend": "feather", "light": False}
    plain = output(opened(color="off", **settings), under, face_with(drawn, lit=False))
    own = output(opened(color=color, **settings), under, face_with(drawn, lit=False))
    before, after = (np.abs(middle(image) - middle(under)).max() for image in (plain, own))
    assert after < 0.35 * before


def test_what_is_drawn_in_the_light_keeps_its_colours_unless_asked():
    under, drawn = picture(), picture(SKIN * 0.7, seed=3)
    settings = {"blend": "feather", "light": False}
    auto = output(opened(color="auto", **settings), under, face_with(drawn))
    off = output(opened(color="off", **settings), under, face_with(drawn))
    asked = output(opened(color="yuv_histogram", **settings), under, face_with(drawn))
    np.testing.assert_array_equal(auto, off)
    assert middle(asked).mean() > middle(off).mean() + 15


@pytest.mark.parametrize("blend", MODES)
@pytest.mark.parametrize("ring", [LEFT_EYE, INNER_LIPS, LEFT_BROW], ids=["eye", "teeth", "brow"])
def test_eyes_teeth_and_brows_keep_the_colours_they_were_drawn_with(blend, ring):
    drawn = picture(SKIN * 0.7, seed=3)
    for part, colour in ((LEFT_EYE, 240), (INNER_LIPS, 235), (LEFT_BROW, 25)):
        hull = cv2.convexHull(POINTS[list(part), :2].round().astype(np.int32))
        cv2.fillConvexPoly(drawn, hull, (colour,) * 3)
    out = output(opened(blend=blend), picture(lamp=30), face_with(drawn, lit=False))
    x, y = POINTS[list(ring), :2].mean(axis=0).round().astype(int)
    assert np.abs(out[y, x].astype(int) - drawn[y, x]).max() <= 6
    assert np.abs(middle(out) - middle(drawn)).max() > 20


@pytest.mark.parametrize("lit", [True, False])
def test_in_a_picture_without_colours_the_face_has_none(lit):
    grey = cv2.cvtColor(picture(lamp=20), cv2.COLOR_BGR2GRAY)
    under = cv2.merge([grey] * 3)
    out = output(opened(), under, face_with(picture(SKIN * 0.8), lit=lit))
    assert np.ptp(out.astype(int), axis=-1).max() <= 3


@pytest.mark.parametrize("blend", MODES)
@pytest.mark.parametrize("level", [0, 255])
def test_black_and_blown_out_pictures_break_nothing(blend, level):
    under = np.full((SIDE, SIDE, 3), level, np.uint8)
    drawn = picture(SKIN * 0.8)
    for lit in (True, False):
        out = output(opened(blend=blend), under, face_with(drawn, lit=lit))
        assert (np.abs(out.astype(int) - level) <= 255).all()
        np.testing.assert_array_equal(out[oval() == 0], under[oval() == 0])


@pytest.mark.parametrize("blend", ["multiband", "poisson"])
def test_a_hand_at_the_rim_does_not_bleed_into_the_face(blend):
    under, drawn = picture(), picture(SKIN * 0.9, seed=2)
    hand = np.zeros((SIDE, SIDE), np.uint8)
    hand[150:, :130] = 255
    under[hand > 0] = np.clip(SKIN * 0.62, 0, 255)
    occluder = Occluder(hand, np.eye(2, 3), 0.2)
    clean = output(opened(blend=blend), picture(), face_with(drawn))
    out = output(opened(blend=blend), under, face_with(drawn, occluder=occluder))
    np.testing.assert_array_equal(out[hand > 0], under[hand > 0])
    beside = (cv2.dilate(hand, np.ones((25, 25))) > 0) & (cv2.dilate(hand, np.ones((9, 9))) == 0)
    beside &= cv2.erode(oval(), np.ones((15, 15))) == 255
    assert np.abs(out.astype(int) - clean)[beside].mean() < 4


@pytest.mark.parametrize("blend", ["multiband", "poisson"])
@pytest.mark.parametrize("at_ms", [600, -40])
def test_a_face_that_was_lost_for_long_starts_afresh(blend, at_ms):
    stage, drawn = opened(blend=blend), picture(SKIN * 0.8)
    before = picture(SKIN * 0.5, lamp=60)
    output(stage, before, face_with(drawn, lit=False), 50 * MS)
    again = output(stage, picture(lamp=-30), face_with(drawn, lit=False), (50 + at_ms) * MS)
    fresh = output(opened(blend=blend), picture(lamp=-30), face_with(drawn, lit=False))
    np.testing.assert_array_equal(again, fresh)


def test_a_face_that_is_gone_is_forgotten():
    stage, drawn = opened(blend="poisson"), picture(SKIN * 0.8)
    output(stage, picture(SKIN * 0.5, lamp=60), face_with(drawn))
    stage.process(Frame(picture(), media_ns=33 * MS))
    again = output(stage, picture(lamp=-30), face_with(drawn), 66 * MS)
    fresh = output(opened(blend="poisson"), picture(lamp=-30), face_with(drawn))
    np.testing.assert_array_equal(again, fresh)


@pytest.mark.parametrize("change", [{"origin": 1}, {"person": 2}, {"track_id": 5}])
def test_another_face_or_swapper_starts_afresh(change):
    stage, drawn = opened(), picture(SKIN * 0.8)
    output(stage, picture(SKIN * 0.5), face_with(drawn, lit=False))
    face = face_with(drawn, lit=False, origin=change.get("origin", 0))
    face.person, face.track_id = change.get("person", 0), change.get("track_id", 1)
    again = output(stage, picture(), face, 33 * MS)
    fresh = output(opened(), picture(), face_with(drawn, lit=False))
    np.testing.assert_array_equal(again, fresh)


def test_colours_and_light_follow_the_picture_slowly():
    stage, drawn = opened(blend="feather", settle_ms=200), picture(SKIN * 0.8)
    levels = []
    for step in range(12):
        under = picture(SKIN if step == 0 else SKIN * 0.6)
        out = output(stage, under, face_with(drawn, lit=False), step * 33 * MS)
        levels.append(middle(out).mean())
    steps = -np.diff(levels)
    assert steps.max() < 0.35 * (levels[0] - levels[-1])
    assert levels[-1] < levels[0] - 20


@pytest.mark.parametrize("blend", MODES)
@pytest.mark.parametrize(
    ("part", "ring", "other"), [("eyes", RIGHT_EYE, OUTER_LIPS), ("mouth", OUTER_LIPS, LEFT_EYE)]
)
def test_what_is_to_be_kept_is_kept_and_nothing_else(blend, part, ring, other):
    under, drawn = picture(), picture(SKIN * 0.7)
    marks = {ring: (0, 200, 0), other: (200, 0, 0)}
    for points, colour in marks.items():
        hull = cv2.convexHull(POINTS[list(points), :2].round().astype(np.int32))
        cv2.fillConvexPoly(under, hull, colour)
    out = output(opened(blend=blend, keep=(part,)), under, face_with(drawn))
    x, y = POINTS[list(ring), :2].mean(axis=0).round().astype(int)
    assert np.abs(out[y, x].astype(int) - under[y, x]).max() <= 8
    x, y = POINTS[list(other), :2].mean(axis=0).round().astype(int)
    assert np.abs(out[y, x].astype(int) - under[y, x]).max() > 60


@pytest.mark.parametrize("blend", MODES)
def test_a_network_that_redraws_its_whole_crop_covers_the_face_alone(blend):
    under, drawn = picture(), picture(SKIN * 0.7)
    under[:, 250:], drawn[:, 250:] = (200, 40, 30), (30, 200, 40)
    whole = np.full((SIDE, SIDE), 255, np.uint8)
    out = output(opened(blend=blend), under, face_with(drawn, alpha=whole, lit=False))
    corner = np.s_[255:279, 235:259]
    np.testing.assert_array_equal(out[corner], under[corner])
    lit = output(opened(blend="feather"), under, face_with(drawn, alpha=whole))
    np.testing.assert_array_equal(lit[corner], drawn[corner])


def test_glasses_are_kept_only_where_that_is_asked_for():
    frames = np.zeros((SIDE, SIDE), np.uint8)
    frames[128:132, 90:230] = 255
    under, drawn = picture(), picture(SKIN * 0.8)
    under[frames > 0] = 15
    glasses = Occluder(frames, np.eye(2, 3))
    kept = output(opened(keep=("glasses",)), under, face_with(drawn, glasses=glasses))
    assert np.abs(kept.astype(int) - under)[129:131, 110:210].max() <= 2
    lost = output(opened(), under, face_with(drawn, glasses=glasses))
    assert lost[129:131, 110:210].min() > 60


def test_of_a_face_that_fusenet_made_parts_are_kept_and_colours_lost_as_of_any_other():
    under = np.repeat(picture().mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    face = face_with(picture(SKIN * 0.7))
    face.layer = replace(face.layer, joined=True)
    out = output(opened(keep=("eyes",)), under, face)
    x, y = POINTS[list(RIGHT_EYE), :2].mean(axis=0).round().astype(int)
    np.testing.assert_array_equal(out[y, x], under[y, x])
    assert np.ptp(middle(out).astype(int), axis=-1).max() <= 3


def test_a_closed_stage_says_so():
    stage = opened()
    stage.close()
    with pytest.raises(RuntimeError, match="open"):
        stage.process(Frame(picture(), faces=[face_with(picture())]))
    assert stage.name == "blend"


@pytest.mark.parametrize("value", ["off", "yuv_histogram", "mean_std", "auto"])
def test_off_may_be_written_as_yaml_reads_it(value):
    assert load_config(None, [f"composite.color={value}"]).composite.color == value


@pytest.mark.parametrize("setting", ["composite.color=true", "composite.blend=seamless"])
def test_other_values_are_refused(setting):
    with pytest.raises(ConfigError, match=r"composite\.(color|blend)"):
        load_config(None, [setting])
