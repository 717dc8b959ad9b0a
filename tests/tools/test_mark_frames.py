import cv2
import numpy as np

from realtime.frame import Face, Pose
from tools.mark_frames import marked

BOX = (96, 48, 192, 144)


def test_pictures_are_copied_and_marked_beside_their_faces():
    clean = [np.full((176, 320, 3), 100, np.uint8) for _ in range(3)]
    face = Face(1, np.array(BOX, np.float32), np.zeros((468, 3), np.float32), 1.0, Pose(0, 0, 0))
    sent = marked(clean, [[face], [face], []], 5, show_label=False)
    assert all((picture == 100).all() for picture in clean)
    left, top, right, bottom = BOX
    assert all((picture[top:bottom, left:right] == 100).all() for picture in sent)
    assert all(cv2.PSNR(*pair) < 60 for pair in zip(clean, sent, strict=True))


def test_the_label_is_shown_where_it_is_asked_for():
    clean = [np.full((176, 320, 3), 100, np.uint8)]
    plain, labelled = (marked(clean, [[]], 5, show_label=show) for show in (False, True))
    assert np.abs(plain[0].astype(int) - 100).max() < 20
    assert np.abs(labelled[0].astype(int) - 100).max() > 100
