"""What is said about one run of the program in everything it writes."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

Json = dict[str, Any]

PROGRAM = "rt-swap"
SESSION_BITS = 32

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
        label: preset of the visible label, or ``off``.
        strength: of the invisible mark.
        producer: who answers for the content, as GB 45438 wants it named.
        faces: kind of consent by SHA-256 of the picture; empty for the built-in face.
        models: SHA-256 by name of the networks in use.
        settings: the whole configuration.
        started: UTC.
        version: of the program.
    """

    session: int
    label: str
    strength: str
    producer: str = PROGRAM
    faces: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    version: str = field(default_factory=program_version)

    @property
    def session_id(self) -> str:
        """The session as it is written."""
        return session_id(self.session)

    def as_json(self) -> Json:
        """Everything as JSON: hashes and settings; no picture, no name, no path."""
        return {
            "format": RECORD_FORMAT,
            "program": PROGRAM,
            "version": self.version,
            "session": self.session_id,
            "started": self.started.isoformat(timespec="seconds"),
            "label": {"preset": self.label, "duties_acknowledged": self.label == "off"},
            "mark": {"strength": self.strength},
            "faces": [
                {"sha256": sha256, "consent": kind} for sha256, kind in sorted(self.faces.items())
            ]
            or [{"built_in": True}],
            "models": dict(sorted(self.models.items())),
            "settings": dict(self.settings),
        }

    def comment(self) -> str:
        """One plain sentence for the comment field of a file."""
        return (
            f"AI-generated content: a face was replaced by {PROGRAM} {self.version}, "
            f"session {self.session_id}."
        )
