"""Where a frame's features meet what is remembered: windowed attention, gated by confidence."""

import math

import torch
from torch import Tensor, nn

WINDOW = 4
"""Side of a window in cells. The memory was moved along the flow, so it need not look far."""

_STAY = 6.0
"""How far attention prefers a cell's own place at first: what stands still is not to be blurred."""

_TRUST = 1.5
"""The gate's logit at first: most of what is found takes part, so that noise is averaged."""

_LITTLE = 1e-3


class Fusion(nn.Module):  # type: ignore[misc]
    """Blends features with remembered ones of the same place.

    Within windows of 4 x 4 cells each cell of the frame looks for itself in the memory (Swin, Liu
    et al. 2021, arXiv 2103.14030, without the shift). What it finds takes part as a gate allows, in
    the manner of a gated recurrent unit (Cho et al. 2014, arXiv 1406.1078), times the confidence:
    where that is zero the memory has exactly no influence.

    Args:
        channels: of the features and of the memory.
        keys: numbers by which cells are compared.
    """

    def __init__(self, channels: int, keys: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, keys, 1)
        # Without a bias: what is not remembered is zero and stays so.
        self.key = nn.Conv2d(channels, keys, 1, bias=False)
        self.gate = nn.Conv2d(2 * channels, channels, 1)
        self.place = nn.Parameter(_STAY * torch.eye(WINDOW * WINDOW))
        self.scale = 1 / math.sqrt(keys)
        nn.init.zeros_(self.gate.weight)
        nn.init.constant_(self.gate.bias, _TRUST)

    def forward(self, features: Tensor, memory: Tensor, confidence: Tensor) -> Tensor:
        """Fuses ``(N, C, H, W)`` with a memory of the same shape.

        Args:
            features: of this frame; sides divisible by ``WINDOW``.
            memory: of the frame before, moved to where things are now.
            confidence: ``(N, 1, H, W)`` 0..1.

        Returns:
            The features of this frame with what is remembered, ``(N, C, H, W)``.
        """
        height, width = features.shape[2:]
        trusted = memory * confidence
        query, key = into_windows(self.query(features)), into_windows(self.key(trusted))
        likeness = torch.matmul(query, key.transpose(-1, -2)) * self.scale + self.place
        values, weights = into_windows(trusted), into_windows(confidence)
        # Of a cell that is not trusted nothing is taken, and what is left is scaled up again.
        attention = torch.softmax(likeness, dim=-1)
        share = torch.matmul(attention, weights)
        found = torch.matmul(attention, values) / (share + _LITTLE)
        found, share = out_of_windows(found, height, width), out_of_windows(share, height, width)
        gate = torch.sigmoid(self.gate(torch.cat([features, (found - features).abs()], 1)))
        return features + gate * (share * confidence) * (found - features)


def into_windows(features: Tensor) -> Tensor:
    """``(N, C, H, W)`` as ``(N, H/4, W/4, 16, C)``: the cells of each window in rows."""
    channels, height, width = features.shape[1:]
    rows, columns = height // WINDOW, width // WINDOW
    split = features.reshape(-1, channels, rows, WINDOW, columns, WINDOW)
    return split.permute(0, 2, 4, 3, 5, 1).reshape(-1, rows, columns, WINDOW * WINDOW, channels)


def out_of_windows(cells: Tensor, height: int, width: int) -> Tensor:
    """The inverse of ``into_windows`` for features of a height and width."""
    rows, columns, channels = height // WINDOW, width // WINDOW, cells.shape[-1]
    split = cells.reshape(-1, rows, columns, WINDOW, WINDOW, channels)
    return split.permute(0, 5, 1, 3, 2, 4).reshape(-1, channels, height, width)
