from fractions import Fraction

import numpy as np

from realtime.frame import Frame, PictureSpec

SPEC = PictureSpec(8, 6, Fraction(30), live=False)


def test_a_new_frame_is_black_and_of_the_streams_size():
    frame = Frame.blank(SPEC)
    assert frame.image.shape == (6, 8, 3)
    assert not frame.image.any()
    assert not frame.faces


def test_room_is_taken_once_and_grows_where_more_is_asked_for():
    frame = Frame.blank(SPEC)
    room = frame.room(1, 100)
    room[:] = 7
    assert frame.room(1, 40).tolist() == [7] * 40
    assert np.shares_memory(frame.room(1, 100), room)
    assert not np.shares_memory(frame.room(0, 100), room)
    assert frame.room(1, 101).size == 101


def test_all_that_a_frame_carries_changes_hands_without_a_copy():
    one, other = Frame.blank(SPEC), Frame.blank(SPEC)
    one.seq, one.captured_ns, one.media_ns, one.failed = 4, 5, 6, True
    picture, room, faces = one.image, one.room(0, 10), one.faces
    one.exchange(other)
    assert (other.seq, other.captured_ns, other.media_ns, other.failed) == (4, 5, 6, True)
    assert (one.seq, one.failed) == (-1, False)
    assert other.image is picture
    assert other.faces is faces
    assert np.shares_memory(other.room(0, 10), room)
    assert not np.shares_memory(one.room(0, 10), room)
