"""What many steady figures say together, held to the bars a release must pass."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from realtime.metrics import Json
from tools.steady_matrix import SteadyResult
from tools.steady_tally import SteadyFigures
from tools.tally import PairFigures, mean, numbers
from tools.verdict import Bar, bar_line, combine, without_nan

MAX_RATIO_PAIR = 1.5
MAX_RATIO_MEAN = 1.1
MAX_COSINE_FALL = 0.02

MAX_CHEEK_RISE = 0.5
"""In CIELAB; a difference of about 2.3 is just noticeable (Mahy et al. 1994)."""

_NAME_WIDTH = 36
_COLUMNS = (
    ("setting", "", 18),
    ("pairs", "", 5),
    ("input", "1e-4", 7),
    ("ratio", "", 6),
    ("worst", "", 6),
    ("outside", "ratio", 7),
    ("tOF", "px", 5),
    ("jitter", "1e-3", 6),
    ("id", "std", 6),
    ("tone", "std", 5),
    ("source", "cosine", 6),
    ("margin", "", 6),
    ("cheek", "ΔE", 5),
)
"""Name, unit and width."""

_Group = tuple[str, str | None, str | None]
"""Name of a line, and the face and the clip it is about; None: all of them."""


@dataclass(frozen=True, slots=True)
class SteadyRow:
    """Results under one setting as one line of the table.

    Attributes:
        name: of the line.
        setting: name of the setting.
        steady: means of the figures; counts are added.
        quality: the same of what the judge says.
        ratio, worst_ratio: mean and largest ratio of the warping errors inside the face; NaN if
            one could not be measured.
        outside_ratio: mean of those outside.
    """

    name: str
    setting: str
    steady: SteadyFigures
    quality: PairFigures
    ratio: float
    worst_ratio: float
    outside_ratio: float


def gather(name: str, results: Sequence[SteadyResult]) -> SteadyRow:
    """Results under one setting as one line; at least one."""
    steady = [result.steady for result in results]
    ratios = [figures.ratio for figures in steady]
    return SteadyRow(
        name=name,
        setting=results[0].setting,
        steady=combine_steady(steady),
        quality=combine([result.quality for result in results], face="", clip=""),
        ratio=mean(ratios),
        worst_ratio=math.nan if any(map(math.isnan, ratios)) else max(ratios),
        outside_ratio=mean([figures.outside_ratio for figures in steady]),
    )


def combine_steady(steady: Sequence[SteadyFigures]) -> SteadyFigures:
    """Counts added, everything else the mean over those that could be measured."""
    return SteadyFigures(
        pairs=sum(figures.pairs for figures in steady),
        missing_pairs=sum(figures.missing_pairs for figures in steady),
        input_error=mean(numbers(figures.input_error for figures in steady)),
        output_error=mean(numbers(figures.output_error for figures in steady)),
        outside_input=mean(numbers(figures.outside_input for figures in steady)),
        outside_output=mean(numbers(figures.outside_output for figures in steady)),
        visible=mean(numbers(figures.visible for figures in steady)),
        flow_px=mean(numbers(figures.flow_px for figures in steady)),
        jitter=mean(numbers(figures.jitter for figures in steady)),
        cheek_std=mean(numbers(figures.cheek_std for figures in steady)),
    )


def steady_bars(results: Sequence[SteadyResult]) -> tuple[Bar, ...]:
    """Holds the first setting to the bars, and what it costs against the second, if there is one.

    Args:
        results: under one or two settings; the first one's is judged.
    """
    settings = _settings(results)
    own = _under(results, settings[0])
    row = gather("", own)
    found = [
        Bar("warping error ratio, worst pair", row.worst_ratio, MAX_RATIO_PAIR, True),
        Bar("warping error ratio, mean", row.ratio, MAX_RATIO_MEAN, True),
    ]
    if len(settings) > 1:
        pairs = list(zip(own, _under(results, settings[1]), strict=True))
        falls = [b.quality.source_mean - a.quality.source_mean for a, b in pairs]
        cheeks = numbers(a.quality.cheek - b.quality.cheek for a, b in pairs)
        worst = math.nan if any(map(math.isnan, falls)) else max(falls)
        found += [
            Bar("fall of the source cosine, mean", mean(falls), MAX_COSINE_FALL, True),
            Bar("fall of the source cosine, worst", worst, MAX_COSINE_FALL, True),
            Bar("rise of the cheeks' distance, mean", mean(cheeks), MAX_CHEEK_RISE, True),
        ]
    return tuple(found)


def describe_steady(results: Sequence[SteadyResult]) -> str:
    """A table of every pair, clip, face and setting, and the bars; for people."""
    pairs = dict.fromkeys((r.quality.face, r.quality.clip) for r in results)
    clips = dict.fromkeys(clip for _, clip in pairs)
    faces = dict.fromkeys(face for face, _ in pairs)
    groups: list[tuple[str, list[_Group]]] = [
        ("each pair", [(f"{face[:16]} × {clip}", face, clip) for face, clip in pairs])
    ]
    if len(pairs) > 1:
        groups += [
            ("each clip", [(clip, None, clip) for clip in clips]),
            ("each face", [(face, face, None) for face in faces]),
            ("all", [("all pairs", None, None)]),
        ]
    names, units, _ = zip(*_COLUMNS, strict=True)
    lines = [_line("", *names), _line("", *units)]
    for title, group in groups:
        lines += ["", title]
        for name, face, clip in group:
            lines += [_row(row) for row in _rows(results, name, face, clip)]
    lines += ["", *(bar_line(bar) for bar in steady_bars(results))]
    return "\n".join(lines)


def steady_as_json(results: Sequence[SteadyResult]) -> Json:
    """The figures of every pair under every setting, and the bars; null where none could be got."""
    found = steady_bars(results)
    return {
        "pairs": [
            {
                "setting": result.setting,
                **without_nan(asdict(result.quality)),
                **without_nan(asdict(result.steady)),
                **without_nan(
                    {"ratio": result.steady.ratio, "outside_ratio": result.steady.outside_ratio}
                ),
            }
            for result in results
        ],
        "bars": [without_nan({**asdict(bar), "passed": bar.passed}) for bar in found],
        "passed": all(bar.passed for bar in found),
    }


def _settings(results: Sequence[SteadyResult]) -> list[str]:
    """Their names in the order in which they first come."""
    return list(dict.fromkeys(result.setting for result in results))


def _under(results: Sequence[SteadyResult], setting: str) -> list[SteadyResult]:
    return [result for result in results if result.setting == setting]


def _rows(
    results: Sequence[SteadyResult], name: str, face: str | None, clip: str | None
) -> list[SteadyRow]:
    """One line for each setting, over the pairs of this face and clip; None: of all."""
    own = [
        result
        for result in results
        if face in (None, result.quality.face) and clip in (None, result.quality.clip)
    ]
    return [gather(name, _under(own, setting)) for setting in _settings(own)]


def _row(row: SteadyRow) -> str:
    steady, quality = row.steady, row.quality
    line = _line(
        row.name,
        row.setting[: _COLUMNS[0][2]],
        str(steady.pairs),
        f"{1e4 * steady.input_error:.3f}",
        f"{row.ratio:.2f}",
        f"{row.worst_ratio:.2f}",
        f"{row.outside_ratio:.2f}",
        f"{steady.flow_px:.2f}",
        f"{1e3 * steady.jitter:.2f}",
        f"{quality.source_std:.3f}",
        f"{steady.cheek_std:.2f}",
        f"{quality.source_mean:.3f}",
        f"{quality.margin:.3f}",
        f"{quality.cheek:.2f}",
    )
    return f"{line}  {steady.missing_pairs} missing" if steady.missing_pairs else line


def _line(name: str, *values: str) -> str:
    cells = [f"{value:>{width}}" for value, (_, _, width) in zip(values, _COLUMNS, strict=True)]
    return " ".join([f"{name[:_NAME_WIDTH]:{_NAME_WIDTH}}", *cells]).rstrip()
