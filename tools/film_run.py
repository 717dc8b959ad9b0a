"""The engine run on a film in memory: same pictures every time, nothing decoded or encoded."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engines.models.library import ModelLibrary
from realtime.app import build_plan
from realtime.config import Config, load_config
from realtime.contact_sheet import Tap
from realtime.errors import EngineError
from realtime.frame import FaceState, Frame, Image, PictureSpec, Points
from realtime.job import FaceChoice, Job
from realtime.pipeline import Pipeline, Plan
from tools.film import Film, FilmSource
from tools.film_motion import FilmFace


@dataclass(frozen=True, slots=True)
class Setting:
    """One configuration of the engine under a name.

    Attributes:
        name: short, for tables.
        config: of the engine.
    """

    name: str
    config: Config


def load_settings(
    overlay: str | None, settings: Sequence[str], against: Sequence[str]
) -> tuple[Setting, ...]:
    """The configuration that is asked for, and the one it is compared with where there is one.

    Args:
        overlay: a configuration file, as ``--config`` takes it.
        settings: ``key.path=value`` of both.
        against: what the second does differently; none for the first alone.

    Raises:
        ConfigError: a file, key or value cannot be used.
    """
    own = Setting("as set", load_config(overlay, settings))
    if not against:
        return (own,)
    return own, Setting(" ".join(against), load_config(overlay, [*settings, *against]))


@dataclass(frozen=True, slots=True)
class Trace:
    """Where the engine saw a face in one picture.

    Attributes:
        track_id: of the engine's track.
        landmarks: ``(468, 2) f32`` image pixels, as the last stage left them.
    """

    track_id: int
    landmarks: Points


class LandmarkLog:
    """Keeps the landmarks that the engine worked with, of the face that is meant.

    Args:
        film: the input.
        faces: the face that is meant in each of its pictures, or None.
    """

    def __init__(self, film: Film, faces: Sequence[FilmFace | None]) -> None:
        self._faces = dict(zip(film.times_ns, enumerate(faces), strict=True))
        self.traces: dict[int, Trace] = {}
        """By the number of the picture."""

    def look(self, frame: Frame) -> None:
        """Notes the face of a frame that lies nearest to the one that is meant."""
        number, known = self._faces.get(frame.media_ns, (0, None))
        seen = [face for face in frame.faces if face.state is FaceState.SEEN]
        if known is None or not seen:
            return
        middle = known.landmarks.mean(axis=0)
        apart = [np.linalg.norm(face.landmarks[:, :2].mean(axis=0) - middle) for face in seen]
        nearest = seen[int(np.argmin(apart))]
        self.traces[number] = Trace(nearest.track_id, nearest.landmarks[:, :2].copy())


class Recorder:
    """A sink that keeps every picture.

    Attributes:
        pictures: by presentation time in ns.
    """

    def __init__(self) -> None:
        self.pictures: dict[int, Image] = {}

    def open(self, spec: PictureSpec) -> None:
        """Takes pictures of any size."""

    def send(self, image: Image, media_ns: int) -> None:
        """Keeps a copy."""
        self.pictures[media_ns] = image.copy()

    def close(self) -> None:
        """Keeps what was sent."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What the engine made of a film.

    Attributes:
        pictures: one for each of the film's.
        traces: where it saw the face, by the number of the picture.
    """

    pictures: tuple[Image, ...]
    traces: Mapping[int, Trace]


def record(plan: Plan, film: Film, faces: Sequence[FilmFace | None]) -> Recording:
    """Runs a film's plan and keeps all that comes out.

    Raises:
        EngineError: a picture did not come out.
        RtSwapError, ModelError: the engine failed.
    """
    recorder, log = Recorder(), LandmarkLog(film, faces)
    run_plan(replace(with_log(plan, log), sinks=(recorder,)))
    num_missing = len(set(film.times_ns) - set(recorder.pictures))
    if num_missing:
        raise EngineError(
            f"{film.name}: all {len(film.times_ns)} pictures must come out of the engine, got "
            f"{num_missing} less. Run it alone on the machine."
        )
    pictures = tuple(recorder.pictures[media_ns] for media_ns in film.times_ns)
    return Recording(pictures, log.traces)


def film_plan(
    film: Film,
    faces: tuple[FaceChoice, ...],
    config: Config,
    library: ModelLibrary,
    *,
    show_label: bool = True,
) -> Plan:
    """The engine's plan with a film as its source; its sinks get pictures of the film's size.

    Args:
        film: the input.
        faces: pictures of the person to be put in; none for the built-in one.
        config: of the engine.
        library: the engine's models.
        show_label: False leaves the visible label out.

    Raises:
        MediaError, ModelError: a face cannot be used, or a model is missing.
    """
    # The file of this name is never opened: the film stands in for it.
    job = Job(
        camera=None,
        input=Path(film.name),
        faces=faces,
        output=None,
        discard=True,
        virtual_camera=None,
        show_label=show_label,
    )
    plan = build_plan(job, config, library)
    return replace(plan, source=FilmSource(film), out_size=None)


def with_log(plan: Plan, log: LandmarkLog) -> Plan:
    """The same plan with the log behind its last stage."""
    last = (*plan.lanes[-1], Tap("landmark log", log.look))
    return replace(plan, lanes=(*plan.lanes[:-1], last))


def run_plan(plan: Plan) -> None:
    """Runs a plan to the end of its film.

    Raises:
        RtSwapError, ModelError: the engine failed.
    """
    Pipeline(plan).run(stop=threading.Event())
