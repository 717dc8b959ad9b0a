"""What FuseNet knew of one face in the frame before, moved to where that is now."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.flow import places_from_flow
from engines.families.fuser import MEMORIES
from realtime.feature_flow import feature_flow
from realtime.frame import Motion
from realtime.geometry import Matrix

_STILL_PX = 1 / 64
"""Movement, in pixels of a map, at which nothing is to be moved: bilinear sampling again and again
would blur what stands still, and knows no finer steps than twice this."""

_MOST_CHANNELS = 128
"""Channels that OpenCV moves at once."""

Tensors = Mapping[str, NDArray[np.float32]]


@dataclass(slots=True)
class _State:
    """What is remembered: each memory as ``(h, w, C) f32``, and the crop it shows."""

    maps: dict[str, NDArray[np.float32]]
    crop_from_image: Matrix


class LatentMemory:
    """The features of one tracked face from one frame to the next.

    The network itself decides what they are worth: they are only moved along the flow, and it is
    told how far that can be trusted.
    """

    def __init__(self) -> None:
        """Begins empty."""
        self._state: _State | None = None

    @property
    def crop_from_image(self) -> Matrix | None:
        """The crop of the frame before; None without a memory."""
        return None if self._state is None else self._state.crop_from_image

    def reset(self) -> None:
        """Forgets everything: another person, another scene, a frame in between."""
        self._state = None

    def keep(self, outputs: Tensors, crop_from_image: Matrix) -> None:
        """Takes what the network gives for the next frame; the arrays stay the caller's.

        Args:
            outputs: the network's, by name.
            crop_from_image: ``(2, 3)``, its crop in this frame.
        """
        maps = {} if self._state is None else self._state.maps
        for name, following in MEMORIES.items():
            planes = outputs[following][0]
            # With all channels of a place side by side one look moves them all.
            last = maps.get(name)
            if last is None or last.shape != (*planes.shape[1:], planes.shape[0]):
                last = np.empty((*planes.shape[1:], planes.shape[0]), np.float32)
                maps[name] = last
            np.copyto(last, planes.transpose(1, 2, 0))
        self._state = _State(maps, crop_from_image)

    def recall(
        self, motion: Motion | None, crop_from_image: Matrix, crop_px: int, *, out: Tensors
    ) -> bool:
        """Writes what is remembered, moved to this frame, into the network's inputs.

        Args:
            motion: since the frame of the last ``keep``; None where that is not known.
            crop_from_image: ``(2, 3)``, the network's crop in this frame.
            crop_px: its side.
            out: the network's inputs; memories and confidence are written, with 0 where nothing is
                remembered.

        Returns:
            Whether anything is.
        """
        state = self._state
        if state is None or motion is None:
            for name in (*MEMORIES, "confidence"):
                out[name].fill(0.0)
            return False
        confidence = out["confidence"][0, 0]
        height, width = confidence.shape
        flow, confidence[...] = feature_flow(
            motion, crop_from_image, state.crop_from_image, crop_px, (height, width)
        )
        for name in MEMORIES:
            planes = out[name][0]
            own = flow
            if planes.shape[1:] != (height, width):
                # The mean over the pixels under each coarser one, in its own, larger pixels.
                size = (planes.shape[2], planes.shape[1])
                coarse = cv2.resize(flow, size, interpolation=cv2.INTER_AREA)
                own = np.asarray(coarse * np.float32(size[0] / width), np.float32)
            np.copyto(planes, _moved(state.maps[name], own).transpose(2, 0, 1))
        return True


def _moved(maps: NDArray[np.float32], flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(h, w, C)`` maps as they are seen along a flow ``(h, w, 2)``; beyond them their edge."""
    if np.abs(flow).max() < _STILL_PX:
        return maps
    height, width, channels = maps.shape
    where = np.empty_like(flow)
    places_from_flow(flow, out=where)
    x, y = cv2.split(where)
    parts = [maps]
    if channels > _MOST_CHANNELS:
        ends = range(_MOST_CHANNELS, channels, _MOST_CHANNELS)
        parts = [np.ascontiguousarray(part) for part in np.split(maps, ends, axis=-1)]
    moved = [
        cv2.remap(part, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for part in parts
    ]
    if len(parts) > 1:
        moved = [part.reshape(height, width, -1) for part in moved]
        return np.concatenate(moved, axis=-1)
    return np.asarray(moved[0], np.float32).reshape(maps.shape)
