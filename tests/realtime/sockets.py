"""A camera that can be unplugged."""

import threading
import time
from collections.abc import Callable

import cv2
import numpy as np

from realtime.sources.camera import Camera
from realtime.sources.devices import CameraDevice
from realtime.sources.whereabouts import Place

KNOWN = CameraDevice(0, "Fake Camera", "/dev/video0", cv2.CAP_V4L2)


def picture(value: int) -> np.ndarray:
    return np.full((48, 64, 3), value % 256, np.uint8)


class Socket:
    """A camera that can be unplugged; what its driver does then differs.

    Args:
        unplugged: what a read does then: it ``fails`` at once, ``blocks``, or ``repeats`` the
            last picture.
    """

    period_s = 0.005

    def __init__(self, unplugged: str = "fails") -> None:
        self.unplugged = unplugged
        self.plugged = threading.Event()
        self.plugged.set()
        self.mark = 1
        self.num_opened = 0
        self.num_pictures = 0
        self.unblocked = threading.Event()

    def __call__(self, index: int, backend: int) -> "Socket":
        self.num_opened += 1
        return self

    def isOpened(self) -> bool:  # noqa: N802
        return True

    def set(self, prop: int, value: float) -> bool:
        return True

    def get(self, prop: int) -> float:
        return 30.0 if prop == cv2.CAP_PROP_FPS else 0.0

    def read(self):
        time.sleep(self.period_s)
        if self.plugged.is_set():
            self.num_pictures += 1
        elif self.unplugged == "blocks":
            self.unblocked.wait(20)
        delivered = self.plugged.is_set() or self.unplugged == "repeats"
        return delivered, picture(self.num_pictures)

    def release(self) -> None:
        """There is no device."""

    def where(self, identity, cameras) -> Place | None:
        return Place(0, cv2.CAP_V4L2, self.mark) if self.plugged.is_set() else None

    def unplug(self) -> None:
        self.plugged.clear()

    def plug(self) -> None:
        self.mark += 1
        self.plugged.set()


def opened(socket: Socket) -> Camera:
    source = Camera(
        0, (64, 48), capture=socket, cameras=lambda: [KNOWN], where=socket.where, stall_timeout_s=1
    )
    source.open()
    return source


def seconds_until(holds: Callable[[], bool]) -> float:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < 10
        time.sleep(0.005)
    return time.monotonic() - began
