"""What the engine makes of a face that something covers: ``python -m tools.swap_sheet``.

For each clip a row of moments of the input, cut to the face, and below it the same moments of the
output; with ``--against`` a third row of the output under other settings.
"""

import argparse
import sys
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np

from engines.errors import ModelError
from engines.models.face_finder import FACE_NETWORKS
from engines.models.library import ModelLibrary
from realtime.consent import ConsentKind, ConsentLog, default_consent_path, require_consent
from realtime.contact_sheet import write_picture
from realtime.device import limit_threads
from realtime.errors import MediaError, RtSwapError
from realtime.frame import Image
from realtime.job import FaceChoice, parse_face
from tools.film import Film, load_film
from tools.film_motion import FilmFace, find_faces
from tools.film_run import Setting, film_plan, load_settings, record
from tools.judge import Detection
from tools.sheet_grid import Labelled, crop_face, draw_grid


def draw_rows(
    film: Film,
    faces: Sequence[FilmFace | None],
    outputs: Sequence[tuple[str, Sequence[Image]]],
    moments: Sequence[int],
) -> list[list[Labelled | None]]:
    """The rows of one clip.

    Args:
        film: the input.
        faces: the face in each of its pictures; where there is none, the place of the last one is
            shown, or of the first one before that.
        outputs: name and pictures of each row below the input's.
        moments: numbers of the pictures to show.

    Raises:
        MediaError: the film shows no face at all.
    """
    first = next((face for face in faces if face is not None), None)
    if first is None:
        raise MediaError(f"{film.name}: must show a face, got none. Use another clip.")
    places = list(accumulate(faces, lambda last, face: face or last, initial=first))[1:]
    rows: list[list[Labelled | None]] = []
    for name, pictures in (("input", film.pictures), *outputs):
        row: list[Labelled | None] = []
        for moment in moments:
            place = places[moment] or first
            label = f"{name} {film.times_ns[moment] / 1e9:.2f} s"
            row.append((label, crop_face(pictures[moment], _detection(place))))
        rows.append(row)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws the sheet; returns the exit code."""
    parser = argparse.ArgumentParser(description="Moments of clips before and after the swap.")
    parser.add_argument("--clips", required=True, metavar="CLIP,…")
    parser.add_argument("--face", required=True, metavar="PICTURE[#N]", help="to be put in")
    parser.add_argument("--sheet", type=Path, required=True, metavar="FILE", help="to write")
    parser.add_argument("--consent", type=ConsentKind, choices=list(ConsentKind), metavar="KIND")
    parser.add_argument("--config", metavar="FILE", help="of the engine, as rt-swap takes it")
    parser.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE")
    parser.add_argument("--against", action="append", default=[], metavar="KEY.PATH=VALUE")
    parser.add_argument("--frames", type=int, default=8, metavar="N", help="moments of each clip")
    parser.add_argument("--from", type=float, default=0.0, metavar="S", dest="start")
    parser.add_argument("--to", type=float, metavar="S", dest="end")
    options = parser.parse_args(arguments)
    if options.frames < 1:
        parser.error(f"--frames: must be at least 1, got {options.frames}")
    if options.start < 0 or (options.end is not None and options.end <= options.start):
        parser.error("--from, --to: must be a span of time from 0 on")
    try:
        write_picture(_draw(options), options.sheet)
    except (RtSwapError, ModelError) as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _draw(options: argparse.Namespace) -> Image:
    choice = parse_face(options.face)
    require_consent(
        [choice.path], ConsentLog(default_consent_path()), given=options.consent, ask=None
    )
    settings = load_settings(options.config, options.set, options.against)
    limit_threads(settings[0].config.device.threads)
    library = ModelLibrary()
    library.pull(FACE_NETWORKS)
    rows: list[list[Labelled | None]] = []
    for clip in options.clips.split(","):
        film = load_film(Path(clip), seconds=options.end)
        rows += _clip_rows(film, choice, settings, library, options)
    return draw_grid(rows)


def _clip_rows(
    film: Film,
    choice: FaceChoice,
    settings: Sequence[Setting],
    library: ModelLibrary,
    options: argparse.Namespace,
) -> list[list[Labelled | None]]:
    moments = moments_from(film.times_ns, options.start, options.frames)
    if not moments:
        raise MediaError(f"{film.name}: must last beyond --from {options.start:g}, got less.")
    faces = find_faces(film, library)
    outputs = [
        (s.name, record(film_plan(film, (choice,), s.config, library), film, faces).pictures)
        for s in settings
    ]
    return draw_rows(film, faces, outputs, moments)


def moments_from(times_ns: Sequence[int], start_s: float, num_moments: int) -> list[int]:
    """Numbers of evenly spaced pictures from a time on, the first and the last among them."""
    late = [n for n, media_ns in enumerate(times_ns) if media_ns >= start_s * 1_000_000_000]
    wanted = np.linspace(0, len(late) - 1, min(num_moments, len(late)))
    return [late[round(float(place))] for place in wanted]


def _detection(face: FilmFace) -> Detection:
    low, high = face.landmarks.min(axis=0), face.landmarks.max(axis=0)
    box = np.concatenate([low, high]).astype(np.float32)
    return Detection(box, np.empty((0, 2), np.float32), 1.0)


if __name__ == "__main__":
    sys.exit(main())
