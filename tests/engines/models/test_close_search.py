import numpy as np
import pytest

from engines.models.blazeface import Detections
from engines.models.close_search import overlapping_parts, search_parts
from engines.models.face_finder import LocatedFace, Wanted

NOBODY = np.zeros((0, 4), np.float32)
PICTURE = np.zeros((1024, 1024, 3), np.uint8)


def face_at(left, top, side):
    landmarks = np.zeros((468, 3), np.float32)
    landmarks[:, 0] = np.linspace(left, left + side, 468)
    landmarks[:, 1] = np.linspace(top, top + side, 468)
    return LocatedFace(landmarks, 0.99)


class Finder:
    """Sees a face of 40 px in the upper left corner of each part, and believes so many of them."""

    def __init__(self, num_confirmed=0):
        self.num_confirmed = num_confirmed
        self.parts, self.asked = [], []

    def glance(self, image, *, min_detection, quarter_turns):
        self.parts.append((image.shape, min_detection, quarter_turns))
        box = np.array([[0, 0, 40, 40]], np.float32)
        return [(Detections(box, np.zeros((1, 6, 2), np.float32), np.ones(1, np.float32)), 0)]

    def confirm(self, image, candidates, *, known, max_faces, min_score):
        assert image is PICTURE
        self.asked.append((candidates, known, max_faces))
        now, self.num_confirmed = self.num_confirmed, 0
        return [face_at(*found.boxes[index, :2], 40) for found, index in candidates[:now]]


@pytest.mark.parametrize(
    ("width", "height", "side"), [(400, 300, 200), (1001, 333, 250), (90, 700, 128)]
)
def test_parts_cover_a_picture_and_each_lies_half_over_the_next(width, height, side):
    covered = np.zeros((height, width), int)
    lefts = set()
    for left, top, right, bottom in overlapping_parts(width, height, side):
        assert (right - left, bottom - top) == (min(side, width), min(side, height))
        covered[top:bottom, left:right] += 1
        lefts.add(left)
    assert covered.min() >= 1
    assert max(np.diff(sorted(lefts)), default=0) <= side / 2 + 1


@pytest.mark.parametrize(
    ("found", "num_parts"),
    [([face_at(10, 10, 200)], 0), ([face_at(10, 10, 60)], 9), ([], 9 + 49)],
)
def test_parts_are_searched_only_where_no_large_face_is_found(found, num_parts):
    finder = Finder()
    assert search_parts(finder, PICTURE, Wanted(NOBODY, 4, 0.3, 0.5, 1), found=found) == []
    assert len(finder.parts) == num_parts
    sizes = [(512, 512, 3)] * 9 + [(256, 256, 3)] * 49
    assert finder.parts == [(size, 0.3, 1) for size in sizes[:num_parts]]


def test_what_is_seen_in_a_part_is_looked_at_in_the_whole_picture():
    finder = Finder(num_confirmed=2)
    others = search_parts(finder, PICTURE, Wanted(NOBODY, 4, 0.3, 0.5), found=[])
    corners = [tuple(face.landmarks[0, :2]) for face in others]
    assert corners == [(0, 0), (256, 0)]
    (candidates, _, _), (_, known, max_faces) = finder.asked
    assert {tuple(found.boxes[0, :2]) for found, _ in candidates} == {
        (x, y) for x in (0, 256, 512) for y in (0, 256, 512)
    }
    # Those of the large parts are not looked at again in the small ones.
    np.testing.assert_array_equal(known[:, :2], corners)
    assert max_faces == 2


def test_nothing_is_searched_where_all_are_found_or_the_picture_is_small():
    finder = Finder()
    full = [face_at(10, 10, 20)]
    assert search_parts(finder, PICTURE, Wanted(NOBODY, 1, 0.3, 0.5), found=full) == []
    small = np.zeros((500, 511, 3), np.uint8)
    assert search_parts(finder, small, Wanted(NOBODY, 4, 0.3, 0.5), found=[]) == []
    assert not finder.parts
