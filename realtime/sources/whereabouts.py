"""Which camera it was, and where it is now: its number may change when it is plugged in again."""

import re
import sys
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

from realtime.sources.devices import CameraDevice

LINKS = Path("/dev/v4l")
"""Where udev keeps links whose names stay with a device (``by-id``) or a socket (``by-path``)."""

_DEV = Path("/dev")

ListCameras = Callable[[], Sequence[CameraDevice]]
"""Lists the cameras that exist."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What stays with a camera while it is unplugged and plugged in again.

    Attributes:
        index: its number when it was opened.
        backend: OpenCV's number of the capture interface.
        name: as its maker calls it; empty where it was not listed.
        path: device file on Linux, a name that stays with the device elsewhere.
        link: udev's link to it; None where there is none.
    """

    index: int
    backend: int
    name: str = ""
    path: str = ""
    link: Path | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a camera can be opened.

    Attributes:
        index: its number now.
        backend: OpenCV's number of the capture interface.
        mark: differs once the device has been unplugged and plugged in again.
    """

    index: int
    backend: int
    mark: Hashable = None


def identify(
    opened: tuple[int, int], cameras: Sequence[CameraDevice], *, links: Path = LINKS
) -> Identity:
    """Notes what an opened camera can be recognised by.

    Args:
        opened: index and backend.
        cameras: those that exist.
        links: udev's folder.
    """
    index, backend = opened
    known = [one for one in cameras if (one.index, one.backend) == opened]
    name, path = (known[0].name, known[0].path) if known else ("", "")
    return Identity(index, backend, name, path, _link_to(index, links))


def locate(
    identity: Identity,
    cameras: ListCameras,
    *,
    platform: str = sys.platform,
    dev: Path = _DEV,
) -> Place | None:
    """Says where a camera is now; None while it is not there.

    Args:
        identity: of the camera.
        cameras: lists those that exist; asked only where the system keeps no link.
        platform: as ``sys.platform``.
        dev: folder of the device files.
    """
    index = _index_now(identity, cameras)
    if index is None:
        return None
    if platform != "linux":
        return Place(index, identity.backend)
    try:
        # A device that comes back gets a new file, be its name the old one. Its times say less:
        # udev changes them once more when it gives the user access.
        mark = (dev / f"video{index}").stat().st_ino
    except OSError:
        return None
    return Place(index, identity.backend, mark)


def _index_now(identity: Identity, cameras: ListCameras) -> int | None:
    if identity.link is not None:
        return _video_number(identity.link) if identity.link.exists() else None
    if not identity.name:
        return identity.index
    same = [
        one for one in cameras() if (one.backend, one.name) == (identity.backend, identity.name)
    ]
    exact = [one for one in same if one.path == identity.path]
    if exact:
        return exact[0].index
    # Of two alike nobody can tell which one it was.
    return same[0].index if len(same) == 1 else None


def _link_to(index: int, links: Path) -> Path | None:
    for folder in ("by-id", "by-path"):
        for link in sorted((links / folder).glob("*")):
            if _video_number(link) == index:
                return link
    return None


def _video_number(link: Path) -> int | None:
    match = re.fullmatch(r"video(\d+)", link.resolve().name)
    return int(match[1]) if match else None
