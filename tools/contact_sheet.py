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
from tools.sheet_grid import DIFFERENCE_GAIN, Labelled, difference, draw_grid
from tools.stage_sheet import draw_stages

_CELL_WIDTH_PX = 360


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
