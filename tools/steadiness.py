"""Whether the swap holds still without trailing behind: ``python -m tools.steadiness``.

Two settings of the engine are compared: the one that is asked for, and the same with ``--against``
laid over it as the reference. A still picture with a camera's noise says how much they tremble, the
synthetic camera's head with scripted movements how far they trail behind, both with the built-in
face. The figures are explained in ``tools.still_run`` and ``tools.script_run``; pictures are of
``camera.size``. Exits with 1 if a bar is missed.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from engines.errors import ModelError
from engines.models.face_finder import FACE_NETWORKS
from engines.models.library import ModelLibrary
from realtime.device import limit_threads
from realtime.errors import RtSwapError
from realtime.head_motion import HeadState, Steps
from realtime.job_models import CONNECTIONS, PORTRAIT
from realtime.pictures import load_picture
from tools.film_run import Setting, load_settings
from tools.json_file import write_json
from tools.script_run import SCRIPTS, ScriptFigures, run_script
from tools.steadiness_report import describe_steadiness, steadiness_as_json, steadiness_bars
from tools.still_run import SETTLE_S, StillFigures, run_still
from tools.synthetic_film import scripted_film

BAR_MISSED = 1
STILL, SCRIPTED = "still", "scripts"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.seconds <= 2 * SETTLE_S:
        parser.error(f"--seconds: must be more than {2 * SETTLE_S:g}, got {options.seconds:g}")
    try:
        settings = load_settings(options.config, options.set, options.against)
        limit_threads(settings[0].config.device.threads)
        library = ModelLibrary()
        library.pull((*FACE_NETWORKS, CONNECTIONS, PORTRAIT))
        stills = [] if options.only == SCRIPTED else _run_stills(options, settings, library)
        scripts = [] if options.only == STILL else _run_scripts(settings, library)
        print(describe_steadiness(stills, scripts))
        if options.json is not None:
            write_json(steadiness_as_json(stills, scripts), options.json)
    except (RtSwapError, ModelError) as error:
        print(error, file=sys.stderr)
        return error.exit_code
    passed = all(bar.passed for bar in steadiness_bars(stills, scripts))
    return 0 if passed else BAR_MISSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Whether the swap holds still without lag.")
    parser.add_argument("--config", metavar="FILE", help="of the engine, as rt-swap takes it")
    parser.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE")
    parser.add_argument(
        "--against",
        action="append",
        required=True,
        metavar="KEY.PATH=VALUE",
        help="what the reference does differently",
    )
    parser.add_argument("--still", type=Path, metavar="PICTURE", help="instead of the built-in one")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="of the still")
    parser.add_argument("--only", choices=(STILL, SCRIPTED), help="one part of it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="figures for programs")
    return parser


def _run_stills(
    options: argparse.Namespace, settings: Sequence[Setting], library: ModelLibrary
) -> list[StillFigures]:
    if options.still is None:
        size = settings[0].config.camera.size
        at_rest = Steps((HeadState(),), hold_ns=1)
        drawn = scripted_film("still", at_rest, num_frames=1, size=size, library=library)
        picture = drawn.film.pictures[0]
    else:
        picture = load_picture(options.still)
    return run_still(picture, (), settings, library, seconds=options.seconds)


def _run_scripts(settings: Sequence[Setting], library: ModelLibrary) -> list[ScriptFigures]:
    size = settings[0].config.camera.size
    found: list[ScriptFigures] = []
    for script in SCRIPTS:
        print(f"{script.name}: {script.seconds:g} s", file=sys.stderr)
        found += run_script(script, (), settings, library, size=size)
    return found


if __name__ == "__main__":
    sys.exit(main())
