import cv2
import numpy as np

from realtime.frame import Face, Pose
from tools.mark_frames import marked
from tools.mark_shimmer import measure_shimmer

SIZE = (320, 180)
BOX = (100, 50, 200, 150)


def scene(num_pictures):
    rng = np.random.default_rng(0)
    coarse = rng.normal(120, 45, (8, 16, 3)).astype(np.float32)
    size = (SIZE[0] + num_pictures, SIZE[1])
    wide = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    noise = rng.normal(0, 2, (num_pictures, SIZE[1], SIZE[0], 3))
    return [
        np.clip(wide[:, n : n + SIZE[0]] + noise[n], 0, 255).astype(np.uint8)
        for n in range(num_pictures)
    ]


def face():
    left, top, right, bottom = BOX
    corners = np.array([[left, top, 0], [right, top, 0], [right, bottom, 0], [left, bottom, 0]])
    landmarks = np.resize(corners.astype(np.float32), (468, 3))
    return Face(1, np.array(BOX, np.float32), landmarks, 1.0, Pose(0, 0, 0))


def test_pictures_that_are_left_alone_do_not_shimmer():
    clean = scene(12)
    shimmer = measure_shimmer(clean, clean, [[face()]] * 12)
    assert (shimmer.whole, shimmer.face, shimmer.outside) == (1.0, 1.0, 1.0)


def test_flicker_is_seen_where_it_is():
    clean = scene(12)
    after = [picture.copy() for picture in clean]
    for picture in after[1::2]:
        picture[:, :90] += 5
    shimmer = measure_shimmer(clean, after, [[face()]] * 12)
    assert shimmer.whole > 1.2
    assert shimmer.outside > 1.2
    assert shimmer.face == 1.0


def test_flicker_of_a_face_is_not_seen_outside_it():
    clean = scene(12)
    left, top, right, bottom = BOX
    after = [picture.copy() for picture in clean]
    for picture in after[1::2]:
        picture[top + 20 : bottom - 20, left + 20 : right - 20] += 5
    shimmer = measure_shimmer(clean, after, [[face()]] * 12)
    assert shimmer.face > 1.2
    assert shimmer.outside == 1.0


def test_without_faces_only_the_whole_picture_is_measured():
    clean = scene(12)
    shimmer = measure_shimmer(clean, clean, [[]] * 12)
    assert shimmer.whole == 1.0
    assert np.isnan(shimmer.face)


def test_the_mark_shimmers_beside_faces_and_not_on_them():
    clean = scene(12)
    faces = [[face()]] * 12
    shimmer = measure_shimmer(clean, marked(clean, faces, 5, show_label=False), faces)
    assert 1.05 < shimmer.whole < 1.2
    # The rim of the face moves over a pixel that is none of it.
    assert 1.0 <= shimmer.face < 1.005
