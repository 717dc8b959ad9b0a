"""What may be wrong with a picture and with a drawn face: to train and to judge FuseNet with.

Everything works on canvases ``(C, C, ...)`` as ``tools.fusenet_data`` makes them, and on what is
drawn from a random generator, so that the same seed gives the same pictures.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.face_mesh import BROW_LINE
from realtime.frame import Image

Random = np.random.Generator
Plane = NDArray[np.float32]

_SKIN_BGR = ((60, 85, 125), (150, 180, 225))
"""Darkest and lightest skin of hands that come in front."""

_SHADES = (0.55, 1.5)


def smooth(random: Random, side: int, cells: int, channels: int) -> Plane:
    """A smooth random field of about unit variance, ``(side, side, channels) f32``."""
    coarse = random.standard_normal((cells, cells, channels), np.float32)
    field = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(field, np.float32).reshape(side, side, channels)


def relit(random: Random, strength: float, side: int) -> Plane:
    """Light from somewhere, as factors ``(side, side, 3) f32``: a slope, a spot, a tint, a gain."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j].astype(np.float32)
    angle = random.uniform(0, 2 * np.pi)
    slope = np.cos(angle) * x + np.sin(angle) * y
    level = strength * (
        random.uniform(-0.5, 0.5) * slope + 0.15 * smooth(random, side, 4, 1)[..., 0]
    )
    tint = strength * random.uniform(-0.15, 0.15, 3)
    gain = strength * random.uniform(-0.9, 0.35)
    return np.asarray(np.exp(level[..., None] + tint + gain), np.float32)


def blurred(picture: Plane, sigma: float) -> Plane:
    """Blurred by some pixels or more, at a quarter of the size, which takes a tenth of the time."""
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / 4)
    return np.asarray(cv2.resize(small, (width, height)), np.float32)


def mottled(random: Random, side: int) -> Plane:
    """What the mesh's own light gets wrong, as factors ``(side, side, 3) f32`` around 1."""
    tint = random.normal(0, 0.05, 3) + random.normal(0, 0.1)
    spots = 0.06 * random.random() * smooth(random, side, int(random.integers(3, 7)), 1)
    return np.asarray(np.exp(tint + spots), np.float32)


def levels(picture: Plane) -> Image:
    """Grey levels that were computed with, as a picture."""
    return np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8)


def resharpened(random: Random, face: Plane) -> Plane:
    """Softer, or with edges that are too strong."""
    sigma = random.uniform(0.5, 1.4)
    soft = np.asarray(cv2.GaussianBlur(face, (0, 0), sigma), np.float32)
    if random.random() < 0.5:
        return soft
    return np.asarray(face + random.uniform(0.3, 1.2) * (face - soft), np.float32)


def overdone(random: Random, face: Plane, alpha: Plane) -> Plane:
    """Light and shadow too strong, as gain leaves them when a dark face is drawn on a light one.

    Args:
        random: where what is drawn comes from.
        face: ``(side, side, 3)`` grey levels.
        alpha: ``(side, side)`` grey levels, where it was drawn.
    """
    sigma = random.uniform(4, 16)
    weight = blurred(alpha, sigma)[..., None] + np.float32(1)
    wide = blurred(face * alpha[..., None], sigma) / weight
    return np.asarray(wide + random.uniform(1.1, 2.5) * (face - wide), np.float32)


def with_strands(random: Random, face: Plane, points: Plane) -> Plane:
    """Foreign hair on the brow and temples of a drawn face."""
    low, high = points.min(axis=0), points.max(axis=0)
    strands = np.zeros(face.shape[:2], np.uint8)
    start = random.uniform(low, (high[0], low[1] + 0.15 * (high[1] - low[1])))
    for _ in range(int(random.integers(2, 9))):
        root = start + random.normal(0, 5, 2)
        length = random.uniform(10, 45)
        steps = np.linspace(0, 1, 6)[:, None]
        bend = np.array([[random.uniform(-14, 14), length]])
        line = root + steps * bend + steps**2 * random.normal(0, 5, (1, 2))
        cv2.polylines(
            strands, [np.round(line).astype(np.int32)], False, 255, int(random.integers(1, 3))
        )
    weight = cv2.GaussianBlur(strands, (0, 0), 0.8)[..., None] * np.float32(
        random.uniform(0.4, 0.9) / 255
    )
    colour = np.asarray(random.uniform(10, 90, 3), np.float32)
    return np.asarray(face + weight * (colour - face), np.float32)


def with_foreign_brow(random: Random, face: Image, other: Image, points: Plane) -> Plane:
    """What lies above the brows as somebody else has it, who may have hair there.

    Args:
        random: where what is drawn comes from.
        face, other: ``(side, side, 3) u8``, drawn on the same landmarks.
        points: ``(468, 2)`` those.
    """
    side = face.shape[0]
    brows = points[list(BROW_LINE), 1].min()
    line = random.uniform(points[:, 1].min(), brows)
    level = np.arange(side, dtype=np.float32)[:, None] - np.float32(line)
    ragged = level + 8 * smooth(random, side, 5, 1)[..., 0]
    weight = np.clip(0.5 - ragged / 6, 0, 1)[..., None]
    return np.asarray((1 - weight) * face + weight * other, np.float32)


def with_glasses(random: Random, face: Plane, eyes: Plane) -> Plane:
    """Traces of the source's glasses around two eyes, ``eyes`` is ``(2, 2)`` canvas pixels."""
    frame = np.zeros(face.shape[:2], np.uint8)
    apart = float(np.linalg.norm(eyes[1] - eyes[0]))
    axes = (round(apart * random.uniform(0.28, 0.42)), round(apart * random.uniform(0.2, 0.36)))
    thick = int(random.integers(1, 4))
    for eye in eyes:
        middle = np.round(eye + random.normal(0, 1, 2)).astype(int).tolist()
        cv2.ellipse(frame, middle, axes, 0, 0, 360, 255, thick, cv2.LINE_AA)
    first, second = np.round(eyes).astype(int).tolist()
    cv2.line(frame, first, second, 160, thick, cv2.LINE_AA)
    weight = cv2.GaussianBlur(frame, (0, 0), 0.8)[..., None] * np.float32(
        random.uniform(0.2, 0.8) / 255
    )
    colour = np.asarray(random.uniform(10, 120, 3), np.float32)
    return np.asarray(face + weight * (colour - face), np.float32)


def with_holes(random: Random, face: Plane, points: Plane) -> Plane:
    """Spots where the texture shows something else: smeared, bright, or of another colour."""
    spots = np.zeros(face.shape[:2], np.uint8)
    low, high = points.min(axis=0), points.max(axis=0)
    for _ in range(int(random.integers(1, 4))):
        middle = random.uniform(low, high).astype(int).tolist()
        axes = random.integers(3, 14, 2).tolist()
        cv2.ellipse(spots, middle, axes, random.uniform(0, 180), 0, 360, 255, -1)
    weight = cv2.GaussianBlur(spots, (0, 0), 1.5)[..., None] * np.float32(
        random.uniform(0.3, 1) / 255
    )
    other = cv2.GaussianBlur(face, (0, 0), 6) * np.float32(random.uniform(*_SHADES))
    return np.asarray(face + weight * (other - face), np.float32)


def occluder(random: Random, side: int, points: Plane) -> tuple[Plane, Plane]:
    """Something that comes in front of a face: a hand, a microphone, strands of hair.

    Returns:
        ``(side, side, 3)`` grey levels and ``(side, side) f32`` 0..1 where it hides the face.
    """
    kind = random.random()
    low, high = points.min(axis=0), points.max(axis=0)
    mask = np.zeros((side, side), np.uint8)
    if kind < 0.45:
        colour = _hand(random, mask, low, high)
        soft = 1.0
    elif kind < 0.65:
        colour = _microphone(random, mask, low, high)
        soft = 0.8
    else:
        colour = _hair(random, mask, low, high)
        soft = 0.6
    hidden = np.asarray(cv2.GaussianBlur(mask, (0, 0), soft) / np.float32(255), np.float32)
    grain = 1 + 0.12 * smooth(random, side, 12, 1) + 0.05 * smooth(random, side, side // 3, 1)
    return np.asarray(np.clip(colour * grain, 0, 255), np.float32), hidden


def as_found(random: Random, hidden: Plane) -> Plane | None:
    """What the engine's finder makes of an occluder: larger, smaller, shifted, or nothing."""
    draw = random.random()
    if draw < 0.3:
        return None
    shift = np.array([[1, 0, random.normal(0, 1.5)], [0, 1, random.normal(0, 1.5)]])
    found = cv2.warpAffine(hidden, shift, hidden.shape[::-1])
    reach = 2 * int(random.integers(0, 3)) + 1
    kernel = np.ones((reach, reach), np.uint8)
    found = cv2.dilate(found, kernel) if draw < 0.7 else cv2.erode(found, kernel)
    return np.asarray(cv2.GaussianBlur(found, (0, 0), 1.5), np.float32)


def _hand(random: Random, mask: NDArray[np.uint8], low: Plane, high: Plane) -> Plane:
    """Fingers side by side, of one skin colour."""
    middle = random.uniform(low, high)
    angle = random.uniform(0, np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    width = random.uniform(9, 16)
    for finger in range(int(random.integers(1, 5))):
        start = middle + finger * width * across + random.normal(0, 3, 2)
        end = start + along * random.uniform(30, 120)
        root, tip = np.round([start, end]).astype(int).tolist()
        cv2.line(mask, root, tip, 255, round(width * random.uniform(0.8, 1.1)), cv2.LINE_AA)
    share = random.random()
    dark, light = (np.asarray(one, np.float32) for one in _SKIN_BGR)
    return np.asarray(dark + share * (light - dark), np.float32)


def _microphone(random: Random, mask: NDArray[np.uint8], low: Plane, high: Plane) -> Plane:
    """A dark ball on a stick that comes from below."""
    x = random.uniform(low[0], high[0])
    y = random.uniform((low[1] + 2 * high[1]) / 3, high[1])
    radius = round(random.uniform(10, 22))
    cv2.circle(mask, (round(x), round(y)), radius, 255, -1, cv2.LINE_AA)
    foot = (round(x + random.normal(0, 40)), mask.shape[0])
    cv2.line(mask, (round(x), round(y)), foot, 255, radius, cv2.LINE_AA)
    return np.asarray(random.uniform(5, 70, 3), np.float32)


def _hair(random: Random, mask: NDArray[np.uint8], low: Plane, high: Plane) -> Plane:
    """A lock of strands that hangs into the face."""
    start = np.array([random.uniform(low[0], high[0]), low[1] - 8])
    bend = np.array([[random.uniform(-40, 40), random.uniform(40, 110)]])
    steps = np.linspace(0, 1, 8)[:, None]
    for _ in range(int(random.integers(3, 14))):
        line = (
            start + random.normal(0, 5, 2) + steps * bend + steps**2 * random.normal(0, 12, (1, 2))
        )
        thick = int(random.integers(1, 4))
        cv2.polylines(mask, [np.round(line).astype(np.int32)], False, 255, thick, cv2.LINE_AA)
    return np.asarray(random.uniform(8, 60) * np.array([0.8, 0.9, 1.1]), np.float32)
