import numpy as np
import pytest

from cuda_kernels.convert import i420_from_bgr
from realtime.yuv import YuvStandard, bgr_from_planes

STANDARDS = [
    pytest.param(kind(full_range=full), id=f"{kind.__name__}-{'full' if full else 'limited'}")
    for kind in (YuvStandard.bt601, YuvStandard.bt709, YuvStandard.bt2020)
    for full in (False, True)
]


def defined_bgr(y, u, v, standard):
    """Red, green and blue as ITU-R BT.601/709/2020 define them, in float64, 0..255 unclipped."""
    y, u, v = (np.asarray(plane, np.float64) for plane in (y, u, v))
    if standard.full_range:
        luma, blue_difference, red_difference = y / 255, (u - 128) / 255, (v - 128) / 255
    else:
        luma, blue_difference, red_difference = (y - 16) / 219, (u - 128) / 224, (v - 128) / 224
    red = luma + 2 * (1 - standard.kr) * red_difference
    blue = luma + 2 * (1 - standard.kb) * blue_difference
    green = (luma - standard.kr * red - standard.kb * blue) / (1 - standard.kr - standard.kb)
    return np.stack([blue, green, red], axis=-1) * 255


@pytest.mark.parametrize("chroma", [(61, 84), (61, 42), (31, 42)], ids=["444", "422", "420"])
@pytest.mark.parametrize("standard", STANDARDS)
def test_every_colour_comes_out_as_the_standard_defines_it(standard, chroma, enlarged) -> None:
    rng = np.random.default_rng(1)
    y, u, v = (rng.integers(0, 256, size, np.uint8) for size in ((61, 84), chroma, chroma))
    out = np.full((61, 84, 3), 99, np.uint8)
    bgr_from_planes(y, u, v, standard.bgr_from_yuv(), out=out)
    defined = defined_bgr(y, enlarged(u, y.shape), enlarged(v, y.shape), standard)
    assert np.abs(out - np.clip(defined, 0, 255)).max() <= 0.65


@pytest.mark.parametrize("standard", STANDARDS)
def test_flat_colours_survive_the_way_there_and_back_within_two_levels(standard) -> None:
    rng = np.random.default_rng(2)
    colours = rng.integers(0, 256, (12, 10, 3), np.uint8)
    image = np.ascontiguousarray(colours.repeat(8, axis=0).repeat(8, axis=1))
    height, width = image.shape[:2]
    planes = tuple(
        np.full((h, w + 5), 99, np.uint8)[:, :w]
        for h, w in ((height, width), (height // 2, width // 2), (height // 2, width // 2))
    )
    i420_from_bgr(image, standard.yuv_from_bgr(), out=planes)
    back = np.empty_like(image)
    bgr_from_planes(*planes, standard.bgr_from_yuv(), out=back)
    centres = back[4::8, 4::8].astype(int)
    assert np.abs(centres - colours).max() <= 2


def test_chroma_is_the_mean_of_two_by_two_pixels() -> None:
    standard = YuvStandard.bt709()
    image = np.random.default_rng(3).integers(0, 256, (6, 8, 3), np.uint8)
    planes = (np.empty((6, 8), np.uint8), np.empty((3, 4), np.uint8), np.empty((3, 4), np.uint8))
    i420_from_bgr(image, standard.yuv_from_bgr(), out=planes)
    matrix = standard.yuv_from_bgr()
    yuv = image @ matrix[:, :3].T + matrix[:, 3]
    means = yuv.reshape(3, 2, 4, 2, 3).mean(axis=(1, 3))
    assert np.abs(planes[0] - yuv[..., 0]).max() <= 0.65
    assert np.abs(planes[1] - means[..., 1]).max() <= 1.01
    assert np.abs(planes[2] - means[..., 2]).max() <= 1.01


def test_black_and_white_have_the_levels_of_the_range() -> None:
    image = np.array([[[0, 0, 0], [255, 255, 255]]] * 2, np.uint8)
    for full, levels in ((False, [16, 235]), (True, [0, 255])):
        planes = tuple(np.empty(s, np.uint8) for s in ((2, 2), (1, 1), (1, 1)))
        i420_from_bgr(image, YuvStandard.bt601(full_range=full).yuv_from_bgr(), out=planes)
        assert planes[0][0].tolist() == levels
        assert (planes[1][0, 0], planes[2][0, 0]) == (128, 128)


def test_chroma_of_an_odd_sized_picture_lines_up_with_its_luma() -> None:
    y = np.full((5, 7), 128, np.uint8)
    u = np.full((3, 4), 128, np.uint8)
    v = np.full((3, 4), 128, np.uint8)
    v[:, 0] = 240
    out = np.empty((5, 7, 3), np.uint8)
    bgr_from_planes(y, u, v, YuvStandard.bt601().bgr_from_yuv(), out=out)
    assert out[2, 0, 2] > 250
    assert abs(int(out[2, 6, 2]) - 130) <= 1


@pytest.mark.parametrize(
    ("size", "standard"),
    [
        ((640, 480), YuvStandard.bt601()),
        ((720, 576), YuvStandard.bt601()),
        ((1280, 720), YuvStandard.bt709()),
        ((720, 1280), YuvStandard.bt709()),
    ],
)
def test_untagged_video_is_taken_as_players_take_it(size, standard) -> None:
    assert YuvStandard.usual(*size) == standard
