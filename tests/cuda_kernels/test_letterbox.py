import numpy as np
import pytest

from cuda_kernels.letterbox import letterbox

SCALE = np.array([[2 / 255, 1 / 255, 4 / 255], [-1.0, 0.25, -3.0]], np.float32)
SIZES = [
    pytest.param((61, 83), (3, 2, 41, 30), id="smaller"),
    pytest.param((64, 96), (0, 4, 48, 32), id="halved"),
    pytest.param((33, 47), (0, 0, 47, 33), id="as it is"),
    pytest.param((9, 13), (1, 3, 45, 31), id="larger"),
    pytest.param((70, 9), (5, 0, 21, 35), id="wider and lower"),
    pytest.param((1, 1), (7, 8, 1, 1), id="one pixel"),
]
OUT = (37, 49)
HALF_ULP = 2.0**-10


def matrix(num, num_out, is_area):
    """``(num_out, num)``: how much of each input pixel an output pixel takes."""
    if is_area:
        edges = np.arange(num_out + 1) * (num / num_out)
        cells = np.arange(num)
        shared = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
        return np.clip(shared, 0, None) * (num_out / num)
    places = np.clip((np.arange(num_out) + 0.5) * num / num_out - 0.5, 0, num - 1)
    return np.clip(1 - np.abs(places[:, None] - np.arange(num)), 0, None)


def defined(image, inner, is_rgb, fill):
    """The definition in float64: levels, and normalised."""
    left, top, width, height = inner
    is_area = width <= image.shape[1] and height <= image.shape[0]
    rows, columns = matrix(image.shape[0], height, is_area), matrix(image.shape[1], width, is_area)
    levels = np.full((*OUT, 3), fill, np.float64)
    levels[top : top + height, left : left + width] = np.einsum(
        "ai,bj,ijc->abc", rows, columns, image.astype(np.float64)
    )
    planes = np.moveaxis(levels[..., ::-1] if is_rgb else levels, -1, 0)
    scale = SCALE.astype(np.float64)
    return planes * scale[0, :, None, None] + scale[1, :, None, None]


def picture(size, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


@pytest.mark.parametrize(("size", "inner"), SIZES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("is_rgb", [True, False])
def test_a_picture_is_resized_framed_and_normalised(device, size, inner, dtype, is_rgb):
    image, out = picture(size), device.poisoned((3, *OUT), dtype)
    scale = device.put(SCALE)
    letterbox(
        device.put(image), inner, scale, is_rgb=is_rgb, fill=114, out=out, stream=device.stream
    )
    wanted = defined(image, inner, is_rgb, 114)
    is_smaller = inner[2] <= size[1] and inner[3] <= size[0]
    # The processor rounds to whole levels on the way; OpenCV enlarges bytes in few bits.
    off = (0.51 if is_smaller else 0.8) if device.kind == "cpu" else 0.002
    level = off * SCALE[0, :, None, None]
    rounding = np.abs(wanted) * HALF_ULP / 2 + 2**-14 if dtype == np.float16 else 0
    assert np.max(np.abs(device.take(out) - wanted) - level - rounding) <= 1e-6


def test_a_part_of_a_wider_picture_is_read_in_its_bounds(device):
    wide, out = picture((40, 60)), [device.poisoned((3, *OUT), np.float32) for _ in range(2)]
    part = np.ascontiguousarray(wide[3:36, 7:50])
    for image, target in zip((device.put(wide)[3:36, 7:50], device.put(part)), out, strict=True):
        letterbox(image, (1, 2, 30, 23), device.put(SCALE), out=target, stream=device.stream)
    np.testing.assert_array_equal(*map(device.take, out))


def test_halves_are_rounded_as_ieee_754_has_it(shim):
    text = (
        'extern "C" __global__ void halves(const float* __restrict__ values,'
        " unsigned short* __restrict__ out, int num) {\n"
        "    int index = blockIdx.x * blockDim.x + threadIdx.x;\n"
        "    if (index < num) out[index] = half_bits(values[index]);\n}\n"
    )
    shim.compile("halves", text, '#include "../../cuda_kernels/src/half.cuh"\n' + text)
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    with np.errstate(all="ignore"):
        exact = every.astype(np.float32)
        ties = (exact + np.nextafter(every, np.float16(np.inf)).astype(np.float32)) / 2
        special = np.float32([65519.996, 65520, 1e9, 1e-8, 2**-25, 2**-24, -0.0])
        values = np.concatenate([exact, ties, np.nextafter(ties, np.float32(0)), special])
        wanted = values.astype(np.float16)
    out = np.zeros(values.shape, np.uint16)
    shim.launch(
        "halves", "halves", [values, out, np.int32(values.size)], extent=(values.size, 1, 1)
    )
    is_number = ~np.isnan(wanted)
    np.testing.assert_array_equal(out[is_number], wanted.view(np.uint16)[is_number])
    assert np.isnan(out.view(np.float16)[~is_number]).all()


@pytest.mark.parametrize(
    ("inner", "shape", "dtype", "message"),
    [
        ((0, 0, 50, 37), (3, 37, 49), np.float32, "inner must lie in 49 x 37"),
        ((-1, 0, 9, 9), (3, 37, 49), np.float32, "inner must lie in"),
        ((0, 0, 0, 9), (3, 37, 49), np.float32, "inner must lie in"),
        ((0, 0, 9, 9), (4, 37, 49), np.float32, r"out: must have shape \(3, 37, 49\)"),
        ((0, 0, 9, 9), (3, 37, 49), np.float64, "out must be float16 or float32"),
    ],
)
def test_what_does_not_fit_is_refused(device, inner, shape, dtype, message):
    image, scale, out = (
        device.put(picture((9, 9))),
        device.put(SCALE),
        device.poisoned(shape, dtype),
    )
    with pytest.raises(ValueError, match=message):
        letterbox(image, inner, scale, out=out, stream=device.stream)
