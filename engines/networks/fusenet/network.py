"""FuseNet: encoder, attention-gated fusion with a memory, decoder.

The face another network or the mesh has drawn goes in beside the picture it is to belong to. Of
the picture only a low-pass is seen where the face will be, so the person in front of the camera
cannot shine through. Two encoders make a pyramid each; at a quarter and at an eighth of the size
``Fusion`` lets the features of the frame before take part. The decoder gives what is to be added
to the drawn face, and how far it covers the picture. There are no normalisation layers: their
statistics would change from frame to frame.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn

from engines.networks.fusenet.fusion import Fusion

INPUTS = ("render", "validity", "context", "keep", "memory_4", "memory_8", "confidence")
OUTPUTS = ("image", "blend", "next_memory_4", "next_memory_8")

_GREY = 0.5

_COVERS = 3.0
"""The mask's logit at first."""

_REACHES_ONE = 1.02
"""So that a mask of exactly 1 lies in the sigmoid's reach."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a network is.

    Attributes:
        size_px: side of the square pictures, a multiple of 32.
        widths: channels of one encoder at 1/2, 1/4 and 1/8 of the size; the decoder has twice as
            many.
        encode: blocks of each encoder at the three sizes.
        decode: blocks of the decoder at 1/8, 1/4 and 1/2.
        keys: numbers by which the fusion compares cells.
    """

    size_px: int
    widths: tuple[int, int, int]
    encode: tuple[int, int, int]
    decode: tuple[int, int, int]
    keys: int

    @property
    def memory_4(self) -> tuple[int, int, int]:
        """Channels, height and width of the memory at a quarter of the size."""
        return 2 * self.widths[1], self.size_px // 4, self.size_px // 4

    @property
    def memory_8(self) -> tuple[int, int, int]:
        """Channels, height and width of the memory at an eighth of the size."""
        return 2 * self.widths[2], self.size_px // 8, self.size_px // 8


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "lite": Shape(160, (16, 24, 48), (1, 1, 2), (3, 2, 1), 16),
        "full": Shape(256, (48, 80, 128), (2, 2, 3), (4, 4, 3), 32),
    }
)


class Block(nn.Module):  # type: ignore[misc]
    """``x + mix(relu(widen(depthwise(x))))``: an inverted residual without normalisation.

    Args:
        channels: in and out.
        side: of the depthwise kernel.
    """

    def __init__(self, channels: int, side: int = 3) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, side, padding=side // 2, groups=channels)
        self.widen = nn.Conv2d(channels, 2 * channels, 1)
        self.mix = nn.Conv2d(2 * channels, channels, 1)
        with torch.no_grad():
            self.mix.weight.mul_(0.3)

    def forward(self, x: Tensor) -> Tensor:
        """Refines ``(N, C, H, W)``."""
        return x + self.mix(torch.relu(self.widen(self.depthwise(x))))


class Encoder(nn.Module):  # type: ignore[misc]
    """Four planes to features at 1/2, 1/4 and 1/8 of their size.

    Args:
        shape: of the network.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        half, quarter, eighth = shape.widths
        self.stem = nn.Conv2d(4, half, 4, stride=2, padding=1)
        self.refine_2 = _blocks(shape.encode[0], half, 3)
        self.to_quarter = nn.Conv2d(half, quarter, 2, stride=2)
        self.refine_4 = _blocks(shape.encode[1], quarter, 3)
        self.to_eighth = nn.Conv2d(quarter, eighth, 2, stride=2)
        self.refine_8 = _blocks(shape.encode[2], eighth, 5)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encodes ``(N, 4, S, S)``; finest first."""
        half = self.refine_2(torch.relu(self.stem(planes)))
        quarter = self.refine_4(self.to_quarter(half))
        return half, quarter, self.refine_8(self.to_eighth(quarter))


class Result(NamedTuple):
    """What comes out.

    Attributes:
        image: ``(N, 3, S, S)`` RGB 0..1, the face as it belongs to the picture; means nothing
            where nothing was drawn.
        blend: ``(N, 1, S, S)`` 0..1, how far it covers the picture: its own mask times
            ``1 - keep``.
        next_memory_4, next_memory_8: what the next frame gets, after it was moved along the flow.
    """

    image: Tensor
    blend: Tensor
    next_memory_4: Tensor
    next_memory_8: Tensor


class FuseNet(nn.Module):  # type: ignore[misc]
    """The whole network.

    Args:
        shape: how large it is.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        half, quarter, eighth = (2 * width for width in shape.widths)
        self.of_render, self.of_context = Encoder(shape), Encoder(shape)
        self.fuse_8, self.fuse_4 = Fusion(eighth, shape.keys), Fusion(quarter, shape.keys)
        self.refine_8 = _blocks(shape.decode[0], eighth, 5)
        self.up_4 = nn.Sequential(nn.Conv2d(eighth, quarter, 1), nn.Upsample(scale_factor=2))
        self.refine_4 = _blocks(shape.decode[1], quarter, 5)
        self.up_2 = nn.Sequential(nn.Conv2d(quarter, half, 1), nn.Upsample(scale_factor=2))
        self.refine_2 = _blocks(shape.decode[2], half, 3)
        self.head = nn.Conv2d(half, 16, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(
        self,
        render: Tensor,
        validity: Tensor,
        context: Tensor,
        keep: Tensor,
        memory_4: Tensor,
        memory_8: Tensor,
        confidence: Tensor,
    ) -> Result:
        """Harmonises a drawn face.

        Args:
            render: ``(N, 3, S, S)`` RGB 0..1, the drawn face, 0 where there is none.
            validity: ``(N, 1, S, S)`` 0..1, where it was drawn.
            context: ``(N, 3, S, S)`` RGB 0..1, the picture; only a low-pass where ``keep`` is 0.
            keep: ``(N, 1, S, S)`` 0..1, 1 where the picture stays as it is.
            memory_4, memory_8: of the frame before, moved along the flow; zeros when there is none.
            confidence: ``(N, 1, S/4, S/4)`` 0..1, trust in the memory; 0 when there is none.
        """
        own = self.of_render(torch.cat([render - _GREY, validity], 1))
        around = self.of_context(torch.cat([context - _GREY, keep], 1))
        half, quarter, eighth = (torch.cat(pair, 1) for pair in zip(own, around, strict=True))
        coarse = nn.functional.avg_pool2d(confidence, 2)
        next_8 = self.fuse_8(self.refine_8(eighth), memory_8, coarse)
        next_4 = self.fuse_4(self.refine_4(quarter + self.up_4(next_8)), memory_4, confidence)
        planes = self.shuffle(self.head(self.refine_2(half + self.up_2(next_4))))
        change, cover = planes[:, :3], planes[:, 3:]
        image = (render + change).clamp(0.0, 1.0)
        mask = (_REACHES_ONE * torch.sigmoid(cover + _COVERS)).clamp(max=1.0)
        return Result(image, (1 - keep) * mask, next_4, next_8)


def build(kind: str) -> FuseNet:
    """A network with fresh weights, which changes nothing of what was drawn.

    Args:
        kind: ``lite`` or ``full``.

    Raises:
        ValueError: there is no such network.
    """
    if kind not in SHAPES:
        raise ValueError(f"fusenet: kind must be one of {', '.join(SHAPES)}, got {kind}.")
    return FuseNet(SHAPES[kind])


def no_memory(
    shape: Shape, count: int, size_px: int | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The memories and the confidence of the first frame.

    Args:
        shape: of the network.
        count: of faces.
        size_px: side of their pictures, a multiple of 32; None for the network's own.
    """
    side = size_px or shape.size_px
    quarter, eighth = (side // 4, side // 4), (side // 8, side // 8)
    return (
        torch.zeros(count, shape.memory_4[0], *quarter),
        torch.zeros(count, shape.memory_8[0], *eighth),
        torch.zeros(count, 1, *quarter),
    )


def _blocks(count: int, channels: int, side: int) -> nn.Sequential:
    return nn.Sequential(*(Block(channels, side) for _ in range(count)))
