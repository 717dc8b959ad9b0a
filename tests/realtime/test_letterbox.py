import numpy as np
import pytest

from realtime.letterbox import fitted_size, letterbox


@pytest.mark.parametrize(
    ("size", "box", "fitted"),
    [
        ((640, 480), (1280, 720), (960, 720)),
        ((1920, 1080), (1280, 720), (1280, 720)),
        ((100, 1), (10, 10), (10, 1)),
        ((1, 100), (11, 7), (1, 7)),
        ((1, 1), (3, 3), (3, 3)),
        ((721, 405), (1280, 720), (1280, 719)),
    ],
)
def test_a_picture_keeps_its_shape_and_fills_one_side_of_the_box(size, box, fitted) -> None:
    assert fitted_size(*size, *box) == fitted


def test_bars_are_black_and_the_picture_is_centred() -> None:
    out = np.full((45, 81, 3), 77, np.uint8)
    letterbox(np.full((30, 30, 3), 200, np.uint8), out=out)
    assert (out[:, 18:63] == 200).all()
    assert (out[:, :18] == 0).all()
    assert (out[:, 63:] == 0).all()


def test_a_wide_picture_gets_bars_above_and_below() -> None:
    out = np.full((41, 41, 3), 77, np.uint8)
    letterbox(np.full((10, 40, 3), 200, np.uint8), out=out)
    rows = np.flatnonzero((out == 200).all(axis=(1, 2)))
    assert rows.tolist() == list(range(15, 25))
    assert (out[~np.isin(np.arange(41), rows)] == 0).all()


def test_a_picture_of_the_right_size_passes_untouched() -> None:
    image = np.random.default_rng(0).integers(0, 256, (33, 47, 3), np.uint8)
    out = np.zeros_like(image)
    letterbox(image, out=out)
    assert (out == image).all()


def test_fine_stripes_shrink_to_their_mean() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, ::2] = 200
    out = np.zeros((16, 16, 3), np.uint8)
    letterbox(image, out=out)
    assert np.abs(out.astype(int) - 100).max() <= 1
