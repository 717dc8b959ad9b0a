"""What FuseNet makes of a drawn face, put onto it at its own resolution."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from cuda_kernels.affine import halvings, inverse, spacing, to_blocks
from realtime.frame import Layer
from realtime.fusenet_inputs import FusenetInputs
from realtime.geometry import Matrix, compose, invert

_NONE, _FULL = 0.25, 0.5
"""Shares of the drawn face that are seen at a pixel of the crop, up to which what the network says
there counts for nothing, and from which in full."""

_REACH_PX = 5
"""Side of the neighbourhood over which it is carried on to where it does not count, at half the
size."""

_GROUND = np.float32(1e-4)
"""Weight beyond which nothing is carried."""


def refined(
    layer: Layer,
    inputs: FusenetInputs,
    image: NDArray[np.float32],
    blend: NDArray[np.float32],
    crop_from_image: Matrix,
) -> Layer:
    """The layer with what the network changed about it.

    The network sees a face at its own, lower resolution. So its picture is not taken as it is:
    what it adds to the render is enlarged and added to the layer, which keeps its detail; and so
    is the share of its coverage that it leaves. Both are only known where the drawn face is seen;
    from there they are carried on over the rim of its openings and of what stands in front, so
    that nothing of those runs into the face. Where the layer covers nothing it still does not.

    Args:
        layer: the one that the inputs were built from.
        inputs: what the network was shown.
        image: ``(1, 3, S, S) f32 RGB`` 0..1, its picture.
        blend: ``(1, 1, S, S) f32`` 0..1, how far that covers the target; at most ``1 - keep``.
        crop_from_image: ``(2, 3)``, where all of these lie.

    Returns:
        A new layer in the same place, in the picture's light and marked as joined.
    """
    changes = _changes(inputs, image[0], blend[0, 0])
    layer_from_crop = compose(layer.crop_from_image, invert(crop_from_image))
    height, width = layer.alpha.shape
    four = _enlarged(changes, layer_from_crop, (width, height))
    added = cv2.cvtColor(four, cv2.COLOR_BGRA2BGR)
    face = cv2.add(layer.face, added, dtype=cv2.CV_8U)
    share = cv2.extractChannel(four, 3) + np.float32(255.0)
    alpha = cv2.multiply(layer.alpha, share, scale=1 / 255, dtype=cv2.CV_8U)
    return replace(
        layer,
        face=np.asarray(face, np.uint8),
        alpha=np.asarray(alpha, np.uint8),
        lit=True,
        joined=True,
    )


def _changes(
    inputs: FusenetInputs, image: NDArray[np.float32], blend: NDArray[np.float32]
) -> NDArray[np.float32]:
    """What is added to blue, green and red, and what is taken from the coverage.

    Normalised convolution (Knutsson and Westin 1993) from where the drawn face is seen.

    Returns:
        ``(S, S, 4) f32`` levels: what is added to each colour, -255..255, and what is taken from a
        share of 255, -255..0; beside the face nothing.
    """
    seen = np.float32(1.0) - inputs.keep[0, 0]
    red, green, blue = image - inputs.render[0]
    share = np.minimum(blend / np.maximum(seen, _GROUND), np.float32(1.0))
    # One less than whole: what is carried on beyond the face fades to no change at all.
    known = cv2.merge([blue, green, red, np.asarray(share - np.float32(1.0))])
    weight = np.clip((seen - _NONE) * np.float32(1 / (_FULL - _NONE)), 0.0, 1.0)
    size = (weight.shape[1], weight.shape[0])
    half, reach = (size[0] // 2, size[1] // 2), (_REACH_PX, _REACH_PX)
    above, below = (
        cv2.blur(cv2.resize(values, half, interpolation=cv2.INTER_AREA), reach)
        for values in (cv2.multiply(known, cv2.merge([weight] * 4)), weight)
    )
    around = cv2.divide(above, cv2.merge([below + _GROUND] * 4))
    around = cv2.resize(around, size, interpolation=cv2.INTER_LINEAR)
    changes = cv2.blendLinear(known, around, weight, 1.0 - weight)
    return np.asarray(cv2.addWeighted(changes, 255.0, changes, 0.0, 0.0), np.float32)


def _enlarged(
    changes: NDArray[np.float32], layer_from_crop: Matrix, size: tuple[int, int]
) -> NDArray[np.float32]:
    """The changes at the size of the layer; averaged first where that is smaller."""
    reach = spacing(inverse(layer_from_crop))
    shift = halvings(reach, changes.shape[1], changes.shape[0])
    for _ in range(shift):
        half = (changes.shape[1] // 2, changes.shape[0] // 2)
        changes = np.asarray(cv2.resize(changes, half, interpolation=cv2.INTER_AREA), np.float32)
    return np.asarray(
        cv2.warpAffine(
            changes,
            to_blocks(inverse(layer_from_crop), shift),
            size,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.float32,
    )
