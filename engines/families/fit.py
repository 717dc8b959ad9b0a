"""Whether a network has the tensors of a family."""

from collections.abc import Mapping, Sequence

from engines.errors import ModelError
from engines.families.deepface import bind_deepface
from engines.families.detector import bind_detector
from engines.families.enlarger import bind_enlarger
from engines.families.landmarks import bind_landmarks
from engines.families.mask import bind_mask
from engines.families.recogniser import bind_converter, bind_recogniser
from engines.families.restorer import bind_restorer
from engines.families.specs import (
    ConverterFamily,
    DeepFaceFamily,
    DetectorFamily,
    EnlargerFamily,
    Family,
    LandmarkFamily,
    MaskFamily,
    RecogniserFamily,
    RestorerFamily,
    SwapperFamily,
)
from engines.families.swapper import bind_swapper
from engines.session import TensorSpec


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
