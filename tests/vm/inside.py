"""What runs inside the virtual machine: one scenario, its findings as JSON on standard output.

``python tests/vm/inside.py SCENARIO FOLDER``: ``/dev/video0`` and ``/dev/video1`` are v4l2loopback
devices with ``exclusive_caps=1``, ``/dev/video10`` is vivid, the kernel's emulated webcam.
"""

import ctypes
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from engines.models.library import ModelLibrary
from realtime import v4l2
from realtime.bench.stamp import draw_stamp, read_stamp, stamp_of
from realtime.frame import PictureSpec
from realtime.letterbox import letterbox
from realtime.sinks.virtual_camera import VirtualCamera
from realtime.slate import draw_slate
from realtime.sources.camera import open_device

SIZE = (640, 360)
FEED_HZ = 8
PATCHES = {"red": (20, 30, 200), "green": (40, 180, 30), "blue": (200, 60, 20)}
"""BGR of three squares at the lower edge."""

PATCH_PX = 40
FACE = (slice(63, 134), slice(270, 323))
"""Rows and columns of the face in the webcam's picture."""

TIMEOUT_S = 180.0
"""Of a machine that may be very busy."""

Json = dict[str, Any]


def patch(index: int) -> tuple[slice, slice]:
    """Rows and columns of one square."""
    left = 20 + index * (PATCH_PX + 20)
    return slice(SIZE[1] - PATCH_PX - 10, SIZE[1] - 10), slice(left, left + PATCH_PX)


def wait_until(holds: Callable[[], bool], what: str, timeout_s: float = TIMEOUT_S) -> float:
    """Seconds until something holds."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > timeout_s:
            raise TimeoutError(what)
        time.sleep(0.02)
    return time.monotonic() - began


class Feeder:
    """A webcam: a face that moves, stamped, with squares of known colours."""

    def __init__(self, device: str) -> None:
        portrait = cv2.imread(str(ModelLibrary().path("portrait_astronaut")))
        self.scene = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        letterbox(np.asarray(portrait, np.uint8), out=self.scene)
        for index, colour in enumerate(PATCHES.values()):
            self.scene[patch(index)] = colour
        self.emitted: list[int] = []
        self.stop = threading.Event()
        self.camera = VirtualCamera(device)
        self.camera.open(PictureSpec(*SIZE, Fraction(FEED_HZ), live=True))
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        while not self.stop.wait(1 / FEED_HZ):
            image = self.scene.copy()
            stamp = stamp_of(time.monotonic_ns())
            draw_stamp(stamp, out=image)
            self.emitted.append(stamp)
            self.camera.send(image, 0)

    def close(self) -> None:
        self.stop.set()
        self.thread.join()
        self.camera.close()


class Watcher:
    """A program that reads the virtual camera and keeps what it needs of each picture."""

    def __init__(self, index: int, look: Callable[[np.ndarray], Any]) -> None:
        self.index, self.look = index, look
        self.seen: list[tuple[float, Any]] = []
        self.shapes: set[tuple[int, ...]] = set()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while not self.stop.is_set():
            capture = open_device(self.index, cv2.CAP_V4L2)
            while not self.stop.is_set():
                delivered, picture = capture.read()
                if not delivered:
                    break
                self.shapes.add(picture.shape)
                self.seen.append((time.monotonic(), self.look(picture)))
            capture.release()
            time.sleep(0.1)


@contextmanager
def program(folder: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """rt-swap, running; killed with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "realtime", *arguments],
        stderr=(folder / "said.txt").open("w"),
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def arguments(folder: Path, camera: str, *more: str) -> list[str]:
    return [
        "--camera", camera, "--face", "synthetic", "--virtual-camera", "/dev/video1",
        "--size", f"{SIZE[0]}x{SIZE[1]}", "--stats", str(folder / "stats.json"), "--verbose", *more,
    ]  # fmt: skip


def outcome(folder: Path, code: int) -> Json:
    """Exit code, figures and messages of a run that has ended."""
    stats = folder / "stats.json"
    return {
        "code": code,
        "stats": json.loads(stats.read_text()) if stats.exists() else None,
        "said": (folder / "said.txt").read_text().splitlines(),
    }


def clip(folder: Path) -> Json:
    """A webcam through rt-swap to a reader of the virtual camera."""

    def look(picture: np.ndarray) -> Any:
        colours = [picture[patch(index)].mean(axis=(0, 1)).tolist() for index in range(3)]
        return read_stamp(picture), colours, picture[FACE].astype(int)

    feeder = Feeder("/dev/video0")
    with program(folder, *arguments(folder, "0", "--fps", "10")) as process:
        watcher = Watcher(1, look)
        try:
            wait_until(lambda: len({stamp for _, (stamp, *_) in watcher.seen}) > 30, "no stamps")
            process.send_signal(signal.SIGTERM)
            code = process.wait(TIMEOUT_S)
        finally:
            feeder.close()
    watcher.stop.set()
    stamped = [seen for _, seen in watcher.seen if seen[0] is not None]
    original = feeder.scene[FACE].astype(int)
    return {
        **outcome(folder, code),
        "emitted": feeder.emitted,
        "stamps": [stamp for stamp, *_ in stamped],
        "colours": np.median([colours for _, colours, _ in stamped], axis=0).tolist(),
        "changed": float(np.abs(stamped[-1][2] - original).mean()),
        "shapes": sorted(watcher.shapes),
    }


class ControlStruct(ctypes.Structure):
    """``struct v4l2_control``."""

    _fields_ = (("id", ctypes.c_uint32), ("value", ctypes.c_int32))


class QueryStruct(ctypes.Structure):
    """``struct v4l2_queryctrl``."""

    _fields_ = (
        ("id", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("name", ctypes.c_char * 32),
        ("values", ctypes.c_int32 * 4),
        ("flags", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 2),
    )


NEXT_CONTROL = 0x80000000

PR_CAPBSET_DROP = 24
OVERRIDING = (1, 2)
"""``CAP_DAC_OVERRIDE`` and ``CAP_DAC_READ_SEARCH``."""


@contextmanager
def control_set(device: str, name: str, value: int) -> Iterator[None]:
    """Sets a control of a device by its name, and keeps the device open for the block."""
    descriptor = os.open(device, os.O_RDWR)
    try:
        query = QueryStruct(id=NEXT_CONTROL)
        request = 3 << 30 | ctypes.sizeof(QueryStruct) << 16 | ord("V") << 8 | 36
        while True:
            v4l2.system_ioctl(descriptor, request, query)
            if query.name.decode().lower() == name:
                break
            query.id |= NEXT_CONTROL
        request = 3 << 30 | ctypes.sizeof(ControlStruct) << 16 | ord("V") << 8 | 28
        v4l2.system_ioctl(descriptor, request, ControlStruct(query.id, value))
        yield
    finally:
        os.close(descriptor)


def unplugged(folder: Path) -> Json:
    """A webcam whose cable is pulled out and plugged in again."""
    slate = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    draw_slate("Camera lost", out=slate)

    def is_slate(picture: np.ndarray) -> bool:
        return float(np.abs(picture.astype(int) - slate).mean()) < 8

    options = arguments(folder, "10", "--fps", "10", "--on-loss", "pass")
    with program(folder, *options) as process:
        watcher = Watcher(1, is_slate)

        def pictures(since: float, *, of_slate: bool) -> int:
            return sum(at > since and shown is of_slate for at, shown in list(watcher.seen))

        wait_until(lambda: pictures(0.0, of_slate=False) > 20, "no pictures")
        pulled = time.monotonic()
        driver = Path("/sys/bus/platform/drivers/vivid")
        # Once nobody has it open any more vivid plugs itself in again.
        with control_set("/dev/video10", "disconnect", 1):
            lost_s = wait_until(lambda: pictures(pulled, of_slate=True) > 0, "no slate")
            wait_until(lambda: pictures(pulled, of_slate=True) > 20, "the slate stopped")
            (driver / "unbind").write_text("vivid.0")
        time.sleep(1)
        plugged = time.monotonic()
        (driver / "bind").write_text("vivid.0")
        back_s = wait_until(lambda: pictures(plugged, of_slate=False) > 0, "no picture again")
        wait_until(lambda: pictures(plugged, of_slate=False) > 20, "the pictures stopped")
        process.send_signal(signal.SIGTERM)
        code = process.wait(TIMEOUT_S)
        watcher.stop.set()
    return {**outcome(folder, code), "lost_s": lost_s, "back_s": back_s}


def manners(folder: Path) -> Json:
    """A device that is busy, one of another size, a reader that is killed, impatient users."""
    found: Json = {}
    feeder = Feeder("/dev/video0")
    try:
        # First, as a reader that is still there would keep the size of its own.
        found["size"] = other_size(folder)
        with program(folder, *arguments(folder, "synthetic")) as first:
            watcher = Watcher(1, lambda picture: None)
            wait_until(lambda: len(watcher.seen) > 3, "no pictures")
            second = subprocess.run(
                [sys.executable, "-m", "realtime", *arguments(folder, "0")[:-1]],
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
            )
            found["busy"] = {"code": second.returncode, "said": second.stderr.splitlines()}
            found["killed"] = killed_reader(watcher)
            first.send_signal(signal.SIGINT)
            time.sleep(0.05)
            first.send_signal(signal.SIGINT)
            began = time.monotonic()
            found["twice"] = {"code": first.wait(TIMEOUT_S), "took_s": time.monotonic() - began}
            watcher.stop.set()
    finally:
        feeder.close()
    return found


def forbidden(folder: Path) -> Json:
    """Devices that this user may not open: runs with either of them, and the doctor."""

    def outcome_of(*options: str) -> Json:
        done = subprocess.run(
            [sys.executable, "-m", "realtime", *options],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            preexec_fn=obey_modes,
        )
        return {"code": done.returncode, "said": done.stderr.splitlines(), "out": done.stdout}

    for device in ("/dev/video1", "/dev/video10"):
        Path(device).chmod(0)
    return {
        "camera": outcome_of("--camera", "10", "--face", "synthetic", "--output", "null"),
        "output": outcome_of(*arguments(folder, "synthetic")[:-1]),
        "doctor": json.loads(outcome_of("doctor", "--json")["out"]),
    }


def obey_modes() -> None:
    """Makes root of the process to come one that the modes of files bind like anybody else."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in OVERRIDING:
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")


def killed_reader(watcher: Watcher) -> Json:
    """Another reader, killed; the first one goes on seeing pictures."""
    script = (
        "from realtime.sources.camera import open_device\n"
        "capture = open_device(1, 200)\n"
        "while capture.read()[0]: print('seen', flush=True)\n"
    )
    reader = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    seen = bool(reader.stdout and reader.stdout.readline())
    reader.kill()
    reader.wait()
    before = len(watcher.seen)
    wait_until(lambda: len(watcher.seen) > before + 5, "the pictures stopped")
    return {"seen": seen}


def other_size(folder: Path) -> Json:
    """A device that keeps the size of who wrote to it first."""
    holder = VirtualCamera("/dev/video1")
    holder.open(PictureSpec(320, 240, Fraction(10), live=True))
    with control_set("/dev/video1", "keep_format", 1):
        """The device keeps it from here on."""
    holder.send(np.zeros((240, 320, 3), np.uint8), 0)
    holder.close()
    with program(folder, *arguments(folder, "0")) as process:
        watcher = Watcher(1, lambda picture: float(picture[:20].mean()))
        wait_until(lambda: len(watcher.seen) > 20, "no pictures")
        process.send_signal(signal.SIGTERM)
        code = process.wait(TIMEOUT_S)
        watcher.stop.set()
    bars = [seen for _, seen in watcher.seen[-5:]]
    return {**outcome(folder, code), "shapes": sorted(watcher.shapes), "bars": bars}


def glass(folder: Path) -> Json:
    """The measurement itself, through a real virtual camera; and the doctor."""
    command = [sys.executable, "-m", "realtime", "bench", "glass", "--device", "/dev/video1"]
    options = ["--seconds", "14", "--size", "320x180", "--fps", "10", "--json"]
    bench = subprocess.run([*command, *options], capture_output=True, text=True, timeout=TIMEOUT_S)
    peer = (
        f"{sys.executable} -m realtime --camera {{source}} --face synthetic "
        "--virtual-camera {device} --size 320x180 --fps 10"
    )
    other = subprocess.run(
        [*command, "--source", "/dev/video0", "--command", peer, *options],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    doctor = subprocess.run(
        [sys.executable, "-m", "realtime", "doctor", "--json"],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    return {
        "code": bench.returncode,
        "said": bench.stderr.splitlines(),
        "bench": json.loads(bench.stdout) if bench.returncode == 0 else None,
        "other_code": other.returncode,
        "other_said": other.stderr.splitlines(),
        "other": json.loads(other.stdout) if other.returncode == 0 else None,
        "doctor_code": doctor.returncode,
        "doctor": json.loads(doctor.stdout),
    }


class Answer(BaseHTTPRequestHandler):
    """Serves the page, and takes what it posts."""

    found: queue.SimpleQueue[Json]

    def do_GET(self) -> None:
        page = Path(__file__).with_name("page.html").read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(page)

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.found.put(json.loads(self.rfile.read(length)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@contextmanager
def page() -> Iterator[tuple[str, "queue.SimpleQueue[Json]"]]:
    """The address of the page, and what it posts."""
    found: queue.SimpleQueue[Json] = queue.SimpleQueue()
    server = HTTPServer(("127.0.0.1", 0), type("PageAnswer", (Answer,), {"found": found}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/", found
    server.shutdown()


def browser(folder: Path) -> Json:
    """A web page in Chromium lists the virtual camera, opens it and draws it on a canvas."""
    options = [
        "--headless", "--no-sandbox", "--no-zygote", "--in-process-gpu", "--disable-gpu",
        "--use-fake-ui-for-media-stream", f"--user-data-dir={folder / 'browser'}",
    ]  # fmt: skip
    feeder = Feeder("/dev/video0")
    try:
        with program(folder, *arguments(folder, "0", "--fps", "10")) as process, page() as served:
            address, found = served
            watcher = Watcher(1, lambda picture: None)
            wait_until(lambda: len(watcher.seen) > 5, "no pictures")
            watcher.stop.set()
            watcher.thread.join()
            chromium = subprocess.Popen(
                ["chromium", *options, f"{address}#Cam 1"],
                stdout=subprocess.DEVNULL,
                stderr=(folder / "browser.txt").open("w"),
            )
            try:
                shown = found.get(timeout=300)
            finally:
                chromium.kill()
            process.send_signal(signal.SIGTERM)
            code = process.wait(TIMEOUT_S)
    finally:
        feeder.close()
    rgba = np.array(shown.pop("rgba", []), np.uint8)
    if rgba.size:
        picture = rgba.reshape(shown["height"], shown["width"], 4)[..., 2::-1]
        shown["colours"] = [picture[patch(n)].mean(axis=(0, 1)).tolist() for n in range(3)]
        shown["changed"] = float(np.abs(picture[FACE].astype(int) - feeder.scene[FACE]).mean())
    return {**outcome(folder, code), "shown": shown}


SCENARIOS = {
    "browser": browser,
    "clip": clip,
    "unplugged": unplugged,
    "manners": manners,
    "forbidden": forbidden,
    "glass": glass,
}


if __name__ == "__main__":
    # Readers try a device that is not written to yet again and again.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    name, where = sys.argv[1:]
    findings = SCENARIOS[name](Path(where))
    print(json.dumps(findings))
    sys.stdout.flush()
    # A reader thread may hang in a device that nobody writes to any more.
    os._exit(0)
