"""Pictures in the pixel formats that virtual cameras take; BT.601, limited range.

OpenCV's own conversion takes under half the time of ``cuda_kernels.convert``, which files are
written with: it takes chroma from one pixel of four and knows no other standard, both of which do
for a camera's preview.
"""

from collections.abc import Mapping
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.frame import Image

Packed = NDArray[np.uint8]
"""C-contiguous bytes of one picture, as a device takes them."""

FORMATS = ("YU12", "YV12", "NV12", "YUYV", "UYVY", "BGR3", "RGB3")
"""What can be made, the best first: names of V4L2; ``YU12`` is I420."""

_CONVERSIONS: Mapping[str, int] = MappingProxyType(
    {
        "YU12": cv2.COLOR_BGR2YUV_I420,
        "YV12": cv2.COLOR_BGR2YUV_YV12,
        "NV12": cv2.COLOR_BGR2YUV_I420,
        "YUYV": cv2.COLOR_BGR2YUV_YUYV,
        "UYVY": cv2.COLOR_BGR2YUV_UYVY,
        "RGB3": cv2.COLOR_BGR2RGB,
    }
)

_BYTES_OF_PIXEL: Mapping[str, int] = MappingProxyType({"YUYV": 2, "UYVY": 2, "BGR3": 3, "RGB3": 3})
"""Of packed formats; planar ones have one byte of luma in their first plane."""


def row_bytes(fourcc: str, width: int) -> int:
    """Bytes of one row of the first plane, without gaps."""
    return width * _BYTES_OF_PIXEL.get(fourcc, 1)


class Packer:
    """Converts pictures of one even size into one format, each with a single conversion.

    Args:
        fourcc: one of ``FORMATS``.
        width, height: pixels, even.

    Raises:
        ValueError: the format is another one, or the size is odd.
    """

    def __init__(self, fourcc: str, width: int, height: int) -> None:
        if fourcc not in FORMATS or width % 2 or height % 2:
            raise ValueError(
                f"Packer: the format must be one of {', '.join(FORMATS)} and the size even, got "
                f"{fourcc} {width}×{height}."
            )
        self._fourcc = fourcc
        self._height = height
        channels = _BYTES_OF_PIXEL.get(fourcc)
        planar = (height * 3 // 2, width)
        self._packed: Packed = np.empty((height, width, channels) if channels else planar, np.uint8)
        self._interleaved: Packed = np.empty(planar, np.uint8)

    def pack(self, image: Image) -> Packed:
        """Converts one picture.

        Args:
            image: ``(H, W, 3) u8 BGR`` of the size told; rows may have gaps between them.

        Returns:
            The picture as the device takes it; valid until the next call.
        """
        if self._fourcc == "BGR3":
            return np.ascontiguousarray(image)
        cv2.cvtColor(image, _CONVERSIONS[self._fourcc], dst=self._packed)
        return self._nv12() if self._fourcc == "NV12" else self._packed

    def _nv12(self) -> Packed:
        """The planes of chroma as one plane of pairs."""
        height = self._height
        self._interleaved[:height] = self._packed[:height]
        chroma = self._interleaved[height:].reshape(-1)
        chroma[0::2], chroma[1::2] = self._packed[height:].reshape(2, -1)
        return self._interleaved
