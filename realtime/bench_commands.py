"""``rt-swap bench``: the engine and what stands around it, measured on this machine."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from realtime.engine_bench import bench_engines
from realtime.errors import UsageError
from realtime.job import MAX_SECONDS

if TYPE_CHECKING:
    from realtime.bench.glass import Course
    from realtime.stage import Source

Json = dict[str, Any]

Seconds = Annotated[
    float, typer.Option(metavar="N", min=2.0, max=MAX_SECONDS, help="How long to measure.")
]
Size = Annotated[str, typer.Option(metavar="WxH", help="Size of the pictures.")]
Fps = Annotated[str, typer.Option(metavar="N", help="Pictures per second.")]
ConfigFile = Annotated[
    str | None, typer.Option(metavar="FILE", help="YAML file, 'speed' or 'quality'.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.PATH=VALUE", help="One value of the configuration."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Plot = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write a PNG of the latencies there.")
]


bench_app = typer.Typer(
    no_args_is_help=False,
    help="Measures what this machine does.",
)
bench_app.command("engines")(bench_engines)


@bench_app.command("pipeline")
def bench_pipeline(
    seconds: Seconds = 20.0,
    size: Size = "1280x720",
    fps: Fps = "30",
    config: ConfigFile = None,
    settings: Settings = None,
    plot: Plot = None,
    as_json: AsJson = False,
) -> int:
    """Measures the engine alone: stamped built-in camera, swap, stamps read at the output."""
    from realtime.bench.glass import measure_pipeline

    result = measure_pipeline(_course(seconds, size, fps, config, settings))
    return _tell(result, plot, as_json)


@bench_app.command("glass")
def bench_glass(
    device: Annotated[
        str | None,
        typer.Option(metavar="DEVICE", help="Virtual camera like /dev/video10; none: a pipe."),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="Another program to measure: reads {source}, writes to {device}.",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(metavar="DEVICE", help="Virtual camera that the other program reads."),
    ] = None,
    seconds: Seconds = 20.0,
    size: Size = "1280x720",
    fps: Fps = "30",
    config: ConfigFile = None,
    settings: Settings = None,
    plot: Plot = None,
    as_json: AsJson = False,
) -> int:
    """Measures from the picture of a source to the picture another program sees."""
    from realtime.bench.glass import device_number, measure_glass
    from realtime.bench.peer import measure_program

    for one in (device, source):
        if one is not None:
            device_number(one)
    if command is None:
        if source is not None:
            raise UsageError("--source: must stand beside --command, got none. Leave it out.")
        course = _course(seconds, size, fps, config, settings)
        return _tell(measure_glass(course, device), plot, as_json)
    if device is None or source is None:
        raise UsageError(
            "--command: the devices must be named, got none. Add --source /dev/video9 for the "
            "one the program reads and --device /dev/video10 for the one it writes to."
        )
    camera = _built_in_camera(size, fps)
    return _tell(measure_program(camera, command, (source, device), seconds), plot, as_json)


@bench_app.command("stages")
def bench_stages(
    seconds: Seconds = 10.0,
    size: Size = "1280x720",
    fps: Fps = "30",
    config: ConfigFile = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> int:
    """Measures how long each part of the engine works on a picture and waits for one."""
    import threading

    from realtime.bench.report import stage_lines
    from realtime.pipeline import Pipeline

    course = _course(seconds, size, fps, config, settings)
    report = Pipeline(course.plan).run(stop=threading.Event(), for_ns=round(seconds * 1e9))
    print(
        json.dumps(report.stats, indent=2)
        if as_json
        else "\n".join(stage_lines(report.stats["stages"]))
    )
    return 0


@bench_app.command("ring")
def bench_ring(
    frames: Annotated[int, typer.Option(min=1, help="Hand-overs per measurement.")] = 4000,
    as_json: AsJson = False,
) -> int:
    """Measures how long a picture takes from one thread to the next."""
    from realtime.bench.report import ring_lines
    from realtime.bench.ring import measure_ring
    from realtime.machine import machine_facts

    results = measure_ring(frames)
    if as_json:
        print(json.dumps({"handoff": results, "machine": machine_facts()}, indent=2))
    else:
        print("\n".join(ring_lines(results)))
    return 0


@bench_app.command("compare")
def bench_compare(
    before: Annotated[Path, typer.Argument(metavar="A.json", help="An earlier measurement.")],
    after: Annotated[Path, typer.Argument(metavar="B.json", help="A later one.")],
) -> int:
    """Says how the figures of two measurements differ."""
    from realtime.bench.report import compare_lines

    lines = compare_lines(_read_result(before), _read_result(after))
    if not lines:
        raise UsageError(
            f"{before}, {after}: must be measurements of one kind, got no figure in common."
        )
    print("\n".join(lines))
    return 0


def _course(
    seconds: float, size: str, fps: str, config: str | None, settings: list[str] | None
) -> "Course":
    """The engine from the built-in camera to nowhere, as a live run builds it."""
    from realtime.app import build_plan
    from realtime.bench.glass import Course
    from realtime.config import load_config
    from realtime.device import limit_threads
    from realtime.job import SYNTHETIC, Job
    from realtime.job_models import fetch_models
    from realtime.terminal import Terminal

    flags = {"camera.size": size, "camera.rate_hz": fps}
    loaded = load_config(config, settings or (), flags)
    limit_threads(loaded.device.threads)
    job = Job(
        camera=SYNTHETIC, input=None, faces=(), output=None, discard=True, virtual_camera=None
    )
    library = fetch_models(job, loaded, Terminal()).library
    rate_hz = loaded.output.rate_hz or loaded.camera.rate_hz
    return Course(
        plan=build_plan(job, loaded, library),
        size=loaded.output.size or loaded.camera.size,
        period_ns=round(1_000_000_000 / rate_hz),
        seconds=seconds,
    )


def _built_in_camera(size: str, fps: str) -> "Source":
    return _course(2.0, size, fps, None, None).plan.source


def _tell(result: Json, plot: Path | None, as_json: bool) -> int:
    from realtime.bench.plot import write_plot
    from realtime.bench.report import bench_lines

    # First, so that a plot that cannot be written does not cost the figures.
    print(json.dumps(result, indent=2) if as_json else "\n".join(bench_lines(result)))
    if plot is not None:
        write_plot(plot, result)
    return 0


def _read_result(path: Path) -> Json:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{path}: must be a measurement written with --json, got: {error}."
        ) from error
    if not isinstance(found, dict):
        raise UsageError(
            f"{path}: must be a measurement written with --json, got a {type(found).__name__}."
        )
    return found
