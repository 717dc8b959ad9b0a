"""What the training of the SR-SN networks makes small: L1, a perceptual and an adversarial part."""

import math
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

_LUMA = (0.299, 0.587, 0.114)

_VGG_LAYERS = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))
"""VGG19 (Simonyan and Zisserman 2015): convolutions between poolings, and their channels."""

_VGG_TAPS = ((2, 0.1), (7, 0.1), (16, 1.0), (25, 1.0), (34, 1.0))
"""Index and weight of the layers that are compared, before their activation (Real-ESRGAN)."""

_VGG_MEAN = (0.485, 0.456, 0.406)
_VGG_STD = (0.229, 0.224, 0.225)

_BANK_SIZE = 9
_BANK_SIGMA = 1.2
_BANK_LEVELS = 3
_UNSEEN = 0.5 / 255
"""A shift of colour up to which nobody sees it."""

_ENERGY_WINDOW = 8
_ENERGY_FLOOR = 1e-4


class Vgg19Distance(nn.Module):  # type: ignore[misc]
    """L1 distance of VGG19 features.

    Args:
        weights: a state dict with torchvision's names (``features.0.weight`` …).

    Raises:
        ValueError: the file holds something else.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        given = 3
        for repeats, channels in _VGG_LAYERS:
            for _ in range(repeats):
                layers += [nn.Conv2d(given, channels, 3, padding=1), nn.ReLU()]
                given = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers[: _VGG_TAPS[-1][0] + 1])
        state = torch.load(weights, map_location="cpu", weights_only=True)
        wanted = {name: state.get(name) for name in self.state_dict()}
        missing = [name for name, value in wanted.items() if value is None]
        if missing:
            raise ValueError(f"{weights}: must be VGG19 of torchvision, got no {missing[0]}.")
        self.load_state_dict(wanted)
        self.register_buffer("mean", torch.tensor(_VGG_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(_VGG_STD)[:, None, None], persistent=False)
        self.requires_grad_(False)

    def forward(self, found: Tensor, wanted: Tensor) -> Tensor:
        """Distance of two batches ``(N, 3, H, W)`` RGB 0..1."""
        taps = dict(_VGG_TAPS)
        x, y = ((picture - self.mean) / self.std for picture in (found, wanted))
        total = found.new_zeros(())
        for index, layer in enumerate(self.features):
            x, y = layer(x), layer(y)
            if index in taps:
                total = total + taps[index] * nn.functional.l1_loss(x, y)
        return total


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
