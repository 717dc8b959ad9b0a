"""A camera as a source of pictures, which may go away and come back."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from fractions import Fraction

import cv2

from realtime.errors import CameraError, MediaError
from realtime.frame import Image, PictureSpec
from realtime.letterbox import letterbox
from realtime.sources.capture import Capture, Wish, bgr_picture
from realtime.sources.devices import CameraDevice, candidates, list_cameras
from realtime.sources.reader import OpenCapture, Reader
from realtime.sources.refusal import why_not
from realtime.sources.reopening import POLL_S, Reopening
from realtime.sources.watchdog import FrozenWatch
from realtime.sources.whereabouts import Identity, ListCameras, Place, identify, locate
from realtime.stage import SourceHealth

LOST_S = 0.6
"""Time without a picture after which the camera is called lost; three periods of a slow one."""

LOOK_NS = 1_000_000_000
"""How often a camera that shows the same picture again and again is looked for."""

RATE_TOLERANCE = 0.02
"""A camera's rate may differ from the wanted one by this part before that is worth a line."""

_log = logging.getLogger(__name__)


def open_device(index: int, backend: int) -> Capture:
    """Opens a capture device; whether that went well only its pictures tell.

    Args:
        index: number of the device.
        backend: OpenCV's number of the capture interface.
    """
    return cv2.VideoCapture(index, backend)


class Camera:
    """A camera behind OpenCV, read by a thread of its own so that the newest picture is at hand.

    ``fill`` waits for a picture that is newer than the last one. While the camera is gone it goes
    on waiting, and opens the camera again when it is back.
    """

    def __init__(
        self,
        device: int | str,
        size: tuple[int, int] = (1280, 720),
        rate_hz: Fraction | int = 30,
        *,
        capture: OpenCapture = open_device,
        cameras: ListCameras = list_cameras,
        clock: Callable[[], int] = time.monotonic_ns,
        open_timeout_s: float = 4.5,
        stall_timeout_s: float = 2.0,
        reconnect: bool = True,
        where: Callable[[Identity, ListCameras], Place | None] = locate,
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
            stall_timeout_s: how long a read may block before it is left behind.
            reconnect: open a lost camera again; else ``fill`` raises.
            where: says where the camera is now; None while it is not there.
        """
        self._device = device
        self._wish = Wish(size, Fraction(rate_hz))
        self._capture = capture
        self._cameras = cameras
        self._clock = clock
        self._open_timeout_s = open_timeout_s
        self._stall_timeout_s = stall_timeout_s
        self._reconnect = reconnect
        self._where = where
        self._closed = threading.Event()
        # Guards the reader against being exchanged while it is being closed.
        self._changing = threading.Lock()
        self._reader: Reader | None = None
        self._identity = Identity(0, 0)
        self._place: Place | None = None
        self._last_ns = 0
        self._looked_ns = 0
        self._frozen = FrozenWatch()
        self._health = SourceHealth.GOOD
        self._lost_s = LOST_S
        self._first_ns: int | None = None

    @property
    def health(self) -> SourceHealth:
        """How the camera does; any thread may ask."""
        return self._health

    def open(self) -> PictureSpec:
        """Opens the camera and waits for its first picture, whose size is the stream's.

        Raises:
            CameraError: it is missing, busy, or delivers nothing; within five seconds.
        """
        cameras = self._cameras()
        wanted = candidates(self._device, cameras)
        self._reader = self._new_reader(wanted)
        self._reader.start()
        started, opened = self._reader.wait_first(self._open_timeout_s), self._reader.opened
        if not started:
            self.close()
            told = why_not(
                wanted[0][0], cameras, opened=opened is not None, waited_s=self._open_timeout_s
            )
            raise CameraError(f"camera {self._device}: {told}")
        try:
            height, width = bgr_picture(self._reader.newest).shape[:2]
        except MediaError as error:
            self.close()
            raise CameraError(f"camera {self._device}: {error}") from error
        self._last_ns = self._reader.read_ns
        self._recognise(opened or wanted[0], cameras)
        rate_hz = self._reader.negotiated.rate_hz or self._wish.rate_hz
        self._lost_s = max(LOST_S, 3 / float(rate_hz))
        self._report(self._reader, (width, height), rate_hz)
        return PictureSpec(width=width, height=height, rate_hz=rate_hz, live=True)

    def fill(self, image: Image) -> int | None:
        """Waits for the next picture; see ``realtime.stage.Source``.

        Raises:
            MediaError: the camera delivered something that is no picture.
            CameraError: no picture came for two seconds, and it is not to be opened again.
        """
        while not self._closed.is_set() and (reader := self._reader) is not None:
            taken = reader.wait_next(min(POLL_S, self._stall_timeout_s))
            if self._closed.is_set():
                break
            if taken is not None:
                media_ns = self._take(*taken, image)
                if not self._is_gone(taken[1]):
                    return media_ns
                self._lose(reader, 0.0)
                continue
            silent_s = (self._clock() - self._last_ns) / 1e9
            if not reader.ended and silent_s < min(self._lost_s, self._stall_timeout_s):
                continue
            if not self._reconnect:
                self._give_up(silent_s, ended=reader.ended)
            else:
                self._lose(reader, silent_s)
        return None

    def close(self) -> None:
        """Ends a blocked ``fill`` and lets the device go; a driver that hangs is left behind."""
        self._closed.set()
        with self._changing:
            reader = self._reader
        if reader is not None:
            reader.close(wait=True)

    def _take(self, delivered: object, read_ns: int, image: Image) -> int:
        picture = bgr_picture(delivered)
        self._frozen.see(picture, read_ns)
        if self._health is SourceHealth.LOST:
            # It was only silent for a moment.
            self._say_back(read_ns, "")
        self._last_ns = read_ns
        frozen = self._frozen.frozen
        if frozen and self._health is not SourceHealth.FROZEN:
            _log.info("camera %s: shows the same picture again and again.", self._device)
        self._health = SourceHealth.FROZEN if frozen else SourceHealth.GOOD
        letterbox(picture, out=image)
        if self._first_ns is None:
            self._first_ns = read_ns
        return read_ns - self._first_ns

    def _is_gone(self, read_ns: int) -> bool:
        """Whether the device is gone though it goes on giving the last picture."""
        if not (self._reconnect and self._frozen.frozen and read_ns - self._looked_ns >= LOOK_NS):
            return False
        self._looked_ns = read_ns
        return self._locate() != self._place

    def _give_up(self, silent_s: float, *, ended: bool) -> None:
        if ended or silent_s >= self._stall_timeout_s:
            raise CameraError(
                f"camera {self._device}: must deliver pictures, got none for "
                f"{silent_s:.1g} s. Check its cable and whether it sleeps."
            )

    def _lose(self, reader: Reader, silent_s: float) -> None:
        """Says that the camera is lost, and waits for it where there is no hope in waiting."""
        if self._health is not SourceHealth.LOST:
            self._health = SourceHealth.LOST
            _log.warning("camera %s: lost; it is opened again when it is back.", self._device)
        moved = self._locate() != self._place
        if not (reader.ended or moved or silent_s >= self._stall_timeout_s):
            return
        reader.close(wait=True)
        reopening = Reopening(
            self._locate, self._new_reader, clock=self._clock, closed=self._closed,
            attempt_s=self._open_timeout_s,
        )  # fmt: skip
        found = reopening.wait_open((reader,))
        if found is not None:
            self._come_back(*found)

    def _come_back(self, reader: Reader, place: Place) -> None:
        with self._changing:
            closed = self._closed.is_set()
            self._reader = reader
        if closed:
            reader.close(wait=False)
            return
        self._frozen.forget()
        size = getattr(reader.newest, "shape", (0, 0))
        self._say_back(reader.read_ns, f", {self._describe(reader, size[1], size[0])}")
        self._place, self._last_ns = place, reader.read_ns
        self._health = SourceHealth.GOOD

    def _say_back(self, read_ns: int, how: str) -> None:
        lost_s = (read_ns - self._last_ns) / 1e9
        _log.warning("camera %s: back after %.1f s%s.", self._device, lost_s, how)

    def _report(self, reader: Reader, size: tuple[int, int], rate_hz: Fraction) -> None:
        """Says what the camera gives; louder where that is not what was asked for."""
        wish = self._wish
        as_wished = size == wish.size and abs(rate_hz / wish.rate_hz - 1) < RATE_TOLERANCE
        asked = f"{wish.size[0]}×{wish.size[1]} at {float(wish.rate_hz):.4g} Hz"
        _log.log(
            logging.INFO if as_wished else logging.WARNING,
            "camera %s: %s%s.",
            self._device,
            self._describe(reader, *size),
            "" if as_wished else f"; it was asked for {asked}",
        )

    def _recognise(self, opened: tuple[int, int], cameras: Sequence[CameraDevice]) -> None:
        """Notes which camera this is, so that it is found again."""
        self._identity = identify(opened, cameras)
        self._place = self._locate()
        if self._place is None:
            # Known by a name that finds nothing: then it is wherever it was.
            self._identity = Identity(*opened)
            self._place = self._locate()

    def _locate(self) -> Place | None:
        return self._where(self._identity, self._cameras)

    def _new_reader(self, wanted: Sequence[tuple[int, int]]) -> Reader:
        return Reader(
            wanted,
            self._wish,
            capture=self._capture,
            clock=self._clock,
            patience_s=self._open_timeout_s,
        )

    def _describe(self, reader: Reader, width: int, height: int) -> str:
        negotiated = reader.negotiated
        rate_hz = float(negotiated.rate_hz or self._wish.rate_hz)
        form = negotiated.fourcc or "format unknown"
        return f"{width}×{height} at {rate_hz:.4g} Hz, {form}"
