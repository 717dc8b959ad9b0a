import numpy as np
import pytest

from cuda_kernels.launch import (
    check_arguments,
    dense,
    expect_scratch,
    expect_shape,
    num_blocks,
    row_step,
)
from cuda_kernels.source import kernels_of

FILL = kernels_of(
    'extern "C" __global__ void fill(unsigned char* __restrict__ out, int num, float value) {}'
)["fill"]


def test_blocks_cover_an_extent_that_they_do_not_divide():
    assert num_blocks((33, 8, 1), (32, 8, 1)) == (2, 1, 1)
    assert num_blocks((1, 17, 3), (32, 8, 1)) == (1, 3, 3)


def test_a_rows_step_counts_elements_of_padded_rows_too():
    image = np.zeros((4, 10, 3), np.float32)
    assert row_step("image", image, np.float32, 3) == 30
    assert row_step("image", image[:, 2:6], np.float32, 3) == 30
    assert row_step("image", image[:1, 2:6], np.float32, 3) == 12


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 5, 3), np.uint8),
        np.zeros((4, 5), np.float32),
        np.zeros((4, 10, 3), np.float32)[:, ::2],
        np.zeros((4, 5, 4), np.float32)[..., :3],
        np.zeros((4, 5, 3), np.float32)[::-1],
    ],
    ids=["another type", "two dimensions", "every other pixel", "three of four", "upside down"],
)
def test_a_picture_that_a_kernel_would_misread_is_refused(image):
    with pytest.raises(ValueError, match="image: must be float32 with 3 dimensions"):
        row_step("image", image, np.float32, 3)


def test_a_shape_that_does_not_fit_is_refused():
    expect_shape("mask", np.zeros((2, 3)), (2, 3))
    with pytest.raises(ValueError, match=r"mask: must have shape \(2, 3\), got \(3, 2\)"):
        expect_shape("mask", np.zeros((3, 2)), (2, 3))


def test_views_with_gaps_and_scratch_that_is_too_small_are_refused():
    whole = np.zeros((4, 6), np.float32)
    assert dense("mask", whole, (4, 6)) is whole
    with pytest.raises(ValueError, match="mask: must be C-contiguous"):
        dense("mask", whole[:, :3], (4, 3))
    expect_scratch("blend", whole.reshape(-1), 24)
    for scratch in (whole.reshape(-1), whole, np.zeros(60, np.float32)[::2]):
        with pytest.raises(ValueError, match="blend: scratch must be dense and have 25 elements"):
            expect_scratch("blend", scratch, 25)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([np.zeros(3, np.uint8), np.int32(3)], "must get 3 arguments, got 2"),
        ([np.zeros(3, np.int8), np.int32(3), np.float32(1)], "out must be an array of uint8"),
        ([np.zeros(3, np.uint8), np.int64(3), np.float32(1)], "num must be a number of int32"),
        ([np.zeros(3, np.uint8), np.int32(3), np.zeros(1, np.float32)], "value must be a number"),
        ([np.uint8(3), np.int32(3), np.float32(1)], "out must be an array of uint8"),
    ],
)
def test_arguments_that_are_not_the_kernels_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        check_arguments("fill", FILL, arguments)


def test_those_that_are_pass():
    check_arguments("fill", FILL, [np.zeros(3, np.uint8), np.int32(3), np.float32(1)])
