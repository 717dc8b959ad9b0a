"""Decoded frames of any pixel format as upright BGR pictures."""

from collections.abc import Mapping
from typing import cast

import av
import numpy as np
from av.buffer import Buffer
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from realtime.errors import MediaError
from realtime.frame import Image
from realtime.letterbox import letterbox
from realtime.orientation import UPRIGHT, Turn, display_turn, turned
from realtime.yuv import Plane, YuvStandard, bgr_from_planes

# H.273 matrix coefficients.
_MATRICES = {
    1: YuvStandard.bt709,
    5: YuvStandard.bt601,
    6: YuvStandard.bt601,
    9: YuvStandard.bt2020,
    10: YuvStandard.bt2020,
}
_FULL_RANGE = 2  # AVCOL_RANGE_JPEG
_EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


class FrameConverter:
    """Turns decoded frames of any format into upright BGR. Used by one thread.

    Eight-bit planar frames go through ``realtime.yuv``; deeper and packed ones are first brought to
    that form by swscale; RGB, gray and palette frames go through swscale alone.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._key: tuple[object, ...] | None = None
        self._bgr_from_yuv: NDArray[np.float64] | None = None
        self._stored = np.empty((0, 0, 3), np.uint8)
        self._turn = UPRIGHT
        self._reformatter = VideoReformatter()

    def convert(self, frame: av.VideoFrame, *, out: Image) -> None:
        """Writes a frame; one of another size than ``out`` is letterboxed.

        Args:
            frame: decoded, in any format that swscale reads.
            out: ``(H, W, 3) u8 BGR`` C-contiguous, written whole.

        Raises:
            MediaError: its pixel format cannot be converted.
        """
        key = (
            *(frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range),
            frame.rotation,
        )
        if key != self._key:
            self._prepare(frame)
            self._key = key
        upright = self._turn == UPRIGHT and out.shape[:2] == (frame.height, frame.width)
        target = out if upright else self._stored
        try:
            self._to_bgr(frame, target)
        except (av.FFmpegError, ValueError) as error:
            raise MediaError(
                f"{self._name}: pictures must be convertible to RGB, got {frame.format.name} "
                f"({error}). Convert the file to H.264."
            ) from error
        if not upright:
            letterbox(turned(target, self._turn), out=out)

    def _prepare(self, frame: av.VideoFrame) -> None:
        self._stored = np.empty((frame.height, frame.width, 3), np.uint8)
        self._turn = turn_of(frame)
        self._bgr_from_yuv = _standard(frame).bgr_from_yuv() if _is_yuv(frame) else None

    def _to_bgr(self, frame: av.VideoFrame, out: Image) -> None:
        if self._bgr_from_yuv is None:
            bgr = self._reformatter.reformat(
                frame, format="bgr24", interpolation=_EXACT, dst_color_range=ColorRange.JPEG
            )
            out[...] = bgr.to_ndarray()
            return
        planar = _eight_bit_planar(frame, self._reformatter)
        y, u, v = (_plane(planar, index) for index in range(3))
        bgr_from_planes(y, u, v, self._bgr_from_yuv, out=out)


def _eight_bit_planar(frame: av.VideoFrame, reformatter: VideoReformatter) -> av.VideoFrame:
    """The same samples as three 8-bit planes, with the same or finer chroma, matrix and range."""
    name = frame.format.name.replace("yuvj", "yuv")
    if name in ("yuv420p", "yuv422p", "yuv444p"):
        return frame
    narrow = frame.format.chroma_width(frame.width) < frame.width
    low = frame.format.chroma_height(frame.height) < frame.height
    target = "yuv420p" if low else "yuv422p" if narrow else "yuv444p"
    matrix = Colorspace.ITU709 if frame.colorspace == 1 else Colorspace.ITU601
    signal = ColorRange.JPEG if _is_full_range(frame) else ColorRange.MPEG
    # Same matrix and range on both sides: only depth and layout change.
    return reformatter.reformat(
        frame,
        format=target,
        src_colorspace=matrix,
        dst_colorspace=matrix,
        src_color_range=signal,
        dst_color_range=signal,
        interpolation=Interpolation.BILINEAR,
    )


def _plane(frame: av.VideoFrame, index: int) -> Plane:
    plane = frame.planes[index]
    rows: Plane = np.frombuffer(memoryview(plane), np.uint8, count=plane.height * plane.line_size)
    return rows.reshape(plane.height, plane.line_size)[:, : plane.width]


def _is_yuv(frame: av.VideoFrame) -> bool:
    form = frame.format
    return not form.is_rgb and not form.has_palette and len(form.components) >= 3


def _is_full_range(frame: av.VideoFrame) -> bool:
    return frame.color_range == _FULL_RANGE or frame.format.name.startswith("yuvj")


def _standard(frame: av.VideoFrame) -> YuvStandard:
    """The matrix and range the file states, or what players assume where it does not."""
    stated = _MATRICES.get(frame.colorspace)
    if stated is not None:
        return stated(full_range=_is_full_range(frame))
    return YuvStandard.usual(frame.width, frame.height, full_range=_is_full_range(frame))


def turn_of(frame: av.VideoFrame) -> Turn:
    """The turn that the file asks for, mirroring included.

    PyAV's frame and its side data hold on to one another from then on, so a frame that was asked
    stays in memory until Python looks for such cycles: not a question for every frame.
    """
    # PyAV's stubs call the container a TypedDict of a few keys; it is a mapping of all kinds.
    kinds = cast(Mapping[SideDataType, Buffer], frame.side_data)
    matrix = kinds.get(SideDataType.DISPLAYMATRIX)
    return UPRIGHT if matrix is None else display_turn(bytes(memoryview(matrix)))
