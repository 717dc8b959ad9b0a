"""DeepFaceLab's exported models (``.dfm``): each knows one person and needs no source."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.errors import ModelError
from engines.families.crops import feathered_box
from engines.families.signature import ANY, buffer_for, expect_count, filled, find, shown
from engines.families.specs import DeepFaceFamily
from engines.families.templates import Templates, template_points
from engines.families.tensors import Picture, PictureWriter
from engines.session import Session, TensorSpec

_ERODE_TIMES = 2
_MASK_SIGMA_PX = 6.25
_FULL_MORPH = 1.0


@dataclass(frozen=True, slots=True)
class DeepFaceTensors:
    """The network's tensors by what they are.

    Attributes:
        face: the crop, channels last.
        morph: how far the person is taken over; None where the model has no such input.
        celebrity: the swapped crop.
        masks: where the target's face is, then where the person's is.
        size_px: side of the crop.
    """

    face: TensorSpec
    morph: TensorSpec | None
    celebrity: TensorSpec
    masks: tuple[TensorSpec, TensorSpec]
    size_px: int


def bind_deepface(
    inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], where: str
) -> DeepFaceTensors:
    """Finds out which tensor is which.

    Raises:
        ModelError: the tensors are not those of a DeepFaceLab model.
    """
    expect_count(inputs, (1, 2), where=where, role="inputs")
    expect_count(outputs, (3,), where=where, role="outputs")
    face = find(inputs, (ANY, ANY, ANY, 3), where=where, role="an input")
    size_px = face.shape[1]
    if size_px == ANY or face.shape[2] != size_px:
        raise ModelError(
            f"{where}: the crop must be a square of fixed size, got {shown(face.shape)}. "
            "Export the model again."
        )
    morph = next((spec for spec in inputs if spec is not face), None)
    celebrity = find(outputs, (ANY, size_px, size_px, 3), where=where, role="an output")
    rest = [spec for spec in outputs if spec is not celebrity]
    first = find(rest, (ANY, size_px, size_px, 1), where=where, role="an output")
    rest.remove(first)
    second = find(rest, (ANY, size_px, size_px, 1), where=where, role="a second output")
    return DeepFaceTensors(face, morph, celebrity, (first, second), size_px)


class DeepFace:
    """One DeepFaceLab model. One thread at a time: the buffers belong to the object."""

    def __init__(self, session: Session, family: DeepFaceFamily) -> None:
        """Takes a loaded network, which stays the caller's to close.

        Raises:
            ModelError: its tensors are not those of a DeepFaceLab model.
        """
        tensors = bind_deepface(session.inputs, session.outputs, "dfm")
        self._session = session
        self._family = family
        self._size_px = tensors.size_px
        self._crop = buffer_for(tensors.face, filled(tensors.face))
        self._inputs: dict[str, NDArray[Any]] = {tensors.face.name: self._crop}
        if tensors.morph is not None:
            morph = buffer_for(tensors.morph, filled(tensors.morph, open_px=1))
            morph[...] = _FULL_MORPH
            self._inputs[tensors.morph.name] = morph
        self._celebrity = buffer_for(tensors.celebrity, filled(tensors.celebrity))
        self._masks = [buffer_for(spec, filled(spec)) for spec in tensors.masks]
        self._outputs = {tensors.celebrity.name: self._celebrity} | {
            spec.name: mask for spec, mask in zip(tensors.masks, self._masks, strict=True)
        }
        self._writer = PictureWriter((0.0,) * 3, (1.0,) * 3, "bgr", tensors.face.dtype)
        self._box = feathered_box(self._size_px)
        self._kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))

    @property
    def crop_px(self) -> int:
        """Side of the crops it works on."""
        return self._size_px

    @property
    def templates(self) -> Templates:
        """Where five points of a face lie in the crop: ``(1, 5, 2) f64``."""
        return template_points(self._family.template, self._size_px)[None]

    def swap(
        self,
        crop: Picture,
        source: NDArray[np.float32],  # noqa: ARG002
        *,
        face: Picture,
        alpha: NDArray[np.uint8],
    ) -> None:
        """Puts the model's person into a crop.

        Args:
            crop: ``(S, S, 3) u8 BGR``.
            source: not used; the person is in the model.
            face: ``(S, S, 3) u8 BGR`` is written.
            alpha: ``(S, S) u8`` is written: where both faces are, soft towards the edge.

        Raises:
            ModelError: the network fails or gives no picture.
        """
        self._writer.write_interleaved(crop, pixels=self._crop[0])
        self._session.enqueue(self._inputs, out=self._outputs, stream=0)
        picture = np.clip(self._celebrity[0].astype(np.float32), 0.0, 1.0) * np.float32(255)
        mask = np.minimum(self._masks[0][0, ..., 0], self._masks[1][0, ..., 0])
        if not np.isfinite(picture.sum() + mask.sum()):
            raise ModelError(
                "dfm: the picture must consist of numbers, got NaN. Use another model."
            )
        np.rint(picture, out=picture)
        face[...] = picture
        alpha[...] = self._soft(np.clip(mask.astype(np.float32), 0.0, 1.0))

    def _soft(self, mask: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The mask a little smaller, blurred, and nothing at the crop's edges."""
        mask = np.asarray(cv2.erode(mask, self._kernel, iterations=_ERODE_TIMES), np.float32)
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), _MASK_SIGMA_PX), np.float32)
        return np.minimum(np.rint(mask * 255).astype(np.uint8), self._box)
