import numpy as np
import pytest

from cuda_kernels.source import kernels_of, read_source

KERNEL = """
extern "C" __global__ void both(const unsigned char* __restrict__ image, float* out,
                                int width, unsigned long long total) {}
extern "C" __global__ void one(int num) {}
"""


def test_a_kernels_parameters_are_read_off_its_source():
    kernels = kernels_of(KERNEL)
    assert list(kernels) == ["both", "one"]
    assert [(p.name, p.dtype, p.is_array, p.is_written) for p in kernels["both"]] == [
        ("image", np.uint8, True, False),
        ("out", np.float32, True, True),
        ("width", np.int32, False, False),
        ("total", np.uint64, False, False),
    ]


def test_a_type_that_python_could_not_hand_over_is_refused():
    text = KERNEL.replace("int num", "double num")
    with pytest.raises(
        ValueError, match=r"one: a parameter must have one of the types.*'double num"
    ):
        kernels_of(text)


def test_a_source_comes_whole():
    text = read_source("convert")
    assert 'extern "C" __global__ void bgr_from_planes' in text
    assert "#include" not in text


def test_a_source_that_is_not_there_is_told():
    with pytest.raises(FileNotFoundError):
        read_source("nothing")
