"""Which device computes, and how many threads it may take for one call."""

from typing import Literal

import cv2
from threadpoolctl import threadpool_limits

from realtime.errors import ConfigError


def choose_device(kind: Literal["auto", "cpu", "cuda"]) -> Literal["cpu"]:
    """The device that will really be used; this version computes on the processor.

    Raises:
        ConfigError: another device is demanded.
    """
    if kind == "cuda":
        raise ConfigError(
            "device.kind",
            "this version of rt-swap computes on the processor only, got 'cuda'. "
            "Use --device cpu or auto.",
        )
    return "cpu"


def limit_threads(threads: int) -> None:
    """Sets how many threads one call may spread over, for the whole process.

    Matrix products always keep to one: theirs are small, and a thread of the library's pool that
    waits for its share of one keeps a core busy meanwhile.

    Args:
        threads: of one OpenCV call.
    """
    cv2.setNumThreads(threads)
    threadpool_limits(limits=1, user_api="blas")
