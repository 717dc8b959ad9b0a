import numpy as np
import pytest

from realtime.crop import Crop
from realtime.face_parts import face_width_px

pytestmark = pytest.mark.models

CROP_PX = 256


def crop_of(image, landmarks, share=1.0):
    return Crop(image, landmarks, landmarks, CROP_PX, share)


def test_the_crop_is_a_view_of_bounded_size(sitter):
    image = np.zeros((900, 1300, 3), np.uint8)
    for width_px in (10, 100, 700):
        landmarks = sitter.landmarks(width_px=width_px, centre=(600.5, 400.5))
        crop = crop_of(image, landmarks)
        assert np.shares_memory(crop.region, image)
        assert 0 < crop.scale <= 1
        assert max(crop.width_px, crop.height_px) <= CROP_PX + 4
        assert crop.size == (crop.width_px, crop.height_px)
        assert crop.half == (crop.width_px / 2, crop.height_px / 2)
        rows, columns = crop.region.shape[:2]
        inside = crop.inside(landmarks)
        assert inside[:, 0].min() > 0
        assert inside[:, 0].max() < crop.width_px
        size = np.ptp(inside[:, :2], axis=0) / np.ptp(landmarks[:, :2], axis=0)
        np.testing.assert_allclose(
            size, (crop.width_px / columns, crop.height_px / rows), rtol=1e-3
        )
        assert np.abs(size / crop.scale - 1).max() < 0.25


def test_depth_is_scaled_as_the_picture_is(sitter):
    landmarks = sitter.landmarks(width_px=700, centre=(600.5, 400.5))
    crop = crop_of(np.zeros((900, 1300, 3), np.uint8), landmarks)
    inside = crop.inside(landmarks)
    assert inside.dtype == np.float32
    across, down, away = np.ptp(inside, axis=0) / np.ptp(landmarks, axis=0)
    assert min(across, down) <= away <= max(across, down)
    np.testing.assert_allclose(inside[:, 2], landmarks[:, 2] * away, atol=1e-3)


def test_a_crop_of_full_size_only_shifts_the_points(sitter):
    image = np.zeros((400, 400, 3), np.uint8)
    landmarks = sitter.landmarks(width_px=120)
    crop = crop_of(image, landmarks)
    assert crop.scale == 1.0
    shift = landmarks - crop.inside(landmarks)
    np.testing.assert_allclose(shift, np.broadcast_to(shift[0], shift.shape), atol=1e-3)
    np.testing.assert_allclose(shift[0, :2], np.round(shift[0, :2]), atol=1e-3)


def test_it_holds_both_faces_and_says_how_large_they_are_in_it(sitter):
    image = np.zeros((900, 900, 3), np.uint8)
    target = sitter.landmarks(width_px=500, centre=(450.0, 450.0))
    drawn = sitter.landmarks(width_px=530, centre=(460.0, 440.0))
    crop = Crop(image, target, drawn, CROP_PX)
    inside = crop.inside(target), crop.inside(drawn)
    for points in inside:
        assert points[:, :2].min() > 0
        assert (points[:, :2].max(axis=0) < crop.size).all()
    sizes = [face_width_px(points) for points in inside]
    assert (crop.target_px, crop.drawn_px) == pytest.approx(sizes, abs=1e-2)


def test_a_face_beside_the_picture_has_an_empty_crop(sitter):
    image = np.zeros((100, 100, 3), np.uint8)
    for centre in ((-500.0, 50.0), (50.0, 700.0), (400.0, -400.0)):
        landmarks = sitter.landmarks(centre=centre, width_px=100)
        assert crop_of(image, landmarks).region.size == 0


def test_a_crop_is_smaller_where_less_is_asked_for_but_not_a_small_one(sitter):
    image = np.zeros((600, 600, 3), np.uint8)

    def side(width_px, share):
        landmarks = sitter.landmarks(width_px=width_px, centre=(300, 300))
        return max(crop_of(image, landmarks, share).size)

    assert [side(300, share) for share in (1.0, 0.75, 0.5)] == [CROP_PX, 192, 160]
    assert side(90, 0.5) == side(90, 1.0)
