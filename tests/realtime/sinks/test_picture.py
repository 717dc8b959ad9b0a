from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.errors import SinkError
from realtime.frame import PictureSpec
from realtime.sinks.picture import PictureFile

SPEC = PictureSpec(width=7, height=5, rate_hz=Fraction(30), live=False, num_frames=1)
IMAGE = np.arange(7 * 5 * 3, dtype=np.uint8).reshape(5, 7, 3)


def test_the_first_picture_is_written_bit_for_bit_and_nothing_else_is_left(tmp_path: Path):
    sink = PictureFile(tmp_path / "out.png", force=False)
    sink.open(SPEC)
    sink.send(IMAGE, 0)
    sink.send(np.zeros_like(IMAGE), 1)
    sink.close()
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]
    written = cv2.imread(str(tmp_path / "out.png"))
    np.testing.assert_array_equal(written, IMAGE)


def test_an_existing_picture_is_kept_unless_forced(tmp_path: Path):
    path = tmp_path / "out.png"
    path.write_bytes(b"mine")
    with pytest.raises(SinkError, match="must not exist yet"):
        PictureFile(path, force=False).open(SPEC)
    assert path.read_bytes() == b"mine"
    sink = PictureFile(path, force=True)
    sink.open(SPEC)
    sink.send(IMAGE, 0)
    assert path.read_bytes() != b"mine"


def test_a_missing_folder_is_refused_before_any_work(tmp_path: Path):
    with pytest.raises(SinkError, match="its folder must exist"):
        PictureFile(tmp_path / "none" / "out.png", force=False).open(SPEC)


def test_a_folder_is_no_picture_even_when_forced(tmp_path: Path):
    folder = tmp_path / "out.png"
    folder.mkdir()
    with pytest.raises(SinkError, match="must be a file, got a folder"):
        PictureFile(folder, force=True).open(SPEC)


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path):
    folder = tmp_path / "folder"
    folder.mkdir()
    sink = PictureFile(folder / "out.png", force=False)
    sink.open(SPEC)
    folder.rmdir()
    with pytest.raises(SinkError, match=r"out\.png: must be writable, got: No such file"):
        sink.send(IMAGE, 0)
