"""Which of a network's templates a turning head is laid on, without a jump between them. Pure."""

import numpy as np
from numpy.typing import NDArray

from engines.families.templates import Templates, fit_points
from realtime.geometry import apply

_BETTER = 0.75
"""Another template is taken where its misfit is less than this share of the present one's."""

_GLIDE_NS = 200_000_000
"""How long the crop takes from one template to the next."""


class TemplateChoice:
    """The template of one tracked face over time.

    The template with the least misfit is the one the network knows such a head by. It changes
    only when another one fits clearly better, and then the crop glides there, so that neither a
    head held between two of them nor the change itself makes the picture jump.
    """

    def __init__(self, templates: Templates) -> None:
        """Begins without a face.

        Args:
            templates: ``(T, 5, 2) f64`` crop pixels.
        """
        self._templates = templates
        self._shares = np.zeros(len(templates))
        self._current: int | None = None

    @property
    def current(self) -> int | None:
        """Number of the template that is kept or glided to; None before the first face."""
        return self._current

    def follow(self, points: NDArray[np.float32], elapsed_ns: int) -> NDArray[np.float64]:
        """Takes in one frame.

        Args:
            points: ``(5, 2) f32`` image pixels.
            elapsed_ns: since the frame before.

        Returns:
            ``(5, 2) f64`` crop pixels, where the points are to lie.

        Raises:
            ValueError: all points coincide.
        """
        if len(self._templates) == 1:
            self._current = 0
            return np.asarray(self._templates[0])
        misfits = [template_misfit(points, template) for template in self._templates]
        best = int(np.argmin(misfits))
        if self._current is None:
            self._current = best
            self._shares[best] = 1.0
        elif misfits[best] < _BETTER * misfits[self._current]:
            self._current = best
        self._glide(self._current, elapsed_ns / _GLIDE_NS)
        return np.asarray(np.tensordot(self._shares, self._templates, axes=1))

    def _glide(self, goal: int, step: float) -> None:
        """Moves the shares towards the one template by a step of the whole way."""
        left = 1.0 - self._shares[goal]
        self._shares *= max(1.0 - step / left, 0.0) if left > 0.0 else 0.0
        self._shares[goal] = 1.0 - max(left - step, 0.0)


def template_misfit(points: NDArray[np.float32], template: NDArray[np.float64]) -> float:
    """Root mean square distance of five points from a template they are fitted to.

    Args:
        points: ``(5, 2) f32`` image pixels.
        template: ``(5, 2) f64`` crop pixels.

    Returns:
        Crop pixels, whatever the size of the face in the picture.

    Raises:
        ValueError: all points coincide.
    """
    apart = apply(fit_points(points, template), points) - template
    return float(np.sqrt((apart**2).sum(axis=1).mean()))
