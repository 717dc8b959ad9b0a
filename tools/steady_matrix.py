"""How steady the engine's swaps are on many clips with many faces, under one setting or several.

Each clip is decoded and its motion found once; every face and every setting then runs through the
engine in process, on the very same pictures, and nothing is encoded.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from realtime.app import build_plan
from realtime.config import Config
from realtime.contact_sheet import Tap
from realtime.job import FaceChoice, Job
from realtime.pipeline import Pipeline, Plan
from tools.film import Film, FilmSource, load_film
from tools.film_motion import FilmMotion, study_film
from tools.measures import ClipFaces, Source
from tools.quality_matrix import Matrix, Snapshot, Witness, watched
from tools.steady_tally import SteadyFigures, SteadyTally
from tools.tally import PairFigures, PairTally


@dataclass(frozen=True, slots=True)
class Setting:
    """One configuration of the engine under a name.

    Attributes:
        name: short, for tables.
        config: of the engine.
    """

    name: str
    config: Config


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
        motion = study_film(film, matrix.library, matrix.face_index)
        faces = ClipFaces(matrix.judge, matrix.face_index)
        for choice, source in matrix.faces.items():
            for setting in settings:
                own = replace(matrix, config=setting.config)
                yield _run_one(own, setting.name, motion, faces, choice, source)


def film_plan(film: Film, choices: tuple[FaceChoice, ...], matrix: Matrix) -> Plan:
    """The engine's plan with a film as its source and outputs of the film's size; no sinks yet."""
    # The file of this name is not opened: the film stands in for it.
    job = Job(
        camera=None,
        input=Path(film.name),
        faces=choices,
        output=None,
        discard=True,
        virtual_camera=None,
    )
    plan = build_plan(job, matrix.config, matrix.library)
    return replace(plan, source=FilmSource(film), out_size=None)


def _run_one(
    matrix: Matrix,
    setting: str,
    motion: FilmMotion,
    faces: ClipFaces,
    choice: FaceChoice,
    source: Source,
) -> SteadyResult:
    quality = PairTally(matrix.judge, source.embedding, faces, matrix.every)
    steady = SteadyTally(motion)
    plan = watched(film_plan(motion.film, (choice,), matrix), Witness(quality, Snapshot(0)))
    last = (*plan.lanes[-1], Tap("steady", steady.look))
    plan = replace(plan, lanes=(*plan.lanes[:-1], last), sinks=(*plan.sinks, steady))
    Pipeline(plan).run(stop=threading.Event())
    name = motion.film.name
    return SteadyResult(setting, steady.figures(), quality.figures(source.name, name))
