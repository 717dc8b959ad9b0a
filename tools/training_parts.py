"""Parts of a training that do not depend on what is trained: rate, average, checkpoint, its end."""

import math
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn

AVERAGE_KEEPS = 0.999
"""How much of the averaged weights is kept in a step."""

_WARM_STEPS, _WARM_SHARE = 200, 0.05
"""How long the rate rises at most: steps, and share of a short training."""

_LAST_SHARE = 0.01


def rate_at(step: int, steps: int, highest: float) -> float:
    """The learning rate: rises in a straight line at first, then falls along half a cosine.

    Args:
        step: from 0.
        steps: of the whole training.
        highest: the rate it would rise to.
    """
    warm = max(1.0, min(_WARM_STEPS, _WARM_SHARE * steps))
    rise = min(1.0, (step + 1) / warm)
    fall = _LAST_SHARE + (1 - _LAST_SHARE) * 0.5 * (1 + math.cos(math.pi * step / max(1, steps)))
    return highest * rise * fall


@torch.no_grad()  # type: ignore[untyped-decorator]
def follow(average: nn.Module, network: nn.Module, step: int) -> None:
    """Moves averaged weights a little; faster at first, as there is little to keep."""
    keeps = min(AVERAGE_KEEPS, (step + 1) / (step + 10))
    for kept, new in zip(average.parameters(), network.parameters(), strict=True):
        kept.lerp_(new, 1 - keeps)


def save_state(path: Path, parts: Mapping[str, Any], **facts: object) -> None:
    """Writes everything that is needed to go on; a file that is there is replaced at once.

    Args:
        path: of the checkpoint.
        parts: what has a ``state_dict``, by name.
        facts: what else is to be remembered.
    """
    state = facts | {name: part.state_dict() for name, part in parts.items()}
    beside = path.with_suffix(".part")
    torch.save(state, beside)
    beside.replace(path)


def load_state(path: Path, parts: Mapping[str, Any], device: str) -> dict[str, Any]:
    """Goes on where ``save_state`` left it; gives all that the file holds."""
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return state


@contextmanager
def stops() -> Iterator[list[int]]:
    """A list that gets an entry once the process is asked to end (Ctrl-C, ``kill``)."""
    asked: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    before = {which: signal.signal(which, note) for which in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
