"""Masks: which pixels of an aligned face are to be replaced."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.families.signature import ANY, buffer_for, expect_count, filled, find
from engines.families.specs import MaskFamily
from engines.families.tensors import Picture, PictureWriter
from engines.session import Session, TensorSpec

_SIGMA_PX = 5.0
_NUM_REGIONS = 19

REGIONS = MappingProxyType(
    {
        "skin": 1,
        "left_brow": 2,
        "right_brow": 3,
        "left_eye": 4,
        "right_eye": 5,
        "glasses": 6,
        "left_ear": 7,
        "right_ear": 8,
        "nose": 10,
        "mouth": 11,
        "upper_lip": 12,
        "lower_lip": 13,
        "neck": 14,
        "hair": 17,
    }
)
"""The parts of a head in CelebAMask-HQ's numbering, as far as they are of use here."""

FACE_REGIONS = frozenset(REGIONS) - {"left_ear", "right_ear", "neck", "hair", "glasses"}


@dataclass(frozen=True, slots=True)
class MaskTensors:
    """The network's tensors by what they are.

    Attributes:
        picture: the crop.
        result: what is said of its pixels.
        channels_last: whether the crop's channels are its last axis.
    """

    picture: TensorSpec
    result: TensorSpec
    channels_last: bool


def bind_mask(
    inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], family: MaskFamily, where: str
) -> MaskTensors:
    """Finds out which tensor is which.

    Raises:
        ModelError: the tensors are not those of the family.
    """
    expect_count(inputs, (1,), where=where, role="input")
    size_px = family.size_px
    first, last = (ANY, 3, size_px, size_px), (ANY, size_px, size_px, 3)
    if family.layout == "regions":
        picture = find(inputs, first, where=where, role="an input")
        wanted: tuple[tuple[int, ...], ...] = ((ANY, _NUM_REGIONS, size_px, size_px),)
    else:
        picture = find(inputs, last, first, where=where, role="an input")
        wanted = ((ANY, size_px, size_px, 1), (ANY, 1, size_px, size_px), (ANY, size_px, size_px))
    result = find(outputs, *wanted, where=where, role="an output")
    return MaskTensors(picture, result, picture.shape[3] == 3)


class MaskNetwork:
    """One network. One thread at a time: the buffers belong to the object."""

    def __init__(
        self, session: Session, family: MaskFamily, *, regions: Collection[str] = FACE_REGIONS
    ) -> None:
        """Takes a loaded network, which stays the caller's to close.

        Args:
            session: the network.
            family: what it expects.
            regions: of ``REGIONS``, what is to be replaced; for networks that tell parts apart.

        Raises:
            ModelError: its tensors are not those of the family.
        """
        tensors = bind_mask(session.inputs, session.outputs, family, family.role)
        size_px = family.size_px
        shape = (size_px, size_px, 3) if tensors.channels_last else (3, size_px, size_px)
        self._session = session
        self._family = family
        self._channels_last = tensors.channels_last
        self._input = buffer_for(tensors.picture, (1, *shape))
        self._inputs = {tensors.picture.name: self._input}
        self._outputs: dict[str, NDArray[Any]] = {
            spec.name: buffer_for(spec, filled(spec, open_px=size_px)) for spec in session.outputs
        }
        self._result = self._outputs[tensors.result.name]
        self._wanted = np.isin(np.arange(_NUM_REGIONS), [REGIONS[name] for name in regions])
        self._writer = PictureWriter(family.mean, family.std, family.colours, tensors.picture.dtype)

    def mask(self, crop: Picture, *, out: NDArray[np.uint8]) -> None:
        """Looks at an aligned face.

        Args:
            crop: ``(S, S, 3) u8 BGR`` of any size.
            out: ``(S, S) u8`` is written, 255 where the pixel is to be replaced; its edge is
                soft and lies inside the network's.

        Raises:
            ModelError: the network fails.
        """
        size_px = self._family.size_px
        small = np.asarray(
            cv2.resize(crop, (size_px, size_px), interpolation=cv2.INTER_AREA), np.uint8
        )
        if self._channels_last:
            self._writer.write_interleaved(small, pixels=self._input[0])
        else:
            self._writer.write(small, planes=self._input[0])
        self._session.enqueue(self._inputs, out=self._outputs, stream=0)
        mask = cv2.resize(self._said(), (out.shape[1], out.shape[0]))
        mask = cv2.GaussianBlur(np.clip(mask, 0.0, 1.0), (0, 0), _SIGMA_PX)
        out[...] = np.rint((np.clip(mask, 0.5, 1.0) - 0.5) * 510.0)

    def _said(self) -> NDArray[np.float32]:
        """What the network says of its own pixels: ``(S, S) f32`` 0..1."""
        size_px = self._family.size_px
        if self._family.layout == "regions":
            parts = self._result[0].argmax(axis=0)
            return np.asarray(self._wanted[parts], np.float32)
        said = self._result[0].reshape(size_px, size_px).astype(np.float32)
        return np.asarray(np.nan_to_num(said), np.float32)
