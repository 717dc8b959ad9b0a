import numpy as np
import pytest

from realtime.frame import Face, Frame, Pose
from realtime.letterbox import fitted_size, letterbox, letterbox_frame


@pytest.mark.parametrize(
    ("size", "box", "fitted"),
    [
        ((640, 480), (1280, 720), (960, 720)),
        ((1920, 1080), (1280, 720), (1280, 720)),
        ((100, 1), (10, 10), (10, 1)),
        ((1, 100), (11, 7), (1, 7)),
        ((1, 1), (3, 3), (3, 3)),
        ((721, 405), (1280, 720), (1280, 719)),
    ],
)
def test_a_picture_keeps_its_shape_and_fills_one_side_of_the_box(size, box, fitted) -> None:
    assert fitted_size(*size, *box) == fitted


def test_bars_are_black_and_the_picture_is_centred() -> None:
    out = np.full((45, 81, 3), 77, np.uint8)
    letterbox(np.full((30, 30, 3), 200, np.uint8), out=out)
    assert (out[:, 18:63] == 200).all()
    assert (out[:, :18] == 0).all()
    assert (out[:, 63:] == 0).all()


def test_a_wide_picture_gets_bars_above_and_below() -> None:
    out = np.full((41, 41, 3), 77, np.uint8)
    letterbox(np.full((10, 40, 3), 200, np.uint8), out=out)
    rows = np.flatnonzero((out == 200).all(axis=(1, 2)))
    assert rows.tolist() == list(range(15, 25))
    assert (out[~np.isin(np.arange(41), rows)] == 0).all()


def test_a_picture_of_the_right_size_passes_untouched() -> None:
    image = np.random.default_rng(0).integers(0, 256, (33, 47, 3), np.uint8)
    out = np.zeros_like(image)
    letterbox(image, out=out)
    assert (out == image).all()


def test_fine_stripes_shrink_to_their_mean() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, ::2] = 200
    out = np.zeros((16, 16, 3), np.uint8)
    letterbox(image, out=out)
    assert np.abs(out.astype(int) - 100).max() <= 1


def test_a_frame_takes_its_faces_along() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[10:20, 30:42] = 200
    corners = np.array([[30, 10, 0], [41, 19, 6]], np.float32)
    face = Face(7, corners[:, :2].reshape(4), corners, 0.9, Pose(1, 2, 3), swapped=True)
    frame = Frame(image, seq=5, captured_ns=6, media_ns=7, faces=[face], failed=True)
    out = Frame(np.zeros((200, 360, 3), np.uint8))
    letterbox_frame(frame, out=out)
    assert (out.seq, out.captured_ns, out.media_ns, out.failed) == (5, 6, 7, True)
    moved = out.faces[0]
    assert (moved.track_id, moved.swapped, moved.pose) == (7, True, Pose(1, 2, 3))
    # Five times as large, 30 pixels further right: the bright part runs to the box's outer edges.
    np.testing.assert_allclose(moved.box, [182, 52, 237, 97])
    np.testing.assert_allclose(moved.landmarks, [[182, 52, 0], [237, 97, 30]])
    bright = np.argwhere(out.image[..., 0] > 100)
    np.testing.assert_allclose(bright.min(0)[::-1], moved.box[:2], atol=2.5)
    np.testing.assert_allclose(bright.max(0)[::-1], moved.box[2:], atol=2.5)
    np.testing.assert_array_equal(face.landmarks, corners)
