"""The SR-SN networks: residual blocks without batch normalisation, then PixelShuffle.

After EDSR (Lim et al. 2017, arXiv 1707.02921) and ESPCN (Shi et al. 2016, arXiv 1609.05158). Both
add the bicubic enlargement of the input at the end, so that what is learnt is only what bicubic
lacks and the mean colour stays where it is. Batch normalisation would shift it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

SCALES = (2, 4)

FULL_CHANNELS = 64
FULL_BLOCKS = 8

LITE_LAYERS = MappingProxyType({2: (16, 4), 4: (32, 3)})
"""Channels and layers in between, by the scale: what a processor has time for while it swaps."""

_REACH = 2
"""Bicubic interpolation at any of the places between pixels needs two neighbours on each side."""

_GREY = 0.5
_KEYS = -0.5
"""The free number of Keys' cubic kernel, as MATLAB and the published figures have it."""


def bicubic_taps(scale: int) -> NDArray[np.float64]:
    """How each of the new pixels between two old ones mixes its old neighbours.

    Args:
        scale: how many times as large the picture gets.

    Returns:
        ``(scale, 5) f64``: a row for each place, the weights of the old pixels -2 … 2; each row
        sums to 1. Keys' cubic convolution (1981) with a = -0.5.
    """
    places = (np.arange(scale) + 0.5) / scale - 0.5
    distance = np.abs(places[:, None] - np.arange(-_REACH, _REACH + 1))
    near = (_KEYS + 2) * distance**3 - (_KEYS + 3) * distance**2 + 1
    far = _KEYS * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))


class Bicubic(nn.Module):  # type: ignore[misc]
    """Enlarges by Keys' bicubic interpolation, as a fixed convolution and a PixelShuffle.

    A resize operator would do the same, but the runtimes compute it on one thread and slowly.

    Args:
        scale: how many times as large the picture gets.
    """

    def __init__(self, scale: int) -> None:
        super().__init__()
        taps = bicubic_taps(scale)
        kernels = np.einsum("ay,bx->abyx", taps, taps).reshape(scale * scale, -1)
        weight = np.zeros((3, scale * scale, 3, kernels.shape[1]))
        for channel in range(3):
            weight[channel, :, channel] = kernels
        size = 2 * _REACH + 1
        dense = torch.from_numpy(weight.reshape(3 * scale * scale, 3, size, size)).float()
        self.register_buffer("weight", dense, persistent=False)
        self.border = nn.ReplicationPad2d(_REACH)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarges ``(N, 3, H, W)``."""
        return self.shuffle(self.phases(x))

    def phases(self, x: Tensor) -> Tensor:
        """The new pixels as channels of the old ones, for PixelShuffle to spread out."""
        return nn.functional.conv2d(self.border(x), self.weight)


class ResidualBlock(nn.Module):  # type: ignore[misc]
    """``x + conv(relu(conv(x)))``.

    Args:
        channels: in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Refines ``(N, C, H, W)``."""
        return x + self.second(torch.relu(self.first(x)))


class Srsn(nn.Module):  # type: ignore[misc]
    """The full network: 12.8 GMAC from 128 to 256 pixels.

    Args:
        scale: 2 or 4.
        channels: of the residual blocks.
        blocks: how many of them.
    """

    def __init__(
        self, scale: int, channels: int = FULL_CHANNELS, blocks: int = FULL_BLOCKS
    ) -> None:
        super().__init__()
        check_scale(scale)
        self.entry = nn.Conv2d(3, channels, 3, padding=1)
        self.trunk = nn.Sequential(
            *(ResidualBlock(channels) for _ in range(blocks)),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        doublings: list[nn.Module] = []
        for _ in range(SCALES.index(scale) + 1):
            doublings += [nn.Conv2d(channels, 4 * channels, 3, padding=1), nn.PixelShuffle(2)]
        self.enlarge = nn.Sequential(*doublings)
        self.exit = nn.Conv2d(channels, 3, 3, padding=1)
        self.bicubic = Bicubic(scale)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarges ``(N, 3, H, W)`` RGB 0..1; the result stays in 0..1."""
        return (self.detail(x) + self.bicubic(x)).clamp(0.0, 1.0)

    def detail(self, x: Tensor) -> Tensor:
        """What bicubic enlargement of ``(N, 3, H, W)`` lacks; the part that may be computed in 16
        bits while training.
        """
        features = self.entry(x - _GREY)
        return self.exit(self.enlarge(features + self.trunk(features)))


class SrsnLite(nn.Module):  # type: ignore[misc]
    """The small network for processors: 0.20 GMAC from 128 to 256 pixels, 0.18 from 64 to 256.

    Args:
        scale: 2 or 4.
    """

    def __init__(self, scale: int) -> None:
        super().__init__()
        check_scale(scale)
        channels, layers = LITE_LAYERS[scale]
        parts: list[nn.Module] = [nn.Conv2d(3, channels, 5, padding=2), nn.ReLU()]
        for _ in range(layers):
            parts += [nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU()]
        parts.append(nn.Conv2d(channels, 3 * scale * scale, 3, padding=1))
        self.layers = nn.Sequential(*parts)
        for layer in parts[::2]:
            # Without a shortcut the usual first weights would let the signal fade (He et al. 2015).
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        self.bicubic = Bicubic(scale)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarges ``(N, 3, H, W)`` RGB 0..1; the result stays in 0..1."""
        # All before the pixels are spread out: runtimes merge it with the convolution there.
        phases = self.layers(x - _GREY) + self.bicubic.phases(x)
        return self.bicubic.shuffle(phases.clamp(0.0, 1.0))

    def detail(self, x: Tensor) -> Tensor:
        """What bicubic enlargement of ``(N, 3, H, W)`` lacks."""
        return self.bicubic.shuffle(self.layers(x - _GREY))

    def features(self, x: Tensor) -> Tensor:
        """What the last layer is given of ``(N, 3, H, W)``: ``(N, C, H, W)``."""
        return self.layers[:-1](x - _GREY)


KINDS: Mapping[str, Callable[[int], nn.Module]] = MappingProxyType({"full": Srsn, "lite": SrsnLite})


def build(kind: str, scale: int) -> nn.Module:
    """A network with fresh weights that begins as plain bicubic enlargement.

    Args:
        kind: ``full`` or ``lite``.
        scale: 2 or 4.

    Raises:
        ValueError: there is no such network.
    """
    if kind not in KINDS:
        raise ValueError(f"srsn: kind must be one of {', '.join(KINDS)}, got {kind}.")
    network = KINDS[kind](scale)
    last = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)][-1]
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return network


def check_scale(scale: int) -> None:
    """Raises ValueError for a scale there is no network for."""
    if scale not in SCALES:
        raise ValueError(f"srsn: scale must be 2 or 4, got {scale}.")
