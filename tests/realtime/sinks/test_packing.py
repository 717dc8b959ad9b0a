import numpy as np
import pytest

from realtime.sinks.packing import FORMATS, Packer, row_bytes
from realtime.yuv import YuvStandard

WIDTH, HEIGHT = 34, 22


def scene() -> np.ndarray:
    """Flat blocks of 2 x 2 pixels, so that halved chroma is exact."""
    blocks = np.random.default_rng(3).integers(0, 256, (HEIGHT // 2, WIDTH // 2, 3), np.uint8)
    return np.repeat(np.repeat(blocks, 2, axis=0), 2, axis=1)


def defined_yuv(image: np.ndarray) -> np.ndarray:
    """``(H, W, 3) f64`` of ITU-R BT.601, limited range."""
    matrix = YuvStandard.bt601().yuv_from_bgr()
    return image.astype(float) @ matrix[:, :3].T + matrix[:, 3]


def unpack(fourcc: str, packed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Luma, blue and red difference of a packed picture, chroma of one value for 2 x 2 pixels."""
    flat, num = packed.reshape(-1), WIDTH * HEIGHT
    half = (HEIGHT // 2, WIDTH // 2)
    if fourcc in ("YUYV", "UYVY"):
        pairs = flat.reshape(HEIGHT, WIDTH // 2, 4)
        order = (0, 2, 1, 3) if fourcc == "YUYV" else (1, 3, 0, 2)
        first, second, blue, red = (pairs[..., index] for index in order)
        luma = np.stack([first, second], axis=-1).reshape(HEIGHT, WIDTH)
        return luma, blue[::2], red[::2]
    luma = flat[:num].reshape(HEIGHT, WIDTH)
    if fourcc == "NV12":
        chroma = flat[num:].reshape(*half, 2)
        return luma, chroma[..., 0], chroma[..., 1]
    first, second = flat[num:].reshape(2, *half)
    return (luma, first, second) if fourcc == "YU12" else (luma, second, first)


@pytest.mark.parametrize("fourcc", ["YU12", "YV12", "NV12", "YUYV", "UYVY"])
def test_every_yuv_format_has_the_colours_of_the_standard_in_its_order(fourcc) -> None:
    image = scene()
    packed = Packer(fourcc, WIDTH, HEIGHT).pack(image)
    assert packed.flags.c_contiguous
    wanted = defined_yuv(image)
    luma, blue, red = unpack(fourcc, packed)
    assert np.abs(luma - wanted[..., 0]).max() <= 1.5
    assert np.abs(blue - wanted[::2, ::2, 1]).max() <= 1.5
    assert np.abs(red - wanted[::2, ::2, 2]).max() <= 1.5


@pytest.mark.parametrize(("fourcc", "step"), [("BGR3", 1), ("RGB3", -1)])
def test_colours_that_are_not_converted_stay_exact(fourcc, step) -> None:
    image = scene()
    assert (Packer(fourcc, WIDTH, HEIGHT).pack(image) == image[..., ::step]).all()


@pytest.mark.parametrize("fourcc", FORMATS)
def test_a_picture_cut_out_of_a_larger_one_will_do(fourcc) -> None:
    larger = np.zeros((HEIGHT + 1, WIDTH + 1, 3), np.uint8)
    larger[:HEIGHT, :WIDTH] = scene()
    packer = Packer(fourcc, WIDTH, HEIGHT)
    cut = packer.pack(larger[:HEIGHT, :WIDTH]).copy()
    assert (cut == packer.pack(scene())).all()
    assert cut.nbytes * 2 in (WIDTH * HEIGHT * 3, WIDTH * HEIGHT * 4, WIDTH * HEIGHT * 6)
    assert row_bytes(fourcc, WIDTH) in (WIDTH, 2 * WIDTH, 3 * WIDTH)


@pytest.mark.parametrize(("fourcc", "width"), [("MJPG", 34), ("YU12", 33)])
def test_what_cannot_be_made_is_refused(fourcc, width) -> None:
    with pytest.raises(ValueError, match="must be one of"):
        Packer(fourcc, width, HEIGHT)
