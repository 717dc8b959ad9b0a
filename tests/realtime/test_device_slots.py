import numpy as np
import pytest

from cuda_kernels.device import CpuDevice
from cuda_kernels.paste import paste_place
from cuda_kernels.warp import crop_place
from realtime.device_slots import DeviceFace, Seat

MATRIX = np.array([[0.8, 0.1, -20.0], [-0.1, 0.8, -10.0]])
SIZE = (160, 120)


def placed(crop_px, drawn_px, *, alpha=None, edge=255):
    device = CpuDevice()
    seat = Seat(device, crop_px, drawn_px)
    face = DeviceFace(0, MATRIX, alpha=alpha)
    seat.place(face, np.full((drawn_px, drawn_px), edge, np.uint8), SIZE)
    device.upload(seat.block, out=seat.there.whole, stream=None)
    return seat.there


def test_what_goes_up_says_where_the_crop_is_read_and_laid():
    there = placed(32, 32)
    np.testing.assert_array_equal(there.crop_place, crop_place(MATRIX, *SIZE))
    np.testing.assert_array_equal(there.under_place, crop_place(MATRIX, *SIZE))
    np.testing.assert_array_equal(there.paste_place, paste_place(MATRIX, (32, 32), SIZE))
    assert there.num_bad[0] == 0


def test_a_pixel_of_a_small_crop_is_the_middle_of_a_block_of_the_large_one():
    there = placed(32, 128)
    np.testing.assert_array_equal(there.crop_place, crop_place(MATRIX, *SIZE))
    large_from_image = np.vstack([MATRIX, [0, 0, 1]])
    large_from_image = (np.array([[4, 0, 1.5], [0, 4, 1.5], [0, 0, 1]]) @ large_from_image)[:2]
    np.testing.assert_allclose(there.under_place, crop_place(large_from_image, *SIZE), atol=1e-5)


def test_a_face_covers_no_more_than_the_edge_and_is_laid_on_twice_as_thick():
    alpha = np.zeros((32, 32), np.uint8)
    alpha[:, 8:16], alpha[:, 16:] = 60, 255
    there = placed(32, 32, alpha=alpha, edge=200)
    assert there.alpha[0].tolist() == [0] * 8 + [60] * 8 + [200] * 16
    assert there.cover[0].tolist() == [0] * 8 + [120] * 8 + [254] * 16


def test_a_crop_that_leads_nowhere_is_refused():
    seat = Seat(CpuDevice(), 32, 32)
    face = DeviceFace(0, np.zeros((2, 3)))
    with pytest.raises(ValueError, match="affine map: must be finite and invertible"):
        seat.place(face, np.zeros((32, 32), np.uint8), SIZE)


def test_what_goes_up_says_how_far_the_crop_has_moved_over_the_picture():
    before = MATRIX + np.array([[0, 0, 3.0], [0, 0, -1.5]])
    device = CpuDevice()
    seat = Seat(device, 32, 64)
    for known, wanted in ((before, (-3.0, 1.5)), (MATRIX, (0.0, 0.0))):
        seat.place(DeviceFace(0, MATRIX), np.zeros((64, 64), np.uint8), SIZE, known)
        device.upload(seat.block, out=seat.there.whole, stream=None)
        np.testing.assert_allclose(seat.there.apart, wanted, atol=1e-5)


@pytest.mark.parametrize(("crop", "before"), [(MATRIX, None), (None, MATRIX)])
def test_nothing_stands_still_in_a_crop_whose_movement_is_not_known(crop, before):
    device = CpuDevice()
    seat = Seat(device, 32, 32)
    seat.place(DeviceFace(0, crop), np.zeros((32, 32), np.uint8), SIZE, before)
    device.upload(seat.block, out=seat.there.whole, stream=None)
    assert seat.there.apart.min() > 1000


def test_what_is_no_skin_is_left_out_of_what_is_compared():
    alpha, bare = np.zeros((32, 32), np.uint8), np.full((32, 32), 255, np.uint8)
    alpha[:, 8:], bare[10:20] = 200, 30
    device, seat = CpuDevice(), Seat(CpuDevice(), 32, 32)
    for given, wanted in ((bare, bare), (None, np.full_like(bare, 255))):
        face = DeviceFace(0, MATRIX, alpha=alpha, bare=given)
        seat.place(face, np.full((32, 32), 255, np.uint8), SIZE)
        device.upload(seat.block, out=seat.there.whole, stream=None)
        np.testing.assert_array_equal(seat.there.bare, wanted)
        np.testing.assert_array_equal(seat.there.skin, np.minimum(alpha, wanted))
        np.testing.assert_array_equal(seat.there.alpha, alpha)
