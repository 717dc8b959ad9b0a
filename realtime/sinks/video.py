"""A video file as a sink: H.264 beside the sound of the input."""

import logging
import os
import shutil
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.container
import cv2
import numpy as np

from cuda_kernels.convert import i420_from_bgr
from realtime.errors import SinkError
from realtime.frame import Image, PictureSpec
from realtime.provenance.seal import Seal
from realtime.sinks.output_path import check_output
from realtime.sinks.sound import SoundTrack
from realtime.yuv import Plane, YuvStandard, is_high_definition

if TYPE_CHECKING:
    # PyAV's classes are generic in its stubs only.
    PicturePacket = av.Packet[av.VideoStream]

TICKS_HZ = 90_000
"""Resolution of the pictures' times, as MPEG has it; 30000/1001 Hz and 24 Hz both fit exactly."""

_BT709, _BT601 = 1, 6  # H.273 codes, the same for matrix, primaries and transfer
_LIMITED_RANGE = 1  # AVCOL_RANGE_MPEG
_CHECK_EVERY_BYTES = 1 << 20
_RESERVE_BYTES = 4 << 20
_RESERVE_PER_PICTURE_BYTES = 64

_log = logging.getLogger(__name__)


class VideoFile:
    """Writes H.264 in 8-bit 4:2:0 with the times it is given, and copies the input's sound.

    The film grows in ``NAME.part.SUFFIX`` beside its place and takes the name when it is closed,
    whether the input ended or the run was stopped. If writing fails (disk full), the part that was
    written is closed as a playable file and keeps the name with ``.part``. Space is watched so that
    the index still fits. Colours are tagged BT.709 from 720 lines on and BT.601 below, limited
    range. A picture of odd size gains one column or row, a copy of the last, as 4:2:0 has even
    sizes only.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        copy_audio_from: Path | None,
        force: bool,
        crf: int = 18,
        preset: str = "veryfast",
        threads: int | None = None,
        seal: Seal | None = None,
    ) -> None:
        """Names the file; nothing is touched before ``open``.

        Args:
            path: ending in .mp4, .m4v, .mov or .mkv.
            copy_audio_from: the input, whose sound, timeline and pixel shape are kept; None for
                none.
            force: replace an existing file.
            crf: constant rate factor of x264, 0 (lossless) to 51.
            preset: speed of x264, ``ultrafast`` to ``placebo``.
            threads: of the encoder; None for half of the processors, at most four, so that the
                engine keeps the rest.
            seal: says in and beside the file what made it; None says nothing.
        """
        self._path = Path(path)
        self._part = self._path.with_name(f"{self._path.stem}.part{self._path.suffix}")
        self._source = copy_audio_from
        self._force = force
        self._seal = seal
        self._options = {"crf": str(crf), "preset": preset}
        self._threads = threads or max(1, min(4, (os.cpu_count() or 2) // 2))
        self._container: av.container.OutputContainer | None = None
        self._sound: SoundTrack | None = None
        self._failed = False
        self._last_ticks = -1
        self._num_sent = 0
        self._unchecked_bytes = 0
        self._held: PicturePacket | None = None
        self._delay_ticks = 0

    def open(self, spec: PictureSpec) -> None:
        """Creates the file and its streams.

        Raises:
            SinkError: it exists already, is the input, or cannot be created.
            MediaError: the file whose sound is wanted cannot be read.
        """
        check_output(self._path, source=self._source, force=self._force)
        check_output(self._part, source=self._source, force=self._force)
        self._period_ticks = max(1, round(TICKS_HZ / spec.rate_hz))
        self._size = (spec.width + spec.width % 2, spec.height + spec.height % 2)
        if self._size != (spec.width, spec.height):
            _log.warning(
                "%s: written as %d×%d, as video has even sizes only.", self._path, *self._size
            )
        high = is_high_definition(*self._size)
        standard = YuvStandard.bt709() if high else YuvStandard.bt601()
        self._yuv_from_bgr = standard.yuv_from_bgr()
        try:
            # FFmpeg opens the file late; this says at once whether it can be written.
            self._part.touch()
            self._container = av.open(str(self._part.resolve()), "w", options=self._muxer_options())
            if self._seal is not None:
                self._seal.open()
                self._container.metadata.update(self._seal.tags())
            self._add_streams(self._container, spec, _BT709 if high else _BT601)
            self._check_space()
        except OSError as error:
            self._discard()
            raise SinkError(
                f"{self._path}: must be writable, got: {error.strerror}. Name another place."
            ) from error
        except BaseException:
            self._discard()
            raise

    def _muxer_options(self) -> dict[str, str]:
        if self._path.suffix.lower() == ".mkv":
            return {}
        # Without the second flag MP4 drops every tag whose name Apple does not know.
        tags = "" if self._seal is None else "+use_metadata_tags"
        return {"movflags": f"+faststart{tags}"}

    def _add_streams(
        self, container: av.container.OutputContainer, spec: PictureSpec, colour: int
    ) -> None:
        stream = container.add_stream("libx264", rate=spec.rate_hz, options=self._options)
        stream.width, stream.height = self._size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, TICKS_HZ)
        context.thread_count = self._threads
        context.colorspace = context.color_primaries = context.color_trc = colour
        context.color_range = _LIMITED_RANGE
        self._stream = stream
        self._offset_ns = 0
        if self._source is not None:
            self._sound = SoundTrack(self._source, container)
            self._offset_ns = self._sound.offset_ns
            turned = self._sound.stored_size == (spec.height, spec.width)
            shape = self._sound.pixel_shape
            context.sample_aspect_ratio = 1 / shape if turned else shape

    def send(self, image: Image, media_ns: int) -> None:
        """Encodes one picture; see ``realtime.stage.Sink``.

        Times must grow; one that does not is moved a tick behind the last.

        Raises:
            SinkError: the disk is full or the file cannot be written.
        """
        if self._container is None:
            raise SinkError(f"{self._path}: must be open to be written to. Open it first.")
        time_ns = media_ns + self._offset_ns
        ticks = max(self._last_ticks + 1, _ticks(time_ns))
        frame = self._frame(image)
        frame.pts, frame.time_base = ticks, Fraction(1, TICKS_HZ)
        self._last_ticks = ticks
        self._num_sent += 1
        try:
            for packet in self._stream.encode(frame):
                # The last packet is held back, as only close() knows how long it lasts.
                held, self._held = self._held, packet
                if held is None:
                    self._delay_ticks = _delay_ticks(packet)
                else:
                    self._write(self._container, held)
            if self._sound is not None:
                self._sound.carry_until(time_ns)
        except av.FFmpegError as error:
            raise self._failure(error.strerror) from error

    def _frame(self, image: Image) -> av.VideoFrame:
        """A new frame with the picture's planes; the encoder may hold on to it."""
        width, height = self._size
        right, bottom = width - image.shape[1], height - image.shape[0]
        if right or bottom:
            image = np.asarray(
                cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE), np.uint8
            )
        frame = av.VideoFrame(width, height, "yuv420p")
        y, u, v = (_writable(plane) for plane in frame.planes)
        i420_from_bgr(image, self._yuv_from_bgr, out=(y, u, v))
        return frame

    def _write(self, container: av.container.OutputContainer, packet: "PicturePacket") -> None:
        self._unchecked_bytes += packet.size
        container.mux(packet)
        if self._unchecked_bytes >= _CHECK_EVERY_BYTES:
            self._unchecked_bytes = 0
            self._check_space()

    def _check_space(self) -> None:
        """Stops while the index still fits, so that what was written stays playable."""
        reserve = _RESERVE_BYTES + _RESERVE_PER_PICTURE_BYTES * self._num_sent
        try:
            free = shutil.disk_usage(self._part.parent).free
        except OSError as error:
            raise self._failure(error.strerror) from error
        if free < reserve:
            raise self._failure("No space left on device")

    def _failure(self, reason: str | None) -> SinkError:
        self._failed = True
        kept = f" The part written so far is {self._part}." if self._num_sent else ""
        return SinkError(
            f"{self._path}: the video must be writable, got: {reason}. "
            f"Make room or name another place.{kept}"
        )

    def close(self) -> None:
        """Finishes the file and gives it its name.

        Raises:
            SinkError: the end cannot be written.
        """
        container, self._container = self._container, None
        if container is None:
            return
        try:
            if self._num_sent == 0:
                with suppress(av.FFmpegError):
                    container.close()
                self._part.unlink(missing_ok=True)
                return
            self._finish(container)
        finally:
            if self._sound is not None:
                self._sound.close()
        if not self._failed:
            self._rename()

    def _finish(self, container: av.container.OutputContainer) -> None:
        try:
            self._flush(container)
            container.close()
        except av.FFmpegError as error:
            # The failure that led here has been raised already; a second one adds nothing.
            if not self._failed:
                raise self._failure(error.strerror) from error

    def _flush(self, container: av.container.OutputContainer) -> None:
        """Writes what the encoders hold; the last picture lasts as long as it did in the input."""
        end_ns, whole = self._end()
        end_ticks = max(self._last_ticks + 1, _ticks(end_ns))
        packets = [packet for packet in (self._held, *self._stream.encode(None)) if packet]
        if self._held is None:
            self._delay_ticks = _delay_ticks(packets[0])
        for packet in packets:
            packet.duration = self._period_ticks
            if packet.pts == self._last_ticks:
                packet.duration = end_ticks - self._last_ticks
        # MP4 adds up durations in the order of decoding, so the last packet there fills the sum.
        last_dts = packets[-1].dts or 0
        packets[-1].duration = max(1, end_ticks - self._delay_ticks - last_dts)
        for packet in packets:
            container.mux(packet)
        if self._sound is not None:
            # A run that was cut short is given the sound that belongs to it and no more.
            self._sound.carry_until(None if whole else end_ns)
            self._sound.finish()

    def _end(self) -> tuple[int, bool]:
        """When the last picture ends on the file's timeline; whether the input ends there."""
        last_ns = round(self._last_ticks * 1_000_000_000 / TICKS_HZ)
        period_ns = round(self._period_ticks * 1_000_000_000 / TICKS_HZ)
        end_ns = last_ns + period_ns
        if self._sound is None or (stated_ns := self._sound.pictures_end_ns) is None:
            return end_ns, False
        all_sent = 0 < self._sound.num_pictures <= self._num_sent
        whole = all_sent or stated_ns - end_ns < period_ns
        return stated_ns if whole and stated_ns > last_ns else end_ns, whole

    def _rename(self) -> None:
        try:
            if self._seal is not None:
                self._seal.finish(self._part, self._path)
            self._part.replace(self._path)
        except OSError as error:
            raise SinkError(
                f"{self._path}: must be writable, got: {error.strerror}. The finished video is "
                f"{self._part}: move it yourself."
            ) from error

    def _discard(self) -> None:
        if self._sound is not None:
            self._sound.close()
        if self._container is not None:
            with suppress(av.FFmpegError):
                self._container.close()
            self._container = None
        with suppress(OSError):
            self._part.unlink(missing_ok=True)


def _ticks(time_ns: int) -> int:
    return round(time_ns * TICKS_HZ / 1_000_000_000)


def _delay_ticks(first: "PicturePacket") -> int:
    """How far decoding runs ahead of showing, read off the first packet."""
    return (first.pts or 0) - (first.dts or 0)


def _writable(plane: av.video.plane.VideoPlane) -> Plane:
    rows: Plane = np.frombuffer(memoryview(plane), np.uint8, count=plane.height * plane.line_size)
    return rows.reshape(plane.height, plane.line_size)[:, : plane.width]
