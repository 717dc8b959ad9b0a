"""A camera that needs no camera: a portrait that turns its head, talks and blinks."""

import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from threading import Event

import numpy as np

from engines.models.face_finder import Wanted, open_face_finder
from engines.session import Session
from realtime.errors import CameraError
from realtime.face_mesh import load_face_mesh
from realtime.frame import Image, PictureSpec, Points
from realtime.head_motion import Motion, Talk
from realtime.pictures import load_picture
from realtime.puppet import GroundTruth, Puppet

_MIN_DETECTION = 0.3
_MIN_SCORE = 0.5
_NS_PER_S = 1_000_000_000


class SyntheticCamera:
    """Behaves like a camera: pictures come at its rate, and those nobody waits for are gone.

    Given a number of pictures it behaves like a film instead: so many come, each as soon as it is
    asked for. What it shows depends on the time since the first picture alone, so ``frame_at`` can
    draw any moment again, with the truth about it.
    """

    def __init__(
        self,
        size: tuple[int, int],
        rate_hz: Fraction | int,
        portrait: Path,
        connections: Path,
        open_session: Callable[[str], Session],
        *,
        num_frames: int | None = None,
        motion: Motion | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Names what it is made of; nothing is read before ``open``.

        Args:
            size: width and height of its pictures in pixels.
            rate_hz: pictures per second.
            portrait: picture of one face that looks into the camera.
            connections: the landmark model's list of connections.
            open_session: loads a network of the catalogue by name; closed here once the portrait's
                landmarks are known.
            num_frames: how many pictures come, as fast as they are asked for and none left out;
                None: they come at their own pace, without end.
            motion: what the person does; None: talks.
            clock: monotonic nanoseconds.
            sleep: waits for so many seconds.
        """
        self._size = size
        self._rate_hz = Fraction(rate_hz)
        self._portrait = portrait
        self._connections = connections
        self._open_session = open_session
        self._num_frames = num_frames
        self._motion = motion or Talk()
        self._clock = clock
        self._sleep = sleep
        self._closed = Event()
        self._puppet: Puppet | None = None
        self._started_ns: int | None = None
        self._next_seq = 0

    def open(self) -> PictureSpec:
        """Finds the portrait's landmarks and prepares the drawing.

        Raises:
            MediaError: the portrait cannot be read.
            CameraError: there is no face in it.
            ModelError: a network is missing or unusable.
        """
        portrait = load_picture(self._portrait)
        mesh = load_face_mesh(self._connections.read_text(encoding="utf-8"))
        self._puppet = Puppet(mesh, portrait, self._locate(portrait), self._size)
        width, height = self._size
        return PictureSpec(width, height, self._rate_hz, self._num_frames is None, self._num_frames)

    def fill(self, image: Image) -> int | None:
        """Waits for the next picture's time and draws it; see ``realtime.stage.Source``.

        A caller that comes late gets the newest picture and never the ones in between. Where the
        number of pictures is given nobody is late, and the next one is drawn at once.
        """
        if self._num_frames is None:
            self._wait_for_next()
        elif self._next_seq >= self._num_frames:
            return None
        if self._closed.is_set():
            return None
        media_ns = self._media_ns(self._next_seq)
        self._next_seq += 1
        self.frame_at(media_ns, out=image)
        return media_ns

    def _wait_for_next(self) -> None:
        """Chooses the next picture and waits for its time."""
        now_ns = self._clock()
        if self._started_ns is None:
            self._started_ns = now_ns
        # The picture whose time has come last, unless that one was given out already.
        newest = int((now_ns - self._started_ns) * self._rate_hz // _NS_PER_S)
        self._next_seq = max(self._next_seq, newest)
        self._wait_until(self._started_ns + self._media_ns(self._next_seq))

    def _media_ns(self, seq: int) -> int:
        """The time of a picture, counted from 0."""
        return round(seq * _NS_PER_S / self._rate_hz)

    def frame_at(self, media_ns: int, *, out: Image) -> GroundTruth:
        """Draws the picture of one moment at once, whatever the clock says.

        Args:
            media_ns: time since the first picture.
            out: ``(H, W, 3) u8 BGR`` of the camera's size, contents arbitrary.

        Returns:
            What the picture shows.
        """
        if self._puppet is None:
            raise RuntimeError("synthetic camera: open must be called before a picture is drawn.")
        grain = round(media_ns * self._rate_hz / _NS_PER_S)
        return self._puppet.draw(self._motion.at(media_ns), out=out, grain=grain)

    def close(self) -> None:
        """Ends the stream; a ``fill`` that waits returns None when its time has come."""
        self._closed.set()

    def _wait_until(self, due_ns: int) -> None:
        # A sleep may end early, and the clock is the one that counts.
        while not self._closed.is_set() and (left_ns := due_ns - self._clock()) > 0:
            self._sleep(left_ns / _NS_PER_S)

    def _locate(self, portrait: Image) -> Points:
        """The landmarks of the portrait's face; the networks are needed for this alone."""
        with open_face_finder(self._open_session) as finder:
            wanted = Wanted(np.empty((0, 4), np.float32), 1, _MIN_DETECTION, _MIN_SCORE)
            faces = finder.search(portrait, wanted)
        if not faces:
            raise CameraError(
                f"synthetic camera: {self._portrait} must show a face, got none. "
                "Use a portrait that looks into the camera."
            )
        return faces[0].landmarks
