"""What a memory counts for against the newest frame, band by band."""

REFERENCE_HZ = 30.0
"""Frame rate at which weights are meant."""

STILL_PX = 0.5
"""Movement since the frame before, in pixels of the memory, at which what hardly moves has become
something that moves for all but 1/e."""

_STRETCH = (1.0, 1.2, 1.4)
"""How much longer half and quarter size are remembered than full size. Light that is remembered
for much longer trails behind the head that turns in it."""

Strengths = tuple[float, float, float]


def band_strengths(weight: float, frames: float) -> Strengths:
    """What the memory counts for at full, half and quarter size, each 0..1.

    Args:
        weight: of full size at ``REFERENCE_HZ``, 0..1.
        frames: how many frames of that rate have passed since the last one.
    """
    fine, middle, coarse = (weight ** (frames / stretch) for stretch in _STRETCH)
    return fine, middle, coarse


def still_gain(weight: float, still_weight: float, frames: float) -> float:
    """How much more what stood still counts, at least 1.

    Args:
        weight, frames: as for ``band_strengths``.
        still_weight: of the coarsest band of what stood still, where that is more.
    """
    coarse = band_strengths(weight, frames)[-1]
    # No band may be held for longer: one that never lets go would keep a light that is gone.
    return max(max(still_weight, weight) ** frames / coarse, 1.0) if coarse > 0.0 else 1.0
