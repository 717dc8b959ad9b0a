"""Pictures laid out on a sheet: cut to a face, labelled, in rows and columns."""

from collections.abc import Sequence

import cv2
import numpy as np

from realtime.frame import Image
from tools.judge import Detection

CROP_PX = 224
"""Side of a face crop on a sheet."""

CROP_SCALE = 1.4
"""Side of the square around a face, in longer sides of its box."""

DIFFERENCE_GAIN = 4

_LABEL_PX = 18
_GAP_PX = 4
_GROUND_BGR = (38, 32, 28)
_TEXT_BGR = (235, 235, 235)

Labelled = tuple[str, Image]
"""What stands above a picture, and the picture."""


def crop_face(image: Image, face: Detection) -> Image:
    """A square around a face, ``(CROP_PX, CROP_PX, 3) u8 BGR``; black beyond the picture."""
    centre = (face.box[:2] + face.box[2:]) / 2
    side = max(2, round(CROP_SCALE * float(np.max(face.box[2:] - face.box[:2]))))
    left, top = (round(float(middle) - side / 2) for middle in centre)
    square = np.zeros((side, side, 3), np.uint8)
    height, width = image.shape[:2]
    x0, y0 = max(left, 0), max(top, 0)
    part = image[y0 : min(top + side, height), x0 : min(left + side, width)]
    square[y0 - top : y0 - top + part.shape[0], x0 - left : x0 - left + part.shape[1]] = part
    shrinks = side > CROP_PX
    return cv2.resize(
        square,
        (CROP_PX, CROP_PX),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC,
    ).astype(np.uint8, copy=False)


def draw_grid(rows: Sequence[Sequence[Labelled | None]]) -> Image:
    """Lays labelled pictures of one size out in rows; None leaves its place empty.

    Returns:
        ``(H, W, 3) u8 BGR``.

    Raises:
        ValueError: there is no picture at all.
    """
    cells = [cell for row in rows for cell in row if cell is not None]
    if not cells:
        raise ValueError("draw_grid: there must be at least one picture, got none.")
    height, width = cells[0][1].shape[:2]
    step_x, step_y = width + _GAP_PX, height + _LABEL_PX + _GAP_PX
    num_columns = max(len(row) for row in rows)
    sheet = np.empty((len(rows) * step_y, num_columns * step_x, 3), np.uint8)
    sheet[:] = _GROUND_BGR
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            if cell is None:
                continue
            label, image = cell
            left, top = x * step_x, y * step_y + _LABEL_PX
            sheet[top : top + height, left : left + width] = image
            _write(sheet[top - _LABEL_PX : top, left : left + width], label)
    return sheet


def _write(strip: Image, text: str) -> None:
    """Writes one line into a strip of the sheet; what does not fit is cut off."""
    position = (2, _LABEL_PX - 5)
    cv2.putText(strip, text, position, cv2.FONT_HERSHEY_SIMPLEX, 0.4, _TEXT_BGR, 1, cv2.LINE_AA)


def difference(before: Image, after: Image) -> Image:
    """How two pictures differ, ``DIFFERENCE_GAIN`` times."""
    return np.asarray(cv2.convertScaleAbs(cv2.absdiff(before, after), alpha=DIFFERENCE_GAIN))
