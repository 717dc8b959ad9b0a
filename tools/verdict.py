"""What many pairs say together, held to the bars a release must pass."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from realtime.metrics import Json
from tools.tally import PairFigures, mean, numbers

MIN_SOURCE_MEAN = 0.62
MIN_MARGIN_MEAN = 0.45
MIN_SOURCE_PAIR = 0.45
MIN_MARGIN_PAIR = 0.25
MAX_CHEEK = 5.0
MAX_LEAKS = 0
MIN_FOUND = 0.98
MIN_OUTSIDE_DB = 36.0

_HEADER = (
    f"{'':42} {'frames':>6} {'found':>6} {'source':>6} {'p10':>6} {'min':>6} {'target':>6} "
    f"{'max':>6} {'margin':>6} {'leaks':>5} {'cheek':>6} {'outside':>7}"
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One figure and the least or the most it may be.

    Attributes:
        name: what is measured, and over what.
        value: NaN where nothing could be measured; that misses every bar.
        limit: the bar itself still passes.
        at_most: whether smaller is better.
    """

    name: str
    value: float
    limit: float
    at_most: bool = False

    @property
    def passed(self) -> bool:
        """Whether the figure is good enough."""
        return self.value <= self.limit if self.at_most else self.value >= self.limit


def bars(pairs: Sequence[PairFigures]) -> tuple[Bar, ...]:
    """Holds the figures of all pairs to the bars.

    Means are over pairs, each weighing the same, except the share of found faces, which is over
    frames. Cheeks are left out where a clip never shows both; everything else must be measurable.
    """
    with_face = sum(pair.with_face for pair in pairs)
    found = sum(pair.found for pair in pairs) / with_face if with_face else math.nan
    return (
        Bar("source cosine, mean", mean([pair.source_mean for pair in pairs]), MIN_SOURCE_MEAN),
        Bar("margin, mean", mean([pair.margin for pair in pairs]), MIN_MARGIN_MEAN),
        Bar("source cosine, worst pair", _worst(p.source_mean for p in pairs), MIN_SOURCE_PAIR),
        Bar("margin, worst pair", _worst(pair.margin for pair in pairs), MIN_MARGIN_PAIR),
        Bar("cheek Lab distance, mean", mean(numbers(p.cheek for p in pairs)), MAX_CHEEK, True),
        Bar("frames with the target recognised", sum(p.leaks for p in pairs), MAX_LEAKS, True),
        Bar("faces found, share of frames", found, MIN_FOUND),
        Bar("outside PSNR in dB, worst pair", _worst(p.outside_db for p in pairs), MIN_OUTSIDE_DB),
    )


def combine(pairs: Sequence[PairFigures], *, face: str, clip: str) -> PairFigures:
    """Several pairs as one row: counts added, means averaged over pairs, extremes kept.

    Args:
        pairs: at least one.
        face, clip: names of the row.
    """
    return PairFigures(
        face=face,
        clip=clip,
        frames=sum(pair.frames for pair in pairs),
        missing=sum(pair.missing for pair in pairs),
        extra=sum(pair.extra for pair in pairs),
        judged=sum(pair.judged for pair in pairs),
        with_face=sum(pair.with_face for pair in pairs),
        found=sum(pair.found for pair in pairs),
        source_mean=mean(numbers(pair.source_mean for pair in pairs)),
        source_p10=mean(numbers(pair.source_p10 for pair in pairs)),
        source_min=min(numbers(pair.source_min for pair in pairs), default=math.nan),
        source_std=mean(numbers(pair.source_std for pair in pairs)),
        target_mean=mean(numbers(pair.target_mean for pair in pairs)),
        target_max=max(numbers(pair.target_max for pair in pairs), default=math.nan),
        margin=mean(numbers(pair.margin for pair in pairs)),
        leaks=sum(pair.leaks for pair in pairs),
        cheek=mean(numbers(pair.cheek for pair in pairs)),
        cheek_frames=sum(pair.cheek_frames for pair in pairs),
        outside_db=mean(numbers(pair.outside_db for pair in pairs)),
        outside_min_db=min(numbers(pair.outside_min_db for pair in pairs), default=math.nan),
    )


def describe(pairs: Sequence[PairFigures]) -> str:
    """A table of every pair, every clip, every face, and the bars; for people."""
    rows = [("each pair", pairs)]
    if len(pairs) > 1:
        clips = {pair.clip: [p for p in pairs if p.clip == pair.clip] for pair in pairs}
        faces = {pair.face: [p for p in pairs if p.face == pair.face] for pair in pairs}
        rows += [
            ("each clip", [combine(own, face="", clip=clip) for clip, own in clips.items()]),
            ("each face", [combine(own, face=face, clip="") for face, own in faces.items()]),
            ("all", [combine(pairs, face="", clip="all pairs")]),
        ]
    lines = [_HEADER]
    for title, group in rows:
        lines += ["", title, *(_row(pair) for pair in group)]
    lines += ["", *(bar_line(bar) for bar in bars(pairs))]
    return "\n".join(lines)


def as_json(pairs: Sequence[PairFigures]) -> Json:
    """The figures of every pair and the bars; null stands for what could not be measured."""
    return {
        "pairs": [without_nan(asdict(pair)) for pair in pairs],
        "bars": [without_nan({**asdict(bar), "passed": bar.passed}) for bar in bars(pairs)],
        "passed": all(bar.passed for bar in bars(pairs)),
    }


def _worst(values: Iterable[float]) -> float:
    """The least; NaN if one of them could not be measured."""
    known = list(values)
    return math.nan if any(map(math.isnan, known)) else min(known, default=math.nan)


def _row(pair: PairFigures) -> str:
    name = " × ".join(part for part in (pair.face[:18], pair.clip[:26]) if part)
    found = 100 * pair.found / pair.with_face if pair.with_face else math.nan
    row = (
        f"{name:42.42} {pair.with_face:6} {found:5.1f}% {pair.source_mean:6.3f} "
        f"{pair.source_p10:6.3f} {pair.source_min:6.3f} {pair.target_mean:6.3f} "
        f"{pair.target_max:6.3f} {pair.margin:6.3f} {pair.leaks:5} {pair.cheek:6.2f} "
        f"{pair.outside_db:7.1f}"
    )
    if pair.missing or pair.extra:
        row += f"  {pair.missing} missing, {pair.extra} extra"
    return row


def bar_line(bar: Bar) -> str:
    """A bar in one line, for people."""
    sign = "≤" if bar.at_most else "≥"
    verdict = "passed" if bar.passed else "MISSED"
    return f"{verdict}  {bar.name:42} {bar.value:7.3f}  ({sign} {bar.limit:g})"


def without_nan(values: Json) -> Json:
    """The same with null in place of every NaN, which JSON does not know."""
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in values.items()
    }
