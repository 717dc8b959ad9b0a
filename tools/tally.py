"""The figures of one clip with one face, gathered frame by frame."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from realtime.frame import Image
from tools.judge import Embedding, Judge
from tools.measures import ClipFaces, FrameFigures, InputFace, judge_frame, psnr_db

LEAK_COSINE = 0.6
"""From here on the person in front of the camera is recognised in the output."""


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean; NaN of nothing."""
    return math.fsum(values) / len(values) if values else math.nan


def numbers(values: Iterable[float]) -> list[float]:
    """Those that are not NaN."""
    return [value for value in values if not math.isnan(value)]


@dataclass(frozen=True, slots=True)
class PairFigures:
    """One clip with one face, over its judged frames.

    Attributes:
        face, clip: names of the files.
        frames: pictures of the input.
        missing, extra: pictures of the input without one in the output, and the other way round.
        judged: frames that were looked at.
        with_face: judged frames on which the input shows a face; all below is about these.
        found: frames on which the output shows it too.
        source_mean, source_p10, source_min: cosine to the source face, over ``found``.
        source_std: its standard deviation in time.
        target_mean: cosine to the target's own face, over ``found``.
        target_max: the same, over ``with_face``.
        margin: mean of source cosine less target cosine, over ``found``.
        leaks: frames on which the target is recognised.
        cheek: mean Lab distance of the cheeks, over ``cheek_frames`` with both in sight.
        outside_db, outside_min_db: PSNR outside the face of all frames together (from the mean
            of their squared errors), and of the worst frame.
    """

    face: str
    clip: str
    frames: int
    missing: int
    extra: int
    judged: int
    with_face: int
    found: int
    source_mean: float
    source_p10: float
    source_min: float
    source_std: float
    target_mean: float
    target_max: float
    margin: float
    leaks: int
    cheek: float
    cheek_frames: int
    outside_db: float
    outside_min_db: float


class PairTally:
    """Gathers the frames of one clip with one face.

    Args:
        judge: the networks.
        source: the identity that should be seen.
        faces: of the clip's input.
        every: judge each n-th picture of the input only; all are counted.
    """

    def __init__(self, judge: Judge, source: Embedding, faces: ClipFaces, every: int = 1) -> None:
        self._judge = judge
        self._source = source
        self._faces = faces
        self._every = every
        self._rows: list[FrameFigures] = []
        self._num_frames = 0
        self._num_judged = 0
        self._num_missing = 0
        self._num_extra = 0

    def is_due(self, index: int) -> bool:
        """Whether the input's picture of this number, from 0, is judged."""
        return index % self._every == 0

    def add_extra(self) -> None:
        """Counts a picture of the output without one in the input."""
        self._num_extra += 1

    def add(self, media_ns: int, before: Image | None, after: Image | None) -> InputFace | None:
        """Counts the next picture of the input and judges it if it is due.

        Args:
            media_ns: its time.
            before: the input's picture; may be None where it is not due.
            after: the output's; None where it is missing.

        Returns:
            The input's face where it was judged and has one.
        """
        due = self.is_due(self._num_frames)
        self._num_frames += 1
        self._num_missing += after is None
        if not due or before is None:
            return None
        self._num_judged += 1
        face = self._faces.look(before, media_ns)
        if face is not None:
            self._rows.append(
                FrameFigures(found=False)
                if after is None
                else judge_frame(self._judge, self._source, face, before, after)
            )
        return face

    def figures(self, face: str, clip: str) -> PairFigures:
        """Everything so far, under the names of the face and the clip."""
        found = [row for row in self._rows if row.found]
        source = [row.source_cosine for row in found]
        target = [row.target_cosine for row in found]
        anywhere = numbers(row.target_cosine for row in self._rows)
        cheeks = numbers(row.cheek for row in self._rows)
        outside = numbers(row.outside_mse for row in self._rows)
        return PairFigures(
            face=face,
            clip=clip,
            frames=self._num_frames,
            missing=self._num_missing,
            extra=self._num_extra,
            judged=self._num_judged,
            with_face=len(self._rows),
            found=len(found),
            source_mean=mean(source),
            source_p10=float(np.quantile(source, 0.1)) if source else math.nan,
            source_min=min(source, default=math.nan),
            source_std=float(np.std(source)) if source else math.nan,
            target_mean=mean(target),
            target_max=max(anywhere, default=math.nan),
            margin=mean(source) - mean(target),
            leaks=sum(cosine >= LEAK_COSINE for cosine in anywhere),
            cheek=mean(cheeks),
            cheek_frames=len(cheeks),
            outside_db=psnr_db(mean(outside)) if outside else math.nan,
            outside_min_db=psnr_db(max(outside)) if outside else math.nan,
        )
