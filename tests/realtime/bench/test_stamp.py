from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from realtime.bench.stamp import draw_stamp, read_stamp, stamp_of
from realtime.sinks.packing import Packer

STAMPS = [0, 1, (1 << 48) - 1, 0x5A5A5A5A5A5A, 123_456_789_012]


def scene(width: int = 1280, height: int = 720, seed: int = 0) -> np.ndarray:
    """Soft shapes with the noise of a sensor."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (9, 16, 3), np.uint8)
    soft = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    noisy = soft + random.normal(0, 3, soft.shape).astype(np.float32)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def stamped(stamp: int, width: int = 1280, height: int = 720) -> np.ndarray:
    image = scene(width, height, seed=stamp % 97)
    draw_stamp(stamp, out=image)
    return image


@pytest.mark.parametrize("stamp", STAMPS)
@pytest.mark.parametrize("size", [(1280, 720), (640, 360), (1920, 1080), (854, 481), (320, 180)])
def test_what_was_drawn_is_read(stamp, size):
    assert read_stamp(stamped(stamp, *size)) == stamp


def test_a_moment_is_told_in_microseconds_of_48_bits():
    assert stamp_of(1_234_567_999) == 1_234_567
    assert stamp_of(((1 << 48) + 5) * 1_000) == 5


def jpeg(quality):
    def damage(image):
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return cv2.imdecode(data, cv2.IMREAD_COLOR)

    return damage


def scaled(width, height):
    return lambda image: cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


DAMAGES = {
    "jpeg 50": jpeg(50),
    "jpeg 20": jpeg(20),
    "360 lines": scaled(640, 360),
    "540 lines": scaled(960, 540),
    "1080 lines": scaled(1920, 1080),
    "mirrored": lambda image: np.ascontiguousarray(image[:, ::-1]),
    "darker": lambda image: cv2.convertScaleAbs(image, alpha=0.4, beta=10),
    "brighter": lambda image: cv2.convertScaleAbs(image, alpha=0.5, beta=120),
    "blurred": lambda image: cv2.GaussianBlur(image, (0, 0), 2.0),
    "noisy": lambda image: cv2.add(
        image, np.random.default_rng(1).integers(0, 50, image.shape, np.uint8)
    ),
    "luma of i420": lambda image: Packer("YU12", 1280, 720).pack(image)[:720],
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_happens_to_a_picture_on_its_way_leaves_the_stamp_readable(name):
    for stamp in STAMPS:
        assert read_stamp(DAMAGES[name](stamped(stamp))) == stamp


def test_a_strongly_compressed_video_leaves_every_stamp_readable(write_video):
    stamps = [stamp_of(index * 33_333_000) for index in range(12)]
    path = write_video(
        "stamped.mp4",
        [stamped(stamp) for stamp in stamps],
        rate_hz=Fraction(30),
        options={"crf": "35", "preset": "veryfast"},
    )
    with av.open(str(path)) as container:
        read = [read_stamp(frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]
    assert read == stamps


def test_pictures_without_a_stamp_have_none():
    assert read_stamp(np.zeros((720, 1280, 3), np.uint8)) is None
    assert read_stamp(np.full((720, 1280, 3), 200, np.uint8)) is None
    assert all(read_stamp(scene(seed=seed)) is None for seed in range(20))


def test_a_damaged_cell_is_noticed():
    image = stamped(123_456_789)
    upper, lower = image[16:24, 80:88].copy(), image[24:32, 80:88].copy()
    image[16:24, 80:88], image[24:32, 80:88] = lower, upper
    assert read_stamp(image) is None


def test_the_picture_beside_the_stamp_stays_as_it_is():
    image, before = stamped(7), scene(seed=7)
    changed = np.argwhere((image != before).any(axis=-1))
    assert changed.min(axis=0).tolist() == [16, 16]
    assert changed.max(axis=0).tolist() == [47, 271]


@pytest.mark.parametrize(
    ("stamp", "size"), [(1 << 48, (1280, 720)), (1, (160, 90)), (1, (64, 720))]
)
def test_what_cannot_be_stamped_is_refused(stamp, size):
    with pytest.raises(ValueError, match="draw_stamp"):
        draw_stamp(stamp, out=np.zeros((size[1], size[0], 3), np.uint8))
