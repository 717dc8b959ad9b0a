"""What the networks of a family take black and white as."""

from engines.families.specs import (
    BlazeFaceFamily,
    ConverterFamily,
    DeepFaceFamily,
    EnlargerFamily,
    FaceMeshFamily,
    Family,
    FuserFamily,
    PictureSource,
    RestorerFamily,
    Spread,
    SwapperFamily,
    Triple,
)
from engines.profiles import USUAL_RANGES, Range

_UNIT: Range = (0.0, 1.0)
_CENTRED: Range = (-1.0, 1.0)
_DIGITS = 6
"""Of a bound, which is a part of a plan's key: 1 / (1 / 255) is not quite 255."""


def pixel_ranges(family: Family | None) -> tuple[Range, ...]:
    """The ranges of values that the pictures a network is given may lie in.

    Args:
        family: the network's; None for one that is in no family that can be chosen.
    """
    match family:
        case None | ConverterFamily():
            return USUAL_RANGES
        case DeepFaceFamily() | EnlargerFamily() | FaceMeshFamily() | FuserFamily():
            return (_UNIT,)
        case RestorerFamily() | BlazeFaceFamily():
            return (_CENTRED,)
        case SwapperFamily(source=PictureSource()):
            # The picture of the person is always given in 0..1.
            return tuple(dict.fromkeys((_span(family.mean, family.std), _UNIT)))
        case _:
            return (_span(family.mean, family.std),)


def _span(mean: Triple, std: Spread) -> Range:
    """From the lowest black to the highest white of the three channels."""
    channels = list(zip(mean, std, strict=True))
    black = min((0.0 - middle) / scale for middle, scale in channels)
    white = max((1.0 - middle) / scale for middle, scale in channels)
    return round(black, _DIGITS) + 0.0, round(white, _DIGITS)
