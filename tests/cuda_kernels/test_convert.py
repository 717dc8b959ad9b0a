import numpy as np
import pytest

from cuda_kernels.convert import bgr_from_i420, bgr_from_nv12, i420_from_bgr, nv12_from_bgr

SIZES = [(1, 1), (2, 1), (3, 7), (33, 61), (64, 48)]
LIMITED_709 = (0.2126, 0.0722, 219.0, 224.0, 16.0)
FULL_601 = (0.299, 0.114, 255.0, 255.0, 0.0)
ROUNDING = {"cpu": 0.65, "shim": 0.51, "gpu": 0.51}
"""OpenCV multiplies in 1024ths where the kernels do in 65536ths."""

STANDARDS = [pytest.param(LIMITED_709, id="709"), pytest.param(FULL_601, id="601-full")]


def matrices(standard):
    """``yuv_from_bgr`` and ``bgr_from_yuv`` as ITU-R BT.601 and BT.709 define them."""
    kr, kb, luma_span, chroma_span, black = standard
    luma = np.array([kb, 1 - kr - kb, kr])
    blue = (np.array([1.0, 0, 0]) - luma) / (2 * (1 - kb))
    red = (np.array([0, 0, 1.0]) - luma) / (2 * (1 - kr))
    linear = np.stack([luma * luma_span, blue * chroma_span, red * chroma_span]) / 255
    there = np.hstack([linear, [[black], [128], [128]]])
    back = np.linalg.inv(linear)
    return there, np.hstack([back, -back @ there[:, 3:]])


def halved(plane):
    """The definition: the mean of two by two pixels, the edge repeated."""
    even = np.pad(plane, [(0, n % 2) for n in plane.shape], mode="edge")
    return even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2).mean(axis=(1, 3))


def planes(size, seed=1):
    rng = np.random.default_rng(seed)
    half = tuple((n + 1) // 2 for n in size)
    return [rng.integers(0, 256, shape, np.uint8) for shape in (size, half, half)]


@pytest.fixture
def defined_bgr(enlarged):
    def define(y, u, v, matrix):
        yuv = np.stack([y, enlarged(u, y.shape), enlarged(v, y.shape)], axis=-1)
        return np.clip(yuv @ matrix[:, :3].T + matrix[:, 3], 0, 255)

    return define


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("standard", STANDARDS)
def test_planes_become_the_colours_that_the_standard_defines(device, size, standard, defined_bgr):
    y, u, v = planes(size)
    matrix = matrices(standard)[1]
    out, side_by_side = device.poisoned((*size, 3)), device.poisoned((*size, 3))
    bgr_from_i420(*map(device.put, (y, u, v)), matrix, out=out, stream=device.stream)
    chroma = device.put(np.stack([u, v], axis=-1))
    bgr_from_nv12(device.put(y), chroma, matrix, out=side_by_side, stream=device.stream)
    assert np.abs(device.take(out) - defined_bgr(y, u, v, matrix)).max() <= ROUNDING[device.kind]
    np.testing.assert_array_equal(device.take(out), device.take(side_by_side))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("standard", STANDARDS)
def test_colours_become_the_planes_that_the_standard_defines(device, size, standard):
    image = np.random.default_rng(2).integers(0, 256, (*size, 3), np.uint8)
    matrix = matrices(standard)[0]
    half = tuple((n + 1) // 2 for n in size)
    out = tuple(device.poisoned(shape) for shape in (size, half, half))
    i420_from_bgr(device.put(image), matrix, out=out, stream=device.stream)
    luma, chroma = device.poisoned(size), device.poisoned((*half, 2))
    nv12_from_bgr(device.put(image), matrix, out=(luma, chroma), stream=device.stream)
    yuv = np.clip(image @ matrix[:, :3].T + matrix[:, 3], 0, 255)
    y, u, v = map(device.take, out)
    assert np.abs(y - yuv[..., 0]).max() <= ROUNDING[device.kind]
    for index, plane in ((1, u), (2, v)):
        assert np.abs(plane - halved(yuv[..., index])).max() <= 0.5 + ROUNDING[device.kind]
    np.testing.assert_array_equal(device.take(luma), y)
    np.testing.assert_array_equal(device.take(chroma), np.stack([u, v], axis=-1))


def test_rows_may_be_padded_and_the_padding_is_left_alone(device):
    y, u, v = planes((7, 9))
    there, back = matrices(LIMITED_709)
    tight, padded = device.poisoned((7, 9, 3)), device.poisoned((7, 16, 3))
    bgr_from_i420(*map(device.put, (y, u, v)), back, out=tight, stream=device.stream)
    wide = [device.put(np.pad(plane, ((0, 0), (0, 5)))) for plane in (y, u, v)]
    parts = [plane[:, : p.shape[1]] for plane, p in zip(wide, (y, u, v), strict=True)]
    bgr_from_i420(*parts, back, out=padded[:, :9], stream=device.stream)
    np.testing.assert_array_equal(device.take(padded)[:, :9], device.take(tight))
    assert (device.take(padded)[:, 9:] == 0xA5).all()
    luma, chroma = device.poisoned((7, 12)), device.poisoned((4, 6, 2))
    out = (luma[:, :9], chroma[:, :5])
    nv12_from_bgr(padded[:, :9], there, out=out, stream=device.stream)
    assert (device.take(luma)[:, 9:] == 0xA5).all()
    assert (device.take(chroma)[:, 5:] == 0xA5).all()


def test_the_kernel_and_its_twin_differ_by_one_level_here_and_there(shim):
    y, u, v = planes((65, 47), seed=3)
    back = matrices(LIMITED_709)[1]
    twin, launched = np.zeros((65, 47, 3), np.uint8), np.zeros((65, 47, 3), np.uint8)
    bgr_from_i420(y, u, v, back, out=twin)
    bgr_from_i420(y, u, v, back, out=launched, stream=shim)
    assert np.abs(twin.astype(int) - launched).max() <= 1
    assert (twin != launched).mean() < 0.1


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (((8, 8, 3), (4, 3), (4, 3)), r"chroma: must have shape \(4, 4\), got \(4, 3\)"),
        (((8, 7, 3), (4, 4), (4, 4)), r"picture: must have shape \(8, 8, 3\), got \(8, 7, 3\)"),
    ],
)
def test_planes_that_do_not_fit_are_refused(device, sizes, message):
    out, blue, red = (device.poisoned(size) for size in sizes)
    with pytest.raises(ValueError, match=message):
        bgr_from_i420(
            device.poisoned((8, 8)),
            blue,
            red,
            matrices(FULL_601)[1],
            out=out,
            stream=device.stream,
        )
