"""Recognisers: an aligned face becomes a vector that stands for its identity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engines.errors import ModelError
from engines.families.crops import cut_crop
from engines.families.signature import ANY, buffer_for, expect_count, filled, find
from engines.families.specs import ConverterFamily, EmbeddingSource, RecogniserFamily
from engines.families.templates import fit_template
from engines.families.tensors import Picture, PictureWriter
from engines.session import Session, TensorSpec

Embedding = NDArray[np.float32]
"""``(D,) f32`` as the network gives it; its direction is the identity."""


@dataclass(frozen=True, slots=True)
class OneToOne:
    """The tensors of a network with one input and one output that matter."""

    given: TensorSpec
    result: TensorSpec


def bind_recogniser(
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    family: RecogniserFamily,
    where: str,
) -> OneToOne:
    """Finds out which tensor is which.

    Raises:
        ModelError: the tensors are not those of the family.
    """
    expect_count(inputs, (1,), where=where, role="input")
    crop = (ANY, 3, family.size_px, family.size_px)
    vector = (ANY, family.dimensions)
    return OneToOne(
        find(inputs, crop, where=where, role="an input"),
        find(outputs, vector, where=where, role="an output"),
    )


def bind_converter(
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    family: ConverterFamily,
    where: str,
) -> OneToOne:
    """Finds out which tensor is which.

    Raises:
        ModelError: the tensors are not those of the family.
    """
    expect_count(inputs, (1,), where=where, role="input")
    vector = (ANY, family.dimensions)
    return OneToOne(
        find(inputs, vector, where=where, role="an input"),
        find(outputs, vector, where=where, role="an output"),
    )


class Recogniser:
    """One recognising network. One thread at a time: the buffers belong to the object."""

    def __init__(self, session: Session, family: RecogniserFamily) -> None:
        """Takes a loaded network, which stays the caller's to close.

        Raises:
            ModelError: its tensors are not those of the family.
        """
        tensors = bind_recogniser(session.inputs, session.outputs, family, family.role)
        self._session = session
        self._family = family
        self._crop = np.zeros((family.size_px, family.size_px, 3), np.uint8)
        self._input = buffer_for(tensors.given, (1, 3, family.size_px, family.size_px))
        self._inputs = {tensors.given.name: self._input}
        self._outputs = _outputs(session)
        self._vector = self._outputs[tensors.result.name]
        self._writer = PictureWriter(family.mean, family.std, family.colours, tensors.given.dtype)

    def embed(self, image: Picture, points: ArrayLike) -> Embedding:
        """Looks at one face.

        Args:
            image: ``(H, W, 3) u8 BGR``.
            points: ``(5, 2)`` image pixels: eyes, tip of the nose, corners of the mouth.

        Returns:
            ``(D,) f32``, not scaled; owned by the caller.

        Raises:
            ModelError: the network fails, or gives no direction.
        """
        cut_crop(
            image,
            fit_template(points, self._family.template, self._family.size_px),
            out=self._crop,
        )
        self._writer.write(self._crop, planes=self._input[0])
        self._session.enqueue(self._inputs, out=self._outputs, stream=0)
        embedding: Embedding = self._vector[0].astype(np.float32)
        unit(embedding)
        return embedding


class Converter:
    """One converting network. One thread at a time: the buffers belong to the object."""

    def __init__(self, session: Session, family: ConverterFamily) -> None:
        """Takes a loaded network, which stays the caller's to close.

        Raises:
            ModelError: its tensors are not those of the family.
        """
        tensors = bind_converter(session.inputs, session.outputs, family, family.role)
        self._session = session
        self._input = buffer_for(tensors.given, (1, family.dimensions))
        self._inputs = {tensors.given.name: self._input}
        self._outputs = _outputs(session)
        self._vector = self._outputs[tensors.result.name]

    def convert(self, embedding: Embedding) -> Embedding:
        """Translates an embedding as the recogniser gave it.

        Raises:
            ModelError: the network fails.
        """
        self._input[0] = embedding
        self._session.enqueue(self._inputs, out=self._outputs, stream=0)
        converted: Embedding = self._vector[0].astype(np.float32)
        return converted


def source_vector(
    embedding: Embedding,
    source: EmbeddingSource,
    *,
    emap: NDArray[np.float32] | None = None,
    converter: Converter | None = None,
) -> Embedding:
    """What a swapper is given for an embedding.

    Args:
        embedding: ``(D,) f32`` as the recogniser gave it.
        source: the rule.
        emap: ``(D, D) f32`` from the swapper's graph, for the rule that needs it.
        converter: the converter, for the rules that need it.

    Raises:
        ModelError: the embedding has another length, or what the rule needs is missing.
    """
    if embedding.shape != (source.dimensions,):
        raise ModelError(
            f"swapper: the embedding must have {source.dimensions} numbers, "
            f"got {embedding.shape}. Use the recogniser {source.recogniser}."
        )
    if source.rule == "normalised":
        return unit(embedding)
    if source.rule == "emap":
        if emap is None or emap.shape != (source.dimensions, source.dimensions):
            raise ModelError(
                f"swapper: the graph's last constant must be a {source.dimensions} × "
                f"{source.dimensions} matrix, got {None if emap is None else emap.shape}. "
                "Use the file as it was published."
            )
        # In double precision, so that the order of the sum does not show.
        return unit(np.asarray(unit(embedding).astype(np.float64) @ emap, np.float32))
    if converter is None:
        raise ModelError(f"swapper: it needs the converter {source.converter}, got none. Pull it.")
    converted = converter.convert(embedding)
    return unit(converted) if source.rule == "converted_normalised" else converted


def mean_embedding(embeddings: Sequence[Embedding]) -> Embedding:
    """One embedding for several pictures of a person.

    The directions are averaged, so that no picture counts more because its vector is longer; the
    result has the mean of their lengths.

    Args:
        embeddings: at least one, ``(D,) f32``.

    Returns:
        ``(D,) f32``.
    """
    length = float(np.mean([np.linalg.norm(embedding) for embedding in embeddings]))
    middle = np.mean([unit(embedding) for embedding in embeddings], axis=0)
    return np.asarray(unit(middle) * length, np.float32)


def unit(vector: NDArray[Any]) -> Embedding:
    """The vector scaled to length 1.

    Raises:
        ModelError: it has no direction.
    """
    length = float(np.linalg.norm(vector.astype(np.float64)))
    if not np.isfinite(length) or length == 0.0:
        raise ModelError(
            f"recogniser: an embedding must have a direction, got length {length}. "
            "Use another picture or recogniser."
        )
    return np.asarray(vector / length, np.float32)


def _outputs(session: Session) -> Mapping[str, NDArray[Any]]:
    return {spec.name: buffer_for(spec, filled(spec, open_px=1)) for spec in session.outputs}
