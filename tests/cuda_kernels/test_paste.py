import math

import cv2
import numpy as np
import pytest

from cuda_kernels.paste import paste, paste_place, paste_placed

ROUNDING = {"cpu": 1.8, "shim": 0.52, "gpu": 0.52}
"""The processor rounds the face and its alpha before it lays one over the picture."""

HALVED = {"cpu": 2.5, "shim": 0.52, "gpu": 0.52}


def similarity(scale, degrees, shift):
    """``crop_from_image``."""
    turn = math.radians(degrees)
    c, s = scale * math.cos(turn), scale * math.sin(turn)
    return np.array([[c, -s, shift[0]], [s, c, shift[1]]])


def cubic(distance):
    """Keys' kernel with a = -0.75."""
    d = abs(distance)
    if d < 1:
        return 1.25 * d**3 - 2.25 * d**2 + 1
    return -0.75 * d**3 + 3.75 * d**2 - 6 * d + 3 if d < 2 else 0.0


def averaged(picture, size):
    rows, columns = picture.shape[0] // size, picture.shape[1] // size
    whole = picture[: rows * size, : columns * size].astype(np.float64)
    return whole.reshape(rows, size, columns, size, *picture.shape[2:]).mean(axis=(1, 3))


def defined(face, alpha, crop_from_image, image):
    """The definition, pixel by pixel of the whole picture in float64."""
    spacing = math.sqrt(abs(np.linalg.det(crop_from_image[:, :2])))
    shift = max(round(math.log2(max(spacing, 1.0))), 0)
    size = 2 ** min(shift, 4, int(math.log2(min(alpha.shape))))
    face, alpha = averaged(face, size), averaged(alpha, size)
    rows, columns = alpha.shape
    out = image.astype(np.float64)
    for row, column in np.ndindex(image.shape[:2]):
        x, y = (crop_from_image @ (column, row, 1) - (size - 1) / 2) / size
        left, top = math.floor(x), math.floor(y)
        cover = sum(
            max(1 - abs(x - i), 0) * max(1 - abs(y - j), 0) * alpha[j, i]
            for j in (top, top + 1)
            for i in (left, left + 1)
            if 0 <= i < columns and 0 <= j < rows
        )
        if cover:
            level = sum(
                cubic(x - i)
                * cubic(y - j)
                * face[min(max(j, 0), rows - 1), min(max(i, 0), columns - 1)]
                for j in range(top - 1, top + 3)
                for i in range(left - 1, left + 3)
            )
            weight = cover / 255
            out[row, column] = weight * np.clip(level, 0, 255) + (1 - weight) * out[row, column]
    return out


def soft(size, seed, channels=3):
    noise = np.random.default_rng(seed).integers(0, 256, (*size, channels)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 1.5).reshape(*size, channels)
    return np.clip((blurred - 127.5) * 3 + 127.5, 0, 255).astype(np.uint8)


def scene(crop_size, image_size=(37, 45)):
    return soft(crop_size, 1), soft(crop_size, 2, 1)[..., 0], soft(image_size, 3)


def lay(device, face, alpha, matrix, image):
    out = device.put(image)
    paste(device.put(face), device.put(alpha), matrix, out=out, stream=device.stream)
    return device.take(out)


@pytest.mark.parametrize("crop_size", [(1, 1), (13, 17), (32, 32)])
@pytest.mark.parametrize(
    "matrix",
    [
        similarity(1.0, 0.0, (-11.0, -7.0)),
        similarity(0.8, 0.0, (-4.3, -6.8)),
        similarity(1.3, 33.0, (-9.1, -20.0)),
        similarity(0.45, -120.0, (2.0, 30.0)),
        np.array([[-0.9, 0.2, 25.0], [0.1, 1.2, -4.0]]),
    ],
    ids=["shifted", "enlarged", "turned", "large", "mirrored"],
)
def test_a_crop_is_laid_where_it_belongs(device, crop_size, matrix):
    face, alpha, image = scene(crop_size)
    wanted = defined(face, alpha, matrix, image)
    laid = lay(device, face, alpha, matrix, image)
    assert np.abs(laid - wanted).max() <= ROUNDING[device.kind]


@pytest.mark.parametrize("scale", [1.6, 2.7, 6.0, 40.0])
def test_a_crop_that_is_shrunk_is_averaged(device, scale):
    face, alpha, image = scene((65, 81))
    matrix = similarity(scale, 15.0, (-18.0 * scale, -11.0 * scale))
    wanted = defined(face, alpha, matrix, image)
    assert np.abs(lay(device, face, alpha, matrix, image) - wanted).max() <= HALVED[device.kind]


def test_the_picture_beside_the_crop_is_left_alone(device):
    face, alpha = np.full((8, 8, 3), 200, np.uint8), np.full((8, 8), 255, np.uint8)
    image = soft((31, 33), 5)
    laid = lay(device, face, alpha, similarity(1.0, 0.0, (-12.0, -9.0)), image)
    np.testing.assert_array_equal(laid[9:17, 12:20], face)
    laid[9:17, 12:20] = image[9:17, 12:20]
    np.testing.assert_array_equal(laid, image)


@pytest.mark.parametrize("at", [(12, 9), (-5, 9), (28, -4), (-6, -2), (29, 27)])
def test_a_crop_on_whole_pixels_is_laid_as_it_is_and_cut_at_the_pictures_edge(device, at):
    left, top = at
    face, image = soft((9, 11), 4), soft((31, 33), 5)
    wide = np.pad(image, ((20, 20), (20, 20), (0, 0)))
    wide[20 + top : 29 + top, 20 + left : 31 + left] = face
    matrix = similarity(1.0, 0.0, (-left, -top))
    laid = lay(device, face, np.full((9, 11), 255, np.uint8), matrix, image)
    np.testing.assert_array_equal(laid, wide[20:51, 20:53])


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_crop_turned_by_a_right_angle_is_laid_turned(device, quarters):
    face, image = soft((9, 14), 4), soft((31, 33), 5)
    turned = np.rot90(face, quarters)
    rows, columns = turned.shape[:2]
    image_from_crop = {
        1: [[0, 1, 6], [-1, 0, 5 + 13]],
        2: [[-1, 0, 6 + 13], [0, -1, 5 + 8]],
        3: [[0, -1, 6 + 8], [1, 0, 5]],
    }[quarters]
    matrix = cv2.invertAffineTransform(np.array(image_from_crop, np.float64))
    wanted = image.copy()
    wanted[5 : 5 + rows, 6 : 6 + columns] = turned
    laid = lay(device, face, np.full((9, 14), 255, np.uint8), matrix, image)
    np.testing.assert_array_equal(laid, wanted)


@pytest.mark.parametrize("seam", [0, 160], ids=["bare", "covered"])
@pytest.mark.parametrize(("across", "down"), [(2.0, 2.0), (1.5, 2.0), (0.75, 1.0)])
@pytest.mark.parametrize("at", [(3, 5), (-7, 6), (21, -4)])
def test_a_crop_of_another_size_on_whole_pixels_is_laid_like_any_other(
    device, across, down, at, seam
):
    face, alpha, image = scene((12, 16))
    alpha[[0, -1]] = alpha[:, [0, -1]] = seam
    # Pixel centres lie at whole numbers, so the middle of the first one moves with the scale.
    begin = (at[0] + (across - 1) / 2, at[1] + (down - 1) / 2)
    matrix = np.array([[1 / across, 0, -begin[0] / across], [0, 1 / down, -begin[1] / down]])
    wanted = defined(face, alpha, matrix, image)
    laid = lay(device, face, alpha, matrix, image)
    assert np.abs(laid - wanted).max() <= ROUNDING[device.kind]


def test_nothing_shows_where_alpha_is_nothing(device):
    face, _, image = scene((15, 15))
    nothing = np.zeros((15, 15), np.uint8)
    laid = lay(device, face, nothing, similarity(0.7, 10.0, (-3.0, -4.0)), image)
    np.testing.assert_array_equal(laid, image)


@pytest.mark.parametrize("shift", [(-1000.0, 0.0), (0.0, 1000.0), (1e9, -1e9)])
def test_a_crop_beside_the_picture_changes_nothing(device, shift):
    face, alpha, image = scene((9, 9))
    np.testing.assert_array_equal(
        lay(device, face, alpha, similarity(1.0, 20.0, shift), image), image
    )


@pytest.mark.parametrize("shift", [(-40.0, -10.0), (6.0, -10.0), (-10.0, -33.0), (-10.0, 6.0)])
def test_a_crop_half_outside_is_cut_at_the_pictures_edge(device, shift):
    face, alpha, image = scene((12, 12))
    matrix = similarity(1.0, 25.0, shift)
    wanted = defined(face, alpha, matrix, image)
    laid = lay(device, face, alpha, matrix, image)
    assert np.abs(laid - wanted).max() <= ROUNDING[device.kind]


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_a_map_that_leads_nowhere_is_refused(device, value):
    face, alpha, image = map(device.put, scene((9, 9)))
    matrix = np.array([[value, 0.0, 1.0], [0.0, 1.0, 2.0]])
    with pytest.raises(ValueError, match="affine map: must be finite and invertible"):
        paste(face, alpha, matrix, out=image, stream=device.stream)


def test_an_alpha_of_another_size_is_refused(device):
    face, alpha, image = (device.poisoned(shape) for shape in ((9, 9, 3), (9, 8), (20, 20, 3)))
    with pytest.raises(ValueError, match=r"alpha: must have shape \(9, 9\), got \(9, 8\)"):
        paste(face, alpha, similarity(1.0, 0, (0, 0)), out=image, stream=device.stream)


@pytest.mark.parametrize(
    "matrix",
    [
        similarity(0.45, -120.0, (2.0, 30.0)),
        similarity(2.7, 15.0, (-18.0, -11.0)),
        similarity(1.0, 25.0, (6.0, -10.0)),
        similarity(1.0, 20.0, (-1000.0, 0.0)),
    ],
    ids=["large", "shrunk", "half outside", "outside"],
)
def test_a_place_in_memory_lays_the_same(device, matrix):
    face, alpha, image = scene((13, 17))
    out = device.put(image)
    place = device.put(paste_place(matrix, (17, 13), (45, 37)))
    paste_placed(device.put(face), device.put(alpha), place, out=out, stream=device.stream)
    np.testing.assert_array_equal(device.take(out), lay(device, face, alpha, matrix, image))
