import json

import cv2
import numpy as np
import pytest

from tools.eval_sr import bicubic
from tools.sr_steadiness import clip_pictures, main, steadiness


def film(count=5):
    """A soft pattern that moves by two pixels in each picture."""
    noise = np.random.default_rng(1).normal(size=(96, 140, 3))
    soft = cv2.GaussianBlur(noise, (0, 0), 3.0)
    whole = np.clip(128 + 50 * soft / soft.std(), 0, 255).astype(np.uint8)
    return [np.ascontiguousarray(whole[:, 2 * n : 2 * n + 128]) for n in range(count)]


def test_what_enlarges_plainly_is_as_steady_as_itself():
    assert steadiness(film(), bicubic(2), 2) == pytest.approx(1.0)


def test_detail_that_comes_and_goes_is_told():
    random = np.random.default_rng(3)

    def flickering(image):
        large = bicubic(2)(image)
        return np.clip(large + random.normal(0, 6, large.shape), 0, 255).astype(np.uint8)

    assert steadiness(film(), flickering, 2) > 1.5


def test_pictures_of_a_clip_are_made_smaller_and_divisible(write_clip):
    clip = write_clip("a.mkv", [np.full((70, 1026, 3), 9 * n, np.uint8) for n in range(4)])
    found = list(clip_pictures(clip, 3, 4))
    assert [image.shape for image in found] == [(36, 512, 3)] * 3
    assert len(list(clip_pictures(clip, 9, 4))) == 4


def test_the_command_judges_each_clip(write_clip, twins, tmp_path, capsys):
    clip = write_clip("a.mkv", film(4))
    model = tmp_path / "squares.onnx"
    model.write_bytes(twins.enlarger(2))
    assert main([str(model), str(clip), "--pictures", "3"]) == 0
    assert json.loads(capsys.readouterr().out)["a.mkv"] > 1.0
    (tmp_path / "b.mp4").write_bytes(b"no clip")
    assert main([str(model), str(tmp_path / "b.mp4")]) == 7
    assert "sr_steadiness: " in capsys.readouterr().err
