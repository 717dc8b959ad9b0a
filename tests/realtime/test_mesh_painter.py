import cv2
import numpy as np
import pytest

from cuda_kernels.paste import paste
from realtime.face_mesh import INNER_LIPS, LEFT_EYE, RIGHT_EYE
from realtime.face_openings import opening_zone
from realtime.face_texture import DETAIL_ONE, FaceTexture
from realtime.face_zones import MAP_PX
from realtime.head_motion import HeadState
from realtime.memory import Memory
from realtime.mesh_painter import MeshPainter, layer_bytes
from realtime.puppet_rig import rotation

pytestmark = pytest.mark.models

CROP_PX = 256
PAINT = (200.0, 60.0, 160.0)
"""Light that no target here has, so that every painted pixel shows."""


@pytest.fixture(scope="module")
def painter(mesh, light):
    return MeshPainter(mesh, light, CROP_PX, Memory())


@pytest.fixture
def plain(mesh):
    return texture_of(mesh)


def texture_of(mesh, cover=255, factor=1.0, above=0, sides=0):
    """A person without any detail."""
    units = round(DETAIL_ONE * factor)
    detail = tuple(np.full((side, side, 3), units, np.uint16) for side in (512, 256, 128))
    planes = np.empty((MAP_PX, MAP_PX, 4), np.uint8)
    planes[..., :3] = (cover, above, sides)
    planes[..., 3] = opening_zone(mesh)
    return FaceTexture(detail, planes, mesh.neutral)


def paint(painter, image, landmarks, texture, colour=PAINT):
    """Draws in place with light of one colour; returns the covered share."""
    crop = painter.crop(image, landmarks, landmarks)
    inside = crop.inside(landmarks)
    painter.look(crop, landmarks, inside)
    tone = np.full((48, 48, 3), colour, np.float32)
    buffer = np.full(layer_bytes(CROP_PX), 170, np.uint8)
    layer, covered = painter.paint(crop, inside, tone, texture, out=buffer)
    assert np.shares_memory(layer.face, buffer)
    assert np.shares_memory(layer.alpha, buffer)
    paste(layer.face, layer.alpha, layer.crop_from_image, out=image)
    return covered


def hull_of(landmarks, shape, grow_px=0):
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(landmarks[:, :2]).astype(np.int32)), 1)
    if grow_px:
        size = 2 * abs(grow_px) + 1
        change = cv2.dilate if grow_px > 0 else cv2.erode
        mask = change(mask, np.ones((size, size), np.uint8))
    return mask > 0


def near_openings(landmarks, shape, grow_px):
    mask = np.zeros(shape[:2], np.uint8)
    for ring in (RIGHT_EYE, LEFT_EYE, INNER_LIPS):
        cv2.fillPoly(mask, [np.round(landmarks[list(ring), :2]).astype(np.int32)], 1)
    return cv2.dilate(mask, np.ones((2 * grow_px + 1,) * 2, np.uint8)) > 0


def noise(size=(320, 320), low=60, high=200):
    return np.random.default_rng(3).integers(low, high, (*size, 3), np.uint8)


@pytest.mark.parametrize("width_px", [120, 200, 280])
@pytest.mark.parametrize("yaw", [0, 30])
def test_plain_skin_takes_the_lights_colour_all_over_the_face(
    painter, plain, sitter, width_px, yaw
):
    image = noise()
    landmarks = sitter.landmarks(width_px=width_px, yaw=yaw)
    covered = paint(painter, image, landmarks, plain)
    assert covered > 0.85
    # A turned face is not convex, so only what is far from its edge is compared.
    inner = np.zeros(image.shape[:2], bool)
    inner[120:200, 130:170] = True
    inner &= ~near_openings(landmarks, image.shape, 6)
    assert inner.sum() > 1500
    assert np.abs(image[inner] - np.float32(PAINT)).max() <= 2


@pytest.mark.parametrize("angles", [{}, {"yaw": 35}, {"yaw": -20, "pitch": 15, "roll": 60}])
@pytest.mark.parametrize("width_px", [40, 150, 290])
def test_not_one_pixel_outside_the_landmarks_changes(painter, plain, sitter, angles, width_px):
    image = noise()
    before = image.copy()
    landmarks = sitter.landmarks(width_px=width_px, **angles)
    paint(painter, image, landmarks, plain)
    outside = ~hull_of(landmarks, image.shape, grow_px=2)
    np.testing.assert_array_equal(image[outside], before[outside])
    assert (image != before).any()


def test_the_edge_is_soft(painter, plain, sitter):
    image = np.full((320, 320, 3), 0, np.uint8)
    landmarks = sitter.landmarks(width_px=180)
    paint(painter, image, landmarks, plain, colour=(240.0, 240.0, 240.0))
    row = image[160, :, 0].astype(int)
    assert row[130] > 235
    assert np.abs(np.diff(row)).max() < 150


def test_a_texture_that_covers_nothing_says_so(painter, mesh, sitter):
    image = noise()
    before = image.copy()
    landmarks = sitter.landmarks()
    assert paint(painter, image, landmarks, texture_of(mesh, cover=0)) == 0.0
    skin = ~near_openings(landmarks, image.shape, 3)
    np.testing.assert_array_equal(image[skin], before[skin])


def test_the_covered_share_follows_the_cover(painter, mesh, sitter):
    texture = texture_of(mesh)
    texture.cover[:, : MAP_PX // 2, 0] = 0
    covered = paint(painter, noise(), sitter.landmarks(), texture)
    assert covered == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("factor", [0.5, 1.3])
def test_detail_is_a_factor_on_the_light(painter, mesh, sitter, factor):
    image = noise()
    paint(painter, image, sitter.landmarks(), texture_of(mesh, factor=factor), (100, 120, 150))
    expected = (np.array([100, 120, 150]) + 16) * factor - 16
    np.testing.assert_allclose(
        image[175:180, 120:128].reshape(-1, 3).mean(axis=0), expected, atol=1.5
    )


def test_detail_lies_where_the_landmarks_lie(painter, mesh, sitter):
    texture = texture_of(mesh)
    for level in texture.detail:
        side = level.shape[0]
        level[:, : side // 2] = round(0.5 * DETAIL_ONE)
    image = noise()
    landmarks = sitter.landmarks(roll=25)
    paint(painter, image, landmarks, texture)
    right, left = (np.round(landmarks[point, :2]).astype(int) for point in (50, 280))
    assert image[right[1], right[0], 0] == pytest.approx(216 * 0.5 - 16, abs=3)
    assert image[left[1], left[0], 0] == pytest.approx(200, abs=3)


def test_an_open_mouth_stays_the_targets_own(painter, plain, sitter):
    landmarks = sitter.landmarks(mouth_open=0.2)
    image = noise()
    before = image.copy()
    paint(painter, image, landmarks, plain)
    mouth = np.zeros(image.shape[:2], np.uint8)
    lips = np.round(landmarks[list(INNER_LIPS), :2]).astype(np.int32)
    cv2.fillPoly(mouth, [lips], 1)
    middle = cv2.erode(mouth, np.ones((13, 13), np.uint8)) > 0
    assert middle.sum() > 150
    np.testing.assert_array_equal(image[middle], before[middle])


@pytest.mark.parametrize(
    ("yaw", "near", "far"), [(-60, LEFT_EYE, RIGHT_EYE), (60, RIGHT_EYE, LEFT_EYE)]
)
def test_the_nose_is_not_cut_open_where_it_stands_before_the_other_eye(
    painter, plain, sitter, yaw, near, far
):
    wide_open = sitter.landmarks(width_px=230, centre=(0.0, 0.0))
    for eye in (LEFT_EYE, RIGHT_EYE):
        wide_open[list(eye[:8:-1]), 1] -= 12
    landmarks = (wide_open @ rotation(HeadState(yaw=yaw)).T).astype(np.float32)
    landmarks[:, :2] += 160
    image = np.zeros((320, 320, 3), np.uint8)
    paint(painter, image, landmarks, plain)
    covered = {}
    for eye in (near, far):
        inside = np.zeros((320, 320), np.uint8)
        cv2.fillPoly(inside, [np.round(landmarks[list(eye), :2]).astype(np.int32)], 255)
        assert (inside > 0).sum() > 100
        covered[eye] = image.any(axis=2)[inside > 0].mean()
    assert covered[near] < 0.8
    assert covered[far] > 0.99


def test_shut_lids_are_painted_over(painter, plain, sitter):
    landmarks = sitter.landmarks(width_px=250)
    for ring in (RIGHT_EYE, LEFT_EYE):
        below, above = list(ring[1:8]), list(ring[:8:-1])
        landmarks[above] = landmarks[below]
    image = noise()
    paint(painter, image, landmarks, plain)
    for point in (145, 374):
        across, down = np.round(landmarks[point, :2]).astype(int)
        assert np.abs(image[down, across] - np.float32(PAINT)).max() <= 25


def hair_from(image, rows, columns):
    image[rows, columns] = 12
    return image


def test_hair_that_hangs_in_from_above_stays_in_front(painter, mesh, sitter):
    skin = (120.0, 150.0, 200.0)
    landmarks = sitter.landmarks(width_px=200)
    image = np.full((320, 320, 3), skin, np.uint8)
    hair = (slice(0, 80), slice(130, 190))
    hair_from(image, *hair)
    texture = texture_of(mesh, factor=1.2, above=255)
    covered = paint(painter, image, landmarks, texture, skin)
    assert (image[:74, 136:184] == 12).all()
    # Below it the texture begins again.
    assert image[95:100, 140:180].mean() > 1.1 * np.mean(skin)
    assert 0.7 < covered < 0.95


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_hair_stays_in_front_of_heads_on_their_side_and_upside_down(painter, mesh, sitter, turns):
    """Quarter turns against the clock."""
    side, skin = 320, (120.0, 150.0, 200.0)
    landmarks = sitter.landmarks(width_px=200)
    upright = np.full((side, side, 3), skin, np.uint8)
    hair_from(upright, slice(0, 80), slice(130, 190))
    image = np.ascontiguousarray(np.rot90(upright, turns))
    turned = landmarks.copy()
    for _ in range(turns):
        turned[:, :2] = np.column_stack([turned[:, 1], side - 1 - turned[:, 0]])
    texture = texture_of(mesh, factor=1.2, above=255)
    paint(painter, upright, landmarks, texture, skin)
    paint(painter, image, turned, texture, skin)
    assert (upright[:74, 136:184] == 12).all()
    apart = np.abs(np.rot90(image, -turns).astype(int) - upright).max(axis=2)
    # The crop's grid lies elsewhere by up to three pixels, so edges are not quite the same.
    assert np.median(apart) == 0
    assert (apart > 40).mean() < 0.01


def test_a_dark_spot_with_skin_above_it_is_painted_over(painter, mesh, sitter):
    skin = (120.0, 150.0, 200.0)
    landmarks = sitter.landmarks(width_px=200)
    image = np.full((320, 320, 3), skin, np.uint8)
    hair_from(image, slice(75, 90), slice(140, 180))
    paint(painter, image, landmarks, texture_of(mesh, above=255), skin)
    assert np.abs(image[78:87, 145:175] - np.float32(skin)).max() <= 3


def test_hair_from_the_side_stays_in_front_on_its_side_only(painter, mesh, sitter):
    skin = (120.0, 150.0, 200.0)
    landmarks = sitter.landmarks(width_px=200)
    image = np.full((320, 320, 3), skin, np.uint8)
    hair_from(image, slice(0, 320), slice(0, 85))
    paint(painter, image, landmarks, texture_of(mesh, factor=1.2, sides=255), skin)
    assert (image[140:180, :80] == 12).all()
    assert image[140:180, 230:240].mean() > 1.1 * np.mean(skin)


def test_a_large_face_is_drawn_small_and_enlarged(painter, plain, sitter):
    image = noise((1000, 1000))
    before = image.copy()
    landmarks = sitter.landmarks(width_px=700, centre=(500.3, 500.3))
    assert paint(painter, image, landmarks, plain) > 0.85
    assert np.abs(image[500:560, 420:580] - np.float32(PAINT)).max() <= 2
    outside = ~hull_of(landmarks, image.shape, grow_px=5)
    np.testing.assert_array_equal(image[outside], before[outside])


def test_the_light_is_the_pictures(painter, light, sitter):
    skin = (90, 110, 160)
    landmarks = sitter.landmarks(width_px=150, yaw=10)
    image = sitter.picture(sitter.looks(skin=skin), landmarks)
    crop = painter.crop(image, landmarks, landmarks)
    colours, weights = painter.look(crop, landmarks, crop.inside(landmarks))
    assert weights.max() > 0.9
    measured = light.measure(colours, weights)
    assert np.abs(measured[20:28, 20:28] - skin).max() < 8


def test_looking_changes_nothing(painter, sitter):
    image = noise()
    before = image.copy()
    landmarks = sitter.landmarks()
    crop = painter.crop(image, landmarks, landmarks)
    painter.look(crop, landmarks, crop.inside(landmarks))
    np.testing.assert_array_equal(image, before)


def test_what_a_crop_shows_is_the_picture_itself_where_it_has_its_size(painter, sitter):
    image = noise((900, 900))
    for width_px, is_whole in ((120, True), (700, False)):
        landmarks = sitter.landmarks(width_px=width_px, centre=(450.0, 450.0))
        crop = painter.crop(image, landmarks, landmarks)
        painter.look(crop, landmarks, crop.inside(landmarks))
        shown = painter.picture(crop)
        assert shown.shape == (crop.height_px, crop.width_px, 3)
        assert np.shares_memory(shown, image) == is_whole
        assert shown.mean() == pytest.approx(crop.region.mean(), abs=2)
