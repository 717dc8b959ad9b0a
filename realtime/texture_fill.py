"""What no picture of a person shows: put into the texture from the other side, or as plain skin."""

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.face_zones import Mask, smoothstep
from realtime.skin_light import LUMA

_PLAIN = (0.15, 0.35)
"""Log shade by which a spot differs from the skin around when it begins not to be plain skin and
when it surely is not."""

_MISSING_PX = 8
"""How softly what both sides lack sets in, in pixels of the map."""

Map = NDArray[np.float32]


def mend(factor: Map, unusable: Mask) -> Map:
    """Fills what no picture shows from the other side of the face, else with plain skin.

    What is put in takes on the tone of the skin around it, so that it has no edges.

    Args:
        factor: ``(S, S, 3) f32``, the texture; above 0.
        unusable: ``(S, S) f32`` 0..1, what no picture shows.

    Returns:
        ``(S, S, 3) f32``, another texture.
    """
    other = np.asarray(cv2.dilate(unusable, np.ones((21, 21), np.uint8))[:, ::-1])
    missing = np.maximum(other, cv2.GaussianBlur(other, (0, 0), _MISSING_PX))[..., None]
    detail = np.log(factor)
    fill = detail[:, ::-1] * (1.0 - missing)
    # Only skin carries its tone on: a brow cut off by hair, and what is left of hair, do not.
    plain = 1.0 - smoothstep(np.abs(detail @ LUMA), *_PLAIN)
    known = np.asarray(plain * (1.0 - smoothstep(unusable, 0.0, 0.5)), np.float32)
    fill += _continued(np.asarray(detail - fill, np.float32), known)
    lost = unusable[..., None]
    return np.asarray(np.exp(detail * (1.0 - lost) + fill * lost), np.float32)


def without_eyeballs(factor: Map, eyeballs: Mask) -> tuple[Map, tuple[float, float]]:
    """Lids carried on over the eyes, which are those of the person in front of the camera.

    These show where the lids are open, but lids are not placed to the pixel: the white of another
    eye would be left beside a glance to the side.

    Args:
        factor: ``(S, S, 3) f32``, the texture; above 0.
        eyeballs: ``(S, S) f32`` 0..1, the right one in the left half, as in ``FaceZones``.

    Returns:
        The texture ``(S, S, 3) f32``, and how much brighter the right and the left eye were than
        what is there now.
    """
    detail = np.log(factor)
    filled = _continued(detail, np.asarray(eyeballs == 0, np.float32))
    share = cv2.blur(eyeballs, (3, 3))[..., None]
    lids = np.asarray(np.exp(detail * (1.0 - share) + filled * share), np.float32)
    was, now = ((part @ LUMA * eyeballs).sum(axis=0) for part in (factor, lids))
    middle = len(was) // 2
    right, left = (
        float(was[half].sum() / max(now[half].sum(), 1e-6))
        for half in (slice(middle), slice(middle, None))
    )
    return lids, (right, left)


def _continued(values: Map, known: Mask) -> Map:
    """Values carried on smoothly to where they are not known: pulled and pushed.

    Gortler et al., "The lumigraph" (1996): averages of what is known at ever coarser sizes, and
    back, each filling what the finer one lacks.

    Args:
        values: ``(S, S, 3) f32``.
        known: ``(S, S) f32`` 0..1.
    """
    if min(known.shape) < 2:
        return values * known[..., None]
    size = known.shape[::-1]
    half = (size[0] // 2, size[1] // 2)
    weight = np.asarray(cv2.resize(known, half, interpolation=cv2.INTER_AREA), np.float32)
    sums = cv2.resize(values * known[..., None], half, interpolation=cv2.INTER_AREA)
    means = np.asarray(sums / np.maximum(weight, np.float32(1e-6))[..., None], np.float32)
    coarser = _continued(means, np.minimum(weight * np.float32(4.0), np.float32(1.0)))
    below = cv2.resize(coarser, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(below + (values - below) * known[..., None], np.float32)
