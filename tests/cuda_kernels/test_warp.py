import math

import cv2
import numpy as np
import pytest

from cuda_kernels.warp import crop_place, warp, warp_placed

ROUNDING = {"cpu": 0.6, "shim": 0.51, "gpu": 0.51}
HALVED = {"cpu": 1.1, "shim": 0.51, "gpu": 0.51}
"""The processor rounds what it has averaged before it interpolates."""


def similarity(scale, degrees, shift):
    """``crop_from_image``."""
    turn = math.radians(degrees)
    c, s = scale * math.cos(turn), scale * math.sin(turn)
    return np.array([[c, -s, shift[0]], [s, c, shift[1]]])


def defined(image, crop_from_image, shape):
    """The definition, pixel by pixel in float64."""
    linear = np.linalg.inv(crop_from_image[:, :2])
    spacing = math.sqrt(abs(np.linalg.det(linear)))
    shift = max(round(math.log2(max(spacing, 1.0))), 0)
    shift = min(shift, 4, int(math.log2(min(image.shape[:2]))))
    size = 2**shift
    rows, columns = image.shape[0] // size, image.shape[1] // size
    blocks = image[: rows * size, : columns * size].astype(np.float64)
    blocks = blocks.reshape(rows, size, columns, size, -1).mean(axis=(1, 3))
    out = np.zeros((*shape, image.shape[2]))
    for row, column in np.ndindex(shape):
        place = linear @ (np.array([column, row]) - crop_from_image[:, 2])
        x, y = (place - (size - 1) / 2) / size
        x, y = np.clip(x, 0, columns - 1), np.clip(y, 0, rows - 1)
        left, top = int(x), int(y)
        right, bottom = min(left + 1, columns - 1), min(top + 1, rows - 1)
        for j, down in ((top, 1 - (y - top)), (bottom, y - top)):
            for i, across in ((left, 1 - (x - left)), (right, x - left)):
                out[row, column] += down * across * blocks[j, i]
    return out


def picture(size, channels=3, seed=1):
    """Smooth enough that a thousandth of a pixel does not count."""
    noise = np.random.default_rng(seed).integers(0, 256, (*size, channels)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 1.5).reshape(*size, channels)
    return np.clip((soft - 127.5) * 3 + 127.5, 0, 255).astype(np.uint8)


def crop(device, image, matrix, shape):
    out = device.poisoned((*shape, image.shape[2]))
    warp(device.put(image), matrix, out=out, stream=device.stream)
    return device.take(out)


@pytest.mark.parametrize("shape", [(1, 1), (17, 23), (33, 31)])
@pytest.mark.parametrize(
    "matrix",
    [
        similarity(1.0, 0.0, (0.0, 0.0)),
        similarity(1.0, 0.0, (-9.25, -4.5)),
        similarity(1.7, 31.0, (-20.3, 4.2)),
        similarity(0.8, -77.0, (3.1, 30.7)),
        np.array([[1.1, 0.4, -8.2], [-0.3, 0.9, 5.5]]),
        np.array([[-1.2, 0.1, 40.0], [0.0, 1.1, -3.0]]),
    ],
    ids=["as it is", "shifted", "enlarged", "turned", "sheared", "mirrored"],
)
def test_a_crop_is_read_linearly_where_the_map_says(device, shape, matrix):
    image = picture((43, 57))
    wanted = defined(image, matrix, shape)
    assert np.abs(crop(device, image, matrix, shape) - wanted).max() <= ROUNDING[device.kind]


@pytest.mark.parametrize("scale", [0.6, 0.41, 0.23, 0.11, 0.02])
def test_a_crop_that_is_shrunk_is_averaged(device, scale):
    image = picture((101, 143))
    matrix = similarity(scale, 12.0, (-7.3 * scale, 2.2))
    wanted = defined(image, matrix, (19, 21))
    assert np.abs(crop(device, image, matrix, (19, 21)) - wanted).max() <= HALVED[device.kind]


def test_stripes_of_single_pixels_come_out_grey(device):
    image = np.zeros((96, 96, 3), np.uint8)
    image[:, ::2] = 200
    shrunk = crop(device, image, similarity(0.25, 0.0, (0.4, 0.0)), (20, 20))
    assert np.abs(shrunk.astype(int) - 100).max() <= 1


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_channel_is_read_for_itself(device, channels):
    image = picture((21, 27), channels)
    matrix = similarity(0.9, 5.0, (-2.0, 1.0))
    wanted = defined(image, matrix, (13, 15))
    assert np.abs(crop(device, image, matrix, (13, 15)) - wanted).max() <= ROUNDING[device.kind]


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_what_lies_outside_repeats_the_edge(device, scale):
    image = picture((9, 7))
    far = crop(device, image, similarity(scale, 0.0, (1e6, 40.0)), (5, 5))
    assert (far == far[:, :1]).all()
    assert np.isfinite(far).all()


def test_a_part_of_a_wider_picture_may_be_written_and_read(device):
    image, whole = picture((31, 41)), device.poisoned((20, 30, 3))
    given = device.put(np.pad(image, ((0, 0), (0, 9), (0, 0))))[:, :41]
    matrix = similarity(0.7, 20.0, (1.0, 2.0))
    warp(given, matrix, out=whole[2:17, 4:25], stream=device.stream)
    written = device.take(whole)
    np.testing.assert_array_equal(written[2:17, 4:25], crop(device, image, matrix, (15, 21)))
    written[2:17, 4:25] = 0xA5
    assert (written == 0xA5).all()


def test_what_cannot_be_warped_is_refused(device):
    image = device.put(picture((9, 9)))
    with pytest.raises(ValueError, match="affine map: must be finite and invertible"):
        warp(
            image,
            np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0]]),
            out=device.poisoned((5, 5, 3)),
            stream=device.stream,
        )
    with pytest.raises(ValueError, match="one, three or four channels"):
        warp(
            image,
            similarity(1.0, 0.0, (0, 0)),
            out=device.poisoned((5, 5, 4)),
            stream=device.stream,
        )


@pytest.mark.parametrize("scale", [1.7, 0.41, 0.11])
def test_a_place_in_memory_gives_the_same_crop(device, scale):
    image, matrix = picture((43, 57)), similarity(scale, 31.0, (-7.3 * scale, 2.2))
    place = crop_place(matrix, 57, 43)
    out = device.poisoned((17, 23, 3))
    warp_placed(device.put(image), device.put(place), out=out, stream=device.stream)
    np.testing.assert_array_equal(device.take(out), crop(device, image, matrix, (17, 23)))


def test_a_place_of_another_kind_is_refused(device):
    with pytest.raises(ValueError, match=r"warp: place: must have shape \(7,\)"):
        warp_placed(
            device.put(picture((9, 9))),
            device.put(np.zeros(6, np.float32)),
            out=device.poisoned((5, 5, 3)),
            stream=device.stream,
        )
