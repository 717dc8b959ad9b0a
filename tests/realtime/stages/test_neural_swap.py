"""Against a twin whose arithmetic is known, up to the picture that comes of the layers."""

import tracemalloc
from contextlib import contextmanager
from fractions import Fraction

import cv2
import numpy as np
import pytest

from engines.errors import ModelError
from engines.families.landmarks import Landmarks
from engines.families.landmarks import five_points as five_of
from engines.families.mask import MaskNetwork
from engines.families.swapper import Swapper
from engines.families.templates import fit_template, template_points
from engines.models.catalogue import bundled_catalogue
from engines.models.five_detector import box_as_detected
from engines.onnxruntime import OnnxRuntimeSession
from engines.split import split
from engines.split_session import open_split
from realtime.frame import Face, FaceState, Frame, Motion, PictureSpec, Pose
from realtime.geometry import bounding_box
from realtime.head_motion import HeadState
from realtime.memory import Memory
from realtime.puppet_rig import rotation
from realtime.stages.neural_swap import Networks, NeuralSwap

FAMILIES = bundled_catalogue().families
SPEC = PictureSpec(320, 240, Fraction(30), live=False)
SOURCE = np.random.default_rng(4).normal(size=512).astype(np.float32)
OTHER = np.random.default_rng(5).normal(size=512).astype(np.float32)
EYES = ((33, 133), (362, 263))


def face_at(centre=(160, 120), width_px=90.0, lean=0.2, **how):
    """A face whose five points are those of the template, moved, turned and enlarged."""
    points = template_points("arcface_128", 128) - 64
    turn = np.array([[np.cos(lean), -np.sin(lean)], [np.sin(lean), np.cos(lean)]])
    points = points @ turn.T * (width_px / 60) + centre
    landmarks = np.zeros((468, 3), np.float32)
    landmarks[:, :2] = centre
    for indices, point in zip((*EYES, (1, 4), (61,), (291,)), points, strict=True):
        landmarks[list(indices), :2] = point
    return Face(1, bounding_box(landmarks), landmarks, 0.99, Pose(0, 0, 0), **how)


def smooth_picture():
    rows, columns = np.indices((SPEC.height, SPEC.width))
    waves = [np.sin(columns / 23 + n) + np.cos(rows / (19 + 4 * n)) for n in range(3)]
    return np.asarray(np.rint(127 + 50 * np.stack(waves, axis=-1)), np.uint8)


def frame_of(*faces):
    return Frame(image=smooth_picture(), faces=list(faces))


@pytest.fixture
def open_stage(twins):
    """Gives a function that opens a stage around an inswapper twin."""
    closed = []

    def run(people=(SOURCE,), *, max_faces=4, mask=None, model=None, in_halves=False, five=None):
        def open_part(part, name="whole"):
            return OnnxRuntimeSession(part, name=name)

        @contextmanager
        def networks():
            whole = model or twins.swapper(128)
            halves = open_split(split(whole), open_part, most_px=64) if in_halves else None
            session = halves or open_part(whole)
            try:
                yield Networks(Swapper(session, FAMILIES["inswapper"]), mask, halves, five)
            finally:
                session.close()
                closed.append(session)

        stage = NeuralSwap(networks, people, max_faces=max_faces)
        stage.open(SPEC, Memory())
        return stage

    run.closed = closed
    return run


def laid_over(image, layer):
    """The layer over the picture as the composite stage does it, in double precision."""
    size = (image.shape[1], image.shape[0])
    back = cv2.invertAffineTransform(layer.crop_from_image)
    face = cv2.warpAffine(layer.face.astype(np.float64), back, size)
    alpha = cv2.warpAffine(layer.alpha / 255.0, back, size)[..., None]
    return alpha * face + (1 - alpha) * image


def bilinear(image, x, y):
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    value = 0.0
    for dx in (0, 1):
        for dy in (0, 1):
            weight = (1 - np.abs(x - left - dx)) * (1 - np.abs(y - top - dy))
            value = value + weight[..., None] * image[
                np.clip(top + dy, 0, image.shape[0] - 1), np.clip(left + dx, 0, image.shape[1] - 1)
            ].astype(np.float64)
    return value


class SixtyEight:
    """Places 68 points that do not move; notes where it was to look."""

    def __init__(self):
        self.points = np.random.default_rng(6).uniform(80, 160, (68, 2)).astype(np.float32)
        self.asked = []

    def locate(self, image, box, *, angle_rad=0.0):
        self.asked.append((image.shape, np.asarray(box), angle_rad))
        return Landmarks(self.points, 1.0)


def test_the_crop_is_placed_by_another_network_s_points_where_that_is_asked_for(open_stage):
    network, frame = SixtyEight(), frame_of(face_at(lean=0.2))
    stage = open_stage(five=network)
    stage.process(frame)
    wanted = fit_template(five_of(network.points), "arcface_128", 128)
    np.testing.assert_allclose(frame.faces[0].layer.crop_from_image, wanted, atol=1e-9)
    # Once for the warm-up, then in a square around the face, turned with it.
    (_, (shape, box, angle_rad)) = network.asked
    assert shape == frame.image.shape
    np.testing.assert_allclose(box, box_as_detected(frame.faces[0].box))
    assert angle_rad == pytest.approx(0.2, abs=0.01)


def test_the_layer_is_the_face_s_crop_through_the_network(twins, open_stage):
    frame = frame_of(face_at())
    stage = open_stage()
    stage.process(frame)
    layer = frame.faces[0].layer
    points = [frame.faces[0].landmarks[list(part), :2].mean(axis=0) for part in (*EYES, (1, 4))]
    points += [frame.faces[0].landmarks[index, :2] for index in (61, 291)]
    crop_from_image = fit_template(points, "arcface_128", 128)
    np.testing.assert_allclose(layer.crop_from_image, crop_from_image, atol=1e-9)
    rows, columns = np.indices((128, 128))
    back = cv2.invertAffineTransform(crop_from_image)
    x, y = (back[n, 0] * columns + back[n, 1] * rows + back[n, 2] for n in (0, 1))
    crop = bilinear(frame.image, x, y)
    rgb = crop[..., ::-1].transpose(2, 0, 1) / 255
    expected = np.clip(twins.swapped(rgb, SOURCE), 0, 1).transpose(1, 2, 0)[..., ::-1] * 255
    # Half a level for each rounding, of the crop and of the result, and OpenCV's 1/32 pixel.
    assert np.abs(layer.face - expected).max() <= 1.2
    assert not frame.faces[0].swapped


def test_the_picture_itself_is_left_alone_and_the_layer_covers_the_face(twins, open_stage):
    frame = frame_of(face_at(width_px=60.0))
    open_stage().process(frame)
    np.testing.assert_array_equal(frame.image, smooth_picture())
    after = laid_over(frame.image, frame.faces[0].layer)
    changed = np.abs(after - frame.image).max(axis=2)
    assert changed[120, 160] > 20
    assert changed[:40].max() < 1
    assert changed[:, :80].max() < 1
    # In the middle of the face nothing of the picture shows through.
    tint = SOURCE.astype(np.float64) @ twins.tint_weights(512)
    expected = 0.5 * frame.image[120, 160] + 255 * tint[::-1]
    assert np.abs(after[120, 160] - np.clip(expected, 0, 255)).max() < 2


def test_each_face_becomes_the_person_that_was_chosen_for_it(open_stage):
    stage = open_stage((SOURCE, OTHER))
    alone = {}
    for person in (0, 1):
        frame = frame_of(face_at(person=person))
        stage.process(frame)
        alone[person] = frame.faces[0].layer.face.copy()
    assert np.abs(alone[0].astype(int) - alone[1]).max() > 3
    both = frame_of(face_at(person=1), face_at((250, 60), 40.0, person=0), face_at(person=0))
    stage.process(both)
    np.testing.assert_array_equal(both.faces[0].layer.face, alone[1])
    np.testing.assert_array_equal(both.faces[2].layer.face, alone[0])


def test_other_people_are_given_between_two_frames(open_stage):
    stage, other = open_stage((SOURCE,)), open_stage((OTHER,))
    frames = [frame_of(face_at()) for _ in range(3)]
    stage.process(frames[0])
    stage.give((OTHER,))
    stage.process(frames[1])
    other.process(frames[2])
    before, after, expected = (frame.faces[0].layer.face for frame in frames)
    np.testing.assert_array_equal(after, expected)
    assert (before != after).any()
    with pytest.raises(ValueError, match="there must be 1 people, got 2"):
        stage.give((SOURCE, OTHER))


def test_faces_that_are_lost_or_not_chosen_get_no_layer(open_stage):
    frame = frame_of(face_at(state=FaceState.LOST), face_at(chosen=False), face_at())
    open_stage().process(frame)
    assert [face.layer is not None for face in frame.faces] == [False, False, True]


def test_no_more_faces_are_swapped_than_there_is_room_for(open_stage):
    frame = frame_of(*(face_at() for _ in range(3)))
    open_stage(max_faces=2).process(frame)
    assert [face.layer is not None for face in frame.faces] == [True, True, False]


def test_a_layer_outlives_the_next_frame(open_stage):
    stage = open_stage()
    first, second = frame_of(face_at()), frame_of(face_at((100, 100)))
    stage.process(first)
    before = first.faces[0].layer.face.copy()
    stage.process(second)
    np.testing.assert_array_equal(first.faces[0].layer.face, before)
    assert first.faces[0].layer is not second.faces[0].layer


@pytest.mark.parametrize("centre", [(2, 3), (318, 236), (-40, 120)])
def test_a_face_at_the_edge_of_the_picture_is_swapped(open_stage, centre):
    frame = frame_of(face_at(centre))
    open_stage().process(frame)
    assert frame.faces[0].layer.face.std() > 1


def test_a_mask_limits_what_is_covered(twins, open_stage):
    session = OnnxRuntimeSession(twins.occlusion())
    mask = MaskNetwork(session, FAMILIES["xseg"])
    whole, limited = frame_of(face_at()), frame_of(face_at())
    for frame in (whole, limited):
        # The mask twin takes blue for what is free.
        frame.image[:, :160, 0] = 0
        frame.image[:, 160:, 0] = 255
    open_stage().process(whole)
    open_stage(mask=mask).process(limited)
    every, some = whole.faces[0].layer.alpha, limited.faces[0].layer.alpha
    assert (some <= every).all()
    back = cv2.invertAffineTransform(limited.faces[0].layer.crop_from_image)
    columns = back[0, 0] * np.indices((128, 128))[1] + back[0, 1] * np.indices((128, 128))[0]
    columns += back[0, 2]
    assert some[columns < 150].max() == 0
    np.testing.assert_array_equal(some[columns > 190], every[columns > 190])


def test_a_network_that_fails_fails_the_frame(open_stage, twins):
    broken = twins.swapper(128, seed=0).replace(b"target", b"targeu")
    with pytest.raises(ModelError):
        open_stage(model=broken[: len(broken) // 2])
    with pytest.raises(RuntimeError, match="must be open"):
        NeuralSwap(lambda: None, (SOURCE,), max_faces=1).process(frame_of(face_at()))


def test_a_network_that_gives_no_numbers_is_refused_before_the_first_frame(open_stage, twins):
    with pytest.raises(ModelError, match="must consist of numbers"):
        open_stage(model=twins.swapper(128, strength=np.nan))
    assert len(open_stage.closed) == 1


def test_closing_lets_the_network_go_and_opening_loads_it_again(open_stage):
    stage = open_stage()
    stage.process(frame_of(face_at()))
    stage.close()
    assert len(open_stage.closed) == 1
    with pytest.raises(RuntimeError, match="must be open"):
        stage.process(frame_of(face_at()))
    stage.open(SPEC, Memory())
    stage.process(frame_of(face_at()))
    stage.close()
    stage.close()
    assert len(open_stage.closed) == 2


def test_nothing_grows_from_frame_to_frame(open_stage):
    stage = open_stage()
    frames = [frame_of(face_at(lean=0.01 * n)) for n in range(12)]
    for frame in frames:
        # As if all of them came in one slot.
        frame.rooms = frames[0].rooms
    for frame in frames[:6]:
        stage.process(frame)
        frame.faces.clear()
    tracemalloc.start()
    stage.process(frames[6])
    start = tracemalloc.get_traced_memory()[0]
    for frame in frames[7:]:
        stage.process(frame)
    grown = tracemalloc.get_traced_memory()[0] - start
    tracemalloc.stop()
    assert grown < 4000


PERIOD_NS = 33_333_333
STILL = Motion(
    np.float64([[0.5, 0, 0], [0, 0.5, 0]]),
    np.float64([[0.5, 0, 0], [0, 0.5, 0]]),
    np.zeros((160, 160, 2), np.float32),
    np.ones((160, 160), np.float32),
)
"""Of a face in a picture where nothing moves; the view shows all of the picture."""


@pytest.fixture(scope="module")
def narrow_swapper(twins):
    """The published architecture with few channels: its features have a quarter of the pixels."""
    return twins.published_swapper((8, 16, 32, 64), blocks=2)


def play(stage, count, *, motion=STILL, noise=6.0):
    """The layers' faces in a still picture with new noise in every frame."""
    random, layers = np.random.default_rng(8), []
    for number in range(count):
        frame = frame_of(face_at(motion=motion if number else None))
        frame.media_ns = number * PERIOD_NS
        noisy = frame.image + random.normal(0, noise, frame.image.shape)
        frame.image[...] = np.clip(np.rint(noisy), 0, 255)
        stage.process(frame)
        layers.append(frame.faces[0].layer.face.astype(np.float64))
    return np.stack(layers)


def test_in_halves_and_without_a_past_it_draws_what_the_whole_network_does(
    open_stage, narrow_swapper
):
    whole = play(open_stage(model=narrow_swapper), 3)
    halves = play(open_stage(model=narrow_swapper, in_halves=True), 3, motion=None)
    assert whole.std() > 1
    assert np.abs(halves - whole).max() <= 1


def test_features_that_are_averaged_calm_what_is_drawn_of_a_noisy_picture(
    open_stage, narrow_swapper
):
    plain, calm = (
        play(open_stage(model=narrow_swapper, in_halves=True), 24, motion=motion)[8:]
        for motion in (None, STILL)
    )
    inner = np.s_[:, 24:104, 24:104]
    assert calm[inner].std(axis=0).mean() < 0.6 * plain[inner].std(axis=0).mean()
    # It is the same face: only the noise goes.
    apart = np.abs(calm[inner].mean(axis=0) - plain[inner].mean(axis=0)).mean()
    assert apart < plain[inner].std(axis=0).mean()


def test_another_person_has_nothing_of_the_one_before(open_stage, narrow_swapper):
    stage = open_stage(model=narrow_swapper, in_halves=True)
    fresh = open_stage((OTHER,), model=narrow_swapper, in_halves=True)
    play(stage, 4)
    stage.give((OTHER,))
    for number in (4, 5):
        frames = [frame_of(face_at(motion=STILL)) for _ in range(2)]
        for one, frame in zip((stage, fresh), frames, strict=True):
            frame.media_ns = number * PERIOD_NS
            one.process(frame)
        faces = [frame.faces[0].layer.face for frame in frames]
        np.testing.assert_array_equal(*faces)


class Unchanged:
    """A swapper that gives the crop back, and counts its runs."""

    def __init__(self, crop_px):
        self.crop_px = crop_px
        self.templates = template_points("arcface_128", crop_px)[None]
        self.num_runs = 0

    def swap(self, crop, source, *, face, alpha):
        face[...] = crop
        alpha[...] = 255
        self.num_runs += 1


def open_unchanged(mesh, *sides_px):
    """An opened stage around swappers that change nothing, and these."""
    swappers = tuple(Unchanged(side) for side in sides_px)

    @contextmanager
    def networks():
        yield Networks(swappers[0], boosted=swappers[1:])

    stage = NeuralSwap(networks, (SOURCE,), max_faces=1, mesh=mesh)
    stage.open(SPEC, Memory())
    return stage, swappers


@pytest.mark.models
@pytest.mark.parametrize("yaw", [0.0, 40.0, -65.0])
def test_a_network_that_changes_nothing_leaves_a_turned_head_in_its_place(mesh, yaw):
    points = mesh.neutral @ rotation(HeadState(yaw=yaw, roll=20.0)).T * 40.0
    landmarks = (points + np.array([160.0, 120.0, 0.0])).astype(np.float32)
    face = Face(1, bounding_box(landmarks), landmarks, 0.99, Pose(0, 0, 0))
    frame = frame_of(face)
    stage, swappers = open_unchanged(mesh, 128)
    stage.process(frame)
    stage.close()
    assert swappers[0].num_runs == 2
    assert face.worked_px == 128
    apart = np.abs(laid_over(frame.image, face.layer) - frame.image).mean(axis=2)
    seen = mesh.facing(landmarks) > 0.55
    columns, rows = np.rint(landmarks[seen, :2]).astype(int).T
    assert np.median(apart[rows, columns]) < 1.5
    assert np.percentile(apart[rows, columns], 95) < 6


@pytest.mark.models
def test_a_close_up_goes_through_the_larger_network(mesh):
    faces = [face_at(width_px=width_px) for width_px in (30.0, 150.0)]
    stage, swappers = open_unchanged(mesh, 64, 128)
    # The larger one is not tried beforehand: that would take a slow one several times as long.
    assert [swapper.num_runs for swapper in swappers] == [1, 0]
    for number, face in enumerate(faces):
        stage.process(Frame(smooth_picture(), faces=[face], media_ns=number * 33_000_000))
    stage.close()
    assert [face.worked_px for face in faces] == [64, 128]
    assert [face.layer.face.shape[0] for face in faces] == [64, 128]
    assert [swapper.num_runs for swapper in swappers] == [2, 1]
