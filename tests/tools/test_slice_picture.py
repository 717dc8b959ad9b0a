import cv2
import numpy as np
import pytest

from tools.film_motion import FilmFace
from tools.slice_picture import FRAME_PX, draw_slices, main, row_across

GAP_AND_LABEL = 22


def film(values):
    pictures = []
    for value in values:
        picture = np.zeros((20, 40, 3), np.uint8)
        picture[7, 5:15] = np.arange(10)[:, None] + value
        picture[8] = 255
        pictures.append(picture)
    return pictures


def test_time_runs_to_the_right_and_the_row_downwards():
    sheet = draw_slices(("a", "b"), (film([10, 50, 90]), film([100, 140, 180])), 7, 5, 15)
    assert sheet.shape[0] == 2 * (10 + GAP_AND_LABEL)
    top = sheet[18 : 18 + 10, : 3 * FRAME_PX]
    assert top[:, 0, 0].tolist() == list(range(10, 20))
    assert top[0, :, 0].tolist() == [10] * FRAME_PX + [50] * FRAME_PX + [90] * FRAME_PX
    below = sheet[18 + 10 + GAP_AND_LABEL :][:10, : 3 * FRAME_PX]
    assert np.array_equal(below, top + np.uint8(90))


def test_the_row_crosses_the_face_with_a_margin_and_stays_in_the_picture():
    corners = np.array([(100, 50), (200, 250)], np.float32)
    face = FilmFace(1, corners, 40.0)
    assert row_across(face, 0.25, 640) == (100, 90, 210)
    assert row_across(FilmFace(1, corners - (95, 0), 40.0), 0.0, 108) == (50, 0, 108)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--names", "a,b,c"], "--names: must be two, got 3"),
        (["--seconds", "0"], "--seconds"),
        (["--at", "1.5"], "--at"),
    ],
)
def test_options_that_make_no_sense_end_it_with_two(options, message, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(["--out", "x.png", "--against", "swap.light_ms=0", *options])
    assert exit_info.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.models
def test_three_slices_are_drawn_from_what_may_be_shown(tmp_path):
    path = tmp_path / "slice.png"
    options = ["--out", str(path), "--set", "camera.size=320x180", "--against", "swap.shape=0"]
    assert main([*options, "--seconds", "0.5"]) == 0
    sheet = cv2.imread(str(path))
    assert sheet.shape[1] == 15 * FRAME_PX + 4
    panels = sheet[: 3 * (sheet.shape[0] // 3)].reshape(3, -1, *sheet.shape[1:]).astype(int)
    assert np.abs(panels[0] - panels[2]).mean() > 2
    assert (panels[1] != panels[2]).any()
