"""What one run is asked to do: the part of the command line that is not configuration."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from realtime.consent import ConsentKind
from realtime.errors import UsageError

SYNTHETIC = "synthetic"
"""Name of the built-in camera and of the built-in face."""

DISCARD = "null"
"""Name of the output that keeps nothing."""

MAX_SECONDS = 366 * 86_400.0
"""Of a run or measurement: a year. Infinity can be typed too, and is no number of nanoseconds."""

PICTURE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True, slots=True)
class FaceChoice:
    """One ``--face``: a picture, and which of its faces is meant.

    Attributes:
        path: the picture.
        number: counted from 1, left to right; None where the picture must show one face only.
    """

    path: Path
    number: int | None = None


@dataclass(frozen=True, slots=True)
class FaceMap:
    """One person to look for, and whom they become.

    Attributes:
        who: a picture of the person to look for.
        becomes: pictures of the face that goes in; empty for the synthetic face.
    """

    who: FaceChoice
    becomes: tuple[FaceChoice, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """Where pictures come from, whose face goes in, and where they go.

    Exactly one of ``camera`` and ``input`` is set, and there is at least one output.

    Attributes:
        camera: index, device path or name, or ``synthetic``.
        input: a video or a still picture.
        faces: pictures of one person; None where only mapped people are swapped, empty for the
            synthetic face.
        output: a file to write.
        discard: count the pictures and throw them away.
        virtual_camera: device to show them on; "" for the first one there is.
        force: write over an existing output.
        seconds: end after this time; None: at the end of the input, or never.
        consent: why the faces may be used, where the command line says so.
        stats: file for the figures of the run.
        unpaced: the synthetic camera gives its pictures as fast as they can be worked on.
        maps: people to look for, and whom each becomes.
        show_label: False leaves the visible label out, which the person has answered for.
        content_check: ``module:function`` of an operator's filter; None for none.
        upscale: a file's pictures become larger, to the next of the usual sizes.
    """

    camera: str | None
    input: Path | None
    faces: tuple[FaceChoice, ...] | None
    output: Path | None
    discard: bool
    virtual_camera: str | None
    force: bool = False
    seconds: float | None = None
    consent: ConsentKind | None = None
    stats: Path | None = None
    unpaced: bool = False
    maps: tuple[FaceMap, ...] = ()
    show_label: bool = True
    content_check: str | None = None
    upscale: bool = False

    @property
    def people(self) -> tuple[tuple[FaceChoice, ...], ...]:
        """Pictures of everybody who goes in: of each map, then of ``faces``."""
        own = () if self.faces is None else (self.faces,)
        return (*(item.becomes for item in self.maps), *own)

    @property
    def mode(self) -> Literal["live", "file", "picture"]:
        """How the input comes: at its own pace, as fast as it can be worked on, or once."""
        if self.unpaced:
            return "file"
        if self.input is None or self.virtual_camera is not None:
            return "live"
        to_picture = self.output is not None and is_picture(self.output)
        return "picture" if to_picture else "file"


def synthetic_job(seconds: float, *, output: Path | None = None, stats: Path | None = None) -> Job:
    """The synthetic face on the synthetic camera, as fast as the engine goes.

    Args:
        seconds: length of the camera's film.
        output: a file to write, over an existing one; None throws the pictures away.
        stats: file for the figures of the run.
    """
    return Job(
        camera=SYNTHETIC,
        input=None,
        faces=(),
        output=output,
        discard=output is None,
        virtual_camera=None,
        force=output is not None,
        seconds=seconds,
        stats=stats,
        unpaced=True,
    )


def is_picture(path: Path) -> bool:
    """Whether a file's name says that it is a still picture."""
    return path.suffix.lower() in PICTURE_SUFFIXES


def parse_face(text: str) -> FaceChoice:
    """Reads ``me.png`` or ``me.png#2``; a ``#`` that is part of an existing name stays in it.

    Raises:
        UsageError: what follows the ``#`` is not a number from 1.
    """
    name, mark, number = text.rpartition("#")
    if not mark or not name or Path(text).exists():
        return FaceChoice(Path(text))
    if not number.isdecimal() or int(number) == 0:
        raise UsageError(
            f"--face {text}: the part after # must be a number from 1, got {number!r}. "
            "Faces are counted from left to right."
        )
    return FaceChoice(Path(name), int(number))


def parse_maps(texts: Iterable[str]) -> tuple[FaceMap, ...]:
    """Reads ``person.png=me.png``; several for the same person add pictures of the face.

    Raises:
        UsageError: there is no ``=`` with a picture on both sides, or pictures stand beside the
            synthetic face.
    """
    maps: dict[FaceChoice, tuple[str, ...]] = {}
    for text in texts:
        who, equals, becomes = text.partition("=")
        if not equals or not who or not becomes:
            raise UsageError(
                f"--map {text}: must be two pictures, like person.png=me.png: the person to look "
                "for, and the face they get."
            )
        key = parse_face(who)
        maps[key] = (*maps.get(key, ()), becomes)
        _check_synthetic(f"--map {text}", maps[key])
    return tuple(FaceMap(who, _parse_faces(becomes)) for who, becomes in maps.items())


def plan_job(
    *,
    camera: str | None,
    input_path: Path | None,
    faces: tuple[str, ...],
    maps: tuple[str, ...] = (),
    output: str | None,
    virtual_camera: str | None,
    force: bool,
    seconds: float | None,
    consent: ConsentKind | None,
    stats: Path | None,
    no_label: bool = False,
    duties_understood: bool = False,
    content_check: str | None = None,
    upscale: bool = False,
) -> Job:
    """Checks that the options make sense together and fills in what follows from them.

    Raises:
        UsageError: they do not.
    """
    _check_origin(camera, input_path)
    _check_faces(faces, maps)
    _check_label(no_label, duties_understood)
    if output is None and virtual_camera is None:
        if camera is None:
            raise UsageError(
                "--input: an output must be given, got none. "
                "Add --output out.mp4, or --virtual-camera to play it on a camera."
            )
        virtual_camera = ""
    _check_upscale(upscale, input_path, virtual_camera)
    path = None if output in (None, DISCARD) else Path(output)
    _check_output(path, input_path, virtual_camera)
    return Job(
        camera=camera,
        input=input_path,
        faces=_parse_faces(faces) if faces else None,
        output=path,
        discard=output == DISCARD,
        virtual_camera=virtual_camera,
        force=force,
        seconds=seconds,
        consent=consent,
        stats=stats,
        maps=parse_maps(maps),
        show_label=not no_label,
        content_check=content_check,
        upscale=upscale,
    )


def _check_upscale(upscale: bool, input_path: Path | None, virtual_camera: str | None) -> None:
    if upscale and (input_path is None or virtual_camera is not None):
        raise UsageError(
            "--upscale: must be used from a file to a file, got a camera. Leave --upscale out."
        )


def _check_label(no_label: bool, duties_understood: bool) -> None:
    if no_label and not duties_understood:
        raise UsageError(
            "--no-label: the duty to label must be known, got no word of it. Many laws want such "
            "pictures labelled; if you see to that yourself, add --i-understand-labelling-duties."
        )
    if duties_understood and not no_label:
        raise UsageError(
            "--i-understand-labelling-duties: must stand beside --no-label, got no such option. "
            "Leave it out."
        )


def _parse_faces(faces: tuple[str, ...]) -> tuple[FaceChoice, ...]:
    return () if faces == (SYNTHETIC,) else tuple(parse_face(face) for face in faces)


def _check_origin(camera: str | None, input_path: Path | None) -> None:
    if (camera is None) == (input_path is None):
        got = "neither" if camera is None else "both"
        raise UsageError(
            f"--camera, --input: exactly one of them must be given, got {got}. "
            "Try rt-swap --camera 0 --face me.png."
        )


def _check_faces(faces: tuple[str, ...], maps: tuple[str, ...]) -> None:
    if not faces and not maps:
        raise UsageError(
            "--face: a picture of the face must be given, got none. "
            "Add --face me.png, or --face synthetic to try it without one."
        )
    _check_synthetic("--face synthetic", faces)


def _check_synthetic(where: str, faces: tuple[str, ...]) -> None:
    if SYNTHETIC in faces and len(faces) > 1:
        raise UsageError(
            f"{where}: synthetic must be the only face, got others beside it. Leave one out."
        )


def _check_output(output: Path | None, input_path: Path | None, virtual_camera: str | None) -> None:
    if output is None:
        return
    files = [path for path in (input_path, output) if path is not None and path.exists()]
    if len(files) == 2 and files[0].samefile(files[1]):
        raise UsageError(f"--output {output}: must not be the input. Name another file.")
    from_picture = input_path is not None and is_picture(input_path)
    if is_picture(output) and (not from_picture or virtual_camera is not None):
        raise UsageError(
            f"--output {output}: a picture can be written only from --input with a picture "
            "and nothing else. Name a video file, like out.mp4."
        )


def describe(job: Job) -> str:
    """From where to where, in a few words."""
    origin = f"camera {job.camera}" if job.camera is not None else str(job.input)
    places = [str(job.output)] if job.output is not None else []
    if job.virtual_camera is not None:
        places.append(f"virtual camera {job.virtual_camera}".rstrip())
    return f"{origin} to {' and '.join(places or [DISCARD])}"
