"""The command line: arguments become a job and a configuration, errors one line and an exit code.

Only light modules are imported here; what is heavy is imported by the command that needs it, so
that ``--help`` answers at once.
"""

import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from engines.errors import ModelError
from realtime.bench_commands import bench_app
from realtime.consent import ConsentKind
from realtime.doctor_command import doctor
from realtime.engine_commands import build_models
from realtime.errors import RtSwapError, UsageError
from realtime.job import MAX_SECONDS, is_picture, plan_job
from realtime.model_commands import models_app
from realtime.plain_text import plain_line
from realtime.signals import StopSignals, catch_stop_signals
from realtime.verify_command import VERIFY, error_as_json, verify

if TYPE_CHECKING:
    from realtime.terminal import Terminal

INTERNAL_ERROR = 8
INTERRUPTED = 130

BRIEF_HELP = """\
rt-swap puts another face into a camera's picture or into a video.

  rt-swap demo                                          see it work, no camera needed
  rt-swap --camera 0 --face me.png                      camera to virtual camera
  rt-swap --input clip.mp4 --face me.png --output out.mp4

All options: rt-swap --help"""


class Device(StrEnum):
    """What does the computing."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Faces(StrEnum):
    """Which faces are swapped."""

    ONE = "one"
    ALL = "all"
    MAPPED = "mapped"


class LabelPreset(StrEnum):
    """What the visible label says."""

    EU = "eu"
    GB45438 = "gb45438"
    MINIMAL = "minimal"


class Keep(StrEnum):
    """What stays of the person in front of the camera."""

    GLASSES = "glasses"
    MOUTH = "mouth"
    EYES = "eyes"


class OnLoss(StrEnum):
    """What is shown while no face is found."""

    HOLD = "hold"
    BLUR = "blur"
    SLATE = "slate"
    PASS = "pass"


app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Puts another face into a camera's picture or into a video, in real time.",
)
app.add_typer(models_app, name="models")
app.add_typer(bench_app, name="bench")
app.command("build")(build_models)
app.command("doctor")(doctor)
app.command(VERIFY)(verify)

Verbose = Annotated[
    bool, typer.Option("--verbose", help="Say more; show the traceback of an error.")
]
Stats = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the figures of the run as JSON.")
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program.

    Args:
        arguments: without the program's name; None: those of the process.

    Returns:
        The exit code.
    """
    args = sys.argv[1:] if arguments is None else list(arguments)
    if not args:
        print(BRIEF_HELP, file=sys.stderr)
        return UsageError.exit_code
    with catch_stop_signals() as signals:
        try:
            code = app(args=args, prog_name="rt-swap", standalone_mode=False, obj=signals)
            # Typer gives this one whatever the signal was that ended the command.
            is_told = code and code != INTERRUPTED
            return int(code if is_told else signals.exit_code or code or 0)
        except typer.TyperException as error:
            message = error.format_message().replace("Value error, ", "").rstrip(".")
            return _fail(args, f"{message}. See rt-swap --help.", UsageError.exit_code)
        except (KeyboardInterrupt, typer.Abort):
            return signals.exit_code or INTERRUPTED
        except (RtSwapError, ModelError) as error:
            code = _fail(args, str(error), error.exit_code)
            _say_traceback(args)
            return code
        except Exception as error:  # the root of the main thread
            message = f"internal error: {type(error).__name__}: {error}"
            code = _fail(args, f"{message}. Add --verbose to see where.", INTERNAL_ERROR)
            _say_traceback(args)
            return code


def program() -> NoReturn:
    """The program as a process: ends with the exit code of ``main``."""
    # What main puts back when it ends: a late Ctrl-C must not become the interpreter's traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(main())


def _fail(args: Sequence[str], message: str, code: int) -> int:
    """Reports an error in one line; returns the exit code."""
    line = plain_line(message)
    print(f"rt-swap: {line}", file=sys.stderr)
    told = error_as_json(args, line, code)
    if told is not None:
        print(told)
    return code


def _say_traceback(args: Sequence[str]) -> None:
    if "--verbose" in args:
        traceback.print_exc()


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"rt-swap {version('rt-swap')}")
        except PackageNotFoundError:
            print("rt-swap, run from a checkout that is not installed")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def swap(
    context: typer.Context,
    camera: Annotated[
        str | None, typer.Option(metavar="CAMERA", help="Index, device path, name or 'synthetic'.")
    ] = None,
    input_path: Annotated[
        Path | None, typer.Option("--input", metavar="FILE", help="A video or a picture.")
    ] = None,
    face: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PICTURE[#N]",
            help="The face to put in, or 'synthetic'; #2 takes the second from the left. "
            "Several pictures of one person may be given.",
        ),
    ] = None,
    maps: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="PERSON=FACE",
            help="Look for the person of one picture and give them the face of another, or "
            "'synthetic'. May be given several times.",
        ),
    ] = None,
    faces: Annotated[
        Faces | None,
        typer.Option(help="Which faces are swapped; the others are hidden."),
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="FILE", help="Video or picture to write, or 'null'.")
    ] = None,
    virtual_camera: Annotated[
        str | None,
        typer.Option(metavar="DEVICE", help="Virtual camera, like /dev/video10; 'auto': any."),
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Size of the pictures, like 1280x720.")
    ] = None,
    fps: Annotated[
        str | None, typer.Option(metavar="N", help="Pictures per second of a live output.")
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="YAML file laid over the defaults, 'speed' or 'quality'."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY.PATH=VALUE", help="One value of the configuration."),
    ] = None,
    swapper: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="'mesh', 'fusenet' or a swapping network of the list."),
    ] = None,
    keep: Annotated[
        list[Keep] | None,
        typer.Option(help="Part of the person that stays; may be given several times."),
    ] = None,
    restore: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Finer swapped faces: 'off', 'lite', 'full' or a restoring network of the list.",
        ),
    ] = None,
    refine: Annotated[
        bool,
        typer.Option("--refine", help="Make swapped faces a part of the picture with FuseNet."),
    ] = False,
    upscale: Annotated[
        bool,
        typer.Option(
            "--upscale", help="Make a file's pictures larger: 720p to 1080p, 1080p to 4K."
        ),
    ] = False,
    device: Annotated[Device | None, typer.Option(help="What does the computing.")] = None,
    seconds: Annotated[
        float | None,
        typer.Option(metavar="N", min=0.1, max=MAX_SECONDS, help="End after this time."),
    ] = None,
    on_loss: Annotated[
        OnLoss | None,
        typer.Option(help="What is shown while no face is found; 'pass' shows the real picture."),
    ] = None,
    stats: Stats = None,
    consent: Annotated[
        ConsentKind | None, typer.Option(help="Why the face may be used; asked if not given.")
    ] = None,
    label: Annotated[LabelPreset | None, typer.Option(help="What the visible label says.")] = None,
    no_label: Annotated[
        bool, typer.Option("--no-label", help="Leave the visible label out; needs the next one.")
    ] = False,
    duties_understood: Annotated[
        bool,
        typer.Option(
            "--i-understand-labelling-duties", help="You label the result yourself where you must."
        ),
    ] = False,
    content_check: Annotated[
        str | None,
        typer.Option(metavar="MODULE:FUNCTION", help="A filter of yours that sees the pictures."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over an existing output.")] = False,
    verbose: Verbose = False,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> int:
    """Puts another face into a camera's picture or into a video, in real time."""
    if context.invoked_subcommand is not None:
        _refuse_options_before_command(context)
        return 0
    job = plan_job(
        camera=camera,
        input_path=input_path,
        faces=tuple(face or ()),
        maps=tuple(maps or ()),
        output=output,
        virtual_camera="" if virtual_camera == "auto" else virtual_camera,
        force=force,
        seconds=seconds,
        consent=consent,
        stats=stats,
        no_label=no_label,
        duties_understood=duties_understood,
        content_check=content_check,
        upscale=upscale,
    )
    flags: dict[str, object] = {
        "swapper": swapper,
        "refine.enabled": refine or None,
        "restore.model": restore,
        "choose.faces": faces or (Faces.MAPPED if maps and not face else None),
        "device.kind": device,
        "guard.on_loss": on_loss,
        "mark.label": label,
        "output.size": size,
        "output.rate_hz": fps,
    }
    if camera is not None:
        flags |= {"camera.size": size, "camera.rate_hz": fps}
    elif fps is not None and job.mode != "live" and not is_picture(input_path or Path()):
        raise UsageError("--fps: a file keeps its own rate. Leave --fps out.")

    from realtime.app import run
    from realtime.config import load_config

    given: dict[str, object] = {k: str(value) for k, value in flags.items() if value is not None}
    if keep:
        given["composite.keep"] = [str(part) for part in keep]
    loaded = load_config(config, settings or (), given)
    with _open_terminal(verbose) as terminal:
        return run(job, loaded, terminal, _signals(context)).exit_code


@app.command("demo")
def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the files go.")] = Path(),
    seconds: Annotated[
        float, typer.Option(metavar="N", min=1.0, max=MAX_SECONDS, help="Length.")
    ] = 6.0,
    stats: Stats = None,
    verbose: Verbose = False,
) -> int:
    """Shows the swap on a built-in camera and face: writes demo.mp4 and demo.png."""
    from realtime.demo import run_demo

    with _open_terminal(verbose) as terminal:
        return run_demo(out, seconds, stats, terminal, _signals(context)).exit_code


def _refuse_options_before_command(context: typer.Context) -> None:
    given = [name for name, value in context.params.items() if value]
    if given and given != ["verbose"]:
        raise UsageError(
            f"{context.invoked_subcommand}: options of the main command cannot be used with it, "
            f"got {', '.join(given)}. Put its own options behind its name."
        )


@contextmanager
def _open_terminal(verbose: bool) -> Iterator["Terminal"]:
    """The terminal, with the engine's messages going to it inside the block."""
    import logging

    from realtime.terminal import Terminal

    terminal = Terminal()
    level = logging.INFO if verbose else logging.WARNING
    with terminal.logging_from(("realtime", "engines"), level):
        yield terminal


def _signals(context: typer.Context) -> StopSignals:
    signals = context.obj
    if not isinstance(signals, StopSignals):
        raise TypeError("the command line must be entered through realtime.cli.main")
    return signals


if __name__ == "__main__":
    program()
