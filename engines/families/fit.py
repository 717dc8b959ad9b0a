"""Whether a network has the tensors of a family."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engines.errors import ModelError
from engines.families.deepface import bind_deepface
from engines.families.detector import bind_detector
from engines.families.enlarger import bind_enlarger
from engines.families.fuser import bind_fuser
from engines.families.landmarks import bind_landmarks
from engines.families.mask import bind_mask
from engines.families.recogniser import bind_converter, bind_recogniser
from engines.families.restorer import bind_restorer
from engines.families.signature import expect_count
from engines.families.specs import (
    BlazeFaceFamily,
    ConverterFamily,
    DeepFaceFamily,
    DetectorFamily,
    EnlargerFamily,
    FaceMeshFamily,
    Family,
    FuserFamily,
    LandmarkFamily,
    MaskFamily,
    RecogniserFamily,
    RestorerFamily,
    SwapperFamily,
)
from engines.families.swapper import bind_swapper
from engines.models.blazeface import bind_blazeface
from engines.models.face_landmark import bind_face_landmark
from engines.session import TensorSpec


@dataclass(frozen=True, slots=True)
class _Tensors:
    """The tensors of a network that is not loaded."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


def check_fit(
    family: Family, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], *, where: str
) -> None:
    """Refuses a network that the family's adapter could not run.

    Raises:
        ModelError: an input or output is missing, or has another shape or type.
    """
    match family:
        case SwapperFamily():
            bind_swapper(inputs, outputs, family, where)
        case DeepFaceFamily():
            bind_deepface(inputs, outputs, where)
        case DetectorFamily():
            bind_detector(inputs, outputs, family, where)
        case BlazeFaceFamily():
            bind_blazeface(_as_floats(inputs, outputs, where))
        case FaceMeshFamily():
            bind_face_landmark(_as_floats(inputs, outputs, where))
        case RecogniserFamily():
            bind_recogniser(inputs, outputs, family, where)
        case LandmarkFamily():
            bind_landmarks(inputs, outputs, family, where)
        case MaskFamily():
            bind_mask(inputs, outputs, family, where)
        case RestorerFamily():
            bind_restorer(inputs, outputs, family, where)
        case EnlargerFamily():
            bind_enlarger(inputs, outputs, where)
        case FuserFamily():
            bind_fuser(inputs, outputs, where)
        case ConverterFamily():
            bind_converter(inputs, outputs, family, where)


def fitting(
    families: Mapping[str, Family], inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
) -> tuple[str, ...]:
    """The families whose tensors a network has; several may share a signature."""
    found = []
    for name, family in families.items():
        try:
            check_fit(family, inputs, outputs, where=name)
        except ModelError:
            continue
        found.append(name)
    return tuple(found)


def _as_floats(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], where: str) -> _Tensors:
    """The tensors of a network whose adapter knows float32 only.

    Raises:
        ModelError: one is of another type, or there is no input.
    """
    expect_count(inputs, (1,), where=where, role="input")
    other = next((one for one in (*inputs, *outputs) if one.dtype != np.float32), None)
    if other is not None:
        raise ModelError(
            f"{where}: {other.name} must be float32, got {other.dtype.name}. "
            "Use an export with float32 inputs and outputs."
        )
    return _Tensors(tuple(inputs), tuple(outputs))
