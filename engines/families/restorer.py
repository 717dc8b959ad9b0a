"""Restorers: a blurred aligned face goes in, a sharp one comes out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engines.families.signature import ANY, buffer_for, expect_count, filled, find
from engines.families.specs import RestorerFamily
from engines.families.templates import Matrix, fit_template
from engines.families.tensors import Picture, PictureReader, PictureWriter
from engines.session import Session, TensorSpec

_HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True, slots=True)
class RestorerTensors:
    """The network's tensors by what they are.

    Attributes:
        blurred: the crop.
        weight: 0..1, fidelity against quality; None where the network has no such input.
        sharp: the result.
    """

    blurred: TensorSpec
    weight: TensorSpec | None
    sharp: TensorSpec


def bind_restorer(
    inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], family: RestorerFamily, where: str
) -> RestorerTensors:
    """Finds out which tensor is which.

    Raises:
        ModelError: the tensors are not those of the family.
    """
    expect_count(inputs, (1, 2), where=where, role="inputs")
    crop = (ANY, 3, family.size_px, family.size_px)
    blurred = find(inputs, crop, where=where, role="an input")
    sharp = find(outputs, crop, where=where, role="an output")
    weight = next((spec for spec in inputs if spec is not blurred), None)
    if weight is not None and np.prod(filled(weight, open_px=1)) != 1:
        find([weight], (1,), where=where, role="a second input")
    return RestorerTensors(blurred, weight, sharp)


class Restorer:
    """One restoring network. One thread at a time: the buffers belong to the object."""

    def __init__(self, session: Session, family: RestorerFamily, *, weight: float = 0.5) -> None:
        """Takes a loaded network, which stays the caller's to close.

        Args:
            session: the network.
            family: what it expects.
            weight: 0..1 for networks that can choose: 0 the best looking, 1 the most faithful.

        Raises:
            ModelError: its tensors are not those of the family.
        """
        tensors = bind_restorer(session.inputs, session.outputs, family, family.role)
        size_px = family.size_px
        self._session = session
        self._family = family
        self._blurred = buffer_for(tensors.blurred, (1, 3, size_px, size_px))
        self._inputs: dict[str, NDArray[Any]] = {tensors.blurred.name: self._blurred}
        if tensors.weight is not None:
            chosen = buffer_for(tensors.weight, filled(tensors.weight, open_px=1))
            chosen[...] = weight
            self._inputs[tensors.weight.name] = chosen
        self._outputs: dict[str, NDArray[Any]] = {
            spec.name: buffer_for(spec, filled(spec, open_px=size_px))
            for spec in session.outputs
            if spec is not tensors.sharp
        }
        self._sharp = buffer_for(tensors.sharp, (1, 3, size_px, size_px))
        self._outputs[tensors.sharp.name] = self._sharp
        self._writer = PictureWriter(_HALF, _HALF, "rgb", tensors.blurred.dtype)
        self._reader = PictureReader(_HALF, _HALF, size_px)

    @property
    def crop_px(self) -> int:
        """Side of the crops it works on."""
        return self._family.size_px

    def fit(self, points: ArrayLike) -> Matrix:
        """Where the crop for a face lies: ``(2, 3) f64`` from ``(5, 2)`` image pixels."""
        return fit_template(points, self._family.template, self._family.size_px)

    def restore(self, crop: Picture, *, out: Picture) -> None:
        """Sharpens one face.

        Args:
            crop: ``(S, S, 3) u8 BGR``.
            out: ``(S, S, 3) u8 BGR`` is written.

        Raises:
            ModelError: the network fails or gives no picture.
        """
        self._writer.write(crop, planes=self._blurred[0])
        self._session.enqueue(self._inputs, out=self._outputs, stream=0)
        self._reader.read(self._sharp[0], out=out)
