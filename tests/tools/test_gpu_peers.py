import numpy as np

from tools.gpu_peers import _paste_back
from tools.gpu_scene import crop_at, face_at, picture


def test_a_face_is_pasted_where_it_was_cut_out():
    image = np.full((180, 320, 3), 50, np.uint8)
    matrix = crop_at(0, (320, 180), 128)
    _paste_back(np.full((128, 128, 3), 200, np.uint8), matrix, image)
    rows, columns = np.nonzero(image[..., 0] > 190)
    centre = np.array([columns.mean(), rows.mean(), 1.0])
    assert np.abs(matrix @ centre - 63.5).max() < 2
    assert image[0, 0, 0] == 50


def test_the_scenes_face_spans_the_same_share_of_every_picture():
    for size in ((640, 360), (3840, 2160)):
        scale = np.sqrt(np.linalg.det(crop_at(7, size, 128)[:, :2]))
        assert np.isclose(128 / scale, 0.42 * size[1])
    assert face_at(0, (640, 360), 128).is_new
    assert not face_at(1, (640, 360), 128).is_new


def test_the_scenes_pictures_have_detail_everywhere():
    image = picture((333, 185))
    assert image.shape == (185, 333, 3)
    blocks = image[:180, :320].reshape(9, 20, 16, 20, 3).std(axis=(1, 3, 4))
    assert blocks.min() > 20
