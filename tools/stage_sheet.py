"""A face on its way through the engine: input, mask, swap, composite and difference in rows."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import cv2
import numpy as np

from engines.models.face_finder import FACE_NETWORKS
from engines.models.library import ModelLibrary
from realtime.config import load_config
from realtime.consent import ConsentLog, default_consent_path, require_consent
from realtime.device import limit_threads
from realtime.errors import MediaError
from realtime.frame import Image
from realtime.job import parse_face
from tools.drawn_log import DrawnFace, DrawnLog
from tools.film import Film, load_film
from tools.film_run import Recorder, film_plan, run_plan
from tools.judge import Detection
from tools.sheet_grid import DIFFERENCE_GAIN, Labelled, crop_face, difference, draw_grid

ROWS = ("input", "mask", "swap", "composite", f"difference x{DIFFERENCE_GAIN}")


def draw_stages(options: argparse.Namespace) -> Image:
    """Runs the engine on a clip and draws the sheet.

    Args:
        options: of ``tools.contact_sheet``.

    Raises:
        RtSwapError, ModelError: the clip or the face cannot be used, or the engine failed.
    """
    choice = parse_face(options.face)
    require_consent(
        [choice.path], ConsentLog(default_consent_path()), given=options.consent, ask=None
    )
    config = load_config(options.config, options.set)
    limit_threads(config.device.threads)
    library = ModelLibrary()
    library.pull(FACE_NETWORKS)
    film = load_film(options.input, seconds=options.seconds)
    log, recorder = DrawnLog(frozenset(film.times_ns)), Recorder()
    plan = film_plan(film, (choice,), config, library, show_label=False)
    run_plan(replace(log.watching(plan), sinks=(recorder,)))
    after = [recorder.pictures[at_ns] for at_ns in film.times_ns]
    return draw_grid(stage_rows(film, log, after, options.frames))


def stage_rows(
    film: Film, log: DrawnLog, after: Sequence[Image], num_frames: int
) -> list[list[Labelled | None]]:
    """The rows of the sheet, cut to the largest face.

    Args:
        film: the input.
        log: what was drawn.
        after: an output for each of the film's pictures.
        num_frames: how many moments, evenly spaced.

    Raises:
        MediaError: the film shows no face that was drawn.
    """
    known = [log.faces.get(at_ns) for at_ns in film.times_ns]
    first = next((face for face in known if face is not None), None)
    if first is None:
        raise MediaError(f"{film.name}: must show a face, got none. Use another clip.")
    places = list(accumulate(known, lambda last, face: face or last, initial=first))[1:]
    rows: list[list[Labelled | None]] = [[] for _ in ROWS]
    count = len(film.pictures)
    for number in np.linspace(0, count - 1, min(num_frames, count)).round().astype(int):
        before, place = film.pictures[number], places[number] or first
        detection = Detection(place.box, np.empty((0, 2), np.float32), 1.0)
        images = _images(before, known[number], after[number])
        seconds = f"{film.times_ns[number] / 1e9:.2f} s"
        for row, name, image in zip(rows, ROWS, images, strict=True):
            row.append(
                None if image is None else (f"{name} {seconds}", crop_face(image, detection))
            )
    return rows


def _images(before: Image, face: DrawnFace | None, after: Image) -> tuple[Image | None, ...]:
    """The pictures of one column; where nothing was drawn there is no mask and no swap."""
    mask = None if face is None else np.asarray(cv2.merge([face.shown] * 3), np.uint8)
    drawn = None if face is None else face.drawn
    return before, mask, drawn, after, difference(before, after)
