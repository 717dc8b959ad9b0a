import numpy as np

from realtime.face_crops import face_crops


def test_there_are_three_pictures_of_a_face_that_differ_in_size_side_and_light():
    whole, mirrored, dark = face_crops()
    for picture in (whole, mirrored, dark):
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3
        assert picture.flags.c_contiguous
        assert picture.std() > 5
    assert mirrored.shape[0] < whole.shape[0]
    assert dark.mean() < 0.3 * whole.mean()
