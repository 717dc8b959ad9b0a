"""How steady the engine's swaps are on many clips with many faces, under one setting or several.

Each clip is decoded and its motion found once; every face and every setting then runs through the
engine in process, on the very same pictures, and nothing is encoded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from realtime.job import FaceChoice
from tools.film import load_film
from tools.film_motion import FilmMotion, find_faces, study_film
from tools.film_run import LandmarkLog, Setting, film_plan, run_plan, with_log
from tools.measures import ClipFaces, Source
from tools.quality_matrix import Matrix, Snapshot, Witness, watched
from tools.steady_tally import SteadyFigures, SteadyTally
from tools.tally import PairFigures, PairTally


@dataclass(frozen=True, slots=True)
class SteadyResult:
    """One face in one clip under one setting.

    Attributes:
        setting: its name.
        steady: figures over time.
        quality: what the judge says of the same frames.
    """

    setting: str
    steady: SteadyFigures
    quality: PairFigures


def run_steady(
    matrix: Matrix, settings: Sequence[Setting], *, short_px: int | None = None
) -> Iterator[SteadyResult]:
    """Swaps and measures every pair under every setting; each result comes once it is there.

    Args:
        matrix: clips, faces and judge; the settings stand in for its configuration.
        settings: the engine's, at least one.
        short_px: larger clips are shrunk until their shorter side is this; None: as they are.

    Raises:
        RtSwapError, ModelError: a clip or face cannot be used, or the engine failed.
    """
    for clip in matrix.clips:
        film = load_film(clip, seconds=matrix.seconds, short_px=short_px)
        motion = study_film(film, find_faces(film, matrix.library, matrix.face_index))
        faces = ClipFaces(matrix.judge, matrix.face_index)
        for choice, source in matrix.faces.items():
            for setting in settings:
                own = replace(matrix, config=setting.config)
                yield _run_one(own, setting.name, motion, faces, choice, source)


def _run_one(
    matrix: Matrix,
    setting: str,
    motion: FilmMotion,
    faces: ClipFaces,
    choice: FaceChoice,
    source: Source,
) -> SteadyResult:
    quality = PairTally(matrix.judge, source.embedding, faces, matrix.every)
    log = LandmarkLog(motion.film, motion.faces)
    steady = SteadyTally(motion, log)
    plan = film_plan(motion.film, (choice,), matrix.config, matrix.library)
    plan = with_log(watched(plan, Witness(quality, Snapshot(0))), log)
    run_plan(replace(plan, sinks=(*plan.sinks, steady)))
    name = motion.film.name
    return SteadyResult(setting, steady.figures(), quality.figures(source.name, name))
