"""What planar 8-bit YUV means, and its way to BGR for chroma of any subsampling; pure.

One 3×4 matrix product per picture (``cv2.transform``), rounded once: every value comes out within
0.65 levels of the definition in ITU-R BT.601, BT.709 and BT.2020. ``cv2.cvtColor`` knows only
BT.601 in limited range; swscale's quick path is up to 2.7 levels off, and one on average.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.convert import bgr_from_i420
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


def bgr_from_planes(
    y: Plane, u: Plane, v: Plane, bgr_from_yuv: NDArray[np.float64], *, out: Image
) -> None:
    """Converts one picture; chroma is enlarged linearly.

    Args:
        y: ``(H, W) u8``, rows may be padded.
        u: ``(h, w) u8`` blue difference, at most the size of ``y``.
        v: ``(h, w) u8`` red difference, the size of ``u``.
        bgr_from_yuv: ``(3, 4) f64``, what the planes mean.
        out: ``(H, W, 3) u8 BGR`` C-contiguous, written whole.
    """
    height, width = y.shape
    if u.shape == ((height + 1) // 2, (width + 1) // 2):
        bgr_from_i420(y, u, v, bgr_from_yuv, out=out)
        return
    # Finer chroma is that of files alone, for which no kernel is worth while.
    enlarged = (
        cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR_EXACT) for plane in (u, v)
    )
    cv2.transform(cv2.merge([y, *enlarged]), bgr_from_yuv, dst=out)
