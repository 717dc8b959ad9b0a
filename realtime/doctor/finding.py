"""What the doctor found, and how it is told to people and programs."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from realtime.machine import Facts

NUM_DETAILS_SHOWN = 6


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what was looked at, in a word or two.
        level: ``PROBLEM`` where the main job (camera to virtual camera) cannot run.
        text: what was found, without a full stop.
        cure: what mends it, where possible the exact command; empty where nothing needs to be.
        details: more of the same kind, such as the modes of a camera.
    """

    subject: str
    level: Level
    text: str
    cure: str = ""
    details: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """For people."""
        shown = self.details[:NUM_DETAILS_SHOWN]
        rest = len(self.details) - len(shown)
        more = [f"and {rest} more"] if rest else []
        text = f"{self.text}: {', '.join([*shown, *more])}" if shown else self.text
        cure = [f"{'':9}-> {self.cure}"] if self.cure else []
        return [f"{self.level.value:8} {self.subject}: {text}", *cure]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything that was found.

    Attributes:
        findings: in the order in which they were looked for.
        machine: what machine this is.
    """

    findings: Sequence[Finding]
    machine: Facts

    @property
    def verdict(self) -> Level:
        """The worst level."""
        levels = {finding.level for finding in self.findings}
        return next((one for one in (Level.PROBLEM, Level.WARNING) if one in levels), Level.OK)

    @property
    def exit_code(self) -> int:
        """0 where the main job can run, else 1."""
        return 1 if self.verdict is Level.PROBLEM else 0

    def lines(self) -> list[str]:
        """For people, the verdict last."""
        said = {
            Level.OK: "the main job can run",
            Level.WARNING: "the main job can run, with the warnings above",
            Level.PROBLEM: "the main job (camera to virtual camera) cannot run yet",
        }
        found: Iterable[str] = (line for finding in self.findings for line in finding.lines())
        return [*found, said[self.verdict]]

    def as_json(self) -> str:
        """For programs."""
        content = {
            "verdict": self.verdict.value,
            "findings": [asdict(finding) for finding in self.findings],
            "machine": self.machine,
        }
        return json.dumps(content, indent=2)
