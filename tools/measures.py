"""What is measured on one pair of pictures, before and after the swap."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.errors import MediaError
from realtime.frame import Image
from realtime.job import FaceChoice
from realtime.pictures import load_picture
from tools.judge import Detection, Embedding, Judge, iou

MIN_IOU = 0.3
"""A face of the output is that of the input if their boxes overlap by more than this."""

FACE_MARGIN = 0.25
"""The face's region is its box grown on each side by this part of its width or height."""

MAX_PSNR_DB = 99.0
"""Stands for equal pictures, whose ratio has no bound."""

CHEEK_RADIUS = 0.08
"""Of a cheek patch, in distances between the eyes."""

CHEEK_OUTWARD = 0.1
"""How far a cheek patch lies outside the middle of eye and mouth corner, in the same unit."""

NOSE_RANGE = (0.25, 0.75)
"""Where the tip of the nose may lie between the eyes, as a part of their distance; beyond about
30 degrees of yaw it leaves this range, and soon the far cheek is not in sight."""

_XYZ_FROM_RGB = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
"""Linear sRGB; the sums of its rows are the white."""


@dataclass(frozen=True, slots=True)
class InputFace:
    """The target's own face in one input picture.

    Attributes:
        detection: where it is.
        embedding: whose it is.
    """

    detection: Detection
    embedding: Embedding


@dataclass(frozen=True, slots=True)
class FrameFigures:
    """One frame that shows a face in the input.

    Attributes:
        found: the output shows a face at the same place.
        source_cosine: output face to source face; NaN unless found.
        target_cosine: output face to the input's face. Unless found it is that of the place where
            the input's face was, so that nobody hides from the detector in front of the
            recogniser; NaN where the output has no such picture.
        cheek: Lab distance of the cheeks; NaN where they are not in sight.
        outside_mse: mean squared error 0..65025 outside the face's region; NaN where the region
            is the whole picture.
    """

    found: bool
    source_cosine: float = math.nan
    target_cosine: float = math.nan
    cheek: float = math.nan
    outside_mse: float = math.nan


class ClipFaces:
    """The input faces of one clip, each looked at once however many outputs are judged.

    Args:
        judge: the networks.
        face_index: which face of each picture is meant; 0 is the largest.
    """

    def __init__(self, judge: Judge, face_index: int = 0) -> None:
        self._judge = judge
        self._face_index = face_index
        self._known: dict[int, InputFace | None] = {}

    def look(self, image: Image, media_ns: int) -> InputFace | None:
        """The face in the input picture of this time; None where there is none."""
        if media_ns not in self._known:
            faces = self._judge.detector.detect(image)[self._face_index :]
            self._known[media_ns] = (
                InputFace(faces[0], self._judge.recogniser.embed(image, faces[0].points))
                if faces
                else None
            )
        return self._known[media_ns]


@dataclass(frozen=True, slots=True)
class Source:
    """Whose face is put in.

    Attributes:
        name: of its file.
        image: ``(H, W, 3) u8 BGR``.
        detection: where the face is in it.
        embedding: whose it is.
    """

    name: str
    image: Image
    detection: Detection
    embedding: Embedding


def open_source(judge: Judge, face: FaceChoice) -> Source:
    """Finds the face of a source picture: the one that is meant, or else the largest.

    Raises:
        MediaError: the picture cannot be used or shows no such face.
    """
    image = load_picture(face.path)
    faces = judge.detector.detect(image)
    if face.number is not None:
        faces = sorted(faces, key=lambda found: float(found.box[0]))[face.number - 1 :]
    if not faces:
        raise MediaError(
            f"{face.path}: must show the face that is meant, got none. Use another picture."
        )
    embedding = judge.recogniser.embed(image, faces[0].points)
    name = face.path.name if face.number is None else f"{face.path.name}#{face.number}"
    return Source(name, image, faces[0], embedding)


def judge_frame(
    judge: Judge, source: Embedding, face: InputFace, before: Image, after: Image
) -> FrameFigures:
    """Measures one frame.

    Args:
        judge: the networks.
        source: the identity that should be seen.
        face: the input's face in ``before``.
        before, after: ``(H, W, 3) u8 BGR`` of one size.
    """
    place = face.detection
    candidates = judge.detector.detect(after)
    best = max(candidates, key=lambda other: iou(place, other), default=None)
    found = best is not None and iou(place, best) > MIN_IOU
    points = best.points if best is not None and found else place.points
    identity = judge.recogniser.embed(after, points)
    return FrameFigures(
        found=found,
        source_cosine=float(identity @ source) if found else math.nan,
        target_cosine=float(identity @ face.embedding),
        cheek=cheek_distance(before, after, place.points),
        outside_mse=outside_mse(before, after, place.box),
    )


def cheek_distance(before: Image, after: Image, points: NDArray[np.float32]) -> float:
    """How much the swap changed the tone of the cheeks.

    A cheek patch is a disc below an eye: its centre lies in the middle of the eye and the mouth
    corner of its side, moved outwards along the line of the eyes by ``CHEEK_OUTWARD``; its radius
    is ``CHEEK_RADIUS``; both in distances between the eyes. The tone is the mean of its pixels in
    CIELAB (sRGB, D65). Both pictures are read at the same place, that of the input's face.

    Args:
        before, after: ``(H, W, 3) u8 BGR``.
        points: ``(5, 2) f32`` of the face in ``before``.

    Returns:
        Euclidean distance in CIELAB (ΔE*ab), mean of the two cheeks; NaN where the head is turned
        so far that one may be out of sight, or where a patch leaves the picture.
    """
    discs = cheek_discs(points, before.shape[1], before.shape[0])
    if not discs:
        return math.nan
    changes = [mean_lab(before, *disc) - mean_lab(after, *disc) for disc in discs]
    return float(np.linalg.norm(changes, axis=1).mean())


def cheek_discs(
    points: NDArray[np.float32], width_px: int, height_px: int
) -> list[tuple[float, float, float]]:
    """The two cheek patches as centre x, y and radius in pixels; none where they are not usable."""
    left_eye, right_eye, nose, left_mouth, right_mouth = points.astype(np.float64)
    across = right_eye - left_eye
    eyes_px = float(np.linalg.norm(across))
    nose_at = float((nose - left_eye) @ across) / max(eyes_px, 1e-6) ** 2
    if not NOSE_RANGE[0] <= nose_at <= NOSE_RANGE[1]:
        return []
    radius = CHEEK_RADIUS * eyes_px
    outward = CHEEK_OUTWARD * across
    centres = ((left_eye + left_mouth) / 2 - outward, (right_eye + right_mouth) / 2 + outward)
    limit = np.array([width_px - 1, height_px - 1]) - radius
    if any((centre < radius).any() or (centre > limit).any() for centre in centres):
        return []
    return [(float(x), float(y), radius) for x, y in centres]


def mean_lab(image: Image, x: float, y: float, radius: float) -> NDArray[np.float64]:
    """The tone of a disc: mean CIELAB of its pixels, ``(3,)``.

    Args:
        image: ``(H, W, 3) u8 BGR``; the disc lies in it.
        x, y, radius: pixels.
    """
    left, top = math.floor(x - radius), math.floor(y - radius)
    right, bottom = math.ceil(x + radius), math.ceil(y + radius)
    rows, columns = np.ogrid[top : bottom + 1, left : right + 1]
    # Half a pixel more, so that the smallest disc still has its centre.
    inside = (columns - x) ** 2 + (rows - y) ** 2 <= (radius + 0.5) ** 2
    tone: NDArray[np.float64] = lab(image[top : bottom + 1, left : right + 1][inside]).mean(axis=0)
    return tone


def lab(colours: NDArray[np.uint8]) -> NDArray[np.float64]:
    """CIELAB of sRGB colours (IEC 61966-2-1, CIE 15; white is D65).

    OpenCV's conversion is off by up to one percent in the dark, hence the formulas themselves.

    Args:
        colours: ``(N, 3) u8 BGR``.

    Returns:
        ``(N, 3) f64``: L* 0..100, a* and b*.
    """
    rgb = colours[:, ::-1] / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz_from_rgb = np.array(_XYZ_FROM_RGB)
    ratio = linear @ xyz_from_rgb.T / xyz_from_rgb.sum(axis=1)
    knee = 6 / 29
    x, y, z = np.where(ratio > knee**3, np.cbrt(ratio), ratio / (3 * knee**2) + 4 / 29).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def face_region(
    box: NDArray[np.float32], width_px: int, height_px: int
) -> tuple[int, int, int, int]:
    """The face's region in whole pixels: left, top, right, bottom, the last two exclusive."""
    left, top, right, bottom = (float(side) for side in box)
    dx, dy = FACE_MARGIN * (right - left), FACE_MARGIN * (bottom - top)
    return (
        min(max(math.floor(left - dx), 0), width_px),
        min(max(math.floor(top - dy), 0), height_px),
        min(max(math.ceil(right + dx), 0), width_px),
        min(max(math.ceil(bottom + dy), 0), height_px),
    )


def outside_mse(before: Image, after: Image, box: NDArray[np.float32]) -> float:
    """Mean squared error 0..65025 of all values outside the face's region.

    The region is the detector's box of the input, grown by ``FACE_MARGIN`` on each side; nothing
    else is left out. NaN where the region is the whole picture.
    """
    left, top, right, bottom = face_region(box, before.shape[1], before.shape[0])
    num_values = before.size - (bottom - top) * (right - left) * 3
    if num_values == 0:
        return math.nan
    squares = cv2.norm(before, after, cv2.NORM_L2SQR)
    if right > left and bottom > top:
        inside = (slice(top, bottom), slice(left, right))
        squares -= cv2.norm(before[inside], after[inside], cv2.NORM_L2SQR)
    return squares / num_values


def psnr_db(mse: float) -> float:
    """Peak signal-to-noise ratio of 8-bit pictures, at most ``MAX_PSNR_DB``."""
    if mse <= 0:
        return MAX_PSNR_DB
    return min(MAX_PSNR_DB, 10 * math.log10(255**2 / mse))
