"""What is said about one run of the program in everything it writes."""

import platform
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

Json = dict[str, Any]

PROGRAM = "rt-swap"
_LIBRARIES = ("av", "c2pa-python", "numpy", "onnxruntime", "opencv-python-headless", "openvino")
SESSION_BITS = 32

NO_LABEL = "off"
"""Stands where a preset of the visible label would."""

RECORD_FORMAT = "org.rtswap.session.v1"
"""Name of the record, and of the C2PA assertion that carries it."""

COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's term for a picture of which a trained algorithm made a part."""


def program_version() -> str:
    """The version that is installed, or ``checkout`` where none is."""
    try:
        return version(PROGRAM)
    except PackageNotFoundError:
        return "checkout"


def library_versions() -> dict[str, str]:
    """Versions of Python and of those libraries, as far as installed, that make and sign files."""
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def draw_session() -> int:
    """A new random number for a run, 0 up to 2**32 - 1."""
    return secrets.randbits(SESSION_BITS)


def session_id(number: int) -> str:
    """How a session's number is written: eight hexadecimal digits."""
    return f"{number:08x}"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run.

    Attributes:
        session: what the invisible mark says, 0 up to 2**32 - 1.
        label: preset of the visible label, or ``NO_LABEL``.
        strength: of the invisible mark.
        producer: who answers for the content, as GB 45438 wants it named.
        faces: kinds of consent by SHA-256 of the picture, of every face that was put in.
        built_in: whether the built-in face was, too; so it was where there is no other.
        models: SHA-256 by name of every network that was in use.
        settings: the whole configuration at the beginning.
        started: UTC.
        version: of the program.
        libraries: versions of what it is built on, by name.
    """

    session: int
    label: str
    strength: str
    producer: str = PROGRAM
    faces: Mapping[str, str] = field(default_factory=dict)
    built_in: bool = False
    models: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    version: str = field(default_factory=program_version)
    libraries: Mapping[str, str] = field(default_factory=library_versions)

    @property
    def session_id(self) -> str:
        """The session as it is written."""
        return session_id(self.session)

    @property
    def has_label(self) -> bool:
        """Whether the visible label is shown."""
        return self.label != NO_LABEL

    def extended(
        self, faces: Mapping[str, str], models: Mapping[str, str], *, built_in: bool = False
    ) -> "RunRecord":
        """The record once these have been put to use as well.

        Args:
            faces: kind of consent by SHA-256 of the picture.
            models: SHA-256 by name.
            built_in: whether the built-in face was.
        """
        return replace(
            self,
            faces={**self.faces, **faces},
            models={**self.models, **models},
            built_in=self.built_in or built_in or not self.faces,
        )

    def as_json(self) -> Json:
        """Everything as JSON: hashes and settings; no picture, no name, no path."""
        return {
            "format": RECORD_FORMAT,
            "program": PROGRAM,
            "version": self.version,
            "libraries": dict(self.libraries),
            "session": self.session_id,
            "started": self.started.isoformat(timespec="seconds"),
            "label": {"preset": self.label, "duties_acknowledged": not self.has_label},
            "mark": {"strength": self.strength},
            "faces": self._faces(),
            "models": dict(sorted(self.models.items())),
            "settings": dict(self.settings),
        }

    def comment(self) -> str:
        """Plain words for the comment field of a file."""
        words = (
            f"AI-generated content: a face was replaced by {PROGRAM} {self.version}, "
            f"session {self.session_id}."
        )
        return words if self.has_label else f"{words} The visible label was turned off."

    def _faces(self) -> list[Json]:
        faces: list[Json] = [
            {"sha256": sha256, "consent": kind} for sha256, kind in sorted(self.faces.items())
        ]
        return [{"built_in": True}, *faces] if self.built_in or not faces else faces
