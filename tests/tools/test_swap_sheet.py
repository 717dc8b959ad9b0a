from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.errors import MediaError
from tools.film import Film
from tools.film_motion import FilmFace
from tools.sheet_grid import CROP_PX
from tools.swap_sheet import draw_rows, main, moments_from

ASSETS = Path(__file__).parents[2].parent / "shared" / "assets"
S_NS = 1_000_000_000


def face(left):
    corners = np.array([(left, 20), (left + 20, 40)], np.float32)
    return FilmFace(1, corners, 10.0)


def film(num_pictures):
    pictures = []
    for number in range(num_pictures):
        picture = np.full((60, 200, 3), number, np.uint8)
        picture[:, 100:] = 100 + number
        pictures.append(picture)
    times_ns = [number * S_NS // 10 for number in range(num_pictures)]
    return Film("f", pictures, times_ns, Fraction(10))


def test_rows_are_the_input_and_each_output_at_the_same_moments():
    source = film(4)
    output = [picture + np.uint8(50) for picture in source.pictures]
    rows = draw_rows(source, [face(30)] * 4, [("out", output)], [0, 3])
    assert [label for label, _ in rows[0]] == ["input 0.00 s", "input 0.30 s"]
    assert [label for label, _ in rows[1]] == ["out 0.00 s", "out 0.30 s"]
    middle = CROP_PX // 2
    assert [[cell[1][middle, middle, 0] for cell in row] for row in rows] == [[0, 3], [50, 53]]


def test_a_face_that_is_not_found_is_shown_where_it_was_last():
    rows = draw_rows(film(4), [None, face(30), face(140), None], [], [0, 1, 2, 3])
    middle = CROP_PX // 2
    assert [cell[1][middle, middle, 0] for cell in rows[0]] == [0, 1, 102, 103]


def test_a_film_without_a_face_is_an_error():
    with pytest.raises(MediaError, match="must show a face"):
        draw_rows(film(2), [None, None], [], [0])


def test_moments_are_evenly_spaced_from_a_time_on():
    times_ns = [number * S_NS // 10 for number in range(21)]
    assert moments_from(times_ns, 0.0, 3) == [0, 10, 20]
    assert moments_from(times_ns, 1.0, 3) == [10, 15, 20]
    assert moments_from(times_ns, 1.95, 8) == [20]
    assert moments_from(times_ns, 9.0, 3) == []


@pytest.mark.parametrize(
    "options", [["--frames", "0"], ["--from", "-1"], ["--from", "2", "--to", "1"]]
)
def test_options_that_make_no_sense_end_it_with_two(options, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(["--clips", "a", "--face", "b", "--sheet", "c", *options])
    assert exit_info.value.code == 2
    assert options[0] in capsys.readouterr().err


@pytest.mark.models
@pytest.mark.shared
def test_a_clip_is_shown_before_and_after_the_swap(tmp_path, monkeypatch):
    if not ASSETS.is_dir():
        pytest.skip(f"{ASSETS} is not here")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    sheet = tmp_path / "sheet.png"
    clip = ASSETS / "clips" / "asl_bird_hand_over_mouth.mkv"
    portrait = ASSETS / "faces" / "synthetic" / "male_19.jpg"
    options = ["--clips", str(clip), "--face", str(portrait), "--consent", "synthetic"]
    options += ["--sheet", str(sheet), "--frames", "2", "--to", "0.3"]
    assert main(options) == 0
    cells = cv2.imread(str(sheet)).astype(int)
    assert cells.shape[1] // CROP_PX == 2
    height = cells.shape[0] // 2
    # The face in the middle is another one; the edges of the cells are not.
    apart = np.abs(cells[:height] - cells[height : 2 * height])[18 : 18 + CROP_PX, :CROP_PX]
    assert apart[80:140, 80:140].mean() > 8
    assert apart[:20].mean() < 3
