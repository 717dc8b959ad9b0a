"""Real networks that have no adapter yet, run through the session on inputs of known answer."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from engines.onnxruntime import OnnxRuntimeSession

SHARED = Path(__file__).parents[2].parent / "shared" / "assets"
pytestmark = pytest.mark.shared


@pytest.fixture
def open_session():
    def run(file):
        path = SHARED / "models" / file
        if not path.is_file():
            pytest.skip("the development media are not here")
        return OnnxRuntimeSession(path.read_bytes(), name=file)

    return run


def planes(image):
    """``(1, 3, H, W) f32`` RGB 0..1."""
    return np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1)[None], np.float32) / 255


def psnr(a, b):
    """Of the luma, without a border of 4 px, as papers on super-resolution measure it."""
    y = [
        cv2.cvtColor(np.asarray(image, np.uint8), cv2.COLOR_BGR2YCrCb)[4:-4, 4:-4, 0] * (219 / 255)
        for image in (a, b)
    ]
    return 10 * np.log10(255**2 / ((y[0] - y[1]) ** 2).mean())


def enlarged(session, small):
    height, width = small.shape[:2]
    out = np.empty((1, 3, 4 * height, 4 * width), np.float32)
    given = {session.inputs[0].name: planes(small)}
    session.enqueue(given, out={session.outputs[0].name: out}, stream=0)
    return np.rint(np.clip(out[0], 0, 1).transpose(1, 2, 0)[..., ::-1] * 255)


@pytest.mark.parametrize(
    ("file", "gain_db"), [("span_ch28_slim_team38.onnx", 2.0), ("upscayl-lite-4x.onnx", -4.0)]
)
def test_pictures_are_enlarged_as_well_as_is_known_of_the_network(open_session, file, gain_db):
    """SPAN is better than bicubic by 3 dB; the other invents detail, and so is worse by 2."""
    session = open_session(file)
    gains = []
    for path in sorted((SHARED / "sr" / "Set5").glob("*.png"))[:5]:
        large = cv2.imread(str(path))
        large = large[: large.shape[0] // 4 * 4, : large.shape[1] // 4 * 4]
        size = (large.shape[1] // 4, large.shape[0] // 4)
        if min(size) > 80:
            large, size = large[:240, :240], (60, 60)
        # Made smaller as in the papers: bicubic over all the pixels that are covered.
        small = np.asarray(Image.fromarray(large).resize(size, Image.Resampling.BICUBIC))
        bicubic = cv2.resize(small, large.shape[1::-1], interpolation=cv2.INTER_CUBIC)
        gains.append(psnr(enlarged(session, small), large) - psnr(bicubic, large))
    assert len(gains) >= 3
    assert np.mean(gains) > gain_db


@pytest.mark.parametrize("shift", [(3, -2), (-5, 4)])
def test_the_flow_of_a_moved_picture_is_the_movement(open_session, shift):
    session = open_session("spynet_sintelClean_256.onnx")
    picture = cv2.imread(str(SHARED / "faces" / "synthetic" / "male_03.jpg"))
    picture = cv2.resize(picture, (300, 300), interpolation=cv2.INTER_AREA)
    first = picture[22:278, 22:278]
    second = picture[22 - shift[1] : 278 - shift[1], 22 - shift[0] : 278 - shift[0]]
    out = np.empty((1, 2, 256, 256), np.float32)
    names = [spec.name for spec in session.inputs]
    given = dict(zip(names, (planes(first), planes(second)), strict=True))
    session.enqueue(given, out={session.outputs[0].name: out}, stream=0)
    error = np.linalg.norm(out[0, :, 20:-20, 20:-20] - np.array(shift)[:, None, None], axis=0)
    assert np.median(error) < 0.3
