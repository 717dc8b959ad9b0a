"""How faces are made steady and part of the picture on a device."""

from dataclasses import dataclass

from cuda_kernels.colour_match import How
from realtime.memory_strength import REFERENCE_HZ, Strengths, band_strengths, still_gain
from realtime.seam_fit import Rim
from realtime.tracks import share_after


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """How faces are made steady and part of the picture.

    Attributes:
        sharpness: whether a face's finest detail is held to the strength it has in the picture.
        sharpness_ms: half-life with which that follows the picture.
        sigma_px: of the blur in the network's crop that parts the finest detail from the rest.
        fuse_weight: what was seen before counts for, against the newest frame, at 30 Hz, 0..1.
        still_weight: the same for the coarsest band of what hardly moves, where that is more.
        fuse_limit: grey levels by which the memory may leave the colours around a pixel now.
        restore_strength: how much of an enlarged face is seen, 0..1.
        restore_weight: as ``fuse_weight``, for what it looked like enlarged.
        restore_still_weight: as ``still_weight``, for the same.
        settle_ms: half-life with which colours follow the picture.
        colours: how they are matched, see ``find_colour_shift``; None leaves them.
        light: whether the light of the picture is carried onto the face.
        rim: how it is joined to the picture: ``feather`` lets the coverage fall off softly,
            ``multiband`` blends band by band, ``poisson`` keeps the face's gradients and takes the
            picture's light.
        rate_hz: frames a second.
    """

    sharpness: bool = True
    sharpness_ms: float = 500.0
    sigma_px: float = 1.0
    fuse_weight: float = 0.7
    still_weight: float = 0.9
    fuse_limit: float = 40.0
    restore_strength: float = 1.0
    restore_weight: float = 0.6
    restore_still_weight: float = 0.775
    settle_ms: float = 150.0
    colours: How | None = "ranks"
    light: bool = True
    rim: Rim = "multiband"
    rate_hz: float = 30.0

    @property
    def fuse_strengths(self) -> Strengths:
        """What the memory counts for from frame to frame, at full, half and quarter size."""
        return band_strengths(self.fuse_weight, self._frames)

    @property
    def fuse_gain(self) -> float:
        """How much more what stood still counts."""
        return still_gain(self.fuse_weight, self.still_weight, self._frames)

    @property
    def restore_strengths(self) -> Strengths:
        """The same of enlarged faces."""
        return band_strengths(self.restore_weight, self._frames)

    @property
    def restore_gain(self) -> float:
        """The same of enlarged faces."""
        return still_gain(self.restore_weight, self.restore_still_weight, self._frames)

    @property
    def colour_rate(self) -> float:
        """How far colours follow each frame, 0..1."""
        return self._rate(self.settle_ms)

    @property
    def sharpness_rate(self) -> float:
        """How far the strength of the finest detail follows each frame, 0..1."""
        return self._rate(self.sharpness_ms)

    @property
    def _frames(self) -> float:
        return REFERENCE_HZ / self.rate_hz

    def _rate(self, half_life_ms: float) -> float:
        return share_after(1000.0 / self.rate_hz, half_life_ms)
