import cv2
import numpy as np
import pytest

from realtime.errors import EngineError
from tools import readme_picture
from tools.readme_picture import CELL_PX, LEFT_PX, SIDE_PX, TIMES_MS, TOP_PX, cut_head, main


def test_the_cut_holds_the_square_around_the_head_and_nothing_else():
    picture = np.zeros((720, 1280, 3), np.uint8)
    picture[TOP_PX : TOP_PX + SIDE_PX, LEFT_PX : LEFT_PX + SIDE_PX] = 200
    cut = cut_head(picture)
    assert cut.shape == (CELL_PX, CELL_PX, 3)
    assert (cut == 200).all()


@pytest.mark.models
def test_the_picture_is_small_and_shows_another_face_below(tmp_path):
    path = tmp_path / "demo.jpg"
    assert main(["--out", str(path)]) == 0
    assert path.stat().st_size <= 200_000
    sheet = cv2.imread(str(path))
    assert sheet is not None
    height, width = sheet.shape[:2]
    assert width > len(TIMES_MS) * CELL_PX
    assert height > 2 * CELL_PX
    step = (height - 8) // 2
    above, below = sheet[40 : 40 + CELL_PX].astype(int), sheet[40 + step :][:CELL_PX].astype(int)
    assert np.abs(above - below)[120:300, 120:240].mean() > 10


def test_a_face_that_was_not_swapped_is_an_error_of_one_line(tmp_path, capsys, monkeypatch):
    def take_none(_library):
        raise EngineError("demo: a face must be swapped at 3 moments, got 0.")

    monkeypatch.setattr(readme_picture.ModelLibrary, "pull", lambda self, names: None)
    monkeypatch.setattr(readme_picture, "take_pairs", take_none)
    assert main(["--out", str(tmp_path / "demo.jpg")]) == 8
    assert len(capsys.readouterr().err.splitlines()) == 1
