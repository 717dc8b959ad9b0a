"""A virtual camera as a sink: other programs see the pictures as those of a webcam."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.errors import SinkError
from realtime.frame import Image, PictureSpec
from realtime.open_files import holders


class CameraOutput(Protocol):
    """The part of ``pyvirtualcam.Camera`` that is used."""

    def send(self, frame: NDArray[np.uint8]) -> None:
        """Shows a picture in the format that was asked for."""
        ...

    def close(self) -> None:
        """Lets the device go."""
        ...


OpenCamera = Callable[..., CameraOutput]
"""Opens a device: ``(width, height, fps, *, fmt, device, backend)``; ``fmt`` is ``"I420"`` or
``"BGR"``. Raises RuntimeError where it cannot."""


def open_pyvirtualcam(
    width: int, height: int, fps: float, *, fmt: str, device: str | None, backend: str | None
) -> CameraOutput:
    """Opens a device with pyvirtualcam.

    Raises:
        SinkError: pyvirtualcam is not installed.
        RuntimeError: the device cannot be opened.
    """
    try:
        # Optional (its licence is GPL), hence loaded where it is asked for.
        import pyvirtualcam
    except ImportError as error:
        raise SinkError(
            "virtual camera: pyvirtualcam must be installed, got no such package. "
            "Run: pip install 'rt-swap[vcam]', or write a file with --output out.mp4."
        ) from error
    output: CameraOutput = pyvirtualcam.Camera(
        width, height, fps, fmt=pyvirtualcam.PixelFormat[fmt], device=device, backend=backend
    )
    return output


class VirtualCamera:
    """Sends every picture to a virtual camera device at once; keeping the pace is the caller's.

    On Linux pictures go out as I420, BT.601, limited range, which is what v4l2loopback's readers
    assume; elsewhere pyvirtualcam converts to what the device wants. Chrome and other readers need
    even sizes, so an odd last column or row is left out. With ``exclusive_caps=1`` the device looks
    like a camera only while pictures are sent: start this before the program that is to see it.
    """

    def __init__(
        self,
        device: str | None = None,
        *,
        backend: str | None = None,
        camera: OpenCamera = open_pyvirtualcam,
        platform: str = sys.platform,
    ) -> None:
        """Names the device; nothing is opened before ``open``.

        Args:
            device: such as ``/dev/video10`` or ``OBS Virtual Camera``; None for the first free one.
            backend: pyvirtualcam's name of the interface; None for any.
            camera: opens the device.
            platform: as ``sys.platform``.
        """
        self._device = device
        self._backend = backend
        self._open_camera = camera
        self._platform = platform
        self._output: CameraOutput | None = None
        self._size = (0, 0)
        self._i420: NDArray[np.uint8] | None = None

    def open(self, spec: PictureSpec) -> None:
        """Opens the device for pictures of one size and rate.

        Raises:
            SinkError: pyvirtualcam or the device is missing, or the device is busy.
        """
        self._size = (spec.width - spec.width % 2, spec.height - spec.height % 2)
        if min(self._size) == 0:
            raise SinkError(
                f"virtual camera: pictures must have at least 2×2 pixels, got {spec.width}×"
                f"{spec.height}. Give a --size."
            )
        width, height = self._size
        is_linux = self._platform == "linux"
        self._i420 = np.empty((height * 3 // 2, width), np.uint8) if is_linux else None
        try:
            self._output = self._open_camera(
                width,
                height,
                float(spec.rate_hz),
                fmt="I420" if is_linux else "BGR",
                device=self._device,
                backend=self._backend,
            )
        except (RuntimeError, OSError, KeyError) as error:
            raise SinkError(self._cannot_open(error)) from error

    def send(self, image: Image, media_ns: int) -> None:  # noqa: ARG002
        """Shows one picture at once.

        Args:
            image: ``(H, W, 3) u8 BGR`` of the size told at ``open``.
            media_ns: not needed; a camera shows what it has now.

        Raises:
            SinkError: the device is closed or gone.
        """
        if self._output is None:
            raise SinkError("virtual camera: must be open to show pictures. Open it first.")
        picture = image[: self._size[1], : self._size[0]]
        if self._i420 is not None:
            cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420, dst=self._i420)
            picture = self._i420
        try:
            self._output.send(np.ascontiguousarray(picture))
        except (RuntimeError, OSError) as error:
            raise SinkError(
                f"{self._where()}: must stay connected, got: {_one_line(error)} "
                "Start again once the device is back."
            ) from error

    def close(self) -> None:
        """Lets the device go."""
        output, self._output = self._output, None
        if output is not None:
            output.close()

    def _where(self) -> str:
        return f"virtual camera {self._device}" if self._device else "virtual camera"

    def _cannot_open(self, error: Exception) -> str:
        text = _one_line(error)
        lower = text.casefold()
        if "permission" in lower:
            return (
                f"{self._where()}: must be writable, got no permission. "
                "Run: sudo usermod -aG video $USER, and log in again."
            )
        users = holders(Path(self._device)) if self._device and self._platform == "linux" else []
        if users or any(word in lower for word in ("busy", "in use", "already started")):
            who = f" by {', '.join(users)}" if users else ""
            return (
                f"{self._where()}: must be free, got it in use{who}. "
                "Close that program or name another device with --virtual-camera."
            )
        return f"{self._where()}: a virtual camera device must exist, got: {text} {self._cure()}"

    def _cure(self) -> str:
        """How to get a virtual camera on this platform."""
        if self._platform == "linux":
            number = "".join(filter(str.isdigit, Path(self._device or "").name)) or "10"
            return (
                f"Run: sudo modprobe v4l2loopback video_nr={number} exclusive_caps=1 "
                "card_label=rt-swap (package v4l2loopback-dkms)."
            )
        if self._platform == "darwin":
            return (
                "Install OBS 30 or newer, press Start Virtual Camera there once, allow the system "
                "extension, and quit OBS."
            )
        return "Install OBS 28 or newer; it brings the OBS Virtual Camera. Then close OBS."


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if text.endswith(".") else f"{text}."
