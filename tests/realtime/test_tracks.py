from dataclasses import dataclass

import numpy as np
import pytest

from realtime.frame import Face, Pose
from realtime.tracks import GAP_NS, of_present, of_recent, share_after


@dataclass
class Note:
    seen_ns: int


def face(track_id):
    return Face(
        track_id, np.zeros(4, np.float32), np.zeros((468, 3), np.float32), 1.0, Pose(0, 0, 0)
    )


def test_only_faces_of_the_frame_are_remembered():
    assert of_present({1: "one", 2: "two", 5: "five"}, [face(5), face(1), face(7)]) == {
        1: "one",
        5: "five",
    }


def test_a_face_is_remembered_for_as_long_as_a_gap_and_no_longer():
    notes = {1: Note(1000), 2: Note(1001)}
    assert of_recent(notes, 1000 + GAP_NS) == notes
    assert of_recent(notes, 1001 + GAP_NS) == {2: notes[2]}


@pytest.mark.parametrize(
    ("elapsed", "half_life", "share"),
    [(0, 10, 0.0), (10, 10, 0.5), (30, 10, 0.875), (5, 0, 1.0), (0, 0, 1.0)],
)
def test_what_is_remembered_follows_by_half_in_each_half_life(elapsed, half_life, share):
    assert share_after(elapsed, half_life) == pytest.approx(share)
