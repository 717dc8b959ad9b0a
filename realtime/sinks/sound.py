"""The sound of one file carried into another beside its new pictures."""

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.container
from av.audio.resampler import AudioResampler

from realtime.media_file import open_video, picture_stream

if TYPE_CHECKING:
    # PyAV's classes are generic in its stubs only.
    SoundPacket = av.Packet[av.AudioStream]

_log = logging.getLogger(__name__)


class SoundTrack:
    """Carries all sound streams of a file into an output, packet by packet, as the film goes on.

    Packets are copied as they are; a codec that the output's container cannot hold is encoded anew
    as AAC. Times are those of the file, so picture and sound keep their relation. Used by one
    thread.

    Attributes:
        offset_ns: time of the file's first picture on the file's own timeline; the new pictures
            must carry the same times.
        pictures_end_ns: end of the file's last picture on that timeline; None where unknown.
        num_pictures: how many pictures the file says it holds; 0 where it does not say.
        stored_size: width and height of the pictures before they are turned upright.
        pixel_shape: width of a stored picture element over its height.
    """

    def __init__(self, path: Path, output: av.container.OutputContainer) -> None:
        """Opens the file and adds its sound streams to an output that has not begun.

        Args:
            path: of the file whose sound is wanted; it may have none.
            output: gets one stream for each sound stream.

        Raises:
            MediaError: the file cannot be opened or has no pictures.
        """
        self._input = open_video(path)
        self._output = output
        self._tracks: dict[int, _Copy | _Encode] = {}
        pictures = picture_stream(self._input, path)
        self.offset_ns = _ns(pictures.start_time or 0, pictures.time_base)
        self.pictures_end_ns = self._end_of(pictures)
        self.num_pictures = pictures.frames
        self.stored_size = (pictures.width, pictures.height)
        self.pixel_shape = pictures.sample_aspect_ratio or Fraction(1)
        for stream in self._input.streams.audio:
            self._tracks[stream.index] = _track(stream, output, path)
        self._packets = self._sound()
        self._next: SoundPacket | None = None

    def _end_of(self, pictures: av.VideoStream) -> int | None:
        if pictures.duration is not None:
            return self.offset_ns + _ns(pictures.duration, pictures.time_base)
        if self._input.duration is not None and not self._input.streams.audio:
            return _ns(self._input.duration, Fraction(1, av.time_base))
        return None

    def carry_until(self, time_ns: int | None) -> None:
        """Writes the sound that begins before a time.

        Args:
            time_ns: on the file's timeline; None for all the rest.

        Raises:
            av.FFmpegError: the output cannot be written.
        """
        while True:
            packet = self._next or next(self._packets, None)
            self._next = packet
            if packet is None:
                return
            begins_ns = _ns(packet.dts or 0, packet.time_base)
            if time_ns is not None and begins_ns >= time_ns:
                return
            self._next = None
            self._carry(packet)

    def _carry(self, packet: "SoundPacket") -> None:
        """Writes one packet; a stream that the output refuses ends, the film goes on."""
        index = packet.stream_index
        if index not in self._tracks:
            return
        try:
            for written in self._tracks[index].packets(packet):
                self._output.mux(written)
        except (av.InvalidDataError, av.ArgumentError) as error:
            self._ends_early(error)
            del self._tracks[index]

    def _sound(self) -> "Iterator[SoundPacket]":
        """Packets with a time; damaged sound ends the sound, not the film."""
        if not self._input.streams.audio:
            return
        try:
            for packet in self._input.demux(audio=tuple(range(len(self._input.streams.audio)))):
                if packet.dts is not None:
                    yield packet
        except av.FFmpegError as error:
            self._ends_early(error)

    def finish(self) -> None:
        """Writes what the encoders still hold, and lets the file go."""
        try:
            for track in self._tracks.values():
                for packet in track.rest():
                    self._output.mux(packet)
        except (av.InvalidDataError, av.ArgumentError) as error:
            self._ends_early(error)
        finally:
            self._input.close()

    def _ends_early(self, error: av.FFmpegError) -> None:
        _log.warning("%s: its sound ends early (%s).", self._input.name, error.strerror)

    def close(self) -> None:
        """Lets the file go without writing anything more."""
        self._input.close()


class _Copy:
    """A stream whose packets fit the output as they are."""

    def __init__(self, stream: av.AudioStream, output: av.container.OutputContainer) -> None:
        self._stream = output.add_stream_from_template(stream)

    def packets(self, packet: "SoundPacket") -> "list[SoundPacket]":
        packet.stream = self._stream
        return [packet]

    def rest(self) -> "list[SoundPacket]":
        return []


class _Encode:
    """A stream that is encoded anew as AAC."""

    def __init__(self, stream: av.AudioStream, output: av.container.OutputContainer) -> None:
        context = stream.codec_context
        self._stream = output.add_stream("aac", rate=context.sample_rate)
        # Old containers know the number of channels but not their places.
        self._stream.layout = "mono" if context.layout.nb_channels == 1 else "stereo"
        self._source = stream
        self._resampler = AudioResampler(
            self._stream.format, self._stream.layout, self._stream.rate
        )

    def packets(self, packet: "SoundPacket") -> "list[SoundPacket]":
        return self._encoded(packet.decode())

    def rest(self) -> "list[SoundPacket]":
        tail = self._encoded(self._source.codec_context.decode(None))
        for frame in self._resampler.resample(None):
            tail += self._stream.encode(frame)
        return tail + self._stream.encode(None)

    def _encoded(self, frames: list[av.AudioFrame]) -> "list[SoundPacket]":
        resampled = [part for frame in frames for part in self._resampler.resample(frame)]
        return [packet for frame in resampled for packet in self._stream.encode(frame)]


def _track(
    stream: av.AudioStream, output: av.container.OutputContainer, path: Path
) -> _Copy | _Encode:
    codec = stream.codec_context.codec.canonical_name
    if codec in output.supported_codecs:
        return _Copy(stream, output)
    _log.warning(
        "%s: %s sound does not fit into %s and is encoded anew as AAC. Write an .mkv to keep it.",
        path,
        codec,
        output.format.name,
    )
    return _Encode(stream, output)


def _ns(ticks: int, time_base: Fraction | None) -> int:
    return round(ticks * (time_base or Fraction(1)) * 1_000_000_000)
