"""A camera as a source of pictures."""

import logging
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from realtime.errors import CameraError, MediaError
from realtime.frame import Image, PictureSpec
from realtime.letterbox import letterbox
from realtime.open_files import holders
from realtime.sources.devices import CameraDevice, candidates, list_cameras, listing

_RETRY_S = 0.01
_RELEASE_TIMEOUT_S = 0.3

_log = logging.getLogger(__name__)


class Capture(Protocol):
    """The part of ``cv2.VideoCapture`` that is used."""

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        """Whether the device is open."""
        ...

    def set(self, prop: int, value: float) -> bool:
        """Asks for a setting."""
        ...

    def get(self, prop: int) -> float:
        """Reads a setting; 0 where it is unknown."""
        ...

    def read(self) -> tuple[bool, Any]:
        """Waits for the next picture."""
        ...

    def release(self) -> None:
        """Lets the device go."""
        ...


def bgr_picture(array: Any) -> Image:
    """Makes BGR of whatever a camera driver delivers.

    Args:
        array: of one, three or four channels, 8 or 16 bits.

    Returns:
        ``(H, W, 3) u8 BGR``; the array itself where it is that already.

    Raises:
        MediaError: there is no picture in it.
    """
    usable = isinstance(array, np.ndarray) and array.ndim in (2, 3) and array.size > 0
    if not usable or array.dtype not in (np.uint8, np.uint16):
        got = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else "nothing"
        raise MediaError(f"camera: must deliver pictures, got {got}. Check cable and driver.")
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    channels = 1 if array.ndim == 2 else array.shape[2]
    if channels == 3:
        return np.asarray(array, np.uint8)
    if channels == 1:
        return np.asarray(cv2.cvtColor(array, cv2.COLOR_GRAY2BGR), np.uint8)
    if channels == 4:
        return np.asarray(cv2.cvtColor(array, cv2.COLOR_BGRA2BGR), np.uint8)
    raise MediaError(
        f"camera: pictures must have 1, 3 or 4 channels, got {channels}. Choose another format."
    )


class Camera:
    """A camera behind OpenCV, read by a thread of its own so that the newest picture is at hand.

    The thread opens, reads and releases the device, since capture interfaces want to be used from
    one thread, and since a driver that hangs can then be left behind. ``fill`` waits for a picture
    that is newer than the last one.
    """

    def __init__(
        self,
        device: int | str,
        size: tuple[int, int] = (1280, 720),
        rate_hz: Fraction | int = 30,
        *,
        capture: Callable[[int, int], Capture] = cv2.VideoCapture,
        cameras: Callable[[], Sequence[CameraDevice]] = list_cameras,
        clock: Callable[[], int] = time.monotonic_ns,
        open_timeout_s: float = 4.5,
        stall_timeout_s: float = 2.0,
    ) -> None:
        """Names the camera; nothing is opened before ``open``.

        Args:
            device: number, device path, or a part of the camera's name.
            size: wanted width and height in pixels; the camera may give another.
            rate_hz: wanted pictures per second.
            capture: opens a device by index and backend.
            cameras: lists the cameras that exist.
            clock: monotonic nanoseconds.
            open_timeout_s: how long opening and the first picture may take.
            stall_timeout_s: how long no picture may come before the camera counts as gone.
        """
        self._device = device
        self._size = size
        self._rate_hz = Fraction(rate_hz)
        self._capture = capture
        self._cameras = cameras
        self._clock = clock
        self._open_timeout_s = open_timeout_s
        self._stall_timeout_s = stall_timeout_s
        self._closed = threading.Event()
        self._reading: threading.Thread | None = None
        # Guards what the reading thread hands over: the newest picture, its number and its time.
        self._news = threading.Condition()
        self._newest: Any = None
        self._num_read = 0
        self._read_ns = 0
        self._ended = False
        self._opened = False
        self._negotiated_hz = 0.0
        self._fourcc = ""
        self._num_taken = 0
        self._first_ns: int | None = None

    def open(self) -> PictureSpec:
        """Opens the camera and waits for its first picture, whose size is the stream's.

        Raises:
            CameraError: it is missing, busy, or delivers nothing; within five seconds.
        """
        cameras = self._cameras()
        wanted = candidates(self._device, cameras)
        self._reading = threading.Thread(
            target=self._read, args=(wanted,), name="camera reader", daemon=True
        )
        self._reading.start()
        with self._news:
            self._news.wait_for(lambda: self._num_read or self._ended, self._open_timeout_s)
            started, opened, picture = self._num_read > 0, self._opened, self._newest
        if not started:
            self.close()
            raise CameraError(self._cannot_open(wanted, opened, cameras))
        try:
            height, width = bgr_picture(picture).shape[:2]
        except MediaError as error:
            self.close()
            raise CameraError(f"camera {self._device}: {error}") from error
        known = 1 <= self._negotiated_hz <= 1000
        rate_hz = Fraction(self._negotiated_hz).limit_denominator(1001) if known else self._rate_hz
        _log.info(
            "camera %s: %d×%d at %.4g Hz, %s.",
            self._device,
            width,
            height,
            rate_hz,
            self._fourcc or "format unknown",
        )
        return PictureSpec(width=width, height=height, rate_hz=rate_hz, live=True)

    def fill(self, image: Image) -> int | None:
        """Waits for the next picture; see ``realtime.stage.Source``.

        Raises:
            MediaError: the camera delivered something that is no picture.
            CameraError: no picture came for two seconds.
        """
        with self._news:
            self._news.wait_for(
                lambda: self._num_read > self._num_taken or self._ended or self._closed.is_set(),
                self._stall_timeout_s,
            )
            if self._closed.is_set():
                return None
            if self._num_read == self._num_taken:
                raise CameraError(
                    f"camera {self._device}: must deliver pictures, got none for "
                    f"{self._stall_timeout_s:g} s. Check its cable and whether it sleeps."
                )
            picture, read_ns = self._newest, self._read_ns
            self._num_taken = self._num_read
        # The reading thread makes a new array for each picture, so this one stays as it is.
        letterbox(bgr_picture(picture), out=image)
        if self._first_ns is None:
            self._first_ns = read_ns
        return read_ns - self._first_ns

    def close(self) -> None:
        """Ends a blocked ``fill`` and lets the device go; a driver that hangs is left behind."""
        self._closed.set()
        with self._news:
            self._news.notify_all()
        if self._reading is not None:
            self._reading.join(_RELEASE_TIMEOUT_S)

    def _read(self, wanted: Sequence[tuple[int, int]]) -> None:
        """The reading thread: opens the first device that opens, and hands its pictures over."""
        capture = None
        try:
            capture = self._open_first(wanted)
            if capture is not None:
                self._configure(capture)
                with self._news:
                    self._opened = True
                self._hand_over(capture)
        except cv2.error as error:
            _log.warning("camera %s: OpenCV gave up (%s).", self._device, error.err)
        finally:
            if capture is not None:
                capture.release()
            with self._news:
                self._ended = True
                self._news.notify_all()

    def _open_first(self, wanted: Sequence[tuple[int, int]]) -> Capture | None:
        # OpenCV writes its own account of a missing camera to stderr; ours says more.
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            for index, backend in wanted:
                capture = self._capture(index, backend)
                if capture.isOpened():
                    return capture
                capture.release()
        finally:
            cv2.utils.logging.setLogLevel(level)
        return None

    def _configure(self, capture: Capture) -> None:
        # Uncompressed 720p does not fit USB 2 at 30 Hz, so MJPG is asked for before the size.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._size[1])
        capture.set(cv2.CAP_PROP_FPS, float(self._rate_hz))
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self._negotiated_hz = capture.get(cv2.CAP_PROP_FPS)
        self._fourcc = _fourcc(capture.get(cv2.CAP_PROP_FOURCC))

    def _hand_over(self, capture: Capture) -> None:
        while not self._closed.is_set():
            delivered, picture = capture.read()
            if not delivered:
                # A failing read may return at once; fill() keeps the time and gives up.
                self._closed.wait(_RETRY_S)
                continue
            with self._news:
                self._newest = picture
                self._read_ns = self._clock()
                self._num_read += 1
                self._news.notify_all()

    def _cannot_open(
        self, wanted: Sequence[tuple[int, int]], opened: bool, cameras: Sequence[CameraDevice]
    ) -> str:
        where = f"camera {self._device}"
        path = Path(f"/dev/video{wanted[0][0]}")
        on_linux = sys.platform == "linux"
        known = any(camera.index == wanted[0][0] for camera in cameras)
        if not (known or opened or (on_linux and path.exists())):
            return f"{where}: must exist, got no such camera. {listing(cameras)}"
        if on_linux and not os.access(path, os.R_OK | os.W_OK):
            return (
                f"{where}: {path} must be readable and writable, got no permission. "
                "Run: sudo usermod -aG video $USER, and log in again."
            )
        users = [user for user in holders(path) if not user.endswith(f"({os.getpid()})")]
        if users:
            return (
                f"{where}: must be free, got it in use by {', '.join(users)}. Close that program."
            )
        what = "no picture" if opened else "no answer"
        return (
            f"{where}: must deliver pictures, got {what} within {self._open_timeout_s:g} s. "
            f"Close other programs that use it, or unplug it and plug it in. {listing(cameras)}"
        )


def _fourcc(code: float) -> str:
    """The four letters of a pixel format; empty where the driver does not know it."""
    if not math.isfinite(code) or code <= 0:
        return ""
    letters = (int(code) & 0xFFFFFFFF).to_bytes(4, "little").decode("ascii", "replace")
    return letters.strip("\0 ")
