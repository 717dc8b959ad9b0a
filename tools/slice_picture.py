"""One row of pixels over time, before and after: ``python -m tools.slice_picture --out slice.png``.

The synthetic camera's head talks in front of a noisy camera and gets the built-in face, so the
picture may be shown to anybody. Time runs to the right, the row from top to bottom; what trembles
shows as a frayed line. From top to bottom: the input, the engine with ``--against`` laid over its
settings, the engine as it is set.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from engines.errors import ModelError
from engines.models.face_finder import FACE_NETWORKS
from engines.models.library import ModelLibrary
from realtime.contact_sheet import write_picture
from realtime.device import limit_threads
from realtime.errors import MediaError, RtSwapError
from realtime.frame import Image
from realtime.head_motion import Talk
from realtime.job_models import CONNECTIONS, PORTRAIT
from tools.film import Film
from tools.film_motion import FilmFace, find_faces
from tools.film_run import film_plan, load_settings, record
from tools.sheet_grid import draw_grid
from tools.still_run import SIGMA
from tools.synthetic_film import RATE_HZ, noisy, scripted_film

FRAME_PX = 6
"""Width of one moment."""

MARGIN = 0.1
"""How much of the surroundings is shown on each side of the face, in widths of it."""


def draw_slices(
    names: Sequence[str], films: Sequence[Sequence[Image]], row: int, left: int, right: int
) -> Image:
    """One row of pixels of several films over time, below one another.

    Args:
        names: what stands above each.
        films: ``(H, W, 3) u8 BGR`` pictures, the same number of one size in each.
        row: number of the row.
        left, right: its first pixel, and the one after its last.

    Returns:
        ``(H', W', 3) u8 BGR``: each film ``right - left`` pixels high, each picture ``FRAME_PX``
        wide.
    """
    panels = []
    for pictures in films:
        columns = np.stack([picture[row, left:right] for picture in pictures], axis=1)
        panels.append(np.ascontiguousarray(np.repeat(columns, FRAME_PX, axis=1)))
    return draw_grid([[(name, panel)] for name, panel in zip(names, panels, strict=True)])


def row_across(face: FilmFace, at: float, width_px: int) -> tuple[int, int, int]:
    """The row that crosses a face at a part of its height, and where it begins and ends."""
    low, high = face.landmarks.min(axis=0), face.landmarks.max(axis=0)
    margin = MARGIN * float(high[0] - low[0])
    row = round(float(low[1] + at * (high[1] - low[1])))
    return row, max(0, round(float(low[0] - margin))), min(width_px, round(float(high[0] + margin)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the picture; returns the exit code."""
    parser = argparse.ArgumentParser(description="One row of pixels over time.")
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    parser.add_argument("--config", metavar="FILE", help="of the engine, as rt-swap takes it")
    parser.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE")
    parser.add_argument("--against", action="append", required=True, metavar="KEY.PATH=VALUE")
    parser.add_argument("--names", default="reference,as set", help="of the two settings")
    parser.add_argument("--seconds", type=float, default=4.0, metavar="S")
    parser.add_argument("--noise", type=float, default=SIGMA, metavar="SIGMA", help="grey levels")
    parser.add_argument(
        "--at", type=float, default=0.4, metavar="PART", help="of the face's height"
    )
    options = parser.parse_args(arguments)
    names = options.names.split(",")
    if len(names) != 2:
        parser.error(f"--names: must be two, got {len(names)}")
    if options.seconds * RATE_HZ < 1:
        parser.error(f"--seconds: must be a picture's time at least, got {options.seconds:g}")
    if not 0 <= options.at <= 1:
        parser.error(f"--at: must be from 0 to 1, got {options.at:g}")
    try:
        write_picture(_draw(options, names), options.out)
    except (RtSwapError, ModelError) as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _draw(options: argparse.Namespace, names: Sequence[str]) -> Image:
    own, reference = load_settings(options.config, options.set, options.against)
    limit_threads(own.config.device.threads)
    library = ModelLibrary()
    library.pull((*FACE_NETWORKS, CONNECTIONS, PORTRAIT))
    film = _noisy_film(options, own.config.camera.size, library)
    faces = find_faces(film, library)
    first = next((face for face in faces if face is not None), None)
    if first is None:
        raise MediaError("--noise: the face must still be found, got none. Ask for less noise.")
    runs = [
        record(film_plan(film, (), setting.config, library), film, faces).pictures
        for setting in (reference, own)
    ]
    row, left, right = row_across(first, options.at, film.spec.width)
    return draw_slices(("input", *names), (film.pictures, *runs), row, left, right)


def _noisy_film(options: argparse.Namespace, size: tuple[int, int], library: ModelLibrary) -> Film:
    clean = scripted_film(
        "talk",
        Talk(),
        num_frames=round(options.seconds * RATE_HZ),
        size=size,
        library=library,
    ).film
    return replace(clean, pictures=noisy(clean.pictures, options.noise))


if __name__ == "__main__":
    sys.exit(main())
