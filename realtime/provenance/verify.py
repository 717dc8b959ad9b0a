"""``rt-swap verify``: which marks a file or a camera's picture carries, and whether they hold."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from realtime.errors import MediaError
from realtime.frame import Frame, PictureSpec
from realtime.job import PICTURE_SUFFIXES
from realtime.pictures import load_picture, read_xmp
from realtime.provenance.aigc import TAG, AigcLabel, parse_aigc, parse_xmp
from realtime.provenance.c2pa_manifest import C2paReport, read_manifest
from realtime.provenance.file_kind import kind_of
from realtime.provenance.keys import KeyFolder
from realtime.provenance.label_finder import LabelReading, find_label
from realtime.provenance.run_record import Json, session_id
from realtime.provenance.sidecar import SidecarReport, read_sidecar
from realtime.provenance.watermark_reader import Grey, MarkReader, Reading, shrink
from realtime.sources.samples import read_tags, sample_windows
from realtime.stage import Source

Verdict = Literal["marked", "not marked", "tampered"]

_EXIT_CODES: dict[Verdict, int] = {"marked": 0, "not marked": 1, "tampered": 2}

NUM_WINDOWS = 4
WINDOW_PICTURES = 30

_C2PA_WORDS = {
    "trusted": "whole, signed by this installation",
    "valid": "whole, signed by somebody this installation does not know",
    "invalid": "broken: the file or the manifest was changed",
    "none": "none",
    "unchecked": "not checked: pip install 'rt-swap[provenance]'",
}
_SIDECAR_WORDS = {
    "own": "matches, signed by this installation",
    "other": "matches, signed by another installation",
    "unchecked": "matches; its signature cannot be checked here",
    "mismatch": "does not fit: the file was changed, or it is that of another one",
    "forged": "changed or damaged",
    "none": "none",
}
_NOT_LOOKED_FOR = "not looked for: the pictures cannot be read"


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found.

    Attributes:
        target: the file or device.
        c2pa: the manifest in it.
        aigc: the implicit label of GB 45438-2025 in it.
        sidecar: the file beside it.
        mark: the invisible mark.
        label: how much the pictures look as if they showed the label.
        unreadable: why no pictures could be looked at; None if they were.
    """

    target: str
    c2pa: C2paReport
    aigc: AigcLabel | None
    sidecar: SidecarReport
    mark: Reading | None
    label: LabelReading
    unreadable: str | None = None

    @property
    def contradictions(self) -> tuple[str, ...]:
        """Why the file is not what its marks say; empty if nothing speaks against it."""
        found = []
        if self.c2pa.state == "invalid":
            found.append("the C2PA manifest does not fit the file")
        if self.sidecar.state == "mismatch":
            found.append("the sidecar does not fit the file")
        if self.sidecar.state == "forged":
            found.append("the sidecar was changed or is damaged")
        if len(self.sessions) > 1:
            found.append(f"its marks name different sessions: {', '.join(sorted(self.sessions))}")
        return tuple(found)

    @property
    def sessions(self) -> frozenset[str]:
        """The sessions that the marks name; one where all is well.

        Of two invisible marks in a picture one is that of its input and need not be named. A mark
        whose reading is not sure speaks against nothing.
        """
        stated = [self.c2pa.session, self.sidecar.session, self.aigc and self.aigc.session]
        named = frozenset(_printable(session) for session in stated if session)
        if self.mark is None or (named and not self.mark.is_sure):
            return named
        marks = [self.mark.payload, self.mark.below or self.mark.payload]
        seen = frozenset(session_id(payload.session) for payload in marks)
        return named | (named & seen or {session_id(self.mark.payload.session)})

    @property
    def verdict(self) -> Verdict:
        """``marked`` where a machine can read that the content is artificial.

        The visible label alone does not count, as anything may be painted into a picture.
        """
        if self.contradictions:
            return "tampered"
        readable = (self.c2pa.is_ai, self.aigc, self.sidecar.session, self.mark)
        return "marked" if any(readable) else "not marked"

    @property
    def exit_code(self) -> int:
        """0 marked, 1 not marked, 2 tampered."""
        return _EXIT_CODES[self.verdict]

    def as_json(self) -> str:
        """Everything, for programs."""
        mark = self.mark
        content: Json = {
            "target": self.target,
            "verdict": self.verdict,
            "error": None,
            "exit_code": self.exit_code,
            "contradictions": list(self.contradictions),
            "sessions": sorted(self.sessions),
            "c2pa": {
                "state": self.c2pa.state,
                "problems": list(self.c2pa.problems),
                "generator": self.c2pa.generator,
                "ai": self.c2pa.is_ai,
                "session": self.c2pa.session,
                "ingredients": self.c2pa.num_ingredients,
            },
            "aigc": self.aigc
            and {
                "certain": self.aigc.certain,
                "producer": self.aigc.producer,
                "session": self.aigc.session,
                "unlabelled": self.aigc.unlabelled,
            },
            "sidecar": {"state": self.sidecar.state, "session": self.sidecar.session},
            "mark": mark
            and {
                "session": session_id(mark.payload.session),
                "version": mark.payload.version,
                "score": round(mark.score, 1),
                "session_sure": mark.is_sure,
                "corrected_bits": mark.num_corrected,
                "mirrored": mark.mirrored,
            },
            "label": {"seen": self.label.seen, "match": round(self.label.match, 2)},
            "unreadable": self.unreadable,
        }
        return json.dumps(content, indent=2)

    def lines(self) -> list[str]:
        """Everything, for people."""
        return [
            f"{self.target}: {self.verdict}",
            *(f"  {reason}" for reason in self.contradictions),
            f"  C2PA manifest   {self._c2pa_words()}",
            f"  AIGC key        {self._aigc_words()}",
            f"  sidecar         {_SIDECAR_WORDS[self.sidecar.state]}",
            f"  invisible mark  {self._mark_words()}",
            f"  visible label   {self._label_words()}",
        ]

    def _c2pa_words(self) -> str:
        words = _C2PA_WORDS[self.c2pa.state]
        if self.c2pa.generator:
            words += f" (made by {_printable(self.c2pa.generator)})"
        return words

    def _aigc_words(self) -> str:
        if self.aigc is None:
            return "none"
        words = f"by {_printable(self.aigc.producer)}"
        return f"{words}, who turned the visible label off" if self.aigc.unlabelled else words

    def _mark_words(self) -> str:
        if self.unreadable is not None:
            return _NOT_LOOKED_FOR
        if self.mark is None:
            return "none found"
        words = f"session {session_id(self.mark.payload.session)}, score {self.mark.score:.0f}"
        words += f", {self.mark.num_corrected} of 63 bits corrected"
        if not self.mark.is_sure:
            words += ", the session unsure: faint, or one of two marks"
        return f"{words}, mirrored" if self.mark.mirrored else words

    def _label_words(self) -> str:
        if self.unreadable is not None:
            return _NOT_LOOKED_FOR
        return f"{'seen' if self.label.seen else 'not seen'} (match {self.label.match:.2f})"


def verify_file(path: Path, keys: KeyFolder) -> Findings:
    """Looks at a video or a picture.

    Args:
        path: the file.
        keys: of this installation; none are made.

    Raises:
        MediaError: it cannot be read, and nothing in or beside it says that it once could.
    """
    try:
        if not path.is_file():
            raise MediaError(f"{path}: must be a file or a camera, got neither. Check the name.")
        is_still = kind_of(path) in PICTURE_SUFFIXES
    except OSError as error:
        raise MediaError(
            f"{path}: must be readable, got: {error.strerror}. Check its name and its permissions."
        ) from error
    c2pa = read_manifest(path, keys.known_authority())
    sidecar = read_sidecar(path, keys)
    aigc: AigcLabel | None = None
    mark: Reading | None = None
    label = LabelReading(0.0, mirrored=False)
    unreadable: str | None = None
    try:
        aigc = _aigc_of_picture(path) if is_still else _aigc_of_film(path)
        mark, label = _look(str(path), _windows(path, is_still=is_still))
    except MediaError as error:
        if c2pa.state == "none" and sidecar.state == "none":
            raise
        unreadable = str(error)
    return Findings(str(path), c2pa, aigc, sidecar, mark, label, unreadable)


def verify_camera(name: str, camera: Source) -> Findings:
    """Looks at what a camera shows for about a second.

    Args:
        name: what it is called in the findings.
        camera: not open yet; closed on return.

    Raises:
        CameraError: it gives no pictures.
    """
    try:
        spec = camera.open()
        mark, label = _look(name, iter([_record(camera, spec)]))
    finally:
        camera.close()
    return Findings(name, C2paReport("none"), None, SidecarReport("none"), mark, label)


def _record(camera: Source, spec: PictureSpec) -> list[Grey]:
    image = Frame.blank(spec).image
    pictures: list[Grey] = []
    while len(pictures) < WINDOW_PICTURES and camera.fill(image) is not None:
        pictures.append(shrink(image))
    return pictures


def _aigc_of_picture(path: Path) -> AigcLabel | None:
    packet = read_xmp(path)
    return None if packet is None else parse_xmp(packet)


def _aigc_of_film(path: Path) -> AigcLabel | None:
    tags = read_tags(path)
    return parse_aigc(tags[TAG]) if TAG in tags else None


def _windows(path: Path, *, is_still: bool) -> Iterator[list[Grey]]:
    if is_still:
        return iter([[shrink(load_picture(path))]])
    return sample_windows(path, num_windows=NUM_WINDOWS, num_pictures=WINDOW_PICTURES, keep=shrink)


def _look(name: str, windows: Iterator[list[Grey]]) -> tuple[Reading | None, LabelReading]:
    """The first invisible mark that is found, and the best sight of the label up to there.

    Raises:
        MediaError: there is not one picture to look at.
    """
    reader = MarkReader()
    mark: Reading | None = None
    label = LabelReading(0.0, mirrored=False)
    has_pictures = False
    for pictures in windows:
        has_pictures = has_pictures or bool(pictures)
        mark = reader.read(pictures)
        if not label.seen:
            label = max(label, find_label(pictures), key=lambda reading: reading.match)
        if mark is not None:
            break
    if not has_pictures:
        raise MediaError(
            f"{name}: must hold pictures that can be decoded, got none. It is damaged: copy it "
            "again."
        )
    return mark, label


def _printable(text: str) -> str:
    """A stranger's text without what would move the cursor of a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)[:80]
