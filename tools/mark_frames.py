"""Pictures with faces known on them, marked as the engine sends them."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from fractions import Fraction

from engines.models.library import ModelLibrary
from realtime.frame import Face, Frame, Image, PictureSpec
from realtime.memory import Memory
from realtime.stages.mark import Mark, MarkConfig
from realtime.stages.track import Track, TrackConfig
from tools.mark_attacks import RATE_HZ

Faces = Sequence[Sequence[Face]]
"""Of each picture."""


def track_faces(pictures: Sequence[Image], library: ModelLibrary) -> Faces:
    """The faces the engine sees in successive pictures.

    Args:
        pictures: of one size, at least one.
        library: has the networks that find faces.

    Raises:
        ModelError: a network is missing.
    """
    track = Track(TrackConfig(), library.session)
    faces = []
    with Memory() as memory, closing(track):
        track.open(_spec(pictures), memory)
        for number, picture in enumerate(pictures):
            frame = Frame(picture, seq=number, media_ns=_time_ns(number))
            track.process(frame)
            faces.append([replace(face, box=face.box.copy()) for face in frame.faces])
    return faces


def marked(
    pictures: Sequence[Image], faces: Faces, session: int, *, show_label: bool
) -> list[Image]:
    """Copies of the pictures as the engine would send them.

    Args:
        pictures: of one size, at least one.
        faces: of each of them.
        session: what the invisible mark says.
        show_label: whether the label is laid over them.
    """
    mark = Mark(MarkConfig(), session, show_label=show_label)
    mark.open(_spec(pictures), Memory())
    sent = []
    for number, (picture, seen) in enumerate(zip(pictures, faces, strict=True)):
        frame = Frame(picture.copy(), media_ns=_time_ns(number), faces=list(seen))
        mark.process(frame)
        sent.append(frame.image)
    return sent


def _spec(pictures: Sequence[Image]) -> PictureSpec:
    height, width = pictures[0].shape[:2]
    return PictureSpec(width, height, Fraction(RATE_HZ), live=False)


def _time_ns(number: int) -> int:
    return number * 1_000_000_000 // RATE_HZ
