"""Whether there is an NVIDIA GPU that can be used, asked of the driver itself."""

import ctypes
import sys

DRIVER = {"win32": "nvcuda.dll"}.get(sys.platform, "libcuda.so.1")
SUCCESS = 0
# CUdevice_attribute of the CUDA driver API.
_COMPUTE_CAPABILITY_MAJOR = 75
_COMPUTE_CAPABILITY_MINOR = 76


def compute_capability(library: str = DRIVER) -> tuple[int, int] | None:
    """Major and minor compute capability of the first GPU, for example (8, 9).

    Args:
        library: the driver's shared library.

    Returns:
        None where there is no driver or no GPU.
    """
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return None
    device, count = ctypes.c_int(), ctypes.c_int()
    if driver.cuInit(0) != SUCCESS or driver.cuDeviceGetCount(ctypes.byref(count)) != SUCCESS:
        return None
    if count.value < 1 or driver.cuDeviceGet(ctypes.byref(device), 0) != SUCCESS:
        return None
    values = []
    for attribute in (_COMPUTE_CAPABILITY_MAJOR, _COMPUTE_CAPABILITY_MINOR):
        value = ctypes.c_int()
        if driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device) != SUCCESS:
            return None
        values.append(value.value)
    return values[0], values[1]
