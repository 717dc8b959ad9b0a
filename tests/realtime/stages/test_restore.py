from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from itertools import pairwise

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from cuda_kernels.paste import paste
from engines.errors import ModelError
from engines.families.enlarger import Enlarger
from engines.families.restorer import Restorer
from engines.families.templates import template_points
from engines.models.catalogue import bundled_catalogue
from engines.models.library import ModelLibrary
from engines.onnxruntime import OnnxRuntimeSession
from realtime.config import load_config
from realtime.frame import Face, Frame, Layer, Motion, PictureSpec, Pose
from realtime.geometry import apply, invert
from realtime.ladder import SECOND_NS
from realtime.memory import Memory
from realtime.restorers import open_restorers
from realtime.stage import Counted, Stage
from realtime.stages.restore import Restore, RestoreConfig, Restorers

FAMILIES = bundled_catalogue().families
SPEC = PictureSpec(320, 240, Fraction(30), live=False)
LIVE = PictureSpec(320, 240, Fraction(30), live=True)
EYES = ((33, 133), (362, 263))


def smooth(height, width):
    rows, columns = np.indices((height, width))
    waves = [np.sin(columns / 13 + n) + np.cos(rows / (11 + 4 * n)) for n in range(3)]
    return np.asarray(np.rint(127 + 50 * np.stack(waves, axis=-1)), np.uint8)


def face_of(side=40, *, ratio=2.0, at=(60.0, 50.0), track_id=1):
    """A face drawn on a square crop, each pixel of which is so many of the picture's wide."""
    left, top = at
    crop_from_image = np.array([[1 / ratio, 0, -left / ratio], [0, 1 / ratio, -top / ratio]])
    layer = Layer(smooth(side, side), np.full((side, side), 255, np.uint8), crop_from_image, 3)
    landmarks = np.zeros((468, 3), np.float32)
    points = (template_points("ffhq_512", 512) / 512 - 0.5) * side * ratio
    points += np.array(at) + side * ratio / 2
    for indices, point in zip((*EYES, (1, 4), (61,), (291,)), points, strict=True):
        landmarks[list(indices), :2] = point
    return Face(track_id, np.zeros(4, np.float32), landmarks, 0.9, Pose(0, 0, 0), layer=layer)


@pytest.fixture
def open_stage(twins):
    """Gives a function that opens a stage around twins of the networks."""
    opened = []

    def run(*scales, spec=SPEC, restorer=None, **settings):
        @contextmanager
        def networks():
            sessions = {k: OnnxRuntimeSession(twins.enlarger(k)) for k in scales}
            found = {k: Enlarger(s, FAMILIES[f"enlarger_x{k}"]) for k, s in sessions.items()}
            own = None
            if restorer is not None:
                session = OnnxRuntimeSession(twins.restorer(256))
                own = Restorer(session, FAMILIES["gpen_256"])
            opened.append("open")
            yield Restorers(found, own)
            opened.append("closed")

        stage = Restore(RestoreConfig(model="lite", **settings), networks)
        stage.open(spec, Memory())
        return stage

    run.opened = opened
    return run


def restored(stage, *faces, **frame):
    stage.process(Frame(np.full((240, 320, 3), 90, np.uint8), faces=list(faces), **frame))
    return [face.layer for face in faces]


@pytest.mark.parametrize(("ratio", "scale"), [(2.0, 2), (4.0, 4)])
def test_a_layer_gets_more_pixels_in_the_same_place(open_stage, ratio, scale):
    stage, face = open_stage(2, 4), face_of(ratio=ratio, at=(10.0, 20.0))
    before = face.layer
    (after,) = restored(stage, face)
    assert after.face.shape == (40 * scale, 40 * scale, 3)
    assert after.alpha.shape == (40 * scale, 40 * scale)
    assert after.origin == 3
    # The twin makes squares of pixels: the middle of each lies where the pixel was.
    pixels = np.array([[0.0, 0.0], [39.0, 12.0]])
    places = apply(cv2.invertAffineTransform(before.crop_from_image), pixels)
    np.testing.assert_allclose(
        apply(after.crop_from_image, places), pixels * scale + (scale - 1) / 2, atol=1e-9
    )
    np.testing.assert_array_equal(
        after.face, before.face.repeat(scale, axis=0).repeat(scale, axis=1)
    )
    assert stage.counts["faces"] == {f"enlarged_x{scale}": 1}


def test_what_is_laid_over_the_picture_stays_where_it_was(open_stage):
    face = face_of(ratio=2.0)
    plain, fine = (np.full((240, 320, 3), 90, np.uint8) for _ in range(2))
    paste(face.layer.face, face.layer.alpha, face.layer.crop_from_image, out=plain)
    (layer,) = restored(open_stage(2), face)
    paste(layer.face, layer.alpha, layer.crop_from_image, out=fine)
    apart = np.abs(plain[60:120, 70:130].astype(int) - fine[60:120, 70:130])
    assert apart.mean() < 3
    assert np.abs(apart.mean(axis=(0, 1))).max() < 3


def test_only_what_covers_the_picture_is_worked_on_and_it_stays_in_its_place(open_stage):
    whole, part = face_of(128), face_of(128)
    part.layer.alpha[:] = 0
    part.layer.alpha[30:101, 5:62] = 255
    covers = np.zeros((256, 256), np.uint8)
    covers[60:202, 10:124] = 255
    (wanted,), (found,) = (restored(open_stage(2), face) for face in (whole, part))
    assert found.alpha.shape == (160, 160)
    left, top = np.rint(apply(invert(found.crop_from_image), np.zeros((1, 2)))[0]).astype(int)
    x, y = np.rint(apply(wanted.crop_from_image, np.array([[left, top]], float))[0]).astype(int)
    inside = slice(y, y + 160), slice(x, x + 160)
    np.testing.assert_array_equal(found.face, wanted.face[inside])
    assert np.abs(found.alpha.astype(int) - covers[inside]).mean() < 4
    assert found.alpha.sum() == pytest.approx(covers.sum(), rel=0.03)


def test_a_face_that_is_hidden_whole_costs_nothing(open_stage):
    stage, face = open_stage(2), face_of(ratio=2.0)
    face.layer.alpha[:] = 0
    before = face.layer
    assert restored(stage, face) == [before]
    assert stage.counts["faces"] == {}


def test_a_layer_as_fine_as_the_picture_is_left_alone(open_stage):
    stage, face = open_stage(2, 4), face_of(ratio=1.0)
    before = face.layer
    assert restored(stage, face) == [before]
    assert stage.counts["faces"] == {"fine_already": 1}


def test_strength_nothing_changes_nothing(open_stage):
    face = face_of(ratio=2.0)
    before = face.layer
    assert restored(open_stage(2, strength=0.0), face) == [before]


def test_half_the_strength_is_half_way_from_plain_enlargement(open_stage):
    plain = cv2.resize(face_of().layer.face, (80, 80), interpolation=cv2.INTER_CUBIC)
    (full,) = restored(open_stage(2), face_of())
    (half,) = restored(open_stage(2, strength=0.5), face_of())
    wanted = (plain.astype(float) + full.face) / 2
    assert np.abs(half.face - wanted).max() <= 1


def test_faces_of_one_size_go_through_together_and_none_is_mixed_up(open_stage):
    stage = open_stage(2, 4)
    faces = [face_of(track_id=1), face_of(24, track_id=2), face_of(track_id=3, ratio=2.2)]
    faces[2].layer.face[:] = 255 - faces[2].layer.face
    before = [face.layer.face for face in faces]
    after = restored(stage, *faces)
    for given, layer in zip(before, after, strict=True):
        np.testing.assert_array_equal(layer.face, given.repeat(2, axis=0).repeat(2, axis=1))
    assert stage.counts["faces"] == {"enlarged_x2": 3}


def test_faces_that_were_not_drawn_are_passed_over(open_stage):
    face = face_of()
    face.layer = None
    assert restored(open_stage(2), face) == [None]


def test_a_restoring_network_sees_the_face_in_its_surroundings(open_stage):
    stage, face = open_stage(restorer=True), face_of(64, ratio=2.0)
    before = face.layer
    (layer,) = restored(stage, face)
    assert layer.face.shape == (128, 128, 3)
    assert stage.counts["faces"] == {"restored": 1}
    # The twin turns light into dark; the middle of the face lies in its crop.
    plain = cv2.resize(before.face, (128, 128), interpolation=cv2.INTER_CUBIC)
    middle = slice(54, 74)
    apart = 255 - plain[middle, middle].astype(int) - layer.face[middle, middle]
    assert np.abs(apart).mean() < 4


def test_what_lies_beyond_a_restoring_network_s_crop_stays_covered(open_stage):
    face = face_of(64, ratio=2.0)
    face.landmarks[:, :2] = (face.landmarks[:, :2] - 120) * 0.2 + 120
    before = face.layer
    (layer,) = restored(open_stage(restorer=True), face)
    assert layer.alpha.min() == 255
    plain = cv2.resize(before.face, (128, 128), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(layer.face[:8], plain[:8])
    assert (layer.face != plain).any()


def test_half_the_strength_holds_for_a_restoring_network_too(open_stage):
    def shown(**settings):
        return restored(open_stage(restorer=True, **settings), face_of(64))[0].face.astype(float)

    plain = cv2.resize(face_of(64).layer.face, (128, 128), interpolation=cv2.INTER_CUBIC)
    assert np.abs(shown(strength=0.5) - (plain + shown()) / 2).max() <= 1


def test_with_a_camera_it_rests_while_the_machine_is_late(open_stage):
    stage = open_stage(2, spec=LIVE)
    for seq in range(0, 120, 2):
        restored(stage, face_of(), seq=seq, captured_ns=seq * SECOND_NS // 30)
    counts = stage.counts
    assert counts["ladder"]["switched_off"] == 1
    assert counts["ladder"]["rested"] + counts["faces"]["enlarged_x2"] == 60
    assert counts["ladder"]["rested"] > 20


@pytest.mark.parametrize(("spec", "ladder"), [(SPEC, True), (LIVE, False)])
def test_files_and_those_who_want_it_never_rest(open_stage, spec, ladder):
    stage = open_stage(2, spec=spec, ladder=ladder)
    for seq in range(0, 120, 2):
        restored(stage, face_of(), seq=seq, captured_ns=seq * SECOND_NS // 30)
    assert stage.counts == {"faces": {"enlarged_x2": 60}}


def test_networks_are_let_go_with_the_stage(open_stage):
    stage = open_stage(2)
    assert isinstance(stage, Stage)
    assert isinstance(stage, Counted)
    assert stage.name == "restore"
    stage.close()
    assert open_stage.opened == ["open", "closed"]
    with pytest.raises(RuntimeError, match="must be open"):
        restored(stage, face_of())


def test_a_network_that_cannot_be_opened_is_told():
    @contextmanager
    def networks():
        raise ModelError("gone")
        yield

    with pytest.raises(ModelError, match="gone"):
        Restore(RestoreConfig(), networks).open(SPEC, Memory())


def test_off_may_be_bare():
    assert RestoreConfig.model_validate({"model": False, "strength": 0.5}).model == "off"
    with pytest.raises(ValidationError):
        RestoreConfig.model_validate({"strength": 2})


def moving(stage, num_frames=12, *, noise=3.0, confidence=1.0, step_px=(0.7, 0.3)):
    """A face that moves by so much in each frame; the layers, shown where the head is.

    Returns:
        By frame the layer and the plain one, both as the picture shows them without the motion.
    """
    random = np.random.default_rng(6)
    plain, fine, before = [], [], None
    for index in range(num_frames):
        at = (60.0 + step_px[0] * index, 50.0 + step_px[1] * index)
        face = face_of(64, at=at)
        grain = random.normal(0, noise, face.layer.face.shape)
        face.layer.face = np.clip(np.rint(face.layer.face + grain), 0, 255).astype(np.uint8)
        place = face.layer.crop_from_image
        if before is not None:
            still = np.zeros((64, 64, 2), np.float32)
            sure = np.full((64, 64), confidence, np.float32)
            face.motion = Motion(place, before, still, sure)
        before = place
        plain.append(cv2.resize(face.layer.face, (128, 128), interpolation=cv2.INTER_CUBIC))
        restored(stage, face, media_ns=index * SECOND_NS // 30)
        fine.append(face.layer.face)
    return fine, plain


def trembling(pictures):
    pairs = pairwise(pictures[4:])
    return np.mean([np.square(a.astype(float) - b)[8:-8, 8:-8].mean() for a, b in pairs])


@pytest.fixture
def tremble():
    """Gives a function that says how much more faces tremble that ``lite`` restored."""
    library = ModelLibrary(offline=True)

    def run(*settings, **movement):
        config = load_config(settings=["restore.model=lite", *settings])
        stage = Restore(config.restore, partial(open_restorers, config, library))
        stage.open(SPEC, Memory())
        fine, plain = moving(stage, **movement)
        stage.close()
        return trembling(fine) / trembling(plain)

    return run


def test_new_detail_trembles_no_more_than_the_face_did_before(tremble):
    assert tremble() <= 1.1
    assert tremble("restore.steady=0") > 1.3 * tremble("restore.steady=0.3") > 1.3 * tremble()


def test_what_stands_still_is_steadier_than_what_moves(tremble):
    assert tremble(step_px=(0.0, 0.0)) < 0.7 * tremble(step_px=(1.4, 0.6))


def test_what_cannot_be_followed_is_not_remembered(open_stage):
    steady, _ = moving(open_stage(2), confidence=0.0)
    fresh, _ = moving(open_stage(2, steady=0.0))
    np.testing.assert_array_equal(steady[-1], fresh[-1])


def test_another_person_or_a_frame_left_out_begins_afresh(open_stage):
    stage = open_stage(2)
    moving(stage, 3)
    for change in ("person", "origin", "gap"):
        face = face_of(64)
        face.layer.face[:] = 10
        still = np.zeros((64, 64, 2), np.float32)
        place = face.layer.crop_from_image
        face.motion = Motion(place, place, still, np.ones((64, 64), np.float32))
        if change == "person":
            face.person = 1
        elif change == "origin":
            face.layer.origin = 9
        else:
            stage.process(Frame(np.zeros((240, 320, 3), np.uint8)))
        (layer,) = restored(stage, face, media_ns=SECOND_NS)
        assert (layer.face == 10).all()
        moving(stage, 3)
