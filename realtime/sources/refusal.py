"""Why a camera could not be opened, and what mends it."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from realtime.open_files import holders
from realtime.sources.devices import CameraDevice, listing
from realtime.v4l2 import Capability, query_path

VIRTUAL = Path("/sys/devices/virtual/video4linux")
"""Where Linux shows the video devices that no hardware stands behind."""


def why_not(
    index: int,
    cameras: Sequence[CameraDevice],
    *,
    opened: bool,
    waited_s: float,
    virtual: Path = VIRTUAL,
    query: Callable[[Path], Capability | None] = query_path,
) -> str:
    """Says why a camera could not be opened.

    Args:
        index: its number.
        cameras: those that exist.
        opened: whether the system said that it was open.
        waited_s: how long a picture was waited for.
        virtual: the system's folder of virtual devices.
        query: says what a device is.

    Returns:
        What must hold, what was found, and what to do, without the camera's name.
    """
    path = Path(f"/dev/video{index}")
    on_linux = sys.platform == "linux"
    known = any(camera.index == index for camera in cameras)
    if not (known or opened or (on_linux and path.exists())):
        return f"must exist, got no such camera. {listing(cameras)}"
    if on_linux and not os.access(path, os.R_OK | os.W_OK):
        return (
            f"{path} must be readable and writable, got no permission. "
            "Run: sudo usermod -aG video $USER, and log in again."
        )
    # Others are not asked: a driver that hangs would hang this too.
    found = query(path) if (virtual / path.name).exists() else None
    if found is not None and found.is_loopback and not found.captures:
        return (
            f"must be a camera, got a virtual one ({found.card}) that no program writes to. "
            f"Start that program first, or name another camera. {listing(cameras)}"
        )
    users = [user for user in holders(path) if not user.endswith(f"({os.getpid()})")]
    if users:
        return f"must be free, got it in use by {', '.join(users)}. Close that program."
    what = "no picture" if opened else "no answer"
    return (
        f"must deliver pictures, got {what} within {waited_s:g} s. "
        f"Close other programs that use it, or unplug it and plug it in. {listing(cameras)}"
    )
