"""The kernels' sources under the address sanitizer, in a process of their own that preloads it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

_HERE = Path(__file__).parent
_IS_INSIDE = "CUDA_KERNELS_SANITIZE" in os.environ

OVERRUN = """
extern "C" __global__ void overrun(unsigned char* __restrict__ out, int num) {
    int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index <= num) out[index] = 1;
}
"""


def sanitized(*arguments):
    """Runs tests in a process with the sanitizer; they compile their sources with it, too."""
    libraries = [
        subprocess.run(
            ["g++", f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    if not all(Path(library).is_absolute() for library in libraries):
        pytest.skip("needs g++'s address sanitizer")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", *arguments],
        cwd=_HERE.parents[1],
        env={
            **os.environ,
            "CUDA_KERNELS_SANITIZE": "1",
            "LD_PRELOAD": " ".join(libraries),
            # Python itself lets go of little at its end.
            "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0:allocator_may_return_null=1",
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(_IS_INSIDE, reason="runs the others")
def test_no_kernel_reads_or_writes_past_its_arrays(shim):
    done = sanitized("-k", "not sanitizer", str(_HERE))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "AddressSanitizer" not in done.stderr


@pytest.mark.skipif(_IS_INSIDE, reason="runs the others")
def test_the_sanitizer_would_see_it(shim):
    done = sanitized("-k", "writes_one_byte_too_many", str(Path(__file__)))
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr
    assert "overrun" in done.stderr


@pytest.mark.skipif(not _IS_INSIDE, reason="ends the process")
def test_a_kernel_that_writes_one_byte_too_many_ends_the_process(shim):
    shim.compile("overrun", OVERRUN, OVERRUN)
    # Beyond what NumPy keeps in its own cache of small blocks.
    out = np.zeros(5000, np.uint8)
    shim.launch("overrun", "overrun", [out, np.int32(5000)], extent=(5001, 1, 1))
