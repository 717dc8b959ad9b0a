"""Which device computes, and how many threads it may take for one call."""

from typing import Literal

import cv2

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
    """Sets how many threads one OpenCV call may spread over, for the whole process."""
    cv2.setNumThreads(threads)
