import cv2
import numpy as np
import pytest

from tools.contact_sheet import main
from tools.judge import Detection
from tools.sheet_grid import CROP_PX, CROP_SCALE, crop_face, draw_grid


def face_at(*box):
    return Detection(np.array(box, np.float32), np.zeros((5, 2), np.float32), 1.0)


def test_a_crop_is_a_square_around_the_middle_of_the_face():
    image = np.zeros((400, 400, 3), np.uint8)
    image[200:, 100:] = 200
    crop = crop_face(image, face_at(60, 150, 140, 250))
    assert crop.shape == (CROP_PX, CROP_PX, 3)
    middle = CROP_PX // 2
    assert (crop[middle + 3 :, middle + 3 :] == 200).all()
    assert (crop[: middle - 3] == 0).all()
    assert (crop[:, : middle - 3] == 0).all()


@pytest.mark.parametrize("box", [(-40, -40, 20, 20), (380, 380, 450, 450), (-90, -90, 500, 500)])
def test_beyond_the_picture_a_crop_is_black(box):
    image = np.full((400, 400, 3), 200, np.uint8)
    crop = crop_face(image, face_at(*box))
    side = CROP_SCALE * (box[2] - box[0])
    left = (box[0] + box[2]) / 2 - side / 2
    shown = (min(400, left + side) - max(0, left)) / side
    assert np.mean(crop > 100) == pytest.approx(shown**2, abs=0.02)


def test_a_grid_has_each_picture_in_its_place_and_leaves_gaps_empty():
    red, blue = (
        np.full((20, 30, 3), (0, 0, 255), np.uint8),
        np.full((20, 30, 3), (255, 0, 0), np.uint8),
    )
    sheet = draw_grid([[None, ("red", red)], [("blue", blue)]])
    reds = np.argwhere((sheet == (0, 0, 255)).all(axis=2))
    blues = np.argwhere((sheet == (255, 0, 0)).all(axis=2))
    assert len(reds) == len(blues) == 600
    assert reds[:, 1].min() > blues[:, 1].max()
    assert reds[:, 0].max() < blues[:, 0].min()


def test_a_grid_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one picture"):
        draw_grid([[None]])


def sheet_of(write_clip, tmp_path, *options, **kwargs):
    before = [np.full((48, 64, 3), 20 * index, np.uint8) for index in range(10)]
    after = [picture + np.uint8(5) for picture in before]
    sheet = tmp_path / "sheet.png"
    inputs = ("--input", str(write_clip("a.mkv", before)))
    outputs = ("--output", str(write_clip("b.mkv", after, **kwargs)))
    code = main([*inputs, *outputs, "--sheet", str(sheet), *options])
    return code, cv2.imread(str(sheet))


def test_the_sheet_shows_input_output_and_their_enlarged_difference(write_clip, tmp_path):
    code, sheet = sheet_of(write_clip, tmp_path, "--frames", "3")
    assert code == 0
    step_y, step_x = sheet.shape[0] // 3, sheet.shape[1] // 3
    middles = sheet[step_y // 2 + 8 :: step_y, 30::step_x, 0]
    # Frames 0, 4 (4.5 is rounded to the even one) and 9 of ten.
    assert middles.tolist() == [[0, 80, 180], [5, 85, 185], [20, 20, 20]]


def test_more_columns_than_frames_show_each_frame_once(write_clip, tmp_path):
    _, all_frames = sheet_of(write_clip, tmp_path, "--frames", "99")
    _, ten = sheet_of(write_clip, tmp_path, "--frames", "10")
    assert (all_frames == ten).all()


def test_clips_with_no_moment_in_common_are_told_in_one_line(write_clip, tmp_path, capsys):
    clip = write_clip("a.mkv", [np.zeros((48, 64, 3), np.uint8)])
    missing = tmp_path / "none.mkv"
    options = ["--input", str(clip), "--output", str(missing), "--sheet", str(tmp_path / "s.png")]
    assert main(options) == 7
    (line,) = capsys.readouterr().err.splitlines()
    assert "none.mkv" in line
