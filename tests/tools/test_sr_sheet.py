import cv2
import numpy as np
import pytest

from tools.eval_sr import bicubic
from tools.sr_sheet import CELL_PX, draw_rows, main


def face(side=64, seed=1):
    noise = np.random.default_rng(seed).integers(0, 256, (side, side, 3)).astype(np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 2.0), np.uint8)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "faces").mkdir()
    for index in range(18):
        cv2.imwrite(str(tmp_path / "faces" / f"{index:02}.png"), face(seed=index))
    return tmp_path / "faces"


@pytest.fixture
def network(tmp_path, twins):
    (tmp_path / "squares.onnx").write_bytes(twins.enlarger(2))
    return str(tmp_path / "squares.onnx")


def test_a_row_shows_the_small_picture_each_way_and_the_original():
    faces = [face(seed=seed) for seed in range(5)]
    rows = draw_rows({"a": bicubic(2), "b": bicubic(2)}, 2, faces, 2)
    assert len(rows) == 2
    labels = [cell[0] for cell in rows[0]]
    assert [label.split()[0] for label in labels] == ["small", "a", "b", "original"]
    assert labels[1].endswith("dB")
    pictures = [cell[1] for cell in rows[0]]
    assert all(picture.shape == (CELL_PX, CELL_PX, 3) for picture in pictures)
    np.testing.assert_array_equal(pictures[1], pictures[2])
    step = CELL_PX // 32
    np.testing.assert_array_equal(pictures[3][::step, ::step], faces[0][16:48, 16:48])
    assert not np.array_equal(rows[0][3][1], rows[1][3][1])


def test_the_command_draws_the_faces_that_are_kept_out(folder, network, tmp_path):
    sheet = tmp_path / "sheet.png"
    assert main([network, "--faces", f"{folder}:64", "--sheet", str(sheet)]) == 0
    drawn = cv2.imread(str(sheet))
    # Two of eighteen; small, bicubic, the network and the original.
    assert drawn.shape[0] // CELL_PX == 2
    assert drawn.shape[1] // CELL_PX == 4


def test_networks_of_two_scales_are_refused(folder, network, tmp_path, twins, capsys):
    other = tmp_path / "more.onnx"
    other.write_bytes(twins.enlarger(4))
    command = [network, str(other), "--faces", f"{folder}:64", "--sheet", str(tmp_path / "s.png")]
    assert main(command) == 5
    assert "must be of one scale, got [2, 4]" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*command, "--rows", "0"])
