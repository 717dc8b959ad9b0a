"""A virtual camera as a sink: other programs see the pictures as those of a webcam."""

import errno
import sys
from fractions import Fraction
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from realtime.errors import SinkError
from realtime.frame import Image, PictureSpec
from realtime.letterbox import letterbox
from realtime.open_files import holders
from realtime.sinks.packing import Packed, Packer
from realtime.sinks.v4l2_output import open_v4l2
from realtime.v4l2 import PixelLayout

Backend = Literal["auto", "v4l2", "pyvirtualcam"]
"""What writes to the device; ``auto``: our own writer on Linux, pyvirtualcam elsewhere."""


class CameraOutput(Protocol):
    """An open virtual camera."""

    @property
    def layout(self) -> PixelLayout:
        """Format and size of the pictures it takes."""
        ...

    def send(self, picture: Packed) -> None:
        """Shows a picture in that layout."""
        ...

    def close(self) -> None:
        """Lets the device go."""
        ...


class OpenCamera(Protocol):
    """Opens a virtual camera; what it takes may differ from what was asked for."""

    def __call__(
        self, width: int, height: int, rate_hz: Fraction, *, device: str | None
    ) -> CameraOutput:
        """Raises RuntimeError or OSError where it cannot."""
        ...


class PyvirtualcamOutput:
    """A device behind pyvirtualcam.

    Attributes:
        layout: the pictures it takes.

    Raises:
        SinkError: pyvirtualcam is not installed.
        RuntimeError: the device cannot be opened.
    """

    def __init__(
        self,
        width: int,
        height: int,
        rate_hz: Fraction,
        *,
        device: str | None,
        platform: str = sys.platform,
    ) -> None:
        try:
            # Optional (its licence is GPL), hence loaded where it is asked for.
            import pyvirtualcam
        except ImportError as error:
            raise SinkError(
                "virtual camera: pyvirtualcam must be installed, got no such package. "
                "Run: pip install 'rt-swap[vcam]', or write a file with --output out.mp4."
            ) from error
        # Elsewhere pyvirtualcam itself converts to what the device wants.
        native = platform == "linux"
        self.layout = PixelLayout("YU12" if native else "BGR3", width, height)
        form = pyvirtualcam.PixelFormat.I420 if native else pyvirtualcam.PixelFormat.BGR
        self._camera = pyvirtualcam.Camera(width, height, float(rate_hz), fmt=form, device=device)

    def send(self, picture: Packed) -> None:
        """Shows a picture."""
        self._camera.send(picture)

    def close(self) -> None:
        """Lets the device go."""
        self._camera.close()


class VirtualCamera:
    """Sends every picture to a virtual camera device at once; keeping the pace is the caller's.

    On Linux pictures go out as I420, BT.601, limited range, which is what v4l2loopback's readers
    assume. A device that takes another format or size gets that; pictures of another shape get
    black bars. Chrome and other readers need even sizes, so an odd last column or row is left out.
    With ``exclusive_caps=1`` the device looks like a camera only while pictures are sent: start
    this before the program that is to see it.
    """

    def __init__(
        self,
        device: str | None = None,
        *,
        backend: Backend = "auto",
        camera: OpenCamera | None = None,
        platform: str = sys.platform,
    ) -> None:
        """Names the device; nothing is opened before ``open``.

        Args:
            device: such as ``/dev/video10`` or ``OBS Virtual Camera``; None for the first free one.
            backend: what writes to it.
            camera: opens the device; None: the backend does.
            platform: as ``sys.platform``.
        """
        self._device = device
        self._open_camera = camera or _opener(backend, platform)
        self._platform = platform
        self._output: CameraOutput | None = None
        self._size = (0, 0)
        self._packer: Packer | None = None
        self._fitted: Image | None = None

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
        try:
            output = self._open_camera(*self._size, spec.rate_hz, device=self._device)
        except (RuntimeError, OSError, KeyError) as error:
            raise SinkError(self._cannot_open(error)) from error
        layout = output.layout
        self._output = output
        self._packer = Packer(layout.fourcc, layout.width, layout.height)
        fits = (layout.width, layout.height) == self._size
        self._fitted = None if fits else np.zeros((layout.height, layout.width, 3), np.uint8)

    def send(self, image: Image, media_ns: int) -> None:  # noqa: ARG002
        """Shows one picture at once.

        Args:
            image: ``(H, W, 3) u8 BGR`` of the size told at ``open``.
            media_ns: not needed; a camera shows what it has now.

        Raises:
            SinkError: the device is closed or gone.
        """
        if self._output is None or self._packer is None:
            raise SinkError("virtual camera: must be open to show pictures. Open it first.")
        picture = image[: self._size[1], : self._size[0]]
        if self._fitted is not None:
            letterbox(picture, out=self._fitted)
            picture = self._fitted
        try:
            self._output.send(self._packer.pack(picture))
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
        if _is_busy(error, lower, held=bool(users)):
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


def _opener(backend: Backend, platform: str) -> OpenCamera:
    if backend == "v4l2" or (backend == "auto" and platform == "linux"):
        return open_v4l2
    return PyvirtualcamOutput


def _is_busy(error: Exception, text: str, *, held: bool) -> bool:
    if isinstance(error, OSError) and error.errno is not None:
        # Somebody who reads a device has it open too, and does no harm.
        return error.errno == errno.EBUSY
    return held or any(word in text for word in ("busy", "in use", "already started"))


def _one_line(error: Exception) -> str:
    told = error.strerror if isinstance(error, OSError) else None
    text = " ".join((told or str(error)).split()) or type(error).__name__
    return text if text.endswith(".") else f"{text}."
