"""Which device computes, and how many threads it may take for one call."""

from typing import Literal

import cv2
from threadpoolctl import threadpool_limits

from engines.opener import DeviceKind, settled_device
from realtime.errors import ConfigError


def choose_device(kind: DeviceKind, *, has_networks: bool) -> Literal["cpu", "cuda"]:
    """The device that swapping networks will really run on.

    Args:
        kind: what is asked for.
        has_networks: whether there are any; all else is computed on the processor.

    Raises:
        ConfigError: the GPU is demanded, and there is nothing that runs on one.
        ModelError: the GPU is demanded, and nothing runs networks on one here.
    """
    if has_networks:
        return settled_device(kind, "--device cuda")
    if kind == "cuda":
        raise ConfigError(
            "device.kind",
            "without a swapping network all is computed on the processor, got 'cuda'. "
            "Use --device cpu or auto, or choose one with --swapper.",
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
