"""Dense motion between two pictures, where it can be believed, and what it leaves over."""

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.frame import Image

Flow = NDArray[np.float32]
"""``(H, W, 2) f32`` pixels: what is at ``p`` in the first picture is at ``p + flow[p]`` in the
second."""

Mask = NDArray[np.bool_]
"""``(H, W)``."""

# Ruder, Dosovitskiy, Brox, "Artistic style transfer for videos" (2016), as Lai et al. use it.
_APART_SHARE, _APART_PX2 = 0.01, 0.5
_BEND_SHARE, _BEND = 0.01, 0.002


class FlowFinder:
    """Dense inverse search (Kroeger et al. 2016), OpenCV's fast preset; for one thread."""

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def find(self, first: Image, second: Image) -> Flow:
        """The motion from one picture to the next.

        Args:
            first, second: ``(H, W, 3) u8 BGR`` of one size, at least 16 pixels on each side.
        """
        grey = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in (first, second)]
        flow = self._dis.calc(grey[0], grey[1], np.zeros((*grey[0].shape, 2), np.float32))
        return np.asarray(flow, np.float32)


def warp(image: NDArray[np.generic], flow: Flow, *, left: int = 0, top: int = 0) -> Flow:
    """The second picture as seen from the first.

    Args:
        image: ``(H, W, C)`` of u8 or f32, the second picture.
        flow: ``(h, w, 2) f32`` of a part of the first.
        left, top: where that part lies in the picture.

    Returns:
        ``(h, w, C) f32``; bilinear in floating point, edges repeated beyond the picture.
    """
    height, width = flow.shape[:2]
    across = np.arange(left, left + width, dtype=np.float32)
    down = np.arange(top, top + height, dtype=np.float32)[:, None]
    return np.asarray(
        cv2.remap(
            np.asarray(image, np.float32),
            flow[..., 0] + across,
            flow[..., 1] + down,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.float32,
    )


def visible(forward: Flow, backward: Flow) -> Mask:
    """Where what the first picture shows can be seen in the second as well.

    Forward and backward flow must cancel within ``0.01 (|f|² + |b|²) + 0.5``, the flow must not
    bend by more than ``0.01 |f|² + 0.002`` from a pixel to the next (a motion boundary), and it
    must stay inside the picture.

    Args:
        forward, backward: from the first picture to the second and the other way round.
    """
    back = warp(backward, forward)
    size, back_size = (np.square(flow).sum(axis=2) for flow in (forward, back))
    apart = np.square(forward + back).sum(axis=2)
    bend = np.zeros_like(size)
    bend[:, :-1] += np.square(np.diff(forward, axis=1)).sum(axis=2)
    bend[:-1] += np.square(np.diff(forward, axis=0)).sum(axis=2)
    height, width = size.shape
    x = forward[..., 0] + np.arange(width, dtype=np.float32)
    y = forward[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    agree = apart <= _APART_SHARE * (size + back_size) + _APART_PX2
    smooth = bend <= _BEND_SHARE * size + _BEND
    seen: Mask = agree & smooth & inside
    return seen


def warp_error(
    first: Image, second: Image, flow: Flow, seen: Mask, *, left: int = 0, top: int = 0
) -> float:
    """How much two pictures differ beyond their motion: the warping error of one pair.

    Lai et al., "Learning blind video temporal consistency" (2018), evaluate_WarpError.py: the sum
    of squared differences over the number of visible values, pictures in 0..1.

    Args:
        first: ``(h, w, 3) u8``, the part that is looked at.
        second: ``(H, W, 3) u8``, the picture after it, with room around that part.
        flow: ``(h, w, 2) f32``.
        seen: ``(h, w)``.
        left, top: where ``first`` lies in ``second``'s coordinates.

    Returns:
        NaN where nothing is visible.
    """
    num_values = 3 * int(np.count_nonzero(seen))
    if num_values == 0:
        return float("nan")
    apart = (warp(second, flow, left=left, top=top) - first)[seen]
    return float(np.square(apart, dtype=np.float64).sum()) / num_values / 255**2


def flow_distance_px(a: Flow, b: Flow, seen: Mask) -> float:
    """Mean distance of two flows in pixels (tOF of Chu et al. 2020); NaN if nothing is visible."""
    if not seen.any():
        return float("nan")
    return float(np.sqrt(np.square(a - b)[seen].sum(axis=1)).mean())
