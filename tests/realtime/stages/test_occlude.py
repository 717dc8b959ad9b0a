"""The stage on drawn people, before whom things are held whose place is known."""

from fractions import Fraction
from importlib import util
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.errors import ModelError
from realtime.frame import Face, FaceState, Frame, Motion, PictureSpec, Pose
from realtime.geometry import bounding_box
from realtime.hand_watch import HandWatch
from realtime.memory import Memory
from realtime.stages.occlude import Occlude, OccludeConfig

_SPEC = util.spec_from_file_location("hands", Path(__file__).parents[1] / "hands.py")
hands_of = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(hands_of)

pytestmark = pytest.mark.models

SPEC = PictureSpec(320, 320, Fraction(30), live=False)
PERIOD_NS = 33_333_333
CLEAN, HIDDEN = 20, 12
SKINS = {"dark": (45.0, 60.0, 95.0), "brown": (80.0, 110.0, 160.0), "fair": (150.0, 175.0, 215.0)}
BLUE, BLACK, WHITE = (190, 110, 40), (32, 30, 30), (235, 228, 218)


@pytest.fixture
def run(mesh, zones, light, sitter):
    """Shows the stage frames of a person and gives what it says of each of them."""

    class Run:
        def __init__(self):
            self.stage = Occlude(OccludeConfig(hands=False), no_session, mesh, zones, light)
            self.stage.open(SPEC, Memory())
            self.now_ns = 0
            self.noise = np.random.default_rng(1)

        def look(self, looks, cover=None, effect=None, motion=None, track_id=1, **pose):
            landmarks = sitter.landmarks(**pose)
            image = sitter.picture(looks, landmarks, (320, 320))
            image = image + self.noise.normal(0, 2, image.shape)
            if effect is not None:
                image = effect(image)
            image = np.clip(image, 0, 255).astype(np.uint8)
            truth = np.zeros((320, 320), np.uint8)
            if cover is not None:
                colour, draw = cover
                draw(truth)
                image[truth > 0] = colour
            self.now_ns += PERIOD_NS
            face = face_of(landmarks, track_id)
            face.motion = motion
            frame = Frame(image=image, media_ns=self.now_ns, faces=[face])
            self.stage.process(frame)
            return face, truth > 0

    return Run()


def no_session(name):
    raise ModelError(f"{name}: not in this test")


def face_of(landmarks, track_id=1):
    return Face(track_id, bounding_box(landmarks), landmarks, 0.99, Pose(0, 0, 0))


def in_image(occluder):
    """The mask on the picture, ``(320, 320) bool``."""
    if occluder is None:
        return np.zeros((320, 320), bool)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    mask = cv2.warpAffine(occluder.mask, occluder.crop_from_image, (320, 320), flags=flags)
    return mask > 127


def inside(landmarks):
    hull = np.zeros((320, 320), np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.round(landmarks[:, :2]).astype(np.int32)), 1)
    return hull > 0


def microphone(mask):
    cv2.circle(mask, (170, 225), 30, 255, -1)
    cv2.line(mask, (170, 225), (215, 319), 255, 26)


def bar(mask):
    cv2.line(mask, (0, 205), (319, 190), 255, 24)


def sheet(mask):
    cv2.fillConvexPoly(mask, np.array([[195, 150], [319, 140], [319, 280], [190, 270]]), 255)


COVERS = {
    "microphone": (BLACK, microphone),
    "blue bar": (BLUE, bar),
    "white sheet": (WHITE, sheet),
}


# Black before dark skin is within what a shadow does, and is painted over.
@pytest.mark.parametrize(
    ("skin", "cover"),
    [
        (skin, cover)
        for skin in SKINS
        for cover in COVERS
        if (skin, cover) != ("dark", "microphone")
    ],
)
def test_a_thing_that_comes_before_a_face_is_found_where_it_is(run, sitter, skin, cover):
    looks, cover = sitter.looks(skin=SKINS[skin], spots=0.04), COVERS[cover]
    for _ in range(CLEAN):
        face, _ = run.look(looks)
        assert face.occluder is None
    for _ in range(HIDDEN):
        face, truth = run.look(looks, cover)
    hull = inside(face.landmarks)
    found, truth = in_image(face.occluder) & hull, truth & hull
    assert (found & truth).sum() / (found | truth).sum() > 0.75
    assert (found & ~truth).sum() < 0.03 * hull.sum()
    assert face.occluder.share == pytest.approx(truth.sum() / hull.sum(), abs=0.07)
    for _ in range(10):
        face, _ = run.look(looks)
    assert face.occluder is None


def test_nothing_is_called_foreign_before_the_face_was_seen_clean(run, sitter):
    looks = sitter.looks(skin=SKINS["brown"])
    for _ in range(8):
        face, _ = run.look(looks, (BLUE, bar))
        assert face.occluder is None


def test_a_thing_within_the_face_that_does_not_reach_in_from_outside_is_none(run, sitter):
    looks = sitter.looks(skin=SKINS["brown"])
    for _ in range(CLEAN):
        run.look(looks)
    for _ in range(HIDDEN):
        face, _ = run.look(looks, (BLUE, lambda mask: cv2.circle(mask, (160, 112), 19, 255, -1)))
        assert face.occluder is None


def talk(index):
    return {"mouth_open": 0.12 * max(0.0, np.sin(index / 2)), "yaw": 22 * np.sin(index / 5)}


def nod(index):
    return {"pitch": 18 * np.sin(index / 4), "roll": 15 * np.sin(index / 6)}


MOVES = {"talks and turns": talk, "nods and leans": nod}


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
@pytest.mark.parametrize("skin", [SKINS["dark"], SKINS["fair"]], ids=["dark", "fair"])
def test_a_face_that_moves_and_speaks_shows_nothing_foreign(run, sitter, skin, move):
    looks = sitter.looks(skin=skin, spots=0.04)
    for index in range(50):
        face, _ = run.look(looks, **(move(index) if index > CLEAN else {}))
        assert face.occluder is None


def shadow(image):
    image = image.copy()
    image[:, :165] *= 0.5
    return image


def warm(image):
    return image * (0.75, 0.95, 1.15)


def dim(image):
    return image * 0.45


def screen(image):
    side = np.linspace(1, 0, 320)[None, :, None]
    return image * (1 + side * (np.array([1.3, 1.0, 0.8]) - 1))


LIGHTS = {"shadow": shadow, "warm": warm, "dim": dim, "screen": screen}


@pytest.mark.parametrize("effect", LIGHTS.values(), ids=LIGHTS)
@pytest.mark.parametrize("skin", [SKINS["dark"], SKINS["fair"]], ids=["dark", "fair"])
def test_another_light_is_nothing_foreign(run, sitter, skin, effect):
    looks = sitter.looks(skin=skin, spots=0.04)
    for index in range(CLEAN + HIDDEN):
        face, _ = run.look(looks, effect=effect if index >= CLEAN else None)
        assert face.occluder is None


def test_a_hand_is_told_at_once_and_however_much_it_looks_like_the_face(run, sitter):
    hand = hands_of.flat_hand(160.0, 290.0, 70.0)
    finder = hands_of.ScriptedFinder((hand, 0.97))
    run.stage._watch = HandWatch(finder, search_ms=400, min_score=0.5, aside=hands_of.AtOnce())
    looks = sitter.looks(skin=SKINS["fair"])
    cover = (SKINS["fair"], lambda mask: hands_of.draw_flat_hand(mask, hand))
    for _ in range(6):
        face, truth = run.look(looks, cover)
    hull = inside(face.landmarks)
    found, truth = in_image(face.occluder) & hull, truth & hull
    assert (found & truth).sum() / (found | truth).sum() > 0.75


def test_only_seen_and_chosen_faces_are_looked_at(run, sitter):
    landmarks = sitter.landmarks()
    lost, spare = face_of(landmarks, 5), face_of(landmarks, 6)
    lost.state, spare.chosen = FaceState.LOST, False
    run.stage.process(Frame(np.zeros((320, 320, 3), np.uint8), faces=[lost, spare]))
    assert lost.occluder is None
    assert spare.occluder is None
    assert run.stage._memories == {}


def test_another_person_is_learned_afresh(run, sitter):
    looks = sitter.looks(skin=SKINS["brown"])
    for _ in range(CLEAN):
        run.look(looks)
    for _ in range(6):
        face, _ = run.look(looks, (BLUE, bar), track_id=2)
        assert face.occluder is None


def test_with_flow_the_mask_lies_on_the_aligned_crop(run, sitter):
    looks = sitter.looks(skin=SKINS["brown"])
    crop = np.array([[0.4, 0.0, -4.0], [0.0, 0.4, -4.0]])
    still = np.zeros((120, 120, 2), np.float32)
    motion = Motion(crop, crop, still, np.ones((120, 120), np.float32))
    for _ in range(CLEAN):
        run.look(looks, motion=motion)
    for _ in range(HIDDEN):
        face, truth = run.look(looks, (BLUE, bar), motion=motion)
    hull = inside(face.landmarks)
    found, truth = in_image(face.occluder) & hull, truth & hull
    assert (found & truth).sum() / (found | truth).sum() > 0.75
    scale = len(face.occluder.mask) / 120
    assert face.occluder.crop_from_image[:, :2] == pytest.approx(scale * crop[:, :2])


def test_an_unopened_stage_says_so(mesh, zones, light):
    stage = Occlude(OccludeConfig(), no_session, mesh, zones, light)
    with pytest.raises(RuntimeError, match="open must be called"):
        stage.process(Frame(np.zeros((8, 8, 3), np.uint8)))
    with pytest.raises(ModelError, match="not in this test"):
        stage.open(SPEC, Memory())
