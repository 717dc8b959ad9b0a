"""How the synthetic person moves: pose and expression as a function of time; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

_NS_PER_S = 1_000_000_000

_LOOP_S = 60.0
"""Speech, glances and blinks repeat after so long."""

_BLINK_S = 0.18
"""From the first movement of the lids until they are open again."""


@dataclass(frozen=True, slots=True)
class HeadState:
    """What a head does at one moment, against the portrait it is made of.

    Attributes:
        yaw: degrees the nose turns to the right edge of the picture.
        pitch: degrees the nose rises.
        roll: degrees the head leans clockwise as seen in the picture.
        shift_x: to the right, in widths of the face.
        shift_y: downwards, in widths of the face.
        nearer: growth of the head by coming closer; 0.05 is five parts in a hundred.
        mouth_open: 0 with lips shut to 1 wide open; at 0.3 the lips are as in the portrait.
        mouth_round: -1 drawn wide to 1 pursed.
        eyes_closed: 0 as in the portrait to 1.
        brows_up: 0 as in the portrait to 1.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    nearer: float = 0.0
    mouth_open: float = 0.0
    mouth_round: float = 0.0
    eyes_closed: float = 0.0
    brows_up: float = 0.0


class Motion(Protocol):
    """A script: the same time always gives the same state."""

    def at(self, media_ns: int) -> HeadState:
        """The state so long after the start."""
        ...


@dataclass(frozen=True, slots=True)
class Swing:
    """Everything swings like a sine from rest, so that what was asked for is known in closed form.

    Attributes:
        rate_hz: full swings per second.
        yaw, pitch, roll: amplitude in degrees.
        mouth_open: the mouth opens from 0 to this and shuts again once in each swing.
        eyes_closed: the same for the lids.
    """

    rate_hz: float
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    mouth_open: float = 0.0
    eyes_closed: float = 0.0

    def at(self, media_ns: int) -> HeadState:
        """The state so long after the start."""
        phase = 2.0 * np.pi * self.rate_hz * media_ns / _NS_PER_S
        sine, half_cosine = float(np.sin(phase)), float(0.5 - 0.5 * np.cos(phase))
        return HeadState(
            yaw=self.yaw * sine,
            pitch=self.pitch * sine,
            roll=self.roll * sine,
            mouth_open=self.mouth_open * half_cosine,
            eyes_closed=self.eyes_closed * half_cosine,
        )


@dataclass(frozen=True, slots=True)
class Steps:
    """Jumps from state to state without a movement between them, and begins anew after the last.

    Attributes:
        states: at least one.
        hold_ns: how long each lasts, above 0.
    """

    states: tuple[HeadState, ...]
    hold_ns: int

    def at(self, media_ns: int) -> HeadState:
        """The state so long after the start."""
        return self.states[media_ns // self.hold_ns % len(self.states)]


@dataclass(frozen=True, slots=True)
class _Track:
    """A value that glides from knot to knot and repeats after ``_LOOP_S``."""

    times_s: NDArray[np.float64]
    values: NDArray[np.float64]

    def at(self, time_s: float) -> float:
        index = int(np.searchsorted(self.times_s, time_s, side="right"))
        if index in (0, len(self.times_s)):
            return float(self.values[0 if index == 0 else -1])
        start, end = float(self.times_s[index - 1]), float(self.times_s[index])
        share = (time_s - start) / (end - start)
        share = share * share * (3.0 - 2.0 * share)
        return float(self.values[index - 1] * (1.0 - share) + self.values[index] * share)


class Talk:
    """A person in a video call: glances about and holds still, speaks in phrases, blinks.

    Yaw stays within 18 degrees, pitch within 8, roll within 6.
    """

    def __init__(self, seed: int = 3) -> None:
        """Writes the script of one loop.

        Args:
            seed: another one gives another script of the same kind.
        """
        random = np.random.default_rng(seed)
        turns = _glances(random)
        self._yaw, self._pitch, self._roll = (
            _Track(turns[:, 0], turns[:, column]) for column in (1, 2, 3)
        )
        self._mouth_open, self._mouth_round, self._brows = _speech(random)
        self._eyes = _blinks(random)

    def at(self, media_ns: int) -> HeadState:
        """The state so long after the start."""
        time_s = media_ns / _NS_PER_S
        loop_s = time_s % _LOOP_S
        yaw, pitch, roll = (t.at(loop_s) for t in (self._yaw, self._pitch, self._roll))
        opened = self._mouth_open.at(loop_s)
        return HeadState(
            yaw=yaw + _sway(time_s, 2.0, (0.23, 0.61)),
            pitch=pitch + _sway(time_s, 1.2, (0.31, 0.83)) - 0.9 * opened,
            roll=roll + _sway(time_s, 0.9, (0.19, 0.47)),
            shift_x=0.0022 * yaw + _sway(time_s, 0.012, (0.17, 0.37)),
            shift_y=-0.0015 * pitch + _sway(time_s, 0.006, (0.29, 0.53)),
            nearer=_sway(time_s, 0.012, (0.11, 0.26)),
            mouth_open=opened,
            mouth_round=self._mouth_round.at(loop_s),
            eyes_closed=self._eyes.at(loop_s),
            brows_up=self._brows.at(loop_s),
        )


def _sway(time_s: float, amplitude: float, rates_hz: Sequence[float]) -> float:
    """The slow wandering of a head that is held up by muscles."""
    waves = [np.sin(2.0 * np.pi * rate * time_s + 5.0 * rate) for rate in rates_hz]
    return float(amplitude * np.mean(waves))


def _glances(random: np.random.Generator) -> NDArray[np.float64]:
    """Rows of time, yaw, pitch and roll: quick turns with pauses between them."""
    rows = [(0.0, 0.0, 0.0, 0.0)]
    side = 1.0
    while rows[-1][0] < _LOOP_S - 5.0:
        last = rows[-1]
        still = last[0] + random.uniform(0.15, 1.0)
        rows.append((still, *last[1:]))
        side = -side if random.random() < 0.8 else side
        yaw = side * random.uniform(4.0, 15.5)
        pitch, roll = random.uniform(-5.5, 4.5), 0.12 * yaw + random.uniform(-3.0, 3.0)
        rows.append((still + 0.4 + abs(yaw - last[1]) / 45.0, yaw, pitch, roll))
    rows += [(_LOOP_S - 1.0, 0.0, 0.0, 0.0), (_LOOP_S, 0.0, 0.0, 0.0)]
    return np.array(rows)


def _speech(random: np.random.Generator) -> tuple[_Track, _Track, _Track]:
    """How far the mouth opens, how round it is, and how far the brows rise."""
    times, opened, rounded, raised = [0.0, 0.2], [0.1, 0.1], [0.0, 0.0], [0.0, 0.0]
    while times[-1] < _LOOP_S - 4.0:
        emphasis = float(random.choice([0.0, 0.0, 0.5, 1.0]))
        for _ in range(int(random.integers(6, 14))):
            vowel = float(random.uniform(0.3, 0.8))
            times += [times[-1] + random.uniform(0.08, 0.14)]
            times += [times[-1] + random.uniform(0.07, 0.11)]
            opened += [vowel, float(random.choice([0.0, 0.08, 0.2, 0.3]))]
            rounded += [float(random.uniform(-0.3, 0.8)), float(random.uniform(-0.2, 0.3))]
            raised += [emphasis, emphasis]
        pause_s = float(random.uniform(0.35, 0.9))
        times += [times[-1] + 0.15, times[-1] + pause_s]
        smile = float(random.choice([0.05, 0.3]))
        opened += [smile, smile]
        rounded += [-0.1, -0.1]
        raised += [0.0, 0.0]
    times.append(_LOOP_S)
    opened.append(0.1)
    rounded.append(0.0)
    raised.append(0.0)
    knots = np.array(times)
    return (
        _Track(knots, np.array(opened)),
        _Track(knots, np.array(rounded)),
        _Track(knots, np.array(raised)),
    )


def _blinks(random: np.random.Generator) -> _Track:
    """How far the lids are shut; a blink every two to five seconds."""
    times, closed = [0.0], [0.0]
    start = 1.1
    while start < _LOOP_S - 1.0:
        times += [start, start + 0.38 * _BLINK_S, start + 0.5 * _BLINK_S, start + _BLINK_S]
        closed += [0.0, 1.0, 1.0, 0.0]
        start += float(random.uniform(2.0, 5.0))
    return _Track(np.array([*times, _LOOP_S]), np.array([*closed, 0.0]))
