"""The learnt perceptual distance ST-LPIPS (Ghildyal and Liu 2022, arXiv 2207.13686) with AlexNet.

LPIPS (Zhang et al. 2018, arXiv 1801.03924) that small shifts do not disturb: poolings blur first.
Its weights come with the package ``stlpips-pytorch`` as ``alex_shift_tolerant.pth``; that package's
own code is not needed.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from engines.errors import ModelError
from engines.networks.srsn.losses import BlurPool
from realtime.frame import Image
from tools.srsn_pictures import as_planes

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)

_SHAPES = ((64, 3, 11), (192, 64, 5), (384, 192, 3), (256, 384, 3), (256, 256, 3))
"""Channels out and in, and side, of AlexNet's convolutions (Krizhevsky 2014)."""

_PADDING = (2, 2, 1, 1, 1)
_POOLED_BEFORE = (1, 2)
"""Convolutions, from 0, before which the picture is halved."""

_WINDOW = 3
_TINY = 1e-10


class ShiftTolerantLpips:
    """Compares pictures of one size.

    Args:
        weights: the file ``alex_shift_tolerant.pth``.

    Raises:
        ModelError: it holds something else.
        OSError: it cannot be read.
    """

    def __init__(self, weights: Path) -> None:
        state = torch.load(weights, map_location="cpu", weights_only=True)
        names = [name for name in state if name.startswith("net.") and name.endswith(".weight")]
        found = [(*state[name].shape[:2], state[name].shape[-1]) for name in names]
        if found != list(_SHAPES):
            raise ModelError(
                f"{weights}: must be alex_shift_tolerant.pth of stlpips-pytorch, got {found}."
            )
        self._layers = [(state[name], state[name.replace("weight", "bias")]) for name in names]
        self._learnt = [state[f"lin{index}.model.1.weight"] for index in range(len(names))]
        self._first, self._pool = BlurPool(1), BlurPool(_WINDOW)

    def __call__(self, found: Image, wanted: Image) -> float:
        """The distance of two pictures; 0 where they are the same.

        Args:
            found, wanted: ``(H, W, 3) u8 BGR``, sides of 32 pixels or more.
        """
        mean, std = (torch.tensor(one)[:, None, None] for one in (_MEAN, _STD))
        total = 0.0
        with torch.inference_mode():
            given = [torch.from_numpy(as_planes([one])) for one in (found, wanted)]
            looks = [self._look((planes - mean) / std) for planes in given]
            for a, b, learnt in zip(*looks, self._learnt, strict=True):
                total += float(nn.functional.conv2d((a - b).square(), learnt).mean())
        return total

    def _look(self, x: Tensor) -> Iterator[Tensor]:
        """Activations after each convolution, each place's vector of length one."""
        for index, ((weight, bias), padding) in enumerate(zip(self._layers, _PADDING, strict=True)):
            if index in _POOLED_BEFORE:
                x = self._pool(x)
            x = nn.functional.conv2d(x, weight, bias, padding=padding)
            x = torch.relu(x if index else self._first(x))
            yield x / (x.norm(dim=1, keepdim=True) + _TINY)
