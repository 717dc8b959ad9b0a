"""Which cameras there are, which one a person means, and who is using it."""

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from realtime.errors import CameraError


@dataclass(frozen=True, slots=True)
class CameraDevice:
    """A camera as the system knows it.

    Attributes:
        index: number within its backend.
        name: as its maker calls it.
        path: device file on Linux, an opaque name elsewhere; empty where unknown.
        backend: OpenCV's number of the capture interface, ``cv2.CAP_…``.
    """

    index: int
    name: str
    path: str
    backend: int


def backends(platform: str = sys.platform) -> tuple[int, ...]:
    """OpenCV capture interfaces of a platform, in the order in which they are tried."""
    if platform == "win32":
        # DirectShow opens in a fraction of a second and gives MJPG; some devices are known to
        # Media Foundation alone.
        return (cv2.CAP_DSHOW, cv2.CAP_MSMF)
    if platform == "darwin":
        return (cv2.CAP_AVFOUNDATION,)
    return (cv2.CAP_V4L2,)


def list_cameras() -> list[CameraDevice]:
    """Lists the cameras of this machine, in the order of their numbers."""
    # Loaded late: on Windows and macOS it brings system libraries in.
    from cv2_enumerate_cameras import enumerate_cameras

    found = [
        CameraDevice(info.index, str(info.name), str(info.path or ""), backend)
        for backend in backends()
        for info in enumerate_cameras(backend)
    ]
    return sorted(found, key=lambda camera: (camera.backend, camera.index))


def candidates(
    device: int | str, cameras: Sequence[CameraDevice], platform: str = sys.platform
) -> list[tuple[int, int]]:
    """Says what to open for what a person wrote.

    Args:
        device: number, device path, or a part of a camera's name in any case.
        cameras: those that exist.
        platform: as ``sys.platform``.

    Returns:
        Pairs of index and backend, to be tried in this order.

    Raises:
        CameraError: no camera or several have such a name.
    """
    text = str(device).strip()
    if text.isdecimal():
        return [(int(text), backend) for backend in backends(platform)]
    path = Path(text)
    number = re.fullmatch(r"video(\d+)", path.resolve().name) if path.is_absolute() else None
    if number is not None:
        return [(int(number[1]), backend) for backend in backends(platform)]
    wanted = text.casefold()
    matching = [camera for camera in cameras if text == camera.path]
    matching = matching or [camera for camera in cameras if camera.name.casefold() == wanted]
    matching = matching or [camera for camera in cameras if wanted in camera.name.casefold()]
    if not text or not matching:
        raise CameraError(f"camera {text!r}: must be one that exists, got none. {listing(cameras)}")
    if len({camera.name for camera in matching}) > 1 or _same_name_twice(matching):
        raise CameraError(
            f"camera {text!r}: must mean one camera, got {len(matching)}. "
            f"Give its number. {listing(matching)}"
        )
    return [(camera.index, camera.backend) for camera in matching]


def _same_name_twice(cameras: Iterable[CameraDevice]) -> bool:
    """Whether one backend has several cameras among these; two backends may name the same one."""
    seen = [camera.backend for camera in cameras]
    return len(seen) != len(set(seen))


def listing(cameras: Sequence[CameraDevice]) -> str:
    """One sentence that names the cameras that exist, for the end of a message."""
    if not cameras:
        return "No camera is known to the system: plug one in, or use --camera synthetic."
    names = dict.fromkeys(f"{camera.index} ({camera.name})" for camera in cameras)
    return f"There are: {', '.join(names)}."
