"""The engine run on many clips with many faces, its frames judged as they leave it.

Nothing is encoded: a stage in front of the engine keeps the input's picture, and a sink compares
it with what comes out. Every frame goes through the engine, also where only some are judged.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engines.models.library import ModelLibrary
from realtime.app import build_plan
from realtime.config import Config
from realtime.contact_sheet import Tap
from realtime.errors import MediaError
from realtime.frame import Frame, Image, PictureSpec
from realtime.job import FaceChoice, Job
from realtime.pipeline import Pipeline, Plan
from realtime.sources.video import VideoFile
from tools.judge import Judge
from tools.measures import ClipFaces, Source
from tools.sheet_grid import Labelled, crop_face, draw_grid
from tools.tally import PairFigures, PairTally

CLIP_SUFFIXES = frozenset({".avi", ".mkv", ".mov", ".mp4", ".webm"})


def list_clips(folder: Path, skip: Sequence[str] = ()) -> tuple[Path, ...]:
    """The video files of a folder in the order of their names.

    Args:
        folder: searched without its subfolders.
        skip: beginnings of the names to leave out.

    Raises:
        MediaError: there is none.
    """
    if not folder.is_dir():
        raise MediaError(f"--matrix {folder}: must be a folder of clips. Check its name.")
    clips = tuple(
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in CLIP_SUFFIXES and not path.name.startswith(tuple(skip))
    )
    if not clips:
        raise MediaError(f"--matrix {folder}: must hold clips, got none. Check --skip.")
    return clips


@dataclass(slots=True)
class Snapshot:
    """The pair of face crops that stands for a pair on the sheet.

    The last one before ``at_ns`` is kept until one from then on has come.

    Attributes:
        at_ns: wanted media time.
        before, after: ``(CROP_PX, CROP_PX, 3) u8 BGR``.
        settled: whether the wanted time has come.
    """

    at_ns: int
    before: Image | None = None
    after: Image | None = None
    settled: bool = False


class Witness:
    """Sees each frame in front of the engine and behind it, and hands both to the tally.

    The tap belongs to the first lane's thread, the sink to the sender's. A picture is stored
    before its frame is handed on and taken out after that, so each is in one thread's hands.

    Attributes:
        tap: stage to put first.

    Args:
        tally: receives the frames in order.
        snapshot: receives the crops for the sheet.
    """

    def __init__(self, tally: PairTally, snapshot: Snapshot) -> None:
        self.tap = Tap("witness", self._keep)
        self._tally = tally
        self._snapshot = snapshot
        self._num_kept = 0
        self._kept: dict[int, Image | None] = {}

    def open(self, spec: PictureSpec) -> None:
        """Takes pictures of the input's size."""

    def send(self, image: Image, media_ns: int) -> None:
        """Judges one picture of the output."""
        # Frames come in order: what is older than this one will not come any more.
        for missed_ns in [time_ns for time_ns in tuple(self._kept) if time_ns < media_ns]:
            self._tally.add(missed_ns, self._kept.pop(missed_ns), None)
        if media_ns not in self._kept:
            self._tally.add_extra()
            return
        before = self._kept.pop(media_ns)
        face = self._tally.add(media_ns, before, image)
        if face is not None and before is not None and not self._snapshot.settled:
            self._snapshot.before = crop_face(before, face.detection)
            self._snapshot.after = crop_face(image, face.detection)
            self._snapshot.settled = media_ns >= self._snapshot.at_ns

    def close(self) -> None:
        """Counts the pictures that never came out."""
        while self._kept:
            media_ns = min(self._kept)
            self._tally.add(media_ns, self._kept.pop(media_ns), None)

    def _keep(self, frame: Frame) -> None:
        due = self._tally.is_due(self._num_kept)
        self._num_kept += 1
        self._kept[frame.media_ns] = frame.image.copy() if due else None


def watched(plan: Plan, witness: Witness) -> Plan:
    """The same plan with the witness in front of its stages and as its only sink."""
    lanes = ((witness.tap, *plan.lanes[0]), *plan.lanes[1:])
    return replace(plan, lanes=lanes, sinks=(witness,))


@dataclass(frozen=True, slots=True)
class Matrix:
    """What is swapped and judged.

    Attributes:
        clips: input videos.
        faces: source faces; each is looked up by the judge and prepared by the engine.
        judge: the networks.
        config: of the engine.
        library: the engine's models.
        every: judge each n-th frame.
        seconds: of each clip; None: all of it.
        face_index: which face of the input is judged; 0 is the largest.
        sheet_at: where in each clip the sheet's picture is taken, 0..1.
    """

    clips: Sequence[Path]
    faces: Mapping[FaceChoice, Source]
    judge: Judge
    config: Config
    library: ModelLibrary
    every: int = 1
    seconds: float | None = None
    face_index: int = 0
    sheet_at: float = 0.5


@dataclass(frozen=True, slots=True)
class PairResult:
    """One face in one clip: its figures, and the crops for the sheet."""

    figures: PairFigures
    snapshot: Snapshot


def run_matrix(matrix: Matrix) -> Iterator[PairResult]:
    """Swaps and judges every pair, clip by clip; each result comes as soon as it is there.

    Raises:
        RtSwapError, ModelError: a clip or face cannot be used, or the engine failed.
    """
    for clip in matrix.clips:
        faces = ClipFaces(matrix.judge, matrix.face_index)
        span_ns = _span_ns(clip, matrix.seconds)
        for choice, source in matrix.faces.items():
            tally = PairTally(matrix.judge, source.embedding, faces, matrix.every)
            snapshot = Snapshot(round(matrix.sheet_at * span_ns))
            job = Job(
                camera=None,
                input=clip,
                faces=(choice,),
                output=None,
                discard=True,
                virtual_camera=None,
                show_label=False,
            )
            plan = build_plan(job, matrix.config, matrix.library)
            for_ns = None if matrix.seconds is None else round(matrix.seconds * 1_000_000_000)
            witness = Witness(tally, snapshot)
            Pipeline(watched(plan, witness)).run(stop=threading.Event(), for_ns=for_ns)
            yield PairResult(tally.figures(source.name, clip.name), snapshot)


def draw_matrix_sheet(results: Sequence[PairResult], sources: Sequence[Source]) -> Image:
    """The contact sheet: clips in columns; the inputs, then each face in a row.

    Above each output stand its pair's mean cosine to the source, margin and cheek distance.
    """
    by_pair = {(r.figures.face, r.figures.clip): r for r in results}
    clips = list(dict.fromkeys(result.figures.clip for result in results))
    top: list[Labelled | None] = [None]
    for clip in clips:
        first = by_pair[sources[0].name, clip].snapshot.before
        top.append(None if first is None else (clip, first))
    rows = [top]
    for source in sources:
        row: list[Labelled | None] = [(source.name, crop_face(source.image, source.detection))]
        for clip in clips:
            result = by_pair[source.name, clip]
            row.append(_labelled(result))
        rows.append(row)
    return draw_grid(rows)


def _labelled(result: PairResult) -> Labelled | None:
    figures, image = result.figures, result.snapshot.after
    label = f"cos {figures.source_mean:.2f} margin {figures.margin:.2f} dE {figures.cheek:.1f}"
    return None if image is None else (label, image)


def _span_ns(clip: Path, seconds: float | None) -> int:
    """How long the clip is, at most ``seconds``; as the file says it."""
    source = VideoFile(clip)
    try:
        spec = source.open()
    finally:
        source.close()
    stated_ns = (spec.num_frames or 0) * spec.period_ns
    return stated_ns if seconds is None else min(stated_ns, round(seconds * 1_000_000_000))
