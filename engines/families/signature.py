"""Binds a network's tensors by position, shape and type; names differ between exports."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.errors import ModelError
from engines.session import TensorSpec

ANY = -1
"""In a wanted shape: any size. In a network's: left open by the graph."""

FLOATS = (np.dtype(np.float32), np.dtype(np.float16))


def matches(
    spec: TensorSpec, shape: Sequence[int], dtypes: Sequence[np.dtype[Any]] = FLOATS
) -> bool:
    """Whether a tensor can be of a shape and has one of some types."""
    return (
        spec.dtype in dtypes
        and len(spec.shape) == len(shape)
        and all(
            ANY in (want, has) or want == has for want, has in zip(shape, spec.shape, strict=True)
        )
    )


def find(specs: Sequence[TensorSpec], *shapes: Sequence[int], where: str, role: str) -> TensorSpec:
    """The first tensor that fits one of the shapes, those shapes in order of preference.

    Args:
        specs: inputs or outputs of a network, in graph order.
        shapes: wanted extents, ``ANY`` for any.
        where: the network or family, for messages.
        role: what the tensor is, for messages.

    Raises:
        ModelError: none fits.
    """
    for shape in shapes:
        for spec in specs:
            if matches(spec, shape):
                return spec
    wanted = " or ".join(shown(shape) for shape in shapes)
    got = ", ".join(f"{shown(spec.shape)} {spec.dtype.name}" for spec in specs) or "none"
    raise ModelError(
        f"{where}: the network must have {role} of shape {wanted}, got {got}. "
        "Name the family it belongs to, or use another file."
    )


def expect_count(
    specs: Sequence[TensorSpec], counts: Sequence[int], *, where: str, role: str
) -> None:
    """Refuses a network with another number of inputs or outputs.

    Raises:
        ModelError: the number is none of ``counts``.
    """
    if len(specs) not in counts:
        wanted = " or ".join(str(count) for count in counts)
        raise ModelError(
            f"{where}: the network must have {wanted} {role}, got {len(specs)}. "
            "Name the family it belongs to, or use another file."
        )


def shown(shape: Sequence[int]) -> str:
    """A shape as a person writes it; ``?`` for what may vary."""
    return "×".join("?" if extent == ANY else str(extent) for extent in shape) or "scalar"


def filled(spec: TensorSpec, *, batch: int = 1, open_px: int | None = None) -> tuple[int, ...]:
    """The extents of a tensor with what the graph leaves open decided.

    Args:
        spec: the tensor; its first axis is the batch.
        batch: extent of the first axis where it is open.
        open_px: extent of the others where they are open.

    Raises:
        ModelError: an axis is open and nothing decides it.
    """
    shape = [
        batch if index == 0 and extent == ANY else extent for index, extent in enumerate(spec.shape)
    ]
    if ANY in shape and open_px is None:
        raise ModelError(
            f"{spec.name}: the graph must state every extent but the batch, "
            f"got {shown(spec.shape)}. Use an export with fixed sizes."
        )
    return tuple((open_px or ANY) if extent == ANY else extent for extent in shape)


def buffer_for(spec: TensorSpec, shape: Sequence[int]) -> NDArray[Any]:
    """A zeroed array for one tensor, C-contiguous, owned by the caller."""
    return np.zeros(tuple(shape), spec.dtype)
