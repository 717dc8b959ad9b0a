import cv2
import numpy as np
import pytest

from realtime.aligned_view import look, rescaled, view_extent_px, view_scale
from realtime.geometry import apply, invert

SIDE_PX = 96
SHARE = 1.35
"""Side of a view over the larger side of the face."""


def face(width_px, centre=(110.3, 90.7), height_px=None):
    """Landmarks on an ellipse."""
    around = np.linspace(0, 2 * np.pi, 468, endpoint=False)
    points = np.zeros((468, 3), np.float32)
    points[:, 0] = centre[0] + width_px / 2 * np.cos(around)
    points[:, 1] = centre[1] + (height_px or width_px) / 2 * np.sin(around)
    return points


def scale_of(landmarks, side_px, before=None):
    """The scale of the view that shows these landmarks."""
    return view_scale(view_extent_px(landmarks), side_px, before)


def ramps(size=(200, 240)):
    """A picture whose blue says the column and whose red says the row."""
    rows, columns = np.indices(size)
    return np.stack([columns, np.full(size, 7), rows], axis=-1).astype(np.uint8)


def smooth(size):
    """A picture without fine detail."""
    noise = np.random.default_rng(6).normal(0, 1, (*size, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 6)
    return np.clip(128 + 40 * blurred / blurred.std(), 0, 255).astype(np.uint8)


def places(view):
    """``(S, S, 2)`` where in the image each pixel of a view lies, by its matrix."""
    rows, columns = np.indices(view.grey.shape)
    pixels = np.stack([columns.ravel(), rows.ravel()], axis=-1)
    return apply(invert(view.crop_from_image), pixels).reshape(*view.grey.shape, 2)


@pytest.mark.parametrize(
    ("width_px", "height_px"), [(150, 120), (90, 150), (40, 31), (22, 24), (18, 10)]
)
def test_the_larger_side_of_a_face_fills_its_share_of_the_view(width_px, height_px):
    scale = scale_of(face(width_px, height_px=height_px), SIDE_PX)
    assert scale * max(width_px, height_px) * SHARE == pytest.approx(SIDE_PX, rel=1e-3)


@pytest.mark.parametrize("width_px", [17, 10, 3])
def test_a_very_small_face_is_enlarged_four_times(width_px):
    assert scale_of(face(width_px), SIDE_PX) == 4.0


def test_a_face_without_size_is_enlarged_no_more_than_a_very_small_one():
    assert scale_of(np.full((468, 3), 5, np.float32), SIDE_PX) == 4.0


def test_the_scale_of_a_small_face_stays_as_well_until_it_has_grown_or_shrunk_much():
    before = scale_of(face(30), SIDE_PX)
    assert before > 2.0
    for width_px in (24, 30.5, 38):
        assert scale_of(face(width_px), SIDE_PX, before) == before
    for width_px in (22, 40):
        scale = scale_of(face(width_px), SIDE_PX, before)
        assert scale == scale_of(face(width_px), SIDE_PX) != before


def test_the_scale_stays_until_the_face_has_grown_or_shrunk_much():
    before = scale_of(face(150), SIDE_PX)
    for width_px in (120, 149, 151, 190):
        assert scale_of(face(width_px), SIDE_PX, before) == before
    for width_px in (112, 200):
        scale = scale_of(face(width_px), SIDE_PX, before)
        assert scale == scale_of(face(width_px), SIDE_PX) != before


def test_at_full_size_the_pixels_are_those_of_the_picture():
    image = np.random.default_rng(1).integers(0, 256, (200, 240, 3), np.uint8)
    view = look(image, face(60), SIDE_PX, 1.0)
    left, top = (-view.crop_from_image[:, 2]).astype(int)
    np.testing.assert_array_equal(view.picture, image[top : top + SIDE_PX, left : left + SIDE_PX])
    assert view.scale == 1.0


@pytest.mark.parametrize("factor", [2, 4])
def test_of_a_small_face_every_pixel_of_the_picture_is_shown_larger(factor):
    image = smooth((200, 240))
    view = look(image, face(15), SIDE_PX, float(factor))
    # Pixel centres lie between those of the view; averaged, the picture comes back.
    first = np.ceil(places(view)[0, 0] + 0.5 - 0.5 / factor).astype(int)
    start = apply(view.crop_from_image, [first])[0] - (factor - 1) / 2
    np.testing.assert_allclose(start, np.round(start), atol=1e-6)
    left, top = np.round(start).astype(int)
    num = (SIDE_PX - max(left, top)) // factor
    part = view.picture[top : top + num * factor, left : left + num * factor]
    means = part.reshape(num, factor, num, factor, 3).mean(axis=(1, 3))
    wanted = image[first[1] : first[1] + num, first[0] : first[0] + num]
    np.testing.assert_allclose(means, wanted, atol=1.0)
    assert wanted.std() > 20
    assert view.scale == factor


@pytest.mark.parametrize("scale", [4.0, 2.3, 1.0, 0.8, 0.5, 0.43, 0.3])
def test_the_matrix_says_where_each_pixel_was(scale):
    image = 2 * ramps((100, 120))
    view = look(image, face(60, centre=(60.4, 49.2)), SIDE_PX, scale)
    where = places(view)
    inside = ((where >= 3) & (where <= (116, 96))).all(axis=-1)
    assert inside.mean() > 0.08
    away = (view.picture[..., ::2].astype(np.float64) / 2 - where)[inside]
    assert np.abs(away).max() <= 0.6
    assert away.mean(axis=0) == pytest.approx([0, 0], abs=0.15)


@pytest.mark.parametrize("scale", [4.0, 1.7, 1.0, 0.7, 0.4, 0.3])
def test_the_face_is_in_the_middle_and_its_points_lie_where_they_are_seen(scale):
    landmarks = face(70, centre=(131.8, 77.1))
    view = look(ramps(), landmarks, SIDE_PX, scale)
    middle = (view.points.min(axis=0) + view.points.max(axis=0)) / 2
    assert middle == pytest.approx([(SIDE_PX - 1) / 2] * 2, abs=0.51)
    np.testing.assert_allclose(
        apply(invert(view.crop_from_image), view.points), landmarks[:, :2], atol=1e-3
    )


@pytest.mark.parametrize("scale", [3.7, 1.0, 0.61, 0.37])
def test_a_view_moves_by_whole_pixels(scale):
    rng = np.random.default_rng(2)
    image = rng.integers(0, 256, (200, 240, 3), np.uint8)
    first = look(image, face(60), SIDE_PX, scale)
    for centre in rng.uniform(80, 130, (20, 2)):
        moved = look(image, face(60, centre=centre), SIDE_PX, scale)
        shift = moved.crop_from_image[:, 2] - first.crop_from_image[:, 2]
        np.testing.assert_allclose(shift, np.round(shift), atol=1e-6)
        np.testing.assert_array_equal(moved.crop_from_image[:, :2], [[scale, 0], [0, scale]])


@pytest.mark.parametrize(("scale", "reach_px"), [(0.45, 6.0), (2.7, 3.0)])
def test_trembling_landmarks_do_not_change_what_is_seen_of_a_still_picture(scale, reach_px):
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (200, 240, 3), np.uint8)
    first = look(image, face(150), SIDE_PX, scale)
    for step in rng.uniform(-reach_px, reach_px, (8, 2)):
        other = look(image, face(150, centre=np.array([110.3, 90.7]) + step), SIDE_PX, scale)
        dx, dy = np.round(other.crop_from_image[:, 2] - first.crop_from_image[:, 2]).astype(int)
        inner = slice(10, -10)
        moved = np.roll(first.picture, (dy, dx), axis=(0, 1))[inner, inner]
        apart = np.abs(moved.astype(int) - other.picture[inner, inner])
        assert apart.max() <= 1


@pytest.mark.parametrize("factor", [2, 4])
def test_of_a_large_face_each_pixel_is_the_mean_of_those_it_stands_for(factor):
    image = np.random.default_rng(4).integers(0, 256, (400, 400, 3), np.uint8)
    view = look(image, face(200, centre=(200, 200)), SIDE_PX, 1 / factor)
    left, top = np.round(places(view)[0, 0] - (factor - 1) / 2).astype(int)
    side_px = SIDE_PX * factor
    seen = image[top : top + side_px, left : left + side_px]
    blocks = seen.reshape(SIDE_PX, factor, SIDE_PX, factor, 3)
    np.testing.assert_allclose(view.picture, blocks.mean(axis=(1, 3)), atol=1)


def test_beyond_the_picture_its_edge_goes_on():
    image = ramps()
    view = look(image, face(60, centre=(2.0, 3.0)), SIDE_PX, 1.0)
    wanted = np.clip(places(view), 0, None)
    np.testing.assert_array_equal(view.picture[..., 0], wanted[..., 0])
    np.testing.assert_array_equal(view.picture[..., 2], wanted[..., 1])


@pytest.mark.parametrize("scale", [4.0, 1.0, 0.3])
@pytest.mark.parametrize("centre", [(-500.0, 50.0), (900.0, 900.0), (241.0, 50.0)])
def test_a_face_beside_the_picture_can_be_looked_at(scale, centre):
    view = look(ramps(), face(80, centre=centre), SIDE_PX, scale)
    assert view.picture.shape == (SIDE_PX, SIDE_PX, 3)
    assert np.isfinite(view.points).all()


def test_grey_is_the_brightness_of_the_picture():
    image = np.zeros((200, 240, 3), np.uint8)
    image[...] = (10, 120, 240)
    view = look(image, face(60), SIDE_PX, 1.0)
    assert (view.grey == round(0.114 * 10 + 0.587 * 120 + 0.299 * 240)).all()


@pytest.mark.parametrize("scale", [0.35, 0.9])
def test_a_rescaled_view_shows_the_same_places_at_its_new_scale(scale):
    landmarks = face(60, centre=(120.4, 99.2))
    old = look(ramps(), landmarks, SIDE_PX, 0.6)
    new = rescaled(old, scale)
    assert new.scale == pytest.approx(scale)
    where = places(new)
    seen = places(old).reshape(-1, 2)
    low, high = np.maximum(seen.min(axis=0), 0), np.minimum(seen.max(axis=0), (239, 199))
    inside = ((where >= low + 1) & (where <= high - 1)).all(axis=-1)
    assert inside.mean() > 0.2
    assert np.abs(new.picture[..., ::2].astype(np.float64) - where)[inside].max() <= 2.0
    np.testing.assert_allclose(new.points, apply(new.crop_from_image, landmarks[:, :2]), atol=1e-3)
    middle = [((SIDE_PX - 1) / 2,) * 2]
    np.testing.assert_allclose(
        *(apply(invert(view.crop_from_image), middle) for view in (new, old)), atol=1e-6
    )


def test_a_view_of_another_size_has_the_same_middle():
    old = look(ramps(), face(60, centre=(120.4, 99.2)), SIDE_PX, 0.6)
    new = rescaled(old, 0.6, SIDE_PX // 2)
    assert new.grey.shape == (SIDE_PX // 2,) * 2
    middles = [
        apply(invert(view.crop_from_image), [[(len(view.grey) - 1) / 2] * 2]) for view in (old, new)
    ]
    np.testing.assert_allclose(*middles, atol=1e-9)
