"""Swappers: an aligned crop and an identity go in, the same crop with another face comes out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engines.errors import ModelError
from engines.families.crops import feathered_box
from engines.families.signature import ANY, buffer_for, expect_count, filled, find
from engines.families.specs import EmbeddingSource, SwapperFamily
from engines.families.templates import Templates, template_points, yaw_template_points
from engines.families.tensors import Picture, PictureReader, PictureWriter
from engines.session import Session, TensorSpec


class FaceNetwork(Protocol):
    """What every kind of swapper offers."""

    @property
    def crop_px(self) -> int:
        """Side of the crops it works on."""
        ...

    @property
    def templates(self) -> Templates:
        """Where five points of a face may lie in the crop, see ``templates``."""
        ...

    def swap(
        self,
        crop: Picture,
        source: NDArray[np.float32],
        *,
        face: Picture,
        alpha: NDArray[np.uint8],
    ) -> None:
        """Writes the swapped crop and how far it covers the picture."""
        ...


@dataclass(frozen=True, slots=True)
class SwapperTensors:
    """The network's tensors by what they are."""

    target: TensorSpec
    source: TensorSpec
    picture: TensorSpec


def bind_swapper(
    inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], family: SwapperFamily, where: str
) -> SwapperTensors:
    """Finds out which tensor is which.

    Of two inputs that both look like the crop the first one is it.

    Raises:
        ModelError: the tensors are not those of the family.
    """
    expect_count(inputs, (2,), where=where, role="inputs")
    crop = (ANY, 3, family.size_px, family.size_px)
    target = find(inputs, crop, where=where, role="an input")
    others = [spec for spec in inputs if spec is not target]
    if isinstance(family.source, EmbeddingSource):
        wanted: tuple[int, ...] = (ANY, family.source.dimensions)
    else:
        wanted = (ANY, 3, family.source.size_px, family.source.size_px)
    source = find(others, wanted, where=where, role="an input")
    picture = find(outputs, crop, where=where, role="an output")
    return SwapperTensors(target, source, picture)


def swapper_templates(family: SwapperFamily, *, boost: int = 1) -> Templates:
    """Where five points of a face may lie in a swapper's crop.

    Args:
        family: what the network expects.
        boost: as for ``Swapper``.

    Returns:
        ``(1, 5, 2) f64``, or ``(5, 5, 2)`` for a network trained on five yaws.
    """
    if family.yaw_templates:
        return yaw_template_points(family.size_px, boost=boost)
    small_px = family.template_px or family.size_px
    times = boost * (family.size_px // small_px)
    return template_points(family.template, small_px, boost=times)[None]


class Swapper:
    """One swapping network. One thread at a time: the buffers belong to the object."""

    def __init__(self, session: Session, family: SwapperFamily, *, boost: int = 1) -> None:
        """Takes a loaded network, which stays the caller's to close.

        Args:
            session: the network.
            family: what it expects.
            boost: the crop has ``boost`` times as many pixels along each side as the network
                takes. It is dealt out to ``boost * boost`` networks' crops, neighbouring pixels
                to different ones, in one batch where the graph allows it.

        Raises:
            ModelError: the network's tensors are not those of the family.
        """
        tensors = bind_swapper(session.inputs, session.outputs, family, family.role)
        self._session = session
        self._family = family
        self._boost = boost
        self._tiles = boost * boost
        self._is_batched = tensors.target.shape[0] == ANY
        if not self._is_batched and tensors.target.shape[0] != 1:
            raise ModelError(
                f"swapper: the network must take one crop at a time or any number, got "
                f"{tensors.target.shape[0]}. Use another export."
            )
        batch = self._tiles if self._is_batched else 1
        size_px = family.size_px
        self._target = buffer_for(tensors.target, (batch, 3, size_px, size_px))
        self._picture = buffer_for(tensors.picture, (batch, 3, size_px, size_px))
        self._source = buffer_for(
            tensors.source, filled(tensors.source, batch=batch, open_px=_open_px(family))
        )
        self._inputs = {tensors.target.name: self._target, tensors.source.name: self._source}
        self._outputs: dict[str, NDArray[Any]] = {
            spec.name: buffer_for(spec, filled(spec, batch=batch, open_px=size_px))
            for spec in session.outputs
            if spec is not tensors.picture
        }
        self._outputs[tensors.picture.name] = self._picture
        self._writer = PictureWriter(family.mean, family.std, "rgb", tensors.target.dtype)
        mean, std = (family.mean, family.std) if family.denormalise else ((0.0,) * 3, (1.0,) * 3)
        self._reader = PictureReader(mean, std, size_px)
        self._alpha = feathered_box(self.crop_px)
        self._templates = swapper_templates(family, boost=boost)
        tiles = [
            (slice(row, None, boost), slice(column, None, boost))
            for row in range(boost)
            for column in range(boost)
        ]
        # The tiles that go through the network together.
        self._groups = [tiles] if self._is_batched else [[tile] for tile in tiles]

    @property
    def crop_px(self) -> int:
        """Side of the crops it works on, boost included."""
        return self._family.size_px * self._boost

    @property
    def source_shape(self) -> tuple[int, ...]:
        """Shape of one identity: ``(512,)`` or ``(3, s, s)``."""
        return tuple(self._source.shape[1:])

    @property
    def templates(self) -> Templates:
        """Where five points of a face lie in the crop: one place, or one for each of five yaws."""
        return self._templates

    def swap(
        self,
        crop: Picture,
        source: NDArray[np.float32],
        *,
        face: Picture,
        alpha: NDArray[np.uint8],
    ) -> None:
        """Puts another face into a crop.

        Args:
            crop: ``(C, C, 3) u8 BGR``, C being ``crop_px``.
            source: the identity, of ``source_shape``.
            face: ``(C, C, 3) u8 BGR`` is written.
            alpha: ``(C, C) u8`` is written, 0 at the edges.

        Raises:
            ModelError: the network fails or gives no picture.
        """
        self._source[...] = source
        for group in self._groups:
            for place, tile in enumerate(group):
                self._writer.write(crop[tile], planes=self._target[place])
            self._session.enqueue(self._inputs, out=self._outputs, stream=0)
            for place, tile in enumerate(group):
                self._reader.read(self._picture[place], out=face[tile])
        alpha[...] = self._alpha


def _open_px(family: SwapperFamily) -> int:
    """What an extent that the graph leaves open in the source must be."""
    if isinstance(family.source, EmbeddingSource):
        return family.source.dimensions
    return family.source.size_px
