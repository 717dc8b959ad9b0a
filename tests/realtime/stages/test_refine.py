"""FuseNet behind a swapper, frame by frame, with networks whose outputs are known."""

import logging
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from importlib import util
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from engines.errors import ModelError
from engines.families.fuser import Fuser
from engines.onnxruntime import OnnxRuntimeSession
from realtime.frame import Face, Frame, Layer, Motion, Occluder, PictureSpec, Pose
from realtime.fusenet_inputs import head_crop
from realtime.geometry import apply, bounding_box, compose
from realtime.ladder import SECOND_NS
from realtime.memory import Memory
from realtime.stage import Counted, Stage
from realtime.stages.refine import Refine, RefineConfig

_SPEC = util.spec_from_file_location("portrait", Path(__file__).parents[1] / "portrait.py")
portrait = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(portrait)

SIDE, VIEW_PX = 64, 96
PERIOD_NS = 33_333_333
SPEC = PictureSpec(320, 320, Fraction(30), live=False)
LIVE = replace(SPEC, live=True)


@pytest.fixture
def head():
    return portrait.neutral_landmarks()


@pytest.fixture
def open_stage(twins):
    """Gives a function that opens a stage around a twin; ``opened`` says what became of it."""
    opened = []

    def run(*, spec=SPEC, on=True, settings=None, **network):
        @contextmanager
        def open_fuser():
            fuser = Fuser(OnnxRuntimeSession(twins.fuser(SIDE, **network)))
            opened.append(fuser)
            yield fuser
            opened.append("closed")

        stage = Refine(RefineConfig(**(settings or {})), open_fuser, on=on)
        stage.open(spec, Memory())
        return stage

    run.opened = opened
    return run


def drawn(landmarks, colour=(40, 80, 160), origin=0):
    """A layer of one colour on the landmarks' outline, in the picture's own pixels."""
    mask = np.zeros((320, 320), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(landmarks[:, :2]).astype(np.int32)), (255,))
    around = np.array([-6, -6, 7, 7])
    left, top, right, bottom = np.round(bounding_box(landmarks)).astype(int) + around
    alpha = np.ascontiguousarray(cv2.blur(mask, (9, 9))[top:bottom, left:right])
    face = np.full((*alpha.shape, 3), colour, np.uint8)
    at = np.array([[1.0, 0, -left], [0, 1.0, -top]])
    return Layer(face, alpha, at, origin, lit=True)


def still(landmarks, flow=(0.0, 0.0), confidence=1.0):
    """A flow in pixels of the network's crop, the same everywhere."""
    scale = VIEW_PX / SIDE
    view_from_crop = np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2]])
    view = compose(view_from_crop, head_crop(landmarks, SIDE))
    size = (VIEW_PX, VIEW_PX)
    pixels = np.full((*size, 2), np.float32(flow) * np.float32(scale), np.float32)
    return Motion(view, view, pixels, np.full(size, confidence, np.float32))


def face_at(landmarks, track_id=1, *, motion=None, **layer):
    box = bounding_box(landmarks)
    pose = Pose(0, 0, 0)
    return Face(track_id, box, landmarks, 0.9, pose, layer=drawn(landmarks, **layer), motion=motion)


class Film:
    """Goes through a stage frame by frame, with pictures of one colour each."""

    def __init__(self, stage):
        self.stage = stage
        self.seq = 0
        self.now_ns = 0

    def see(self, *faces, level=128, elapsed_ns=PERIOD_NS, skipped=0):
        """The layers after a frame."""
        self.seq += 1 + skipped
        self.now_ns += elapsed_ns
        image = np.full((320, 320, 3), level, np.uint8)
        frame = Frame(image, self.seq, self.now_ns, self.now_ns, list(faces))
        self.stage.process(frame)
        return [face.layer for face in faces]


def inside(layer):
    return layer.alpha == 255


def test_a_stage_of_the_engine_that_tells_its_counts(open_stage):
    stage = open_stage()
    assert isinstance(stage, Stage)
    assert isinstance(stage, Counted)
    assert stage.name == "refine"


def test_what_the_network_leaves_as_it_is_stays_and_needs_no_other_blend(open_stage, head):
    face = face_at(head, origin=5)
    before = face.layer
    (after,) = Film(open_stage()).see(face)
    np.testing.assert_array_equal(after.face, before.face)
    np.testing.assert_array_equal(after.alpha, before.alpha)
    assert after.joined
    assert after.lit
    assert after.origin == 5


def test_what_the_network_adds_is_on_the_face(open_stage, head):
    (after,) = Film(open_stage(added=np.array([10, 20, -30]) / 255, share=0.5)).see(face_at(head))
    np.testing.assert_array_equal(
        np.unique(after.face[inside(drawn(head))], axis=0), [[10, 100, 170]]
    )
    np.testing.assert_allclose(after.alpha, drawn(head).alpha / 2, atol=0.51)


def test_the_first_run_is_not_a_frames(open_stage):
    open_stage()
    (fuser,) = open_stage.opened
    # An empty picture is kept nowhere and so may be covered everywhere.
    assert (fuser.outputs["blend"] == 1.0).all()


def test_what_is_remembered_is_the_frame_before(open_stage, head):
    """The network lays half of what it saw of the surroundings before onto the face."""
    film = Film(open_stage(echo=0.5))
    levels = (60, 140, 100)
    motions = (None, still(head), still(head))
    for level, motion, remembered in zip(levels, motions, (0, 60, 140), strict=True):
        (layer,) = film.see(face_at(head, motion=motion), level=level)
        apart = layer.face[inside(layer)].astype(int) - (40, 80, 160)
        assert np.abs(apart - remembered // 2).max() <= 1
    assert film.stage.counts["faces"] == {"refined": 3, "remembered": 2}


def test_the_coarse_memory_comes_back_as_well(open_stage, head):
    film = Film(open_stage(echo_8=0.25))
    film.see(face_at(head), level=100)
    (second,) = film.see(face_at(head, motion=still(head)), level=100)
    apart = second.face[inside(second)].astype(int) - (40, 80, 160)
    assert np.abs(apart - 25).max() <= 1


def test_the_memory_goes_along_with_the_flow(open_stage, head):
    """Half of the picture is bright; 16 crop pixels of flow bring its edge to another place."""
    stage = open_stage()
    (fuser,) = open_stage.opened
    image = np.zeros((320, 320, 3), np.uint8)
    image[:, 160:] = 200
    at = np.full((320, 320), 255, np.uint8)
    # Everything is kept, so that the context shows all of the picture.
    occluder = Occluder(at, np.eye(2, 3))
    seen = []
    for number, motion in enumerate((None, still(head), still(head, (16.0, 0.0)))):
        face = face_at(head, motion=motion)
        face.occluder = occluder
        stage.process(Frame(image.copy(), number, 0, number * PERIOD_NS, [face]))
        seen.append(fuser.inputs["memory_4"][0, 0].copy())
    assert not seen[0].any()
    assert seen[1].max() > 0.7
    np.testing.assert_allclose(seen[2][:, :-4], seen[1][:, 4:], atol=1e-6)
    assert not fuser.inputs["confidence"][0, 0, :, -4:].any()
    assert (fuser.inputs["confidence"][0, 0, :, :-4] == 1.0).all()


def remembers(open_stage, head, between, **second):
    """Whether the second frame of a face is told anything of the first."""
    stage = open_stage()
    fuser = open_stage.opened[-1]
    film = Film(stage)
    film.see(face_at(head))
    between(film)
    elapsed_ns = second.pop("elapsed_ns", PERIOD_NS)
    person = second.pop("person", 0)
    face = face_at(head, **({"motion": still(head)} | second))
    face.person = person
    film.see(face, elapsed_ns=elapsed_ns)
    told = [fuser.inputs[name].any() for name in ("memory_4", "memory_8", "confidence")]
    assert len(set(told)) == 1
    return bool(told[0])


@pytest.mark.parametrize(
    ("second", "goes_on"),
    [
        ({}, True),
        ({"motion": None}, False),
        ({"track_id": 2}, False),
        ({"person": 1}, False),
        ({"origin": 1}, False),
        ({"elapsed_ns": 600_000_000}, False),
        ({"elapsed_ns": -1}, False),
    ],
)
def test_it_begins_afresh_with_another_face_another_swapper_and_after_a_gap(
    open_stage, head, second, goes_on
):
    assert remembers(open_stage, head, lambda film: None, **second) is goes_on


def test_it_begins_afresh_after_a_frame_in_which_the_face_was_not_drawn(open_stage, head):
    def lost(film):
        face = face_at(head)
        face.layer = None
        film.see(face)

    assert not remembers(open_stage, head, lost)
    assert not remembers(open_stage, head, lambda film: film.see())


def test_it_begins_afresh_after_a_pause(open_stage, head):
    def pause(film):
        film.stage.turn(False)
        film.see(face_at(head))
        film.stage.turn(True)

    assert not remembers(open_stage, head, pause)


def test_two_faces_have_a_memory_each(open_stage, head):
    left, right = (portrait.neutral_landmarks((x, 160.0), width_px=110.0) for x in (85.0, 235.0))
    film = Film(open_stage(echo=0.5))
    film.see(face_at(left, 1, colour=(20, 20, 20)), face_at(right, 2, colour=(90, 90, 90)))
    pair = film.see(
        face_at(left, 1, colour=(20, 20, 20), motion=still(left)),
        face_at(right, 2, colour=(90, 90, 90), motion=still(right)),
    )
    assert film.stage.counts["faces"] == {"refined": 4, "remembered": 2}
    for layer, level in zip(pair, (20, 90), strict=True):
        assert np.abs(layer.face[inside(layer)].astype(int) - level - 64).max() <= 1


def test_the_largest_faces_are_refined_and_the_others_are_left_to_the_blend(open_stage, head):
    film = Film(open_stage(added=(0.1, 0.1, 0.1), settings={"max_faces": 1}))
    faces = [face_at(head, 1), face_at(head, 2), face_at(head, 3)]
    plain = faces[1].layer
    layers = film.see(*faces)
    assert [layer.joined for layer in layers] == [True, False, False]
    assert layers[1] is plain
    assert film.stage.counts["faces"] == {"refined": 1, "too_many": 2}


def test_of_a_network_that_redraws_its_whole_crop_the_face_alone_is_shown(open_stage, head):
    face = face_at(head)
    whole = np.full((320, 320), 255, np.uint8)
    redrawn = np.full((320, 320, 3), 90, np.uint8)
    face.layer = Layer(redrawn, whole, np.eye(2, 3), origin=1)
    (layer,) = Film(open_stage()).see(face)
    (fuser,) = open_stage.opened
    assert fuser.inputs["validity"][0, 0, 32, 32] == 1.0
    assert not fuser.inputs["validity"][0, 0, :, :6].any()
    assert not fuser.inputs["validity"][0, 0, -3:].any()
    assert not layer.alpha[:20].any()
    assert layer.alpha[160, 160] == 255
    assert layer.joined


def test_a_frame_without_a_drawn_face_needs_nothing(open_stage, head):
    face = face_at(head)
    face.layer = None
    film = Film(open_stage())
    assert film.see(face) == [None]
    assert film.see() == []
    assert film.stage.counts["faces"] == {}


def late(film, head, seconds):
    """A camera two of three of whose pictures are passed over."""
    for _ in range(10 * seconds):
        (layer,) = film.see(face_at(head), elapsed_ns=SECOND_NS // 10, skipped=2)
    return layer


def test_it_rests_while_the_machine_is_late_and_works_again_after_it(open_stage, head, caplog):
    film = Film(open_stage(spec=LIVE, added=(0.1, 0.1, 0.1)))
    (layer,) = film.see(face_at(head))
    assert layer.joined
    with caplog.at_level(logging.WARNING):
        layer = late(film, head, 3)
    assert not layer.joined
    np.testing.assert_array_equal(layer.face, drawn(head).face)
    for _ in range(50):
        (layer,) = film.see(face_at(head), elapsed_ns=SECOND_NS // 10)
    assert layer.joined
    ladder = film.stage.counts["ladder"]
    assert (ladder["switched_off"], ladder["switched_on"]) == (1, 1)
    assert ladder["rested"] > 10
    assert [record.message for record in caplog.records] == [
        "refine: rests, as the machine is late. Faces are blended.",
        "refine: works again.",
    ]


@pytest.mark.parametrize(("spec", "settings"), [(SPEC, {}), (LIVE, {"ladder": False})])
def test_it_never_rests_with_a_file_or_where_that_is_not_wanted(open_stage, head, spec, settings):
    film = Film(open_stage(spec=spec, settings=settings))
    assert late(film, head, 3).joined
    assert "ladder" not in film.stage.counts


def test_a_network_that_gives_no_numbers_fails_when_it_is_opened(open_stage):
    with pytest.raises(ModelError, match="must consist of numbers"):
        open_stage(broken=True)


def test_it_is_loaded_only_when_it_is_to_work(open_stage, head):
    stage = open_stage(on=False)
    film = Film(stage)
    assert open_stage.opened == []
    assert not film.see(face_at(head))[0].joined
    stage.load()
    assert len(open_stage.opened) == 1
    assert not film.see(face_at(head))[0].joined
    stage.turn(True)
    assert film.see(face_at(head))[0].joined
    stage.load()
    assert len(open_stage.opened) == 1
    stage.close()
    assert open_stage.opened[1:] == ["closed"]


def test_before_it_is_open_nothing_is_loaded_and_after_it_is_closed_it_cannot_work(
    open_stage, head
):
    stage = open_stage()
    stage.close()
    assert open_stage.opened[1:] == ["closed"]
    stage.load()
    assert open_stage.opened[1:] == ["closed"]
    with pytest.raises(RuntimeError, match="must be open"):
        Film(stage).see(face_at(head))


def test_a_head_that_stands_still_is_sampled_alike(open_stage, head):
    """Jitter of a tenth of a pixel moves nothing: the same picture gives the same inputs."""
    stage = open_stage()
    (fuser,) = open_stage.opened
    image = np.random.default_rng(0).integers(0, 256, (320, 320, 3)).astype(np.uint8)
    contexts = []
    layer = drawn(head)
    for number in range(2):
        face = face_at(head + np.float32(0.1 * number), motion=still(head))
        face.layer = replace(layer)
        stage.process(Frame(image.copy(), number, 0, number * PERIOD_NS, [face]))
        contexts.append(fuser.inputs["context"].copy())
    np.testing.assert_array_equal(*contexts)


@pytest.mark.parametrize("settings", [{"max_faces": 0}, {"network": "../x"}, {"fuse_share": 1.5}])
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValidationError):
        RefineConfig(**settings)


def test_where_the_crop_lies_follows_from_the_landmarks(head):
    # The face lies in the middle of it with room around, so that nothing of a layer is cut off.
    placed = apply(head_crop(head, SIDE), head[:, :2])
    assert placed.min() > 2
    assert placed.max() < SIDE - 3
