"""Exact and quick conversion between planar 8-bit YUV and BGR, for any matrix and range; pure.

One 3×4 matrix product per picture (``cv2.transform``), rounded once: every value comes out within
0.65 levels of the definition in ITU-R BT.601, BT.709 and BT.2020. ``cv2.cvtColor`` knows only
BT.601 in limited range; swscale's quick path is up to 2.7 levels off, and one on average.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.frame import Image

Plane = NDArray[np.uint8]
"""``(h, w) u8``; rows may be padded."""


@dataclass(frozen=True, slots=True)
class YuvStandard:
    """How luma and chroma are made of red, green and blue.

    Attributes:
        kr: weight of red in luma.
        kb: weight of blue in luma.
        full_range: luma spans 0..255 where True, 16..235 where False.
    """

    kr: float
    kb: float
    full_range: bool = False

    @classmethod
    def bt601(cls, *, full_range: bool = False) -> "YuvStandard":
        """Standard definition, and JPEG."""
        return cls(0.299, 0.114, full_range)

    @classmethod
    def bt709(cls, *, full_range: bool = False) -> "YuvStandard":
        """High definition."""
        return cls(0.2126, 0.0722, full_range)

    @classmethod
    def bt2020(cls, *, full_range: bool = False) -> "YuvStandard":
        """Ultra-high definition, non-constant luminance."""
        return cls(0.2627, 0.0593, full_range)

    @classmethod
    def usual(cls, width: int, height: int, *, full_range: bool = False) -> "YuvStandard":
        """What players assume for a size where the file does not say: BT.709 from 720 lines on."""
        if is_high_definition(width, height):
            return cls.bt709(full_range=full_range)
        return cls.bt601(full_range=full_range)

    def yuv_from_bgr(self) -> NDArray[np.float64]:
        """The affine map of 8-bit values, ``(3, 4) f64``."""
        kg = 1.0 - self.kr - self.kb
        luma = np.array([self.kb, kg, self.kr])
        blue = (np.array([1.0, 0.0, 0.0]) - luma) / (2.0 * (1.0 - self.kb))
        red = (np.array([0.0, 0.0, 1.0]) - luma) / (2.0 * (1.0 - self.kr))
        luma_span, chroma_span, black = (255.0, 255.0, 0.0) if self.full_range else (219, 224, 16)
        linear = np.stack([luma * luma_span, blue * chroma_span, red * chroma_span]) / 255.0
        return np.hstack([linear, [[black], [128.0], [128.0]]])

    def bgr_from_yuv(self) -> NDArray[np.float64]:
        """The inverse map, ``(3, 4) f64``."""
        forward = self.yuv_from_bgr()
        linear = np.linalg.inv(forward[:, :3])
        return np.hstack([linear, -linear @ forward[:, 3:]])


def is_high_definition(width: int, height: int) -> bool:
    """Whether untagged video of this size is taken as BT.709 by players (mpv's and VLC's rule)."""
    return width >= 1280 or height > 576


class BgrFromPlanes:
    """Converts pictures of one size and standard from planar YUV to BGR.

    Chroma of any subsampling is enlarged linearly. Used by one thread.
    """

    def __init__(self, width: int, height: int, standard: YuvStandard) -> None:
        self._matrix = standard.bgr_from_yuv()
        self._size = (width, height)
        self._chroma = [np.empty((height, width), np.uint8) for _ in "uv"]
        self._yuv = np.empty((height, width, 3), np.uint8)

    def convert(self, y: Plane, u: Plane, v: Plane, *, out: Image) -> None:
        """Converts one picture.

        Args:
            y: ``(H, W) u8``.
            u: ``(h, w) u8`` blue difference, at most the size of ``y``.
            v: ``(h, w) u8`` red difference, the size of ``u``.
            out: ``(H, W, 3) u8 BGR`` C-contiguous, written whole.
        """
        planes = [y]
        for plane, enlarged in zip((u, v), self._chroma, strict=True):
            if plane.shape == y.shape:
                planes.append(plane)
            else:
                cv2.resize(plane, self._size, dst=enlarged, interpolation=cv2.INTER_LINEAR)
                planes.append(enlarged)
        cv2.merge(planes, dst=self._yuv)
        cv2.transform(self._yuv, self._matrix, dst=out)


class PlanesFromBgr:
    """Converts pictures of one even size from BGR to planar YUV with halved chroma (4:2:0).

    Chroma is the mean of two by two pixels. Used by one thread.
    """

    def __init__(self, width: int, height: int, standard: YuvStandard) -> None:
        self._matrix = standard.yuv_from_bgr()
        self._half = (width // 2, height // 2)
        self._yuv = np.empty((height, width, 3), np.uint8)
        self._half_yuv = np.empty((height // 2, width // 2, 3), np.uint8)

    def convert(self, image: Image, *, out: tuple[Plane, Plane, Plane]) -> None:
        """Converts one picture.

        Args:
            image: ``(H, W, 3) u8 BGR``, H and W even.
            out: luma ``(H, W) u8``, blue and red difference ``(H/2, W/2) u8``; written whole,
                rows may be padded.
        """
        cv2.transform(image, self._matrix, dst=self._yuv)
        cv2.resize(self._yuv, self._half, dst=self._half_yuv, interpolation=cv2.INTER_AREA)
        cv2.extractChannel(self._yuv, 0, dst=out[0])
        cv2.extractChannel(self._half_yuv, 1, dst=out[1])
        cv2.extractChannel(self._half_yuv, 2, dst=out[2])
