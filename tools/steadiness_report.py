"""What the still picture and the scripted heads say, held to the bars a release must pass."""

import math
from collections.abc import Sequence
from dataclasses import asdict

from realtime.metrics import Json
from tools.script_run import ScriptFigures
from tools.still_run import StillFigures
from tools.verdict import Bar, bar_line, without_nan

MAX_STD_RATIO = 0.4
MAX_JITTER_RATIO = 0.3
MAX_LAG = (("sine 1 Hz", 1.0), ("sine 3 Hz", 1.5))
MAX_SHIFT = 1.0
MAX_CHANGE = 3.0

_STILL = f"{'still picture':32} {'std':>8} {'jitter':>8}"
_STILL_UNITS = f"{'':32} {'levels':>8} {'1e-3':>8}"
_SCRIPT = (
    f"{'scripted head':32} {'lag':>7} {'gain':>7} {'delay':>7} {'extent':>7} {'shift':>7} "
    f"{'change':>7}"
)
_SCRIPT_UNITS = f"{'':32} {'frames':>7} {'':>7} {'frames':>7} {'':>7} {'frames':>7} {'levels':>7}"


def steadiness_bars(
    stills: Sequence[StillFigures], scripts: Sequence[ScriptFigures]
) -> tuple[Bar, ...]:
    """Holds the first setting to the bars.

    Args:
        stills: the setting that is judged, then the reference; or none.
        scripts: of both settings; or none.
    """
    return (*_still_bars(stills), *_script_bars(scripts))


def _still_bars(stills: Sequence[StillFigures]) -> list[Bar]:
    if not stills:
        return []
    own, reference = stills
    std, jitter = _over(own.std, reference.std), _over(own.jitter, reference.jitter)
    return [
        Bar("std on a still picture, ratio", std, MAX_STD_RATIO, True),
        Bar("landmark jitter, ratio", jitter, MAX_JITTER_RATIO, True),
    ]


def _script_bars(scripts: Sequence[ScriptFigures]) -> list[Bar]:
    judged = [figures for figures in scripts if figures.setting == scripts[0].setting]
    lags = {figures.script: figures.lag for figures in judged}
    return [
        *(
            Bar(f"lag in frames, {name}", lags[name], limit, True)
            for name, limit in MAX_LAG
            if name in lags
        ),
        *(
            Bar(f"full extent late by frames, {row.script}", abs(row.shift), MAX_SHIFT, True)
            for row in judged
            if not math.isnan(row.extent)
        ),
        *(
            Bar(f"change in grey levels, {row.script}", row.change, MAX_CHANGE, True)
            for row in judged
        ),
    ]


def describe_steadiness(stills: Sequence[StillFigures], scripts: Sequence[ScriptFigures]) -> str:
    """Tables of both, and the bars; for people."""
    lines = []
    if stills:
        lines += [_STILL, _STILL_UNITS]
        lines += [f"{row.setting:32.32} {row.std:8.3f} {1e3 * row.jitter:8.3f}" for row in stills]
        lines += [""]
    if scripts:
        lines += [_SCRIPT, _SCRIPT_UNITS, *(_script_line(row) for row in scripts), ""]
    return "\n".join([*lines, *(bar_line(bar) for bar in steadiness_bars(stills, scripts))])


def steadiness_as_json(stills: Sequence[StillFigures], scripts: Sequence[ScriptFigures]) -> Json:
    """All figures and the bars; null stands for what could not be measured."""
    found = steadiness_bars(stills, scripts)
    return {
        "still": [without_nan(asdict(row)) for row in stills],
        "scripts": [without_nan(asdict(row)) for row in scripts],
        "bars": [without_nan({**asdict(bar), "passed": bar.passed}) for bar in found],
        "passed": all(bar.passed for bar in found),
    }


def _script_line(row: ScriptFigures) -> str:
    name = f"{row.script}, {row.setting}"
    cells = [
        " " * 7 if math.isnan(value) else f"{value:7.{digits}f}"
        for value, digits in (
            (row.lag, 2),
            (row.gain, 3),
            (row.delay, 0),
            (row.extent, 3),
            (row.shift, 0),
            (row.change, 2),
        )
    ]
    return " ".join([f"{name:32.32}", *cells]).rstrip()


def _over(value: float, reference: float) -> float:
    """NaN where there is nothing to compare with."""
    return value / reference if reference > 0 else math.nan
