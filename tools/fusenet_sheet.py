"""Hard cases side by side: ``python -m tools.fusenet_sheet PAIRS --sheet s.png``.

Picture, mesh and FuseNet in columns, for people that were kept out of the training; those come
first whom the mesh's own colours and edges differ from most.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from engines.errors import ModelError
from realtime.contact_sheet import write_picture
from realtime.errors import SinkError
from realtime.frame import Image
from tools.export_fusenet import WEIGHTS
from tools.fusenet_pairs import Pairs
from tools.fusenet_view import View, load_views
from tools.srsn_pictures import as_picture

_COLUMNS = 4
_CELL_PX = 200


def hardness(view: View) -> float:
    """How far the mesh's picture is from the true one, mean over all pixels."""
    return float(np.abs(view.mesh - view.truth).mean())


def draw(views: Sequence[View]) -> Image:
    """Three pictures for each, several in a row."""
    cells = []
    for view in views:
        pictures = [as_picture(one) for one in (view.truth, view.mesh, view.fusenet)]
        size = (_CELL_PX, _CELL_PX)
        large = [cv2.resize(one, size, interpolation=cv2.INTER_CUBIC) for one in pictures]
        cells.append(np.hstack([*large, np.zeros((_CELL_PX, 8, 3), np.uint8)]))
    missing = -len(cells) % _COLUMNS
    cells += [np.zeros_like(cells[0])] * missing
    rows = [np.hstack(cells[at : at + _COLUMNS]) for at in range(0, len(cells), _COLUMNS)]
    return np.asarray(np.vstack(rows), np.uint8)


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws the sheet; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pairs", type=Path, help="folder of tools.fusenet_data")
    parser.add_argument("--network", type=Path, default=WEIGHTS / "fusenet_lite.onnx")
    parser.add_argument("--sheet", type=Path, required=True, help="picture to write")
    parser.add_argument("--most", type=int, default=24, help="cases")
    options = parser.parse_args(arguments)
    try:
        views = load_views(Pairs.read(options.pairs / "test.npz"), options.network)
        hardest = sorted(views, key=hardness, reverse=True)[: options.most]
        write_picture(draw(hardest), options.sheet)
    except (ModelError, SinkError, OSError, ValueError) as error:
        print(f"fusenet_sheet: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
