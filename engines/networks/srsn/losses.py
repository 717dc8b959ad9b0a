"""What the training of the SR-SN networks makes small: L1, a perceptual and an adversarial part."""

import math
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

_LUMA = (0.299, 0.587, 0.114)

_VGG_REPEATS = {13: (2, 2, 3, 3, 3), 16: (2, 2, 4, 4, 4)}
"""Convolutions between poolings of VGG16 and VGG19 (Simonyan and Zisserman 2015), by how many."""

_VGG_WIDTHS = (64, 128, 256, 512, 512)
"""Channels between poolings."""

_VGG_TAPS = (1.0, 1.0, 1.0, 1.0, 1.0)
"""Weight of the last convolution before each pooling, before its activation. Only the first two see
the fine grids that the later ones like to draw."""

_LEAST_FEATURE = 1e-3

_VGG_MEAN = (0.485, 0.456, 0.406)
_VGG_STD = (0.229, 0.224, 0.225)

_BANK_SIZE = 9
_BANK_SIGMA = 1.2
_BANK_LEVELS = 3
_UNSEEN = 0.5 / 255
"""A shift of colour up to which nobody sees it."""

_ENERGY_WINDOW = 8
_ENERGY_FLOOR = 1e-4


class VggDistance(nn.Module):  # type: ignore[misc]
    """L1 distance of the features of VGG16 or VGG19.

    Args:
        weights: a state dict of torchvision's VGG16 or VGG19, or of the shift-tolerant VGG16 of
            ST-LPIPS (Ghildyal and Liu 2022, arXiv 2207.13686), whose poolings blur first.

    Raises:
        ValueError: the file holds something else.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        state = torch.load(weights, map_location="cpu", weights_only=True)
        names = [
            name
            for name, one in state.items()
            if name.endswith(".weight") and one.shape[2:] == (3, 3)
        ]
        repeats = _VGG_REPEATS.get(len(names), ())
        blocks = zip(repeats, _VGG_WIDTHS, strict=False)
        widths = [width for count, width in blocks for _ in range(count)]
        shapes = [(wide, given, 3, 3) for given, wide in pairwise([3, *widths])]
        if not widths or [tuple(state[name].shape) for name in names] != shapes:
            raise ValueError(
                f"{weights}: must hold VGG16 or VGG19, got {len(names)} convolutions of 3×3 that "
                "are not theirs. Name a state dict of torchvision or of ST-LPIPS."
            )
        is_blurred = any(name.endswith(".filt") for name in state)
        self.blocks = nn.ModuleList()
        left = iter(names)
        for number, count in enumerate(repeats):
            layers: list[nn.Module] = []
            if number:
                layers = [nn.ReLU(), BlurPool() if is_blurred else nn.MaxPool2d(2)]
            for index in range(count):
                name = next(left)
                layers += [nn.ReLU()] if index else []
                layers.append(_convolution(state[name], state[name.replace("weight", "bias")]))
            self.blocks.append(nn.Sequential(*layers))
        self.register_buffer("mean", torch.tensor(_VGG_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(_VGG_STD)[:, None, None], persistent=False)
        self.requires_grad_(False)

    def forward(self, found: Tensor, wanted: Tensor) -> Tensor:
        """Distance of two batches ``(N, 3, H, W)`` RGB 0..1, sides of 32 pixels or more.

        Each layer's is a share of how strong its features are, as files differ much in that.
        """
        x, y = ((picture - self.mean) / self.std for picture in (found, wanted))
        total = found.new_zeros(())
        for weight, block in zip(_VGG_TAPS, self.blocks, strict=True):
            x, y = block(x), block(y)
            size = y.float().abs().mean().clamp_min(_LEAST_FEATURE)
            total = total + weight * nn.functional.l1_loss(x.float(), y.float()) / size
        return total


class BlurPool(nn.Module):  # type: ignore[misc]
    """Largest of a window, blurred before every other pixel is left out (Zhang 2019).

    Args:
        window: its side, pixels; 1: no largest is looked for.
    """

    def __init__(self, window: int = 2) -> None:
        super().__init__()
        self.largest = nn.MaxPool2d(window, stride=1)
        self.around = nn.ReflectionPad2d(2)
        line = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("kernel", torch.outer(line, line)[None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Halves ``(N, C, H, W)``; a pixel more, as what lies around is made up by mirroring."""
        padded = self.around(self.largest(x))
        kernel = self.kernel.expand(x.shape[1], 1, 3, 3).to(padded.dtype)
        return nn.functional.conv2d(padded, kernel, stride=2, groups=x.shape[1])


class TextureDistance(nn.Module):  # type: ignore[misc]
    """The substitute where VGG19's weights are not at hand: oriented edges and local texture.

    Brightness goes through Gaussian derivatives of first and second order (steerable filters,
    Freeman and Adelson 1991) at three sizes. Compared are their answers, which ties edges to their
    places, and how strong they are in a neighbourhood, which asks for pores and hair without saying
    where each lies (after Portilla and Simoncelli 2000).
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("bank", _derivatives()[:, None], persistent=False)
        self.register_buffer("luma", torch.tensor(_LUMA)[:, None, None], persistent=False)

    def forward(self, found: Tensor, wanted: Tensor) -> Tensor:
        """Distance of two batches ``(N, 3, H, W)`` RGB 0..1."""
        x, y = ((one * self.luma).sum(1, keepdim=True) for one in (found, wanted))
        total = found.new_zeros(())
        for level in range(_BANK_LEVELS):
            if level:
                x, y = nn.functional.avg_pool2d(x, 2), nn.functional.avg_pool2d(y, 2)
            edges = [nn.functional.conv2d(one, self.bank) for one in (x, y)]
            energies = [_energy(one) for one in edges]
            total = total + nn.functional.l1_loss(*edges) + nn.functional.l1_loss(*energies)
        return total / _BANK_LEVELS


class PatchCritic(nn.Module):  # type: ignore[misc]
    """Tells patches of real pictures from made ones: PatchGAN (Isola et al. 2017) with spectral
    normalisation (Miyato et al. 2018).

    Args:
        channels: of its first layer.
    """

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        widths = (3, channels, 2 * channels, 4 * channels)
        layers: list[nn.Module] = []
        for given, wanted in pairwise(widths):
            layers += [
                spectral_norm(nn.Conv2d(given, wanted, 4, stride=2, padding=1)),
                nn.LeakyReLU(0.2),
            ]
        layers.append(spectral_norm(nn.Conv2d(widths[-1], 1, 3, padding=1)))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """A score for each patch of ``(N, 3, H, W)`` RGB 0..1, higher where it looks real."""
        return self.layers(2 * x - 1)


def colour_loss(detail: Tensor, window: int) -> Tensor:
    """How far the mean colour of windows is moved, from what is added to plain enlargement.

    Detail has a mean of nothing; what has not is a shift, which shows on skin.

    Args:
        detail: ``(N, 3, H, W)``.
        window: side of a window, pixels; no larger than the picture.
    """
    means = nn.functional.avg_pool2d(detail, window)
    # Rounded off at nothing: a network that begins there would be held fast by a kink.
    return ((means.square() + _UNSEEN**2).sqrt() - _UNSEEN).mean()


def critic_loss(real: Tensor, made: Tensor) -> Tensor:
    """Hinge loss of the critic, from its scores of real and of made pictures."""
    return (torch.relu(1 - real) + torch.relu(1 + made)).mean()


def _convolution(weight: Tensor, bias: Tensor) -> nn.Conv2d:
    """A convolution of 3×3 with given weights."""
    layer = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def _energy(answers: Tensor) -> Tensor:
    """Root of the mean square in windows that overlap by half."""
    window = min(_ENERGY_WINDOW, *answers.shape[-2:])
    squares = nn.functional.avg_pool2d(answers.square(), window, stride=max(1, window // 2))
    return (squares + _ENERGY_FLOOR).sqrt()


def _derivatives() -> Tensor:
    """``(7, 9, 9)`` Gaussian derivatives: of first order in 4 directions, of second in 3."""
    reach = _BANK_SIZE // 2
    y, x = torch.meshgrid(*[torch.arange(-reach, reach + 1.0)] * 2, indexing="ij")
    bell = torch.exp(-(x * x + y * y) / (2 * _BANK_SIGMA**2))
    filters = []
    for order, directions in ((1, 4), (2, 3)):
        for index in range(directions):
            angle = math.pi * index / directions
            along = (x * math.cos(angle) + y * math.sin(angle)) / _BANK_SIGMA
            one = bell * (along if order == 1 else along * along - 1)
            one = one - one.mean()
            filters.append(one / one.abs().sum())
    return torch.stack(filters)
