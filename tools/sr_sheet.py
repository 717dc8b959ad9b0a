"""What super-resolution makes of faces, side by side: ``python -m tools.sr_sheet NETWORK …``.

    python -m tools.sr_sheet srsn_lite_x2_fidelity srsn_lite_x2_perceptual \\
        --faces portraits:512 --sheet sheet.png

A row for each of some faces that no training sees: the small picture as a webcam gives it, bicubic
interpolation, each network, and the picture that it was made of; of each the middle, where eyes,
nose and cheeks are, with square pixels. The same numbers are drawn as in ``tools.eval_sr``.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from engines.errors import ModelError
from realtime.contact_sheet import write_picture
from realtime.errors import RtSwapError
from realtime.frame import Image
from tools.degrade import degrade
from tools.eval_sr import BICUBIC, FACE_SEED, Resolve, bicubic, load_faces, luma_psnr, open_network
from tools.sheet_grid import Labelled, draw_grid

CELL_PX = 256
"""Side of a picture on the sheet."""

WINDOW_SHARE = 0.5
"""Side of the part that is shown, of the face's picture."""


def draw_rows(
    ways: Mapping[str, Resolve], scale: int, faces: Sequence[Image], count: int
) -> list[list[Labelled | None]]:
    """The rows of the sheet.

    Args:
        ways: to enlarge, by what is written above each.
        scale: 2 or 4, of all of them.
        faces: u8 BGR, sides divisible by twice the scale.
        count: rows at most, of faces at even distances.
    """
    random = np.random.default_rng(FACE_SEED)
    smalls = [degrade(face, scale, random) for face in faces]
    rows: list[list[Labelled | None]] = []
    for place in np.linspace(0, len(faces) - 1, min(count, len(faces))).round().astype(int):
        small, face = smalls[place], faces[place]
        row: list[Labelled | None] = [("small", _middle(small))]
        for name, enlarge in ways.items():
            made = enlarge(small)
            row.append((f"{name} {luma_psnr(made, face, scale):.2f} dB", _middle(made)))
        rows.append([*row, ("original", _middle(face))])
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws the sheet; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="+", help="ONNX files, catalogue names, checkpoints")
    parser.add_argument("--faces", required=True, help="FOLDER:SIDE; every ninth may be shown")
    parser.add_argument("--sheet", type=Path, required=True, help="picture to write")
    parser.add_argument("--rows", type=int, default=4, help="faces at most")
    options = parser.parse_args(arguments)
    if options.rows < 1:
        parser.error(f"--rows: must be at least 1, got {options.rows}")
    try:
        opened = {name: open_network(name) for name in options.networks}
        scales = {scale for scale, _ in opened.values()}
        if len(scales) != 1:
            raise ValueError(f"networks must be of one scale, got {sorted(scales)}.")
        scale = scales.pop()
        ways = {BICUBIC: bicubic(scale)}
        ways |= {Path(name).stem: enlarge for name, (_, enlarge) in opened.items()}
        rows = draw_rows(ways, scale, load_faces(options.faces), options.rows)
        write_picture(draw_grid(rows), options.sheet)
    except (ModelError, RtSwapError, OSError, ValueError) as error:
        print(f"sr_sheet: {error}", file=sys.stderr)
        return ModelError.exit_code
    return 0


def _middle(image: Image) -> Image:
    """The middle of a picture as a square of the sheet, with pixels that can be seen."""
    side = round(WINDOW_SHARE * min(image.shape[:2]))
    top, left = ((length - side) // 2 for length in image.shape[:2])
    part = image[top : top + side, left : left + side]
    made = cv2.resize(part, (CELL_PX, CELL_PX), interpolation=cv2.INTER_NEAREST)
    return np.asarray(made, np.uint8)


if __name__ == "__main__":
    sys.exit(main())
