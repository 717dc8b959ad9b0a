from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from realtime.contact_sheet import Moments, draw_sheet, write_picture
from realtime.errors import SinkError
from realtime.frame import Face, FaceState, Frame, PictureSpec, Pose

SPEC = PictureSpec(width=30, height=21, rate_hz=Fraction(30), live=True)


def face(*, swapped: bool, state: FaceState = FaceState.SEEN) -> Face:
    return Face(
        track_id=0,
        box=np.zeros(4, np.float32),
        landmarks=np.zeros((468, 3), np.float32),
        score=1.0,
        pose=Pose(0, 0, 0),
        state=state,
        swapped=swapped,
    )


def pass_through(moments: Moments, seq: int, *, swapped: bool = True, arrives: bool = True) -> None:
    """A frame of value ``seq`` becomes one of value ``seq + 100`` between the taps."""
    frame = Frame.blank(SPEC)
    frame.seq, frame.media_ns = seq, seq * 10
    frame.image[:] = seq
    moments.before.process(frame)
    frame.image[:] = seq + 100
    frame.faces = [face(swapped=swapped)]
    if arrives:
        moments.after.process(frame)


def kept(moments: Moments) -> list[tuple[int, int]]:
    return [(int(raw[0, 0, 0]), int(done[0, 0, 0])) for raw, done in moments.pairs]


def test_the_first_frame_from_each_moment_on_is_kept_before_and_after():
    moments = Moments([25, 0])
    for seq in range(6):
        pass_through(moments, seq)
    assert kept(moments) == [(0, 100), (3, 103)]


def test_a_frame_without_a_swapped_face_is_never_shown_as_swapped():
    moments = Moments([0])
    pass_through(moments, 0, swapped=False)
    pass_through(moments, 1)
    assert kept(moments) == [(1, 101)]


def test_dropped_frames_leave_no_copies_behind():
    moments = Moments([0])
    for seq in range(4):
        pass_through(moments, seq, arrives=False)
    pass_through(moments, 4, swapped=False)
    assert not moments._raw


def test_the_sheet_holds_every_pair_before_above_after():
    pairs = [
        (np.full((21, 30, 3), 10 + n, np.uint8), np.full((21, 30, 3), 200 + n, np.uint8))
        for n in range(3)
    ]
    sheet = draw_sheet(pairs)
    middle = sheet.shape[0] // 2
    for n in range(3):
        assert (sheet[:middle] == 10 + n).all(axis=2).sum() == 21 * 30
        assert (sheet[middle:] == 200 + n).all(axis=2).sum() == 21 * 30


def test_a_sheet_that_cannot_be_written_is_one_clear_error(tmp_path: Path):
    with pytest.raises(SinkError, match=r"demo\.png: must be writable"):
        write_picture(np.zeros((4, 4, 3), np.uint8), tmp_path / "none" / "demo.png")
