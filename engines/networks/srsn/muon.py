"""Muon: momentum brought to an orthogonal matrix before it becomes a step (Jordan et al. 2024).

Convolutions of many channels learn from it in about half the steps that Adam needs; the sizes of
its steps are matched to Adam's as by Liu et al. (2025, arXiv 2502.16982), so that rates carry over.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

_MOMENTUM = 0.95
_ITERATIONS = 5
_QUINTIC = (3.4445, -4.7750, 2.0315)
"""Of the Newton-Schulz iteration: these bring every singular value near 1 in five rounds."""

_LIKE_ADAM = 0.2
"""Root of the mean square of Adam's steps, as a share of its rate."""

_FEWEST = 16
"""Channels on both sides from which a layer counts as a matrix; thinner ones are Adam's."""


class Muon(torch.optim.Optimizer):  # type: ignore[misc]
    """Orthogonal steps for the weights of convolutions.

    Args:
        weights: each ``(out, in, height, width)``; taken as a matrix with a row for each output.
        rate: the learning rate, in Adam's measure.
    """

    def __init__(self, weights: Iterable[Tensor], rate: float) -> None:
        super().__init__(weights, {"lr": rate})

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """Moves the weights along their gradients; those without a gradient stay.

        Raises:
            ValueError: a closure is given; the loss is computed once, before.
        """
        if closure is not None:
            raise ValueError("Muon.step: closure must be None, got one. Compute the loss before.")
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, weight.grad, group["lr"])

    def _move(self, weight: Tensor, gradient: Tensor, rate: float) -> None:
        state: dict[str, Any] = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        momentum = state["momentum"].lerp_(gradient, 1 - _MOMENTUM)
        ahead = gradient.lerp(momentum, _MOMENTUM).flatten(1)
        size = _LIKE_ADAM * max(ahead.shape) ** 0.5
        weight.add_(orthogonal(ahead).view_as(weight), alpha=-rate * size)


def orthogonal(matrix: Tensor) -> Tensor:
    """The matrix with singular values near 1 in place of its own, by Newton-Schulz iteration.

    Args:
        matrix: ``(rows, columns)``.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix / (matrix.norm() + 1e-7)
    x = x.T if tall else x
    first, third, fifth = _QUINTIC
    for _ in range(_ITERATIONS):
        square = x @ x.T
        x = first * x + (third * square + fifth * square @ square) @ x
    return x.T if tall else x


def matrices(network: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """A network's weights that are for Muon, and the others: thin layers and biases."""
    ours: list[Tensor] = []
    others: list[Tensor] = []
    for weight in network.parameters():
        wide = weight.ndim == 4 and min(weight.shape[:2]) >= _FEWEST
        (ours if wide else others).append(weight)
    return ours, others
