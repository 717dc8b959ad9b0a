"""What a change costs while pictures go through: ``python -m tools.change_live [--to NAME]``.

The synthetic camera runs in real time. For some seconds nothing is changed, then a face is given
anew, or another swapper chosen (and the first one back at the next change); the pictures lost in
both kinds of spans are counted. With ``--changes`` they take turns. What else the machine does
meets both alike, so only the difference is the change's.
"""

import argparse
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from engines.errors import ModelError
from engines.models.library import ModelLibrary
from realtime.app import build_plan
from realtime.config import Config, load_config
from realtime.control import SwapControl
from realtime.device import limit_threads
from realtime.errors import RtSwapError, UsageError
from realtime.job import synthetic_job
from realtime.metrics import Json
from realtime.pipeline import Pipeline
from realtime.swappers import needed_models
from tools.json_file import write_json

SETTLE_S = 2.0
"""Before the first span: networks are touched for the first time, and tracks begin."""

_LOSSES = ("dropped_stale", "dropped_overrun", "failed")


@dataclass(frozen=True, slots=True)
class Span:
    """What happened in a part of a run.

    Attributes:
        seconds: how long it was.
        captured: pictures that the camera gave.
        lost: those of them that did not come out.
    """

    seconds: float
    captured: int
    lost: int


def span(before: Json, after: Json, seconds: float) -> Span:
    """What lies between two counts of frames."""
    lost = sum(after[end] - before[end] for end in _LOSSES)
    return Span(seconds, after["captured"] - before["captured"], lost)


def joined(spans: Sequence[Span]) -> Span:
    """All of several spans."""
    return Span(
        round(sum(one.seconds for one in spans), 2),
        sum(one.captured for one in spans),
        sum(one.lost for one in spans),
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was seen of a run.

    Attributes:
        quiet: the spans without a change, one after the other.
        changed: those that began with one.
    """

    quiet: tuple[Span, ...]
    changed: tuple[Span, ...]


def watch(
    pipeline: Pipeline,
    change: Callable[[], None],
    seconds: float,
    stop: threading.Event,
    num_changes: int = 1,
) -> Outcome:
    """Counts without a change, then with one, so often, and ends the run.

    Args:
        pipeline: is running, or about to.
        change: makes the change on this thread.
        seconds: least length of each span.
        stop: ends the run.
        num_changes: how often.
    """
    try:
        stop.wait(SETTLE_S)
        counts, times = [pipeline.stats()["frames"]], [time.monotonic()]
        for is_changing in (False, True) * num_changes:
            if is_changing:
                change()
            stop.wait(max(0.0, times[-1] + seconds - time.monotonic()))
            counts.append(pipeline.stats()["frames"])
            times.append(time.monotonic())
    finally:
        stop.set()
    spans = tuple(
        span(counts[n], counts[n + 1], times[n + 1] - times[n]) for n in range(2 * num_changes)
    )
    return Outcome(spans[::2], spans[1::2])


def measure(
    config: Config, library: ModelLibrary, to: str | None, seconds: float, num_changes: int
) -> Outcome:
    """Runs the engine and makes changes.

    Args:
        config: of the run.
        library: has the networks of both swappers.
        to: the swapper to change to; None gives the face anew.
        seconds: least length of each span.
        num_changes: how many, with a span before each.

    Raises:
        RtSwapError, ModelError: the run or the change failed.
    """
    limit_threads(config.device.threads)
    controls: list[SwapControl] = []
    job = replace(synthetic_job(1.0), seconds=None, unpaced=False)
    pipeline = Pipeline(build_plan(job, config, library, on_control=controls.append))
    outcomes: list[Outcome] = []
    errors: list[Exception] = []
    stop = threading.Event()

    def change() -> None:
        if to is None:
            controls[0].change_faces([()])
        else:
            is_back = controls[0].swapper == to
            controls[0].change_swapper(config.swapper if is_back else to)

    def work() -> None:
        try:
            outcomes.append(watch(pipeline, change, seconds, stop, num_changes))
        except Exception as error:  # the root of a thread
            errors.append(error)

    worker = threading.Thread(target=work, name="change")
    worker.start()
    try:
        pipeline.run(stop=stop)
    finally:
        stop.set()
        worker.join()
    if errors:
        raise errors[0]
    return outcomes[0]


def describe(outcome: Outcome) -> str:
    """Both kinds of spans, a line each, with what was lost in each span at the end."""
    kinds = (("no change", outcome.quiet), ("with changes", outcome.changed))
    return "\n".join(
        f"{name:14} {one.seconds:6.2f} s  {one.captured:4} captured  {one.lost:3} lost"
        f"  {one.lost / max(one.captured, 1):6.1%}  in turn: {' '.join(str(s.lost) for s in spans)}"
        for name, spans in kinds
        for one in (joined(spans),)
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs and prints; returns the exit code."""
    parser = argparse.ArgumentParser(description="What a change costs while pictures go through.")
    parser.add_argument("--swapper", default="mesh", help="the swapper at first")
    parser.add_argument("--to", metavar="NAME", help="the one to change to; none: a face anew")
    parser.add_argument("--size", default="1280x720", help="of the pictures")
    parser.add_argument("--rate", default="30", help="of the camera, pictures a second")
    parser.add_argument("--seconds", type=float, default=6.0, help="least length of each span")
    parser.add_argument("--changes", type=int, default=1, help="how many")
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="settings",
        help="a value of the configuration, like neural.recogniser=NAME; any number of times",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args(arguments)
    try:
        if options.changes < 1:
            raise UsageError(f"--changes: must be at least 1, got {options.changes}.")
        settings = [
            f"camera.size={options.size}",
            f"camera.rate_hz={options.rate}",
            *options.settings,
        ]
        config = load_config(settings=settings, flags={"swapper": options.swapper})
        library = ModelLibrary()
        for name in (options.swapper, options.to or options.swapper):
            chosen = config.model_copy(update={"swapper": name})
            library.pull(needed_models(chosen, library))
        outcome = measure(config, library, options.to, options.seconds, options.changes)
    except (RtSwapError, ModelError) as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(describe(outcome))
    if options.json is not None:
        figures = {
            name: asdict(joined(spans)) | {"lost_in_turn": [one.lost for one in spans]}
            for name, spans in (("no_change", outcome.quiet), ("change", outcome.changed))
        }
        write_json(figures, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
