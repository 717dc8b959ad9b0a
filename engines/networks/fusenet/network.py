"""FuseNet: encoder, attention-gated fusion with a memory, decoder.

The face another network or the mesh has drawn goes in beside the picture it is to belong to. Of
the picture only a low-pass is seen where the face will be, so the person in front of the camera
cannot shine through. Two encoders make a pyramid each; at a quarter and at an eighth of the size
``Fusion`` lets the features of the frame before take part. Light and tone come out of those alone,
as a gain and an offset for each colour at a quarter of the size: they cannot fringe an edge with
colour, and the noise of the picture reaches them only through the memory. The finer half of the
decoder sees the drawn face alone and gives how bright its detail is to be, in the colour of the
place, and how far it covers the picture. What the tones of face and picture differ by is worked out
rather than learnt (``ToneGap``) and goes through the memory as all else. There are no normalisation
layers: their statistics would change from frame to frame.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn

from engines.networks.fusenet.fusion import Fusion

INPUTS = ("render", "validity", "context", "keep", "memory_4", "memory_8", "confidence")
OUTPUTS = ("image", "blend", "next_memory_4", "next_memory_8")

SPREAD = 0.075
"""Standard deviation of the low-pass that is seen where the face will be, in sides of the crop."""

_CELL_PX = 8
_LITTLE = 1e-2
_GREY = 0.5
_COLOURS = 3

_COVERS = 3.0
"""The mask's logit at first."""

_MATCHES = 0.8
"""How much of the gap between the tones of face and picture is closed at first."""

_REACHES_ONE = 1.02
"""So that a mask of exactly 1 lies in the sigmoid's reach."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a network is.

    Attributes:
        size_px: side of the square pictures, a multiple of 32.
        widths: channels of one encoder at 1/2, 1/4 and 1/8 of the size; the decoder has twice as
            many at the two coarser ones.
        encode: blocks of each encoder at the three sizes; the picture's has none at the first.
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
        "lite": Shape(160, (16, 24, 48), (1, 1, 2), (4, 2, 2), 16),
        "full": Shape(256, (64, 96, 160), (2, 2, 3), (4, 4, 4), 32),
    }
)


class Block(nn.Module):  # type: ignore[misc]
    """``x + mix(relu(widen(depthwise(x))))``: an inverted residual without normalisation.

    Args:
        channels: in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.widen = nn.Conv2d(channels, 2 * channels, 1)
        self.mix = nn.Conv2d(2 * channels, channels, 1)
        with torch.no_grad():
            self.mix.weight.mul_(0.3)

    def forward(self, x: Tensor) -> Tensor:
        """Refines ``(N, C, H, W)``."""
        return x + self.mix(torch.relu(self.widen(self.depthwise(x))))


class Encoder(nn.Module):  # type: ignore[misc]
    """Planes of a quarter of the size to features of that and of an eighth.

    Args:
        shape: of the network.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        _, quarter, eighth = shape.widths
        self.refine_4 = _blocks(shape.encode[1], quarter)
        self.to_eighth = nn.Conv2d(quarter, eighth, 2, stride=2)
        self.refine_8 = _blocks(shape.encode[2], eighth)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """Encodes ``(N, C, S/4, S/4)``; finer first."""
        quarter = self.refine_4(planes)
        return quarter, self.refine_8(self.to_eighth(quarter))


class ToneGap(nn.Module):  # type: ignore[misc]
    """How far the drawn face's low-pass is from the picture's, at an eighth of the size.

    The face is smoothed as the engine smooths the picture under it, so brows and lips count alike
    on both sides: normalised convolution (Knutsson and Westin 1993) over what is wholly covered.

    Args:
        shape: of the network.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        sigma = SPREAD * shape.size_px / _CELL_PX
        reach = math.ceil(2.5 * sigma)
        steps = torch.arange(-reach, reach + 1.0)
        bell = torch.exp(-steps.square() / (2 * sigma**2))
        bell = bell / bell.sum()
        kernel = (bell[:, None] * bell).expand(_COLOURS + 1, 1, -1, -1)
        self.register_buffer("kernel", kernel.contiguous(), persistent=False)
        self.reach = reach

    def forward(self, render: Tensor, context: Tensor, keep: Tensor) -> Tensor:
        """``(N, 3, S/8, S/8)``: what the face would have to be given."""
        whole = (4 * (1 - keep) - 3).clamp(min=0)
        planes = nn.functional.avg_pool2d(torch.cat([render * whole, whole], 1), _CELL_PX)
        smooth = nn.functional.conv2d(planes, self.kernel, padding=self.reach, groups=_COLOURS + 1)
        share = smooth[:, _COLOURS:]
        seen = torch.cat([context, torch.ones_like(keep)], 1) * (1 - keep)
        under = nn.functional.avg_pool2d(seen, _CELL_PX)
        covered = under[:, _COLOURS:]
        return (under[:, :_COLOURS] * share - covered * smooth[:, :_COLOURS]) / (share + _LITTLE)


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
        half, narrow, _ = shape.widths
        quarter, eighth = 2 * shape.widths[1], 2 * shape.widths[2]
        self.stem = nn.Conv2d(4, half, 4, stride=2, padding=1)
        self.fine = _blocks(shape.encode[0], half)
        self.to_quarter = nn.Conv2d(half, narrow, 2, stride=2)
        self.around = nn.Conv2d(4, narrow, 6, stride=4, padding=1)
        self.of_render, self.of_context = Encoder(shape), Encoder(shape)
        self.fuse_8, self.fuse_4 = Fusion(eighth, shape.keys), Fusion(quarter, shape.keys)
        self.refine_8 = _blocks(shape.decode[0], eighth)
        self.up_4 = nn.Sequential(nn.Conv2d(eighth, quarter, 1), nn.Upsample(scale_factor=2))
        self.refine_4 = _blocks(shape.decode[1], quarter)
        self.tone = nn.Conv2d(quarter, 3 * _COLOURS, 1)
        self.up_2 = nn.Sequential(nn.Conv2d(quarter, half, 1), nn.Upsample(scale_factor=2))
        self.refine_2 = _blocks(shape.decode[2], half)
        self.head = nn.Conv2d(half, 8, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)
        self.gap = ToneGap(shape)
        for last in (self.tone, self.head):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        with torch.no_grad():
            # The gap lies in the first channels. It is left as it is, and an offset, until more is
            # learnt.
            for layer in (self.up_4[0], *(block.mix for block in self.refine_4)):
                layer.weight[:_COLOURS] = 0
                layer.bias[:_COLOURS] = 0
            self.tone.weight[_COLOURS : 2 * _COLOURS, :_COLOURS, 0, 0] = _MATCHES * torch.eye(3)

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
        fine = self.fine(torch.relu(self.stem(torch.cat([render - _GREY, validity], 1))))
        around = torch.relu(self.around(torch.cat([context - _GREY, keep], 1)))
        pyramids = self.of_render(self.to_quarter(fine)), self.of_context(around)
        quarter, eighth = (torch.cat(pair, 1) for pair in zip(*pyramids, strict=True))
        gap = nn.functional.interpolate(
            self.gap(render, context, keep), scale_factor=2, mode="bilinear"
        )
        quarter = torch.cat([gap, quarter[:, _COLOURS:]], 1)
        coarse = nn.functional.avg_pool2d(confidence, 2)
        next_8 = self.fuse_8(self.refine_8(eighth), memory_8, coarse)
        next_4 = self.fuse_4(self.refine_4(quarter + self.up_4(next_8)), memory_4, confidence)
        tone = nn.functional.interpolate(self.tone(next_4), scale_factor=4, mode="bilinear")
        gain, offset, colour = tone.split(_COLOURS, dim=1)
        detail, cover = self.shuffle(self.head(self.refine_2(fine + self.up_2(next_4)))).split(1, 1)
        image = (render * (1 + gain) + offset + detail * (1 + colour)).clamp(0.0, 1.0)
        mask = (_REACHES_ONE * torch.sigmoid(cover + _COVERS)).clamp(max=1.0)
        return Result(image, (1 - keep) * mask, next_4, next_8)


def build(kind: str) -> FuseNet:
    """A network with fresh weights, which does little but bring the tone nearer to the picture's.

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


def _blocks(count: int, channels: int) -> nn.Sequential:
    return nn.Sequential(*(Block(channels) for _ in range(count)))
