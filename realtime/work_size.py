"""At how many pixels a face is worked on: its size in the picture, in steps. Pure."""

import math
from collections.abc import Sequence

STEPS_PX = (64, 96, 128, 192, 256, 384, 512)
"""Sides of the squares that faces are worked on in, each about a third larger than the one before;
a step costs about twice what the one before does."""

RUNG_SHARES = (1.0, 0.75, 0.5)
"""Of the largest size, what a face is worked on at by the rung of a ``QualityLadder``: each step
down halves the pixels or nearly so."""

_ROOM = 1.15
"""A smaller step is only taken when the face would still fit if it were this much larger."""


def step_for(needed_px: float, steps_px: Sequence[int] = STEPS_PX) -> int:
    """The smallest step that has so many pixels, or the largest there is."""
    return next((step for step in steps_px if step >= needed_px), steps_px[-1])


class WorkSize:
    """The step that one tracked face is worked on in.

    It grows as soon as the face does, so that no detail is lost, and shrinks when the face is
    clearly smaller, so that a face on the border between two steps does not go to and fro.
    """

    def __init__(self, steps_px: Sequence[int] = STEPS_PX) -> None:
        """Begins without a face.

        Args:
            steps_px: rising, at least one.
        """
        self._steps_px = tuple(steps_px)
        self._current_px = 0

    def follow(self, needed_px: float, most_px: float = math.inf) -> int:
        """Takes in one frame.

        Args:
            needed_px: side of the square that shows the face pixel for pixel.
            most_px: what there is time for; the smallest step is taken in any case.

        Returns:
            One of the steps.
        """
        wanted_px = step_for(needed_px, self._steps_px)
        if wanted_px < self._current_px:
            wanted_px = min(self._current_px, step_for(_ROOM * needed_px, self._steps_px))
        affordable = [step for step in self._steps_px if step <= most_px]
        self._current_px = min(wanted_px, affordable[-1] if affordable else self._steps_px[0])
        return self._current_px
