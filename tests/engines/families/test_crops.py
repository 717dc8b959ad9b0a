import numpy as np
import pytest

from engines.families.crops import cut_crop, feathered_box


def bilinear(image, image_from_crop, size_px):
    """Every pixel of the crop by the textbook, edges repeated, in double precision."""
    height, width = image.shape[:2]
    out = np.empty((size_px, size_px, 3))
    for row in range(size_px):
        for column in range(size_px):
            x, y = image_from_crop @ (column, row, 1.0)
            left, top = int(np.floor(x)), int(np.floor(y))
            value = np.zeros(3)
            for dy in (0, 1):
                for dx in (0, 1):
                    weight = (1 - abs(x - left - dx)) * (1 - abs(y - top - dy))
                    at = np.clip(top + dy, 0, height - 1), np.clip(left + dx, 0, width - 1)
                    value += weight * image[at]
            out[row, column] = value
    return out


def similarity(scale, angle, middle, size_px):
    """Crop pixels from image pixels; ``middle`` of the image goes to the crop's."""
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.hstack([turn, (np.full(2, (size_px - 1) / 2) - turn @ middle)[:, None]])


def inverse(matrix):
    return np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]


@pytest.mark.parametrize(("scale", "angle"), [(1.0, 0.0), (1.7, 0.4), (0.6, -2.0)])
@pytest.mark.parametrize("middle", [(30.3, 20.7), (2.0, 45.0)])
def test_a_crop_is_the_bilinear_one(scale, angle, middle):
    rng = np.random.default_rng(2)
    image = np.asarray(rng.integers(0, 256, (51, 63, 3)), np.uint8)
    out = np.full((33, 33, 3), 77, np.uint8)
    crop_from_image = similarity(scale, angle, middle, 33)
    cut_crop(image, crop_from_image, out=out)
    expected = bilinear(image, inverse(crop_from_image), 33)
    # OpenCV places samples to 1/32 pixel, which on noise is worth a few levels.
    assert np.abs(out - expected).mean() < 1.5
    assert np.abs(out - expected).max() < 18


def test_a_large_face_is_averaged_and_not_skipped_through():
    """A picture of thin stripes: sampling alone gives black or white, the mean is grey."""
    image = np.zeros((512, 512, 3), np.uint8)
    image[:, ::2] = 255
    out = np.empty((64, 64, 3), np.uint8)
    cut_crop(image, similarity(64 / 512, 0.3, (255.5, 255.5), 64), out=out)
    assert np.abs(out[16:48, 16:48].astype(int) - 127).max() <= 2


@pytest.mark.parametrize("scale", [0.5, 0.24, 0.11])
def test_halving_leaves_every_point_where_it_was(scale):
    """A bright disc's centre of gravity is where the map says, to a twentieth of a pixel."""
    rows, columns = np.indices((400, 360))
    centre = np.array([191.3, 187.8])
    away = np.hypot(columns - centre[0], rows - centre[1])
    image = np.repeat((255 * np.clip(7 / scale - away, 0, 1))[..., None], 3, axis=2).astype(
        np.uint8
    )
    out = np.empty((40, 40, 3), np.uint8)
    crop_from_image = similarity(scale, 0.5, (180.0, 200.0), 40)
    cut_crop(image, crop_from_image, out=out)
    weights = out[..., 0] / out[..., 0].sum()
    found = [(weights * axis).sum() for axis in np.indices(weights.shape)[::-1]]
    np.testing.assert_allclose(found, crop_from_image @ (*centre, 1.0), atol=0.05)


@pytest.mark.parametrize("middle", [(-500.0, 10.0), (2000.0, 2000.0)])
def test_a_crop_beside_the_picture_repeats_its_edge(middle):
    image = np.full((40, 40, 3), 90, np.uint8)
    out = np.zeros((16, 16, 3), np.uint8)
    cut_crop(image, similarity(0.1, 0.0, middle, 16), out=out)
    assert (out == 90).all()


@pytest.mark.parametrize("size_px", [112, 128, 257])
def test_a_feathered_box_is_whole_inside_and_nothing_at_the_edge(size_px):
    box = feathered_box(size_px)
    middle = size_px // 2
    assert box[middle, middle] == 255
    assert max(box[0].max(), box[-1].max(), box[:, 0].max(), box[:, -1].max()) == 0
    profile = box[middle, : middle + 1].astype(int)
    assert (np.diff(profile) >= 0).all()
    np.testing.assert_array_equal(box, box.T)
    np.testing.assert_array_equal(box, box[::-1, ::-1])


def test_without_a_feather_the_box_covers_all():
    assert (feathered_box(64, 0.0) == 255).all()
