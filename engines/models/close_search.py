"""Looks for faces that are small in a large picture: in its parts, each for itself."""

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from engines.models.face_candidates import Candidate, rank, shifted
from engines.models.face_finder import FaceFinder, LocatedFace, Wanted, box_of

_LARGE = 1 / 12
"""Width of a face over the side of what is searched, from which on others like it are found too."""

_NUM_CLOSER, _LEAST_PART_PX = 2, 256
"""How often parts of half the side are searched, and what they must have to be worth it."""

_NO_BOXES = np.empty((0, 4), np.float32)


def search_parts(
    finder: FaceFinder,
    image: NDArray[np.uint8],
    wanted: Wanted,
    *,
    found: Sequence[LocatedFace],
) -> list[LocatedFace]:
    """What ``FaceFinder.search`` has missed in a picture that comes alone.

    The networks see all of a picture in 192 pixels, so far people of a large one are not found
    there. As long as there is no face, or only such as are small, parts of half the side are
    searched, twice; that takes as long as some forty searches.

    Args:
        finder: looks.
        image: ``(H, W, 3) u8 BGR``.
        wanted: what counts, ``found`` among the number of faces.
        found: what the search of the whole picture has found.

    Returns:
        Faces besides those.
    """
    side_px = max(image.shape[:2])
    faces = list(found)
    for _ in range(_NUM_CLOSER):
        boxes = np.stack([box_of(face.landmarks) for face in faces]) if faces else _NO_BOXES
        widest_px = float((boxes[:, 2] - boxes[:, 0]).max(initial=0.0))
        is_all = len(faces) >= wanted.max_faces or widest_px > _LARGE * side_px
        if is_all or side_px < 2 * _LEAST_PART_PX:
            break
        side_px //= 2
        faces += finder.confirm(
            image,
            _glance_at_parts(finder, image, side_px, wanted),
            known=np.concatenate([wanted.known, boxes]),
            max_faces=wanted.max_faces - len(faces),
            min_score=wanted.min_score,
        )
    return faces[len(found) :]


def _glance_at_parts(
    finder: FaceFinder, image: NDArray[np.uint8], side_px: int, wanted: Wanted
) -> list[Candidate]:
    """What the detectors find in each part; a face may be there several times."""
    height, width = image.shape[:2]
    found: list[Candidate] = []
    for left, top, right, bottom in overlapping_parts(width, height, side_px):
        candidates = finder.glance(
            image[top:bottom, left:right],
            min_detection=wanted.min_detection,
            quarter_turns=wanted.quarter_turns,
        )
        found += [(shifted(faces, left, top), index) for faces, index in candidates]
    return sorted(found, key=rank)


def overlapping_parts(width: int, height: int, side_px: int) -> Iterator[tuple[int, int, int, int]]:
    """Squares that cover a picture, each half over the next, so that none cuts all faces.

    Args:
        width, height: of the picture.
        side_px: of the squares, at least 2; a picture that is narrower is taken in full width.

    Yields:
        Left, top, right and bottom in pixels.
    """
    across, down = (_starts(length, side_px) for length in (width, height))
    for top, left in itertools.product(down, across):
        yield left, top, min(left + side_px, width), min(top + side_px, height)


def _starts(length: int, side: int) -> list[int]:
    """Where pieces of a line begin that are half over each other, evenly spaced."""
    last = max(length - side, 0)
    num = math.ceil(2 * last / side) + 1
    return [round(at) for at in np.linspace(0, last, num)]
