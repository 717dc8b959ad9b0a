"""A judge that sees what the tests wrote into the pictures, and lossless clips."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tools.judge import Detection, Judge

SIZE_PX = 64
"""Side of the pictures in these tests."""

POINTS = np.array([(24, 26), (40, 26), (32, 34), (26, 42), (38, 42)], np.float32)
BOX = np.array([20, 18, 44, 48], np.float32)


class MarkedDetector:
    """Finds in a picture what its first pixel stands for."""

    def __init__(self, faces):
        self.faces = faces
        self.num_calls = 0

    def detect(self, image):
        self.num_calls += 1
        return self.faces.get(int(image[0, 0, 0]), [])


class MarkedRecogniser:
    """Knows whose face a picture shows by its second pixel: an angle in degrees."""

    def embed(self, image, points):
        angle = np.radians(float(image[0, 1, 0]))
        return np.array([np.cos(angle), np.sin(angle)], np.float32)


@pytest.fixture
def face():
    return Detection(BOX, POINTS, 0.9)


@pytest.fixture
def picture():
    """Gives pictures of one grey value, marked with what the judge sees in them."""

    def make(marker, angle=0, value=100):
        image = np.full((SIZE_PX, SIZE_PX, 3), value, np.uint8)
        image[0, 0], image[0, 1] = marker, angle
        return image

    return make


@pytest.fixture
def judge(face):
    """Marker 1 is a face, marker 2 the same face far away from there, all else none."""
    away = Detection(BOX - 18, POINTS - 18, 0.9)
    both = [Detection(BOX - 18, POINTS - 18, 0.9), face]
    return Judge(MarkedDetector({1: [face], 2: [away], 3: both}), MarkedRecogniser())


@pytest.fixture
def write_clip(tmp_path: Path):
    """Gives a function that writes BGR pictures without loss."""

    def write(name, pictures, rate_hz=30, skip=()):
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream("ffv1", rate=rate_hz)
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = "bgr0"
            for index, picture in enumerate(pictures):
                if index in skip:
                    continue
                frame = av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format="bgr0")
                frame.pts, frame.time_base = index, Fraction(1, rate_hz)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return write
