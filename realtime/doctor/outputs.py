"""The virtual cameras of each system, and the display."""

import os
import platform as platform_module
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from realtime import v4l2
from realtime.doctor.cameras import PERMISSION_CURE
from realtime.doctor.finding import Finding, Level
from realtime.doctor.software import PIP, version_of
from realtime.open_files import holders

MODULE = "v4l2loopback"
FLASHING_VERSION = "0.15.1"
"""Shows white flashes in Zoom and fails in OBS (v4l2loopback issues 642 and 651)."""

_LOAD = "sudo modprobe v4l2loopback exclusive_caps=1 card_label=rt-swap"
_RELOAD = f"Run: sudo modprobe -r v4l2loopback && {_LOAD}"

# DirectShow filters by their class; pyvirtualcam looks for the same.
_FILTERS = (
    ("OBS Virtual Camera", "{A3FCE0F5-3493-419F-958A-ABA1250EC20B}"),
    ("Unity Video Capture", "{5C2CD55C-92AD-4999-8666-912BD3E70010}"),
)


@dataclass(frozen=True, slots=True)
class LoopbackFacts:
    """One v4l2loopback device.

    Attributes:
        path: device file.
        label: what other programs show.
        writable: whether this user may open it.
        taken: whether somebody writes to it already.
        users: programs that have it open.
        exclusive_caps: whether it looks like a camera only while it is written to; None: unknown.
    """

    path: Path
    label: str
    writable: bool = True
    taken: bool = False
    users: tuple[str, ...] = ()
    exclusive_caps: bool | None = None


@dataclass(frozen=True, slots=True)
class LoopbackModule:
    """The kernel module.

    Attributes:
        loaded: whether the kernel has it.
        installed: whether it lies on disk for this kernel.
        version: empty where unknown.
        devices: those it made.
    """

    loaded: bool
    installed: bool
    version: str = ""
    devices: tuple[LoopbackFacts, ...] = ()


def find_loopback(
    *,
    dev: Path = Path("/dev"),
    sys_module: Path = Path("/sys/module") / MODULE,
    modules: Path | None = None,
    query: Callable[[Path], v4l2.Capability | None] | None = None,
) -> LoopbackModule:
    """Looks at the kernel module and its devices.

    Args:
        dev: folder of the device files.
        sys_module: folder with the module's version and parameters.
        modules: folder of the kernel's modules; None: of the running kernel.
        query: says what a device is; None where it is none or cannot be opened.
    """
    ask = query or _ask
    on_disk = modules or Path("/lib/modules") / platform_module.release()
    exclusive = _exclusive_caps(sys_module / "parameters")
    devices = []
    for path in sorted(dev.glob("video[0-9]*"), key=_number):
        found = ask(path)
        writable = os.access(path, os.W_OK)
        if found is None or not found.is_loopback:
            continue
        users = tuple(holders(path))
        devices.append(
            LoopbackFacts(
                path, found.card, writable, found.is_taken, users, exclusive.get(_number(path))
            )
        )
    return LoopbackModule(
        loaded=sys_module.is_dir() or bool(devices),
        installed=any(on_disk.rglob(f"{MODULE}.ko*")),
        version=_read(sys_module / "version"),
        devices=tuple(devices),
    )


def _ask(path: Path) -> v4l2.Capability | None:
    """What the device at a path is; None where it cannot be asked."""
    if os.access(path, os.R_OK | os.W_OK):
        return v4l2.query_path(path)
    # The kernel tells its name to everybody.
    name = _read(Path("/sys/class/video4linux") / path.name / "name")
    loopback = (Path("/sys/devices/virtual/video4linux") / path.name).exists()
    driver = v4l2.LOOPBACK_DRIVER if loopback else ""
    return v4l2.Capability(driver, name, captures=False, outputs=True)


def check_virtual_cameras(
    platform: str = sys.platform,
    *,
    loopback: Callable[[], LoopbackModule] = find_loopback,
    pyvirtualcam: str | None = None,
    registered: Callable[[str], bool] | None = None,
    applications: Path = Path("/Applications"),
) -> Iterator[Finding]:
    """Whether there is a virtual camera that can be written to.

    Args:
        platform: as ``sys.platform``.
        loopback: looks at v4l2loopback.
        pyvirtualcam: its version, empty for none; None: of this environment.
        registered: whether Windows knows a DirectShow class.
        applications: folder of the applications on macOS.
    """
    if platform == "linux":
        yield from _check_loopback(loopback())
        return
    version = version_of("pyvirtualcam") or "" if pyvirtualcam is None else pyvirtualcam
    if not version:
        cure = f"Run: {PIP} install pyvirtualcam"
        yield Finding("virtual camera", Level.PROBLEM, "pyvirtualcam must be installed", cure)
    if platform == "darwin":
        names = ["OBS"] if (applications / "OBS.app").exists() else []
    else:
        known = registered or is_registered
        names = [name for name, identifier in _FILTERS if known(identifier)]
    if names:
        yield Finding("virtual camera", Level.OK, " and ".join(names))
        return
    if platform == "darwin":
        then = "30 or newer, press Start Virtual Camera once and allow the extension"
    else:
        then = "28 or newer; OBS itself need not run"
    cure = f"From https://obsproject.com install OBS Studio {then}"
    yield Finding("virtual camera", Level.PROBLEM, "none is installed", cure)


def _check_loopback(module: LoopbackModule) -> Iterator[Finding]:
    if not module.loaded:
        install = "" if module.installed else "sudo apt install v4l2loopback-dkms && "
        yield Finding(
            "virtual camera",
            Level.PROBLEM,
            f"{MODULE} must be loaded, got {'it on disk only' if module.installed else 'none'}",
            f"Run: {install}{_LOAD}",
        )
        return
    version = module.version or "of unknown version"
    if module.version == FLASHING_VERSION:
        cure = "Install another version of v4l2loopback"
        yield Finding(MODULE, Level.WARNING, f"{version} flashes white in some programs", cure)
    else:
        yield Finding(MODULE, Level.OK, version)
    for device in module.devices:
        yield _device_finding(device)
    if not any(device.writable and not device.taken for device in module.devices):
        cure = _RELOAD if not module.devices else "Do for one of them what is said above"
        yield Finding("virtual camera", Level.PROBLEM, "none can be written to now", cure)


def _device_finding(device: LoopbackFacts) -> Finding:
    subject = f"virtual camera {device.path}"
    users = ", ".join(device.users) or "a program of another user"
    if not device.writable:
        cure = PERMISSION_CURE
        return Finding(subject, Level.WARNING, f"{device.label}: no permission", cure)
    if device.taken:
        text = f"{device.label}: {users} writes to it"
        return Finding(subject, Level.WARNING, text, f"Close {users}, or use another device")
    if device.exclusive_caps is False:
        text = f"{device.label}: without exclusive_caps, browsers do not list it"
        return Finding(subject, Level.WARNING, text, _RELOAD)
    held = f", open in {users}" if device.users else ""
    return Finding(subject, Level.OK, f"{device.label}{held}")


def check_display(
    environment: Mapping[str, str] = os.environ, platform: str = sys.platform
) -> Iterator[Finding]:
    """Whether there is a display; none is needed."""
    shown = environment.get("WAYLAND_DISPLAY") or environment.get("DISPLAY")
    if platform != "linux" or shown:
        yield Finding("display", Level.OK, shown or "there is one")
    else:
        yield Finding("display", Level.OK, "none, and none is needed")


def is_registered(identifier: str) -> bool:
    """Whether Windows knows a class; False on other systems."""
    if sys.platform != "win32":
        return False
    import winreg

    try:
        winreg.OpenKey(winreg.HKEY_CLASSES_ROOT, f"CLSID\\{identifier}").Close()
    except OSError:
        return False
    return True


def _exclusive_caps(parameters: Path) -> dict[int, bool]:
    """``exclusive_caps`` by the number of the device, as far as the module tells."""
    flags = _read(parameters / "exclusive_caps").split(",")
    numbers: Sequence[str] = _read(parameters / "video_nr").split(",")
    return {
        int(number): flag == "Y"
        for number, flag in zip(numbers, flags, strict=False)
        if number.isdecimal() and flag in ("Y", "N")
    }


def _number(path: Path) -> int:
    digits = path.name.removeprefix("video")
    return int(digits) if digits.isdecimal() else -1


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
