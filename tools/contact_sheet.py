"""Pictures to look at side by side: ``python -m tools.contact_sheet``.

One column for each of some evenly spaced frames. From a clip and its swapped output: the input, the
output and four times their difference below one another. From a clip and a face the engine runs,
and the rows are the input, the mask, the swap as it was drawn, the composite and the difference,
cut to the face.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from engines.errors import ModelError
from realtime.consent import ConsentKind
from realtime.contact_sheet import write_picture
from realtime.errors import MediaError, RtSwapError
from realtime.frame import Image
from tools.clip_pairs import clip_moments
from tools.judge import Detection

CROP_PX = 224
"""Side of a face crop on a sheet."""

CROP_SCALE = 1.4
"""Side of the square around a face, in longer sides of its box."""

DIFFERENCE_GAIN = 4

_CELL_WIDTH_PX = 360
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


def draw_comparison(before: Path, after: Path, num_frames: int) -> Image:
    """The sheet of one clip and its output.

    Args:
        before, after: video files.
        num_frames: how many moments, evenly spaced over what both clips show.

    Raises:
        MediaError: a file cannot be used, or they have no moment in common.
    """
    num_common = sum(
        moment.before is not None and moment.after is not None
        for moment in clip_moments(before, after)
    )
    wanted = {round(at) for at in np.linspace(0, num_common - 1, min(num_frames, num_common))}
    rows: list[list[Labelled | None]] = [[], [], []]
    index = 0
    for moment in clip_moments(before, after):
        if moment.before is None or moment.after is None:
            continue
        if index in wanted:
            seconds = f"{moment.media_ns / 1e9:.2f} s"
            names = ("input", "output", f"difference x{DIFFERENCE_GAIN}")
            images = (moment.before, moment.after, difference(moment.before, moment.after))
            for row, name, image in zip(rows, names, images, strict=True):
                row.append((f"{name} {seconds}", _shrink(image)))
        index += 1
    if num_common == 0:
        raise MediaError(f"{after}: must share a picture's time with {before}, got none in common.")
    return draw_grid(rows)


def difference(before: Image, after: Image) -> Image:
    """How two pictures differ, ``DIFFERENCE_GAIN`` times."""
    return np.asarray(cv2.convertScaleAbs(cv2.absdiff(before, after), alpha=DIFFERENCE_GAIN))


def _shrink(image: Image) -> Image:
    height, width = image.shape[:2]
    scale = min(1.0, _CELL_WIDTH_PX / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws the sheet; returns the exit code."""
    parser = argparse.ArgumentParser(description="An input clip and its output side by side.")
    parser.add_argument("--input", type=Path, required=True, help="the clip before the swap")
    parser.add_argument("--output", type=Path, help="the clip after it")
    parser.add_argument("--face", metavar="PICTURE[#N]", help="swap it in instead of --output")
    parser.add_argument("--sheet", type=Path, required=True, help="picture to write")
    parser.add_argument("--frames", type=int, default=8, help="number of columns")
    parser.add_argument("--seconds", type=float, metavar="S", help="of the clip, with --face")
    parser.add_argument("--consent", type=ConsentKind, choices=list(ConsentKind), metavar="KIND")
    parser.add_argument("--config", metavar="FILE", help="of the engine, as rt-swap takes it")
    parser.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE")
    options = parser.parse_args(arguments)
    if options.frames < 1:
        parser.error(f"--frames: must be at least 1, got {options.frames}")
    if (options.output is None) == (options.face is None):
        parser.error("give either --output or --face")
    try:
        if options.face is not None:
            # The engine is slow to load, and two finished clips do not need it.
            from tools.stage_sheet import draw_stages

            sheet = draw_stages(options)
        else:
            sheet = draw_comparison(options.input, options.output, options.frames)
        write_picture(sheet, options.sheet)
    except (RtSwapError, ModelError) as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
