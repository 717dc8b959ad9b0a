"""Whether a steadied swap trails behind, ghosts or smothers movement: scripted heads."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.models.library import ModelLibrary
from realtime.face_mesh import INNER_LIPS, LEFT_EYE, RIGHT_EYE
from realtime.frame import Image
from realtime.head_motion import HeadState, Motion, Steps, Swing
from realtime.job import FaceChoice
from realtime.puppet import GroundTruth
from tools.film_motion import FilmMotion, find_faces, hull_mask, study_film
from tools.film_run import Recording, Setting, Trace, film_plan, record
from tools.lag import FULL_EXTENT, first_reach, phase_lag, step_delay
from tools.still_run import SETTLE_S
from tools.synthetic_film import RATE_HZ, Pulses, ScriptedFilm, scripted_film
from tools.tally import mean

MOVING = 0.01
"""Motion between two pictures from which on a place counts as moving, in eye distances."""

_S_NS = 1_000_000_000
_NUM_SETTLING = round(SETTLE_S * RATE_HZ)
_ROOM = 0.25
"""Around lids and lips, in sides of their box."""


@dataclass(frozen=True, slots=True)
class Script:
    """What a head does, for how long, and under which name."""

    name: str
    motion: Motion
    seconds: float


SCRIPTS = (
    Script("sine 1 Hz", Swing(1.0, yaw=12.0, roll=4.0), 3.5),
    Script("sine 3 Hz", Swing(3.0, yaw=8.0, roll=3.0), 2.5),
    Script("step turns", Steps((HeadState(yaw=-10.0), HeadState(yaw=10.0)), _S_NS), 4.0),
    Script("blinks", Pulses(_S_NS, _S_NS // 5, eyes_closed=1.0), 4.0),
    Script("mouth opening", Pulses(_S_NS, _S_NS // 2, mouth_open=1.0), 4.0),
)


@dataclass(frozen=True, slots=True)
class ScriptFigures:
    """One script under one setting; NaN where a figure does not apply or could not be got.

    Attributes:
        script, setting: their names.
        lag: frames by which the engine's landmarks trail behind the truth of a swing.
        gain: amplitude of their swing over that of the truth.
        delay: frames after a jump until they have followed it, the longest one.
        extent: height of a blink or of the mouth's opening in the picture, over that under the
            reference setting; the lowest one.
        shift: frames by which it reaches its height later than under the reference setting, the
            one farthest from 0; NaN where it does not reach it.
        change: mean difference from the picture under the reference setting where the face moves,
            in grey levels.
    """

    script: str
    setting: str
    lag: float
    gain: float
    delay: float
    extent: float
    shift: float
    change: float


def run_script(
    script: Script,
    faces: tuple[FaceChoice, ...],
    settings: Sequence[Setting],
    library: ModelLibrary,
    *,
    size: tuple[int, int],
) -> Iterator[ScriptFigures]:
    """Shows the engine a scripted head under each setting; the last one is the reference.

    Args:
        script: what the head does.
        faces: pictures of the person to be put in; none for the built-in one.
        settings: of the engine.
        library: its models.
        size: width and height of the pictures.

    Raises:
        RtSwapError, ModelError: the engine failed.
    """
    num_frames = round(script.seconds * RATE_HZ)
    scripted = scripted_film(
        script.name, script.motion, num_frames=num_frames, size=size, library=library
    )
    motion = study_film(scripted.film, find_faces(scripted.film, library))
    runs = [
        record(film_plan(scripted.film, faces, s.config, library), scripted.film, motion.faces)
        for s in settings
    ]
    for setting, run in zip(settings, runs, strict=True):
        yield _figures(script, setting.name, scripted, motion, run, runs[-1])


def lag_of_swing(
    truths: Sequence[GroundTruth], traces: Mapping[int, Trace], rate_hz: float
) -> tuple[float, float]:
    """Lag in frames and gain of the engine's landmarks; NaN where it saw too few."""
    seen = [number for number in sorted(traces) if number >= _NUM_SETTLING]
    if len(seen) < RATE_HZ / rate_hz:
        return math.nan, math.nan
    real = [truths[number].landmarks[:, :2].ravel() for number in seen]
    found = [traces[number].landmarks.ravel() for number in seen]
    cycles = np.array(seen) * rate_hz / RATE_HZ
    turns, gain = phase_lag(real, found, cycles)
    return turns * RATE_HZ / rate_hz, gain


def delay_of_steps(
    truths: Sequence[GroundTruth], traces: Mapping[int, Trace], hold_ns: int
) -> float:
    """The longest delay in frames after a jump; NaN where one is not followed."""
    hold = round(hold_ns * RATE_HZ / _S_NS)
    if len(traces) < len(truths):
        return math.nan
    real = np.array([truth.landmarks[:, :2].ravel() for truth in truths])
    found = np.array([traces[number].landmarks.ravel() for number in range(len(truths))])
    jumps = range(hold, len(truths) - hold + 1, hold)
    delays = [step_delay(real, found, start, start + hold) for start in jumps]
    followed = [float(delay) for delay in delays if delay is not None]
    return max(followed) if followed and len(followed) == len(delays) else math.nan


def extent_of_pulses(
    pulses: Pulses,
    truths: Sequence[GroundTruth],
    pictures: Sequence[Image],
    reference: Sequence[Image],
) -> tuple[float, float]:
    """Height and delay of a blink or of the mouth's opening, against the reference.

    How far a pulse has come is read off the picture: the part of the change from rest to height
    under the reference setting that is in it, by projection.

    Returns:
        The lowest height over the reference's, and the shift in frames farthest from 0; 0 and NaN
        where the reference itself does not change.
    """
    every = round(pulses.every_ns * RATE_HZ / _S_NS)
    extents, shifts = [], []
    for rest in range(every, len(truths) - every + 1, every):
        part = _feature(pulses, truths[rest], truths[rest + every // 2])
        span = range(rest, rest + every)
        goal = _values(reference, rest + every // 2, part) - _values(reference, rest, part)
        ways = [
            [float((_values(run, n, part) - _values(run, rest, part)) @ goal) for n in span]
            for run in (pictures, reference)
        ]
        height = max(ways[1])
        if height <= 0:
            return 0.0, math.nan
        extents.append(max(ways[0]) / height)
        reached, due = (first_reach(way, FULL_EXTENT * height) for way in ways)
        shifts.append(math.nan if reached is None or due is None else float(reached - due))
    worst = math.nan if any(map(math.isnan, shifts)) else max(shifts, key=abs, default=math.nan)
    return min(extents, default=math.nan), worst


def moving_change(
    motion: FilmMotion, pictures: Sequence[Image], reference: Sequence[Image]
) -> float:
    """Mean absolute difference in grey levels where the face of a film moves."""
    means = []
    for number, pair in motion.pairs.items():
        face = motion.faces[number]
        if number < _NUM_SETTLING or face is None:
            continue
        hull = hull_mask(face.landmarks, motion.film.spec.width, motion.film.spec.height)
        speed_px = np.linalg.norm(pair.face.flow.astype(np.float32), axis=2)
        moving = (speed_px > MOVING * face.eyes_px) & hull[pair.face.part]
        parts = [run[number][pair.face.part][moving] for run in (pictures, reference)]
        if moving.any():
            means.append(float(np.abs(parts[0].astype(np.int16) - parts[1]).mean()))
    return mean(means)


def _figures(
    script: Script,
    setting: str,
    scripted: ScriptedFilm,
    motion: FilmMotion,
    run: Recording,
    reference: Recording,
) -> ScriptFigures:
    lag, gain, delay, extent, shift = (math.nan,) * 5
    match script.motion:
        case Swing(rate_hz=rate_hz):
            lag, gain = lag_of_swing(scripted.truths, run.traces, rate_hz)
        case Steps(hold_ns=hold_ns):
            delay = delay_of_steps(scripted.truths, run.traces, hold_ns)
        case Pulses() as pulses:
            extent, shift = extent_of_pulses(
                pulses, scripted.truths, run.pictures, reference.pictures
            )
    change = moving_change(motion, run.pictures, reference.pictures)
    return ScriptFigures(script.name, setting, lag, gain, delay, extent, shift, change)


def _feature(pulses: Pulses, rest: GroundTruth, height: GroundTruth) -> tuple[slice, slice]:
    """The part of the picture in which lids or lips move."""
    rings = (RIGHT_EYE, LEFT_EYE) if pulses.eyes_closed > 0 else (INNER_LIPS,)
    points = np.concatenate(
        [truth.landmarks[list(ring), :2] for truth in (rest, height) for ring in rings]
    )
    low, high = points.min(axis=0), points.max(axis=0)
    room = _ROOM * (high - low)
    left, top = np.maximum(np.floor(low - room), 0).astype(int).tolist()
    right, bottom = np.ceil(high + room).astype(int).tolist()
    return slice(top, bottom), slice(left, right)


def _values(
    pictures: Sequence[Image], number: int, part: tuple[slice, slice]
) -> NDArray[np.float64]:
    return pictures[number][part].astype(np.float64).ravel()
