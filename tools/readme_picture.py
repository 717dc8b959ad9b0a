"""The picture of the README: ``python -m tools.readme_picture --out tools/pictures/demo.jpg``.

The demo's camera before and after the swap, cut to the head, at a few moments.
"""

import argparse
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from engines.errors import ModelError
from engines.models.face_finder import FACE_NETWORKS
from engines.models.library import ModelLibrary
from realtime.app import build_plan
from realtime.config import load_config
from realtime.contact_sheet import Moments, Pair, draw_sheet, write_picture
from realtime.device import limit_threads
from realtime.errors import EngineError, RtSwapError
from realtime.frame import Image
from realtime.job import synthetic_job
from realtime.job_models import CONNECTIONS, PORTRAIT
from realtime.metrics import MS_NS
from realtime.pipeline import Pipeline

TIMES_MS = (750, 2250, 5250)
"""Moments at which head and mouth differ most."""

SIZE = "1280x720"
LEFT_PX, TOP_PX, SIDE_PX = 245, 15, 640
"""The square around the head in the camera's picture."""

CELL_PX = 360
JPEG_QUALITY = 88


def take_pairs(library: ModelLibrary) -> tuple[Pair, ...]:
    """The camera's pictures before and after the swap.

    Raises:
        EngineError: a face was not swapped.
    """
    config = load_config(settings=[f"camera.size={SIZE}"])
    limit_threads(config.device.threads)
    job = synthetic_job(TIMES_MS[-1] / 1000 + 1.0)
    moments = Moments([time_ms * MS_NS for time_ms in TIMES_MS])
    Pipeline(build_plan(job, config, library, moments)).run(stop=threading.Event())
    if len(moments.pairs) != len(TIMES_MS):
        raise EngineError(
            f"demo: a face must be swapped at {len(TIMES_MS)} moments, got {len(moments.pairs)}."
        )
    return moments.pairs


def cut_head(picture: Image) -> Image:
    """The square around the head, ``(CELL_PX, CELL_PX, 3) u8 BGR``."""
    square = picture[TOP_PX : TOP_PX + SIDE_PX, LEFT_PX : LEFT_PX + SIDE_PX]
    small = cv2.resize(square, (CELL_PX, CELL_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the picture; returns the exit code."""
    parser = argparse.ArgumentParser(description="The picture of the README.")
    parser.add_argument("--out", type=Path, required=True, help="JPEG to write")
    options = parser.parse_args(arguments)
    try:
        library = ModelLibrary()
        library.pull((*FACE_NETWORKS, CONNECTIONS, PORTRAIT))
        pairs = [(cut_head(before), cut_head(after)) for before, after in take_pairs(library)]
        write_picture(draw_sheet(pairs), options.out, jpeg_quality=JPEG_QUALITY)
    except (RtSwapError, ModelError) as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
