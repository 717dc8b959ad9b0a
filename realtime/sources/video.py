"""A video file as a source of pictures, decoded with FFmpeg's libraries."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.container

from realtime.errors import MediaError
from realtime.frame import Image, PictureSpec
from realtime.media_file import open_video, picture_stream
from realtime.sources.conversion import FrameConverter, turn_of

if TYPE_CHECKING:
    # PyAV's classes are generic in its stubs only.
    PicturePacket = av.Packet[av.VideoStream]

MAX_VIDEO_PIXELS = 8192 * 8192
"""Pictures beyond this are refused; the header of a small file can claim any size."""

_MAX_BAD_PACKETS_AT_START = 1000
_FALLBACK_RATE_HZ = Fraction(25)
_HDR_TRANSFERS = (16, 18)  # H.273: PQ and HLG
_log = logging.getLogger(__name__)


class VideoFile:
    """Pictures of a video file, upright, in the order of presentation.

    Rotation and mirroring of the file are applied, its own colour matrix and range are respected,
    deep pictures are reduced to 8 bits (HDR transfer curves are kept as they are, not tone-mapped),
    interlaced ones are shown as they are stored. Damaged parts are concealed by the decoder or
    skipped. ``close`` may be called from another thread.
    """

    def __init__(
        self,
        path: str | Path,
        live: bool = False,
        *,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Names the file; nothing is read before ``open``.

        Args:
            path: of a video file on this machine.
            live: play in real time like a camera, instead of as fast as it is asked for.
            clock: monotonic nanoseconds.
        """
        self._path = Path(path)
        self._live = live
        self._clock = clock
        self._closed = threading.Event()
        # Freeing a decoder while it decodes would crash; close() waits for the picture in hand.
        self._decoding = threading.Lock()
        self._container: av.container.InputContainer | None = None
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._waiting: av.VideoFrame | None = None
        self._converter = FrameConverter(str(self._path))
        self._first_pts: int | None = None
        self._media_ns = -1
        self._period_ns = 0
        self._time_base = Fraction(1)
        self._started_ns: int | None = None

    def open(self) -> PictureSpec:
        """Opens the file and decodes its first picture, which settles size and rotation.

        Raises:
            MediaError: the file is missing, unreadable, no video, has no picture stream, or not
                one picture can be decoded.
        """
        container = open_video(self._path)
        self._container = container
        try:
            stream = picture_stream(container, self._path)
            _check_size(stream.width, stream.height, self._path)
            stream.thread_type = "AUTO"
            self._frames = _decoded(container, stream)
            first = next(self._frames, None)
            if first is None:
                raise MediaError(
                    f"{self._path}: a video must hold at least one picture, got none that can be "
                    "decoded. The file is cut off or damaged: copy it again."
                )
            self._waiting = first
            return self._spec(container, stream, first)
        except BaseException:
            self.close()
            raise

    def _spec(
        self,
        container: av.container.InputContainer,
        stream: av.VideoStream,
        first: av.VideoFrame,
    ) -> PictureSpec:
        rate_hz = stream.average_rate or stream.guessed_rate or _FALLBACK_RATE_HZ
        if not Fraction(1, 10) <= rate_hz <= 1000:
            rate_hz = _FALLBACK_RATE_HZ
        self._period_ns = round(1_000_000_000 / rate_hz)
        # A decoder's last frames come without the unit of their times; it is the stream's.
        self._time_base = stream.time_base or Fraction(1)
        if first.color_trc in _HDR_TRANSFERS:
            _log.warning("%s: HDR video is shown without tone mapping.", self._path)
        sideways = turn_of(first)[0] == 0
        return PictureSpec(
            width=first.height if sideways else first.width,
            height=first.width if sideways else first.height,
            rate_hz=Fraction(rate_hz),
            live=self._live,
            num_frames=_num_frames(container, stream, rate_hz),
        )

    def fill(self, image: Image) -> int | None:
        """Writes the next picture; see ``realtime.stage.Source``.

        Raises:
            MediaError: this picture cannot be shown.
        """
        with self._decoding:
            if self._closed.is_set():
                return None
            frame = self._waiting or next(self._frames, None)
            self._waiting = None
            if frame is None:
                return None
            self._media_ns = self._presentation_ns(frame)
            _check_size(frame.width, frame.height, self._path)
            self._converter.convert(frame, out=image)
        if self._live and not self._wait_until_due():
            return None
        return self._media_ns

    def _presentation_ns(self, frame: av.VideoFrame) -> int:
        """The frame's time from the first frame on; filled in where it is missing or runs back."""
        if self._first_pts is None:
            self._first_pts = frame.pts or 0
        if frame.pts is not None:
            stated_ns = round((frame.pts - self._first_pts) * self._time_base * 1_000_000_000)
            if stated_ns > self._media_ns:
                return stated_ns
        return self._media_ns + self._period_ns if self._media_ns >= 0 else 0

    def _wait_until_due(self) -> bool:
        """Waits until the picture's time has come; False when closed meanwhile."""
        now_ns = self._clock()
        if self._started_ns is None:
            self._started_ns = now_ns - self._media_ns
        return not self._closed.wait(max(0, self._started_ns + self._media_ns - now_ns) / 1e9)

    def close(self) -> None:
        """Lets the file go; a blocked ``fill`` returns None."""
        self._closed.set()
        with self._decoding:
            self._frames = iter(())
            self._waiting = None
            if self._container is not None:
                self._container.close()
                self._container = None


def _check_size(width: int, height: int, path: Path) -> None:
    if width * height > MAX_VIDEO_PIXELS:
        raise MediaError(
            f"{path}: pictures must have at most {MAX_VIDEO_PIXELS // 1_000_000} megapixels, got "
            f"{width}×{height}. Scale the video down."
        )


def _decoded(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[av.VideoFrame]:
    """Decodes to the end, skipping what cannot be decoded; a cut-off file ends where it is cut."""
    num_bad = 0
    has_picture = False
    for packet in _packets(container, stream):
        try:
            frames = stream.decode(packet)
        except av.EOFError:
            return
        except av.FFmpegError as error:
            num_bad += 1
            if num_bad == 1:
                _log.warning("%s: damaged video is skipped (%s).", container.name, error.strerror)
            if not has_picture and num_bad > _MAX_BAD_PACKETS_AT_START:
                return
            continue
        has_picture = has_picture or bool(frames)
        yield from frames


def _packets(
    container: av.container.InputContainer, stream: av.VideoStream
) -> "Iterator[PicturePacket | None]":
    """The stream's packets, and None at the end to get the last pictures out of the decoder."""
    try:
        for packet in container.demux(stream):
            # FFmpeg's own last packet is empty; ours stands for it, also where reading fails.
            if packet.size > 0:
                yield packet
    except av.FFmpegError as error:
        _log.warning("%s: the video is cut off (%s).", container.name, error.strerror)
    yield None


def _num_frames(
    container: av.container.InputContainer, stream: av.VideoStream, rate_hz: Fraction
) -> int | None:
    """How many pictures the file says it holds, or how many fit into its duration."""
    if stream.frames > 0:
        return stream.frames
    if stream.duration is not None and stream.time_base is not None:
        return max(1, round(stream.duration * stream.time_base * rate_hz))
    if container.duration:
        return max(1, round(Fraction(container.duration, av.time_base) * rate_hz))
    return None
