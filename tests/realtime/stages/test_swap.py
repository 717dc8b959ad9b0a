import gc
import logging
import tracemalloc
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from cuda_kernels.paste import paste
from realtime.face_mesh import INNER_LIPS, LEFT_EYE, RIGHT_EYE
from realtime.face_texture import TextureMaker
from realtime.frame import Face, FaceState, Frame, Motion, PictureSpec, Pose
from realtime.geometry import apply, bounding_box, invert
from realtime.memory import Memory
from realtime.stages.composite import Composite
from realtime.stages.swap import Identity, MeshSwap, MeshSwapConfig
from realtime.steady import SteadyConfig

pytestmark = pytest.mark.models

SPEC = PictureSpec(320, 320, Fraction(30), live=False)
LIVE = PictureSpec(320, 320, Fraction(30), live=True)
MS = 1_000_000
SKINS = {
    "dark": (45.0, 60.0, 95.0),
    "brown": (80.0, 110.0, 160.0),
    "fair": (165.0, 190.0, 230.0),
}


@pytest.fixture(scope="module")
def identity(mesh, zones, light, sitter):
    """Somebody with thick dark brows and brown eyes."""
    looks = sitter.looks(skin=(120, 150, 200), eyes=(30, 50, 80), spots=0.06)
    landmarks = sitter.landmarks()
    texture = TextureMaker(mesh, zones, light).make([(sitter.picture(looks, landmarks), landmarks)])
    return Identity(mesh, zones, light, texture)


@pytest.fixture(scope="module")
def target(sitter):
    """Gives a function that draws a target and returns the picture and the landmarks."""

    def draw(size=(320, 320), looks=None, **how):
        landmarks = sitter.landmarks(**how)
        looks = sitter.looks(skin=SKINS["brown"]) if looks is None else looks
        return sitter.picture(looks, landmarks, size), landmarks

    return draw


@pytest.fixture
def opened(identity):
    """Gives a function that opens a stage with settings."""

    def open_stage(identity=identity, spec=SPEC, **settings):
        stage = MeshSwap(MeshSwapConfig(**settings), identity)
        stage.open(spec, Memory())
        return stage

    return open_stage


def face_at(landmarks, track_id=1, state=FaceState.SEEN):
    return Face(
        track_id=track_id,
        box=bounding_box(landmarks),
        landmarks=landmarks,
        score=0.99,
        pose=Pose(0, 0, 0),
        state=state,
        lost_ns=0 if state is FaceState.SEEN else 50 * MS,
    )


def swap(stage, image, *landmarks, media_ns=0):
    """One frame with its layers laid over a copy of the picture."""
    faces = [face_at(points, number) for number, points in enumerate(landmarks)]
    return finish(stage, Frame(image.copy(), media_ns=media_ns, faces=faces))


def finish(stage, frame):
    """Swaps and composes."""
    stage.process(frame)
    composite = Composite()
    composite.process(frame)
    return frame


def hull(points, shape, grow_px=0):
    """Inside the landmarks' hull, grown or shrunk."""
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(points[:, :2]).astype(np.int32)), 1)
    size = 2 * abs(grow_px) + 1
    change = cv2.dilate if grow_px > 0 else cv2.erode
    return change(mask, np.ones((size, size), np.uint8)) > 0


def cheek(image, landmarks):
    """Mean colour of small patches on both cheeks."""
    patches = []
    for point in (50, 280):
        across, down = np.round(landmarks[point, :2]).astype(int)
        patches.append(image[down - 3 : down + 4, across - 3 : across + 4].reshape(-1, 3))
    return np.concatenate(patches).astype(np.float64).mean(axis=0)


def lab_distance(one, other):
    pair = np.float32([[one, other]]) / np.float32(255)
    here, there = cv2.cvtColor(pair, cv2.COLOR_BGR2LAB)[0]
    return float(np.linalg.norm(here - there))


def test_a_face_is_swapped_and_said_to_be(opened, target):
    image, landmarks = target()
    frame = swap(opened(), image, landmarks)
    assert frame.faces[0].swapped
    changed = np.abs(frame.image.astype(int) - image).max(axis=2) > 2
    assert changed[hull(landmarks, image.shape, -20)].mean() > 0.3


def test_the_brows_and_the_skins_pattern_are_the_sources(opened, target, sitter):
    looks = sitter.looks(skin=SKINS["brown"], brows=SKINS["brown"])
    image, landmarks = target(looks=looks)
    result = swap(opened(), image, landmarks).image
    across, down = np.round(landmarks[105, :2]).astype(int)
    assert result[down, across].mean() < 0.6 * image[down, across].mean()
    forehead = (slice(85, 100), slice(140, 180))
    assert image[forehead].std(axis=(0, 1)).max() < 1
    assert result[forehead].std(axis=(0, 1)).min() > 2


@pytest.mark.parametrize("skin", SKINS)
@pytest.mark.parametrize("angles", [{}, {"yaw": 20}, {"yaw": -12, "pitch": 10, "roll": 15}])
def test_the_cheeks_keep_the_targets_tone(opened, target, sitter, skin, angles):
    image, landmarks = target(looks=sitter.looks(skin=SKINS[skin]), **angles)
    result = swap(opened(), image, landmarks).image
    assert lab_distance(cheek(result, landmarks), cheek(image, landmarks)) < 3


def test_light_from_the_side_stays_where_it_was(opened, target, sitter):
    across = np.arange(512)[None] / 512
    looks = sitter.looks(skin=(100, 125, 165), light=(0.6 + 0.8 * across)[..., None])
    image, landmarks = target(looks=looks)
    result = swap(opened(), image, landmarks).image
    for point in (50, 280):
        x, y = np.round(landmarks[point, :2]).astype(int)
        patch = (slice(y - 3, y + 4), slice(x - 3, x + 4))
        there, here = (picture[patch].mean(axis=(0, 1)) for picture in (image, result))
        assert lab_distance(here, there) < 5


@pytest.mark.parametrize("crop_px", [64, 384])
@pytest.mark.parametrize(
    "how", [{}, {"yaw": 40}, {"width_px": 260, "roll": 30}, {"mouth_open": 0.2}, {"width_px": 20}]
)
def test_pixels_outside_the_face_are_bit_identical(opened, target, how, crop_px):
    image, landmarks = target(**how)
    image = cv2.add(image, np.random.default_rng(0).integers(0, 9, image.shape, np.uint8))
    result = swap(opened(crop_px=crop_px), image, landmarks).image
    # A coarse crop is enlarged, and its edge with it.
    grow_px = 3 + round(np.ptp(landmarks[:, 1]) / crop_px * 2)
    outside = ~hull(landmarks, image.shape, grow_px)
    np.testing.assert_array_equal(result[outside], image[outside])


def test_an_open_mouth_shows_the_targets_own_tongue(opened, target):
    stage = opened()
    still, at = target()
    for number in range(8):
        swap(stage, still, at, media_ns=number * 33 * MS)
    image, landmarks = target(mouth_open=0.22)
    result = swap(stage, image, landmarks, media_ns=8 * 33 * MS).image
    mouth = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(mouth, [np.round(landmarks[list(INNER_LIPS), :2]).astype(np.int32)], 1)
    middle = cv2.erode(mouth, np.ones((15, 15), np.uint8)) > 0
    assert middle.sum() > 100
    np.testing.assert_array_equal(result[middle], image[middle])


def test_open_eyes_keep_the_targets_colour(opened, target):
    image, landmarks = target(width_px=260)
    for ring in (RIGHT_EYE, LEFT_EYE):
        landmarks[list(ring[:8:-1]), 1] -= 14
    image[hull(landmarks[list(RIGHT_EYE)], image.shape)] = (200, 120, 60)
    result = swap(opened(), image, landmarks).image
    across, down = np.round(landmarks[list(RIGHT_EYE), :2].mean(axis=0)).astype(int)
    blue, green, red = result[down, across].astype(float)
    # The source's eyes are brown; they lend brightness, and a little of their colour with it.
    assert blue / red > 2.0
    assert blue > green > red


def test_eyes_that_are_kept_are_as_bright_as_they_were(identity, target):
    image, landmarks = target(width_px=260)
    stage = MeshSwap(MeshSwapConfig(), identity, keeps={"eyes"})
    stage.open(SPEC, Memory())
    frame = Frame(image.copy(), faces=[face_at(landmarks)])
    stage.process(frame)
    np.testing.assert_array_equal(frame.image, image)


def test_hair_that_hangs_over_the_forehead_stays_in_front(opened, target):
    image, landmarks = target(width_px=200)
    image[:95, 135:185] = 12
    result = swap(opened(), image, landmarks).image
    top = int(landmarks[10, 1])
    assert top < 70
    assert (result[: 95 - 12, 142:178] <= 14).all()


@pytest.mark.parametrize(
    ("how", "size"),
    [
        ({"centre": (0.3, 160.4)}, (320, 320)),
        ({"centre": (310.3, 315.4)}, (320, 320)),
        ({"centre": (160.3, -40.4)}, (320, 320)),
        ({"width_px": 10}, (320, 320)),
        ({"width_px": 3}, (320, 320)),
        ({"width_px": 900}, (320, 320)),
        ({"width_px": 600, "centre": (400.3, 400.4)}, (801, 803)),
        ({"width_px": 30, "centre": (8.3, 8.4)}, (17, 17)),
        ({"width_px": 20, "centre": (1.3, 1.4)}, (3, 5)),
        ({"width_px": 10, "centre": (0.3, 0.4)}, (1, 1)),
        ({"yaw": 85}, (320, 320)),
        ({"roll": 180}, (320, 320)),
    ],
)
def test_faces_of_any_size_and_place_are_swapped(opened, target, how, size):
    image, landmarks = target(size, **how)
    frame = swap(opened(), image, landmarks)
    assert frame.image.shape == image.shape
    outside = ~hull(landmarks, image.shape, 8)
    np.testing.assert_array_equal(frame.image[outside], image[outside])
    in_picture = hull(landmarks, image.shape, -2).sum()
    if in_picture > 500 and abs(how.get("yaw", 0)) < 60:
        assert frame.faces[0].swapped
        assert (frame.image != image).any()


def test_a_face_that_is_not_in_the_picture_hides_nothing(opened, target):
    image, landmarks = target(centre=(900.0, 160.0))
    frame = swap(opened(), image, landmarks)
    np.testing.assert_array_equal(frame.image, image)
    assert frame.faces[0].swapped


@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_pictures_of_one_colour_are_survived(opened, target, level):
    _, landmarks = target()
    image = np.full((320, 320, 3), level, np.uint8)
    result = swap(opened(), image, landmarks).image
    # Plain skin takes the picture's own tone, so nothing bright appears on black.
    across, down = np.round(landmarks[50, :2]).astype(int)
    assert np.abs(result[down, across].astype(int) - level).max() <= 12


def test_four_faces_are_swapped_in_one_frame(opened, sitter):
    centres = [(80.3, 80.4), (240.3, 80.4), (80.3, 240.4), (240.3, 240.4)]
    skins = [(60, 80, 120), (90, 120, 170), (165, 190, 230), (45, 60, 95)]
    landmarks = [sitter.landmarks(width_px=100, centre=centre) for centre in centres]
    looks = [sitter.looks(skin=skin) for skin in skins]
    image = sitter.picture(looks, landmarks)
    frame = swap(opened(), image, *landmarks)
    assert [face.swapped for face in frame.faces] == [True] * 4
    for points in landmarks:
        assert lab_distance(cheek(frame.image, points), cheek(image, points)) < 4
        assert (frame.image != image)[hull(points, image.shape, -10)].mean() > 0.3


def test_the_first_and_largest_face_is_drawn_over_the_others(opened, sitter):
    near = sitter.landmarks(width_px=180, centre=(130.3, 160.4))
    far = sitter.landmarks(width_px=120, centre=(230.3, 160.4))
    looks = [sitter.looks(skin=(165, 190, 230)), sitter.looks(skin=(60, 80, 120))]
    image = sitter.picture([looks[1], looks[0]], [far, near])
    both = swap(opened(), image, near, far)
    alone = swap(opened(), image, near)
    layer = both.faces[0].layer
    image_from_crop = invert(layer.crop_from_image)
    size = (image.shape[1], image.shape[0])
    solid = cv2.warpAffine(layer.alpha, image_from_crop, size) == 255
    covered = solid & hull(far, image.shape)
    assert covered.sum() > 500
    # The eyes of the face behind lie in the picture whose light is measured.
    apart = np.abs(both.image.astype(int) - alone.image).max(axis=2)
    assert apart[solid].mean() < 1
    assert apart.max() > 20


def test_lost_faces_are_left_alone(opened, target):
    image, landmarks = target()
    frame = Frame(image.copy(), faces=[face_at(landmarks, state=FaceState.LOST)])
    opened().process(frame)
    np.testing.assert_array_equal(frame.image, image)
    assert not frame.faces[0].swapped


def test_faces_that_are_not_chosen_are_left_to_the_guard(opened, target):
    image, landmarks = target()
    face = face_at(landmarks)
    face.chosen = False
    frame = Frame(image.copy(), faces=[face])
    opened().process(frame)
    np.testing.assert_array_equal(frame.image, image)
    assert not frame.faces[0].swapped


def test_a_frame_without_faces_is_left_alone(opened, target):
    image, _ = target()
    np.testing.assert_array_equal(swap(opened(), image).image, image)


def test_a_face_that_was_hardly_covered_does_not_count_as_swapped(opened, target, identity):
    image, landmarks = target()
    for share, swapped in ((0.0, False), (0.2, False), (0.6, True)):
        cover = identity.texture.cover.copy()
        cover[round(512 * share) :, :, 0] = 0
        thin = replace(identity, texture=replace(identity.texture, cover=cover))
        # The landmarks reach over almost the whole height of the map.
        assert swap(opened(thin), image, landmarks).faces[0].swapped == swapped


def shades(stage, target, sitter, steps):
    """Brightness of the cheeks for a target that goes from dark to fair after the first frame.

    Args:
        steps: times in ms of the frames after the first.
    """
    dark, landmarks = target(looks=sitter.looks(skin=(60, 80, 100)))
    fair, _ = target(looks=sitter.looks(skin=(160, 180, 200)))
    first = cheek(swap(stage, dark, landmarks).image, landmarks).mean()
    later = [
        cheek(swap(stage, fair, landmarks, media_ns=round(ms * MS)).image, landmarks).mean()
        for ms in steps
    ]
    return first, later


@pytest.mark.parametrize("half_life_ms", [30.0, 60.0, 400.0])
def test_the_light_follows_with_its_half_life(opened, target, sitter, half_life_ms):
    stage = opened(light_ms=half_life_ms)
    steps = [half_life_ms, 2 * half_life_ms]
    first, (once, twice) = shades(stage, target, sitter, steps)
    end = shades(opened(light_ms=0.0), target, sitter, [33])[1][0]
    assert (once - first) / (end - first) == pytest.approx(0.5, abs=0.03)
    assert (twice - first) / (end - first) == pytest.approx(0.75, abs=0.03)


def test_light_that_does_not_wait_is_followed_at_once(opened, target, sitter):
    first, (after,) = shades(opened(light_ms=0.0), target, sitter, [33])
    assert after - first == pytest.approx(100, abs=6)


def test_a_track_that_is_not_seen_for_half_a_second_starts_afresh(opened, target, sitter):
    slow = {"light_ms": 2000.0}
    _, (kept,) = shades(opened(**slow), target, sitter, [450])
    first, (afresh,) = shades(opened(**slow), target, sitter, [550])
    assert kept - first < 30
    assert afresh - first == pytest.approx(100, abs=6)


def test_each_track_has_a_memory_of_its_own(opened, target, sitter):
    stage = opened(light_ms=2000.0)
    dark, landmarks = target(looks=sitter.looks(skin=(60, 80, 100)))
    fair, _ = target(looks=sitter.looks(skin=(160, 180, 200)))
    stage.process(Frame(dark.copy(), faces=[face_at(landmarks, 1)]))
    other = Frame(fair.copy(), media_ns=33 * MS, faces=[face_at(landmarks, 2)])
    stage.process(other)
    assert lab_distance(cheek(other.image, landmarks), cheek(fair, landmarks)) < 3


def test_time_that_runs_backwards_does_no_harm(opened, target):
    image, landmarks = target()
    stage = opened()
    swap(stage, image, landmarks, media_ns=10_000 * MS)
    assert swap(stage, image, landmarks, media_ns=0).faces[0].swapped


def test_the_same_frames_give_the_same_pictures(opened, target):
    image, landmarks = target(yaw=10)
    runs = []
    for _ in range(2):
        stage = opened()
        runs.append([swap(stage, image, landmarks, media_ns=n * 33 * MS).image for n in range(3)])
    np.testing.assert_array_equal(runs[0], runs[1])


def test_memory_does_not_grow_from_frame_to_frame(opened, target):
    image, landmarks = target()
    small, far = target(width_px=90, yaw=20)
    stage = opened()

    def work(first, count):
        for number in range(first, first + count):
            at, picture = ((landmarks, image), (far, small))[number % 2]
            # A new person every tenth frame: tracks must be let go too.
            face = face_at(at, number // 10)
            stage.process(Frame(picture, media_ns=number * 100 * MS, faces=[face]))

    work(0, 20)
    tracemalloc.start()
    try:
        work(20, 20)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        work(40, 50)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 50_000


def test_scratch_is_taken_once_and_counted(identity, target):
    memory = Memory()
    stage = MeshSwap(MeshSwapConfig(), identity)
    stage.open(SPEC, memory)
    taken = memory.live_bytes
    assert 1_000_000 < taken < 40_000_000
    image, landmarks = target()
    swap(stage, image, landmarks)
    assert memory.live_bytes == taken


def test_a_closed_stage_refuses_to_work_and_opens_again(opened, target):
    image, landmarks = target()
    stage = opened()
    first = swap(stage, image, landmarks).image
    stage.close()
    stage.close()
    with pytest.raises(RuntimeError, match="open"):
        swap(stage, image, landmarks)
    stage.open(SPEC, Memory())
    np.testing.assert_array_equal(swap(stage, image, landmarks).image, first)
    assert stage.name == "swap"


@pytest.mark.parametrize(
    "settings",
    [
        {"crop_px": 63},
        {"crop_px": 2000},
        {"shape": 1.1},
        {"shape": -0.1},
        {"light_ms": -1.0},
        {"x": 1},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValidationError):
        MeshSwapConfig(**settings)


def went(across, down, confidence=1.0):
    """The motion of a picture that went that way as a whole."""
    flow = np.full((320, 320, 2), (-across, -down), np.float32)
    return Motion(np.eye(2, 3), np.eye(2, 3), flow, np.full((320, 320), confidence, np.float32))


def trembling(identity, target, moved, **how):
    """Deviation in time of a face that is drawn on landmarks which tremble, in grey levels."""
    image, landmarks = target()
    stage = MeshSwap(MeshSwapConfig(), identity, **how)
    stage.open(SPEC, Memory())
    faces = [face_at(landmarks) for _ in range(40)]
    noise = np.random.default_rng(4)
    for face in faces[1:]:
        face.motion = moved
        stray = noise.normal(0, 0.4, (len(landmarks), 2)).astype(np.float32)
        face.landmarks = face.landmarks.copy()
        face.landmarks[:, :2] += stray
    layers = []
    for number, face in enumerate(faces):
        frame = Frame(image.copy(), media_ns=number * 33 * MS, faces=[face])
        stage.process(frame)
        shown = np.zeros_like(image)
        paste(face.layer.face, face.layer.alpha, face.layer.crop_from_image, out=shown)
        layers.append(shown.astype(np.float32))
    stage.close()
    return np.std(layers[25:], axis=0).mean()


def test_a_drawn_face_does_not_tremble_on_a_picture_that_stands_still(identity, target):
    loose = trembling(identity, target, went(0, 0))
    steady = trembling(identity, target, went(0, 0), steady=SteadyConfig())
    assert steady < 0.5 * loose


def test_without_motion_a_face_is_drawn_where_its_landmarks_are(identity, target):
    loose = trembling(identity, target, None)
    assert trembling(identity, target, None, steady=SteadyConfig()) == loose


def test_a_drawn_face_goes_where_the_flow_takes_it(identity, target):
    image, landmarks = target()
    stage = MeshSwap(MeshSwapConfig(), identity, steady=SteadyConfig())
    stage.open(SPEC, Memory())
    first, second = face_at(landmarks), face_at(landmarks + np.float32((7, 4, 0)))
    second.motion = went(7, 4)
    moved = cv2.warpAffine(image, np.float64([[1, 0, 7], [0, 1, 4]]), image.shape[1::-1])
    for number, (face, picture) in enumerate([(first, image), (second, moved)]):
        stage.process(Frame(picture.copy(), media_ns=number * 33 * MS, faces=[face]))
    middles = [
        np.average(
            apply(invert(face.layer.crop_from_image), np.argwhere(face.layer.alpha > 127)[:, ::-1]),
            axis=0,
        )
        for face in (first, second)
    ]
    np.testing.assert_allclose(middles[1] - middles[0], (7, 4), atol=0.2)


def test_a_face_that_was_lost_is_drawn_anew_where_it_is_found(identity, target):
    image, landmarks = target()
    shapes = []
    for lost in (False, True):
        stage = MeshSwap(MeshSwapConfig(), identity, steady=SteadyConfig())
        stage.open(SPEC, Memory())
        faces = [face_at(landmarks) for _ in range(8)]
        faces.append(face_at(landmarks + np.float32((9, 0, 0))))
        for face in faces[1:]:
            face.motion = went(0, 0)
        if lost:
            faces[-2].state = FaceState.LOST
        for number, face in enumerate(faces):
            stage.process(Frame(image.copy(), media_ns=number * 33 * MS, faces=[face]))
        covered = np.argwhere(faces[-1].layer.alpha > 127)[:, ::-1]
        shapes.append(apply(invert(faces[-1].layer.crop_from_image), covered).mean(axis=0)[0])
    assert shapes[1] - shapes[0] > 2


def late(stage, image, landmarks, seconds, skipped=2):
    """A camera some of whose pictures are passed over; at how many pixels each face was drawn."""
    sides = []
    for number in range(10 * seconds):
        frame = Frame(image.copy(), seq=(1 + skipped) * number, faces=[face_at(landmarks)])
        frame.media_ns = frame.captured_ns = number * 100 * MS
        sides.append(finish(stage, frame).faces[0].worked_px)
    return sides


def test_with_a_camera_faces_are_drawn_smaller_while_the_machine_is_late(opened, target, caplog):
    image, landmarks = target(width_px=240)
    with caplog.at_level(logging.INFO):
        sides = late(opened(spec=LIVE), image, landmarks, 4)
    full = sides[0]
    assert list(dict.fromkeys(sides)) == [full, pytest.approx(0.75 * full, abs=4), 160]
    (message,) = (record.message for record in caplog.records)
    assert message.startswith("swap: the machine is late")


@pytest.mark.parametrize(
    ("spec", "ladder", "skipped"), [(SPEC, True, 2), (LIVE, False, 2), (LIVE, True, 0)]
)
def test_faces_keep_their_size_with_a_file_in_time_or_where_that_is_wanted(
    opened, target, spec, ladder, skipped
):
    image, landmarks = target(width_px=240)
    stage = opened(spec=spec, ladder=ladder)
    assert len(set(late(stage, image, landmarks, 4, skipped))) == 1
