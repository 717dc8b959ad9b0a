"""What a run says about itself in its pictures and files, and looking for that again."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from realtime.config import CameraConfig, Config
from realtime.consent import ConsentKind, ConsentLog, default_consent_path, require_consent
from realtime.content_check import Check, ContentCheck, load_check, no_answer, require_permitted
from realtime.errors import ContentError
from realtime.job import FaceChoice, Job
from realtime.pictures import load_picture
from realtime.provenance.keys import KeyFolder, default_key_folder
from realtime.provenance.run_record import NO_LABEL, RunRecord, draw_session
from realtime.provenance.seal import Seal
from realtime.provenance.verify import Findings, verify_camera, verify_file
from realtime.sources.camera import Camera
from realtime.stage import Stage


def open_record(
    job: Job, config: Config, models: Mapping[str, str], consents: Mapping[str, ConsentKind]
) -> RunRecord:
    """What is said about a run in everything it writes; its session is drawn here.

    Args:
        job: what to do.
        config: how to do it.
        models: SHA-256 of each network's file, by name.
        consents: kind by SHA-256 of the face's pictures.
    """
    return RunRecord(
        session=draw_session(),
        label=config.mark.label if job.show_label else NO_LABEL,
        strength=config.mark.strength,
        producer=config.mark.producer,
        faces=kinds_of(consents),
        built_in=has_built_in(job.people),
        models=dict(models),
        settings=config.model_dump(mode="json"),
    )


def kinds_of(consents: Mapping[str, ConsentKind]) -> dict[str, str]:
    """Consents as they are written down."""
    return {sha256: kind.value for sha256, kind in consents.items()}


def has_built_in(people: Sequence[Sequence[FaceChoice]]) -> bool:
    """Whether one of those who go in is the built-in face, of which there is no picture."""
    return any(not pictures for pictures in people)


def open_seal(record: RunRecord, job: Job) -> Seal:
    """What goes on the file that a job writes."""
    return Seal(record, job.input, KeyFolder(default_key_folder()))


def content_checks(job: Job) -> tuple[Stage, ...]:
    """The operator's filter, once it has seen the pictures of the face; nothing if there is none.

    Raises:
        UsageError: it cannot be imported.
        ContentError: it refuses a picture.
        MediaError: a picture cannot be read.
    """
    if job.content_check is None:
        return ()
    check = load_check(job.content_check)
    _show(check, (face.path for person in job.people for face in person))
    return (ContentCheck(check),)


def allow_faces(
    content_check: str | None, faces: Sequence[Path], given: ConsentKind | None
) -> dict[str, ConsentKind]:
    """Makes sure that new faces may be used; while the engine runs nobody can be asked.

    Args:
        content_check: ``module:function`` of the operator's filter; None for none.
        faces: the pictures.
        given: why they may be used; None where that has been recorded before.

    Returns:
        Kind of consent by SHA-256 of the picture.

    Raises:
        UsageError: the filter cannot be imported.
        ContentError: it refuses a picture.
        ConsentError: nobody says that a picture may be used.
        MediaError: a picture cannot be read.
    """
    if content_check is not None:
        _show(load_check(content_check), faces)
    return require_consent(faces, ConsentLog(default_consent_path()), given=given, ask=None)


def _show(check: Check, faces: Iterable[Path]) -> None:
    for face in faces:
        picture = load_picture(face)
        try:
            require_permitted(check, picture, str(face))
        except ContentError:
            raise
        except Exception as error:  # a function of somebody else's may raise anything
            raise no_answer(str(face), error) from error


def describe_marks(record: RunRecord, seal: Seal) -> str:
    """What a run has marked its pictures with, in one line."""
    marks = "label, invisible mark" if record.has_label else "invisible mark"
    if seal.c2pa is None:
        return f"session {record.session_id}: {marks}; without a file no metadata and no C2PA"
    return f"session {record.session_id}: {marks}, metadata, sidecar; C2PA: {seal.c2pa}"


def _is_device(path: Path) -> bool:
    try:
        return path.is_char_device()
    except OSError:
        # What cannot even be looked at is told where the file is opened.
        return False


def verify_target(target: str) -> Findings:
    """Looks for marks in a file or in what a camera shows.

    Args:
        target: a path, or index or device path of a camera.

    Raises:
        MediaError, CameraError: it cannot be read.
    """
    path = Path(target)
    if target.isdecimal() or _is_device(path):
        camera = CameraConfig()
        device = int(target) if target.isdecimal() else target
        return verify_camera(target, Camera(device, camera.size, camera.rate_hz, reconnect=False))
    return verify_file(path, KeyFolder(default_key_folder()))
