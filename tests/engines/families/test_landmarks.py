import numpy as np
import pytest

from engines.errors import ModelError
from engines.fake import FakeSession
from engines.families.landmarks import LandmarkNetwork, fit_square, five_points
from engines.models.catalogue import bundled_catalogue
from engines.onnxruntime import OnnxRuntimeSession
from engines.session import TensorSpec

FAMILIES = bundled_catalogue().families
BOX = (100.0, 60.0, 180.0, 190.0)


def plain(blue, green, red):
    image = np.zeros((300, 320, 3), np.uint8)
    image[:] = (blue, green, red)
    return image


def placed(crop_points, family, angle_rad=0.0):
    matrix = np.vstack([fit_square(BOX, family.size_px, family.box_scale, angle_rad), [0, 0, 1]])
    inverse = np.linalg.inv(matrix)
    return np.asarray(crop_points) @ inverse[:2, :2].T + inverse[:2, 2]


@pytest.mark.parametrize("angle_rad", [0.0, 0.8])
def test_heat_map_cells_become_image_pixels(twins, angle_rad):
    family = FAMILIES["fan_68"]
    network = LandmarkNetwork(OnnxRuntimeSession(twins.landmarks(256, 68, heatmap_px=64)), family)
    found = network.locate(plain(51, 102, 0), BOX, angle_rad=angle_rad)
    # Blue and green are the first two channels of 0..1; a cell is 4 px of the crop.
    expected = placed([0.2 * 4, 0.4 * 4], family, angle_rad)
    np.testing.assert_allclose(found.points, np.tile(expected, (68, 1)), atol=0.01)
    # Peaks from 0 to 0.9, of which 0.9 is certain.
    assert found.score == pytest.approx(0.5, abs=1e-3)


def test_values_around_the_middle_become_image_pixels(twins):
    family = FAMILIES["regressed_106"]
    network = LandmarkNetwork(OnnxRuntimeSession(twins.landmarks(192, 106)), family)
    # Red and green as they are, 0..255: so small values stay in the crop.
    found = network.locate(plain(9, 1, 0), BOX)
    expected = placed([(0 + 1) * 96, (1 + 1) * 96], family)
    np.testing.assert_allclose(found.points, np.tile(expected, (106, 1)), atol=0.01)
    assert found.score is None


def test_shares_of_the_crop_become_image_pixels(twins):
    family = FAMILIES["pfld_68"]
    network = LandmarkNetwork(OnnxRuntimeSession(twins.landmarks(112, 68)), family)
    found = network.locate(plain(0, 204, 51), BOX)
    expected = placed([0.2 * 112, 0.8 * 112], family)
    np.testing.assert_allclose(found.points, np.tile(expected, (68, 1)), atol=0.01)


def test_the_crop_is_the_square_around_the_box():
    matrix = fit_square(BOX, 256, 256 / 195)
    # 195 px for the longer side of 130 px; the middle in the middle.
    np.testing.assert_allclose(matrix[:, :2], np.eye(2) * 195 / 130)
    np.testing.assert_allclose(matrix @ (140, 125, 1), (128, 128))
    turned = fit_square(BOX, 256, 256 / 195, np.pi / 2)
    # A head that leans clockwise onto its side: what is below in the crop is left in the picture.
    np.testing.assert_allclose(turned @ (140 - 20, 125, 1), (128, 128 + 30), atol=1e-9)


def test_five_points_are_read_off_both_numberings():
    points = np.arange(136, dtype=np.float32).reshape(68, 2)
    five = five_points(points)
    np.testing.assert_allclose(five[0], points[36:42].mean(axis=0))
    np.testing.assert_allclose(five[2:], points[[30, 48, 54]])
    points = np.arange(212, dtype=np.float32).reshape(106, 2)
    np.testing.assert_array_equal(five_points(points), points[[38, 88, 86, 52, 61]])
    with pytest.raises(ValueError, match="68 or 106 points, got 4"):
        five_points(points[:4])


def test_another_signature_is_refused():
    f32 = np.dtype(np.float32)
    session = FakeSession(
        (TensorSpec("x", (1, 3, 192, 192), f32),),
        (TensorSpec("y", (1, 136), f32),),
        lambda given: given,
    )
    with pytest.raises(ModelError, match=r"an output of shape \?×212, got 1×136"):
        LandmarkNetwork(session, FAMILIES["regressed_106"])
