"""What the shim promises: barriers hold, and no order of threads or blocks does."""

import numpy as np
import pytest

BLOCK = (64, 2, 1)

REVERSE = """
extern "C" __global__ void reverse(const int* values, int* out) {
    __shared__ int own[128];
    int thread = threadIdx.y * 64 + threadIdx.x;
    int first = (blockIdx.y * gridDim.x + blockIdx.x) * 128;
    own[thread] = values[first + thread];
    __syncthreads();
    int beside = own[127 - thread];
    __syncthreads();
    own[thread] = 2 * beside;
    __syncthreads();
    out[first + thread] = own[(thread + 1) % 128];
}
"""

ORDER = """
extern "C" __global__ void order(unsigned int* num, unsigned int* out) {
    int block = blockIdx.y * gridDim.x + blockIdx.x;
    out[block * 128 + threadIdx.y * 64 + threadIdx.x] = atomicAdd(num, 1u);
}
"""


def test_what_is_written_before_a_barrier_is_read_after_it(shim):
    shim.compile("reverse", REVERSE, REVERSE)
    values = np.random.default_rng(1).integers(0, 1000, (6, 128), np.int32)
    out = np.zeros_like(values)
    shim.launch("reverse", "reverse", [values, out], extent=(192, 4, 1), block=BLOCK)
    np.testing.assert_array_equal(out, np.roll(2 * values[:, ::-1], -1, axis=1))


def test_every_thread_runs_once_and_in_no_usual_order(shim):
    shim.compile("order", ORDER, ORDER)
    num, out = np.zeros(1, np.uint32), np.zeros((6, 128), np.uint32)
    shim.launch("order", "order", [num, out], extent=(192, 4, 1), block=BLOCK)
    assert sorted(out.flat) == list(range(768))
    assert (np.diff(out.astype(int), axis=1) < 0).all()
    assert (np.diff(out[:, 0].astype(int)) < 0).any()
    assert out[0, 0] != out.min()


def test_arguments_are_checked_before_a_launch(shim):
    shim.compile("order", ORDER, ORDER)
    arguments = [np.zeros(1, np.uint32), np.zeros(128, np.int32)]
    with pytest.raises(ValueError, match="out must be an array of uint32, got ndarray of int32"):
        shim.launch("order", "order", arguments, extent=BLOCK, block=BLOCK)
