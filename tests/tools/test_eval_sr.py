import json

import cv2
import numpy as np
import pytest

from tools.eval_sr import bicubic, judge, load_faces, luma, luma_psnr, main, skin_shift

SKIN_BGR = (120, 150, 205)


def smooth(side=48):
    rows, columns = np.indices((side, side))
    waves = [np.sin(columns / 3 + n) + np.cos(rows / (4 + n)) for n in range(3)]
    return np.asarray(np.rint(127 + 50 * np.stack(waves, axis=-1)), np.uint8)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "Set1").mkdir()
    cv2.imwrite(str(tmp_path / "Set1" / "a.png"), smooth(49))
    return tmp_path / "Set1"


def test_brightness_is_that_of_video():
    """Values of MATLAB's rgb2ycbcr for black, white, red, green and blue."""
    image = np.array(
        [[[0, 0, 0], [255, 255, 255], [0, 0, 255], [0, 255, 0], [255, 0, 0]]], np.uint8
    )
    assert luma(image).tolist() == [[16, 235, 81, 145, 41]]


def test_psnr_looks_at_brightness_inside_the_border_only():
    wanted = smooth()
    found = wanted.copy()
    found[:2] = 0
    assert luma_psnr(found, wanted, 2) > 100
    assert luma_psnr(found, wanted, 1) < 40
    grey = np.full((40, 40, 3), 100, np.uint8)
    # Ten levels of grey are 8.6 of Y, which are rounded to 9 here.
    off = float(np.abs(luma(grey + 10) - luma(grey)).mean())
    assert luma_psnr(grey + 10, grey, 2) == pytest.approx(20 * np.log10(255 / off))


def test_skin_that_moves_is_told_and_what_is_no_skin_is_not():
    small = np.full((40, 40, 3), SKIN_BGR, np.uint8)
    small[:, 20:] = (200, 30, 20)
    large = small.repeat(2, axis=0).repeat(2, axis=1)
    assert skin_shift(large, small, large) == 0.0
    moved = large.copy()
    moved[:, :40, 1] += 3
    moved[:, 40:, 0] -= 50
    assert skin_shift(moved, small, large) == pytest.approx(3.0)
    assert skin_shift(large[:, 40:], small[:, 20:], large[:, 40:]) == 0.0


def test_pictures_are_cut_to_a_multiple_of_the_scale_and_faces_worsened(folder):
    face = cv2.GaussianBlur(smooth(64), (0, 0), 1.0)
    found = judge(bicubic(2), 2, [folder], [face], {"own": lambda a, b: float(a[0, 0, 0])})
    assert set(found.psnr_db) == {"Set1", "faces"}
    assert found.psnr_db["faces"] < 45
    assert 0 <= found.distances["own"] <= 255


def test_the_command_judges_a_network_beside_bicubic(folder, tmp_path, twins, capsys):
    model = tmp_path / "squares.onnx"
    model.write_bytes(twins.enlarger(4))
    for index in range(9):
        cv2.imwrite(str(tmp_path / f"f{index}.png"), smooth(80))
    assert main([str(model), "--set", str(folder)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {str(model), "bicubic_x4"}
    assert found["bicubic_x4"]["psnr_db"]["Set1"] > found[str(model)]["psnr_db"]["Set1"]


def test_a_network_that_does_not_enlarge_is_refused(folder, tmp_path, twins, capsys):
    model = tmp_path / "same.onnx"
    model.write_bytes(twins.restorer(32))
    assert main([str(model), "--set", str(folder)]) == 5
    assert "must make pictures 2 or 4 times as large" in capsys.readouterr().err


def test_only_faces_that_no_training_sees_are_judged(tmp_path):
    for index in range(20):
        cv2.imwrite(str(tmp_path / f"f{index:02d}.png"), np.full((64, 64, 3), index, np.uint8))
    assert [int(face[0, 0, 0]) for face in load_faces(f"{tmp_path}:32")] == [8, 17]
    with pytest.raises(ValueError, match="must be FOLDER:SIDE"):
        load_faces(str(tmp_path))
