"""The cameras: what they are called, what they can do, who holds them."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from realtime import v4l2
from realtime.doctor.finding import Finding, Level
from realtime.open_files import holders

PERMISSION_CURE = "Run: sudo usermod -aG video $USER, and log in again"


@dataclass(frozen=True, slots=True)
class CameraFacts:
    """One camera.

    Attributes:
        index: its number.
        name: as its maker calls it.
        path: device file on Linux, else whatever the system calls it.
        readable: whether this user may open it.
        users: programs that have it open.
        modes: what it can do, in words; empty where it does not say.
    """

    index: int
    name: str
    path: str
    readable: bool = True
    users: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()


def find_cameras(platform: str = sys.platform) -> list[CameraFacts]:
    """The cameras of this machine."""
    # Brings OpenCV in, which may be the very thing that is broken.
    from realtime.sources.devices import list_cameras

    found = list_cameras()
    if platform != "linux":
        names = {(one.index, one.name): one.path for one in found}
        return [CameraFacts(index, name, path) for (index, name), path in names.items()]
    return [_examined(one.index, one.name, Path(one.path)) for one in found]


def _examined(index: int, name: str, path: Path) -> CameraFacts:
    readable = os.access(path, os.R_OK | os.W_OK)
    modes: tuple[str, ...] = ()
    # One that goes away meanwhile, or answers nobody else, has no modes to tell.
    with contextlib.suppress(OSError):
        modes = _modes(path) if readable else ()
    return CameraFacts(index, name, str(path), readable, tuple(holders(path)), modes)


def _modes(path: Path) -> tuple[str, ...]:
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        return tuple(map(describe_mode, v4l2.capture_modes(descriptor)))
    finally:
        os.close(descriptor)


def describe_mode(mode: v4l2.Mode) -> str:
    """A mode in a few letters, such as ``MJPG 1280x720@30``."""
    rate = "" if mode.rate_hz is None else f"@{float(mode.rate_hz):g}"
    return f"{mode.fourcc} {mode.width}x{mode.height}{rate}"


def check_cameras(
    find: Callable[[], Sequence[CameraFacts]] = find_cameras,
) -> Iterator[Finding]:
    """Whether there is a camera that can be used, and what each can do."""
    cameras = find()
    for camera in cameras:
        subject = f"camera {camera.index}"
        text = f"{camera.name} {camera.path}".strip()
        if not camera.readable:
            yield Finding(subject, Level.WARNING, f"{text}: no permission", PERMISSION_CURE)
        elif camera.users:
            users = ", ".join(camera.users)
            cure = f"Close {users} before rt-swap uses this camera"
            yield Finding(subject, Level.WARNING, f"{text}: in use", cure, camera.modes)
        else:
            yield Finding(subject, Level.OK, text, details=camera.modes)
    if not cameras:
        cure = "Plug a camera in; without one: rt-swap --camera synthetic --face me.png"
        yield Finding("cameras", Level.PROBLEM, "none is known to the system", cure)
    elif not any(camera.readable and not camera.users for camera in cameras):
        cure = "Do for one of them what is said above"
        yield Finding("cameras", Level.PROBLEM, "none can be used now", cure)
