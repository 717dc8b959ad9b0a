"""How good a swap is, seen by networks the engine does not use: ``python -m tools.quality``.

Two ways to use it. ``--input in.mp4 --output out.mp4 --face face.png`` judges a finished output.
``--matrix CLIPS_DIR --faces a.jpg,b.jpg`` runs the engine on every clip with every face and judges
its frames as they leave it. Both print the figures and the bars they must pass, and exit with 1
if one is missed.

With ``--steady`` the matrix is held against the motion of its input instead: ``tools.steady_tally``
says what is measured. ``--against fuse.enabled=false`` does it a second time under other settings,
on the very same pictures, and says what they change. With ``--seam`` it measures how far the rim of
the swapped faces can be seen, against plain feathering: ``tools.seam`` says what that means.

What the figures mean is said in ``tools.measures`` and ``tools.tally``; in short,
on each frame whose input shows a face:

- source, target: cosine between the output's face and the source face, and between the output's
  face and the target's own face in that very frame; margin: the first less the second;
- found: whether the output shows a face where the input does;
- cheek: distance of the cheeks' tone in CIELAB between input and output;
- outside: PSNR of everything outside the face's box; the visible label counts as a change, so
  a finished output is to be written with ``--no-label``.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from engines.errors import ModelError
from engines.models.face_finder import FACE_NETWORKS
from engines.models.library import ModelLibrary
from realtime.config import Config, load_config
from realtime.consent import ConsentKind, ConsentLog, default_consent_path, require_consent
from realtime.contact_sheet import write_picture
from realtime.device import limit_threads
from realtime.errors import RtSwapError, UsageError
from realtime.job import FaceChoice, parse_face
from tools.clip_pairs import clip_moments
from tools.film import load_film
from tools.film_run import load_settings
from tools.json_file import write_json
from tools.judge import DEFAULT_MODELS, Judge, open_judge
from tools.measures import ClipFaces, Source, open_source
from tools.quality_matrix import Matrix, draw_matrix_sheet, list_clips, run_matrix
from tools.seam_run import PLAIN, describe_seams, run_seams, seam_bars, seams_as_json
from tools.steady_matrix import run_steady
from tools.steady_verdict import describe_steady, steady_as_json, steady_bars
from tools.tally import PairFigures, PairTally
from tools.verdict import as_json, bars, describe

BAR_MISSED = 1
MIN_SIZE_PX = 64


def compare(
    judge: Judge,
    before: Path,
    after: Path,
    source: Source,
    *,
    every: int = 1,
    seconds: float | None = None,
    face_index: int = 0,
) -> PairFigures:
    """Judges a finished output.

    Args:
        judge: the networks.
        before, after: the input clip and its output.
        source: the face that was put in.
        every: judge each n-th picture of the input.
        seconds: of the clips; None: all.
        face_index: which face of the input is meant; 0 is the largest.

    Raises:
        MediaError: a clip cannot be used, or the sizes differ.
    """
    tally = PairTally(judge, source.embedding, ClipFaces(judge, face_index), every)
    for moment in clip_moments(before, after):
        if seconds is not None and moment.media_ns >= seconds * 1_000_000_000:
            break
        if moment.before is None:
            tally.add_extra()
        else:
            tally.add(moment.media_ns, moment.before, moment.after)
    return tally.figures(source.name, before.name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Judges and prints; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    _check(parser, options)
    try:
        if options.seam:
            return _judge_seams(options)
        judge = open_judge(options.models)
        if options.steady or options.against:
            return _judge_steadiness(judge, options)
        pairs = _judge_matrix(judge, options) if options.matrix else _judge_output(judge, options)
        print(describe(pairs))
        if options.json is not None:
            write_json(as_json(pairs), options.json)
    except (RtSwapError, ModelError) as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0 if all(bar.passed for bar in bars(pairs)) else BAR_MISSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="How good a swap is, seen by other networks.")
    parser.add_argument("--input", type=Path, metavar="CLIP", help="before the swap")
    parser.add_argument("--output", type=Path, metavar="CLIP", help="after the swap")
    parser.add_argument("--face", metavar="PICTURE[#N]", help="the face that was put in")
    parser.add_argument("--matrix", type=Path, metavar="DIR", help="clips to run the engine on")
    parser.add_argument("--faces", metavar="PICTURE[#N],…", help="one person each")
    parser.add_argument("--skip", default="", metavar="NAME,…", help="beginnings of clips' names")
    parser.add_argument("--consent", type=ConsentKind, choices=list(ConsentKind), metavar="KIND")
    parser.add_argument("--config", metavar="FILE", help="of the engine, as rt-swap takes it")
    parser.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="contact sheet of the matrix")
    parser.add_argument("--sheet-at", type=float, default=0.5, metavar="PART", help="of a clip")
    parser.add_argument("--models", type=Path, default=DEFAULT_MODELS, metavar="DIR")
    parser.add_argument("--face-index", type=int, default=0, metavar="N", help="0: the largest")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="judge each n-th frame")
    parser.add_argument("--seconds", type=float, metavar="S", help="of each clip")
    parser.add_argument("--steady", action="store_true", help="measure flicker and jitter")
    parser.add_argument("--seam", action="store_true", help="measure rims against feathering")
    parser.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="KEY.PATH=VALUE",
        help="steady figures under this setting too",
    )
    parser.add_argument("--size", type=int, metavar="PX", help="shorter side of the pictures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="figures for programs")
    return parser


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Ends the program with a message where the options make no sense."""
    output = (options.input, options.output, options.face)
    matrix = (options.matrix, options.faces)
    asks_output = all(output) and not any(matrix)
    asks_matrix = all(matrix) and not any(output)
    if not asks_output and not asks_matrix:
        parser.error("give either --input, --output and --face, or --matrix and --faces")
    if asks_output and options.sheet is not None:
        parser.error("--sheet: goes with --matrix; for two clips use tools.contact_sheet")
    if options.every < 1:
        parser.error(f"--every: must be at least 1, got {options.every}")
    if options.face_index < 0:
        parser.error(f"--face-index: must be at least 0, got {options.face_index}")
    if not 0 <= options.sheet_at <= 1:
        parser.error(f"--sheet-at: must be from 0 to 1, got {options.sheet_at}")
    if options.size is not None and options.size < MIN_SIZE_PX:
        parser.error(f"--size: must be at least {MIN_SIZE_PX}, got {options.size}")
    if (options.steady or options.against) and (not asks_matrix or options.sheet is not None):
        parser.error("--steady, --against: go with --matrix and without --sheet")
    if options.seam and (not asks_matrix or options.sheet or options.steady or options.against):
        parser.error("--seam: goes with --matrix and without --sheet, --steady and --against")
    if options.size is not None and not (options.steady or options.against or options.seam):
        parser.error("--size: goes with --steady or --seam")
    if options.seconds is not None and options.seconds <= 0:
        parser.error(f"--seconds: must be more than 0, got {options.seconds}")


def _judge_output(judge: Judge, options: argparse.Namespace) -> list[PairFigures]:
    source = open_source(judge, parse_face(options.face))
    figures = compare(
        judge,
        options.input,
        options.output,
        source,
        every=options.every,
        seconds=options.seconds,
        face_index=options.face_index,
    )
    return [figures]


def _judge_matrix(judge: Judge, options: argparse.Namespace) -> list[PairFigures]:
    matrix = _plan_matrix(judge, options)
    results = []
    for result in run_matrix(matrix):
        results.append(result)
        figures = result.figures
        print(f"{figures.face} × {figures.clip}: {figures.judged} frames", file=sys.stderr)
    if options.sheet is not None:
        write_picture(draw_matrix_sheet(results, list(matrix.faces.values())), options.sheet)
    return [result.figures for result in results]


def _judge_steadiness(judge: Judge, options: argparse.Namespace) -> int:
    """Runs the matrix under one setting or two, prints and returns the exit code."""
    matrix = _plan_matrix(judge, options)
    settings = load_settings(options.config, options.set, options.against)
    results = []
    for result in run_steady(matrix, settings, short_px=options.size):
        results.append(result)
        where = f"{result.quality.face} × {result.quality.clip}, {result.setting}"
        print(f"{where}: ratio {result.steady.ratio:.2f}", file=sys.stderr)
    print(describe_steady(results))
    if options.json is not None:
        write_json(steady_as_json(results), options.json)
    return 0 if all(bar.passed for bar in steady_bars(results)) else BAR_MISSED


def _judge_seams(options: argparse.Namespace) -> int:
    """Runs the matrix as set and with plain feathering, prints and returns the exit code."""
    given = [parse_face(face) for face in options.faces.split(",")]
    choices = {choice.path.name: choice for choice in given}
    _expect_distinct([choice.path.name for choice in given])
    clips = list_clips(options.matrix, [name for name in options.skip.split(",") if name])
    own, plain = load_settings(options.config, options.set, PLAIN)
    library = _prepare(list(choices.values()), options, own.config)
    films = (load_film(c, seconds=options.seconds, short_px=options.size) for c in clips)
    results = []
    for result in run_seams(films, choices, (own, plain), library, options.every):
        results.append(result)
        where = f"{result.face} × {result.clip}, {result.setting}"
        print(f"{where}: energy {result.energy:.3f}", file=sys.stderr)
    print(describe_seams(results, plain.name))
    if options.json is not None:
        write_json(seams_as_json(results, plain.name), options.json)
    return 0 if all(bar.passed for bar in seam_bars(results, plain.name)) else BAR_MISSED


def _expect_distinct(names: Sequence[str]) -> None:
    """Raises where two faces could not be told apart in the report."""
    if len(set(names)) < len(names):
        raise UsageError(
            f"--faces: names of the files must differ, got {', '.join(names)}. Rename one."
        )


def _prepare(
    choices: Sequence[FaceChoice], options: argparse.Namespace, config: Config
) -> ModelLibrary:
    """Makes sure that the faces may be used and the networks are here."""
    require_consent(
        [choice.path for choice in choices],
        ConsentLog(default_consent_path()),
        given=options.consent,
        ask=None,
    )
    limit_threads(config.device.threads)
    library = ModelLibrary()
    library.pull(FACE_NETWORKS)
    return library


def _plan_matrix(judge: Judge, options: argparse.Namespace) -> Matrix:
    choices = [parse_face(face) for face in options.faces.split(",")]
    clips = list_clips(options.matrix, [name for name in options.skip.split(",") if name])
    sources = [open_source(judge, choice) for choice in choices]
    _expect_distinct([source.name for source in sources])
    config = load_config(options.config, options.set)
    library = _prepare(choices, options, config)
    return Matrix(
        clips=clips,
        faces=dict(zip(choices, sources, strict=True)),
        judge=judge,
        config=config,
        library=library,
        every=options.every,
        seconds=options.seconds,
        face_index=options.face_index,
        sheet_at=options.sheet_at,
    )


if __name__ == "__main__":
    sys.exit(main())
