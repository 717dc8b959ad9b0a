import numpy as np
import pytest

from realtime.canvas import Canvas
from realtime.crop import Crop
from realtime.memory import Memory

CROP_PX = 64

HALVES = {
    "half": (3, np.uint8),
    "surface": (3, np.float32),
    "depth": (1, np.float32),
    "across": (1, np.float32),
    "down": (1, np.float32),
    "seen": (1, np.float32),
    "tones": (4, np.float32),
    "whole_tones": (4, np.uint16),
    "cover": (4, np.uint8),
}
WHOLES = {
    "small": (3, np.uint8),
    "detail": (4, np.uint16),
    "tone": (4, np.uint16),
    "lit": (4, np.uint8),
}


def crop_of(width, height):
    corners = np.array([(40.0, 40.0, 0.0), (40.0 + width, 40.0 + height, 0.0)], np.float32)
    return Crop(np.zeros((400, 400, 3), np.uint8), corners, corners, CROP_PX)


def pictures(canvas):
    """All pictures of a canvas with the size, channels and type they must have."""
    for table, size in ((HALVES, "half"), (WHOLES, "size")):
        for name, (channels, dtype) in table.items():
            yield getattr(canvas, name), size, channels, dtype
    for picture in canvas.at:
        yield picture, "half", 1, np.float32
    for picture in canvas.planes:
        yield picture, "size", 1, np.float32


@pytest.mark.parametrize(("width", "height"), [(9, 30), (33, 7), (300, 200), (300, 300)])
def test_pictures_have_the_size_of_the_crop_they_are_fitted_to(width, height):
    memory = Memory()
    canvas, crop = Canvas(CROP_PX, memory), crop_of(width, height)
    taken = memory.live_bytes
    canvas.fit(crop_of(300, 300))
    canvas.fit(crop)
    for picture, size, channels, dtype in pictures(canvas):
        across, down = getattr(crop, size)
        assert picture.shape == ((down, across, channels) if channels > 1 else (down, across))
        assert picture.dtype == dtype
        assert picture.flags.c_contiguous
    assert memory.live_bytes == taken


def test_no_picture_is_written_with_another():
    canvas = Canvas(CROP_PX, Memory())
    canvas.fit(crop_of(300, 300))
    for number, (picture, *_) in enumerate(pictures(canvas)):
        picture[...] = number
    for number, (picture, *_) in enumerate(pictures(canvas)):
        assert (picture == number).all()
