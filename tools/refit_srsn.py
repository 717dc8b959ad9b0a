"""Fits a lite network's last layer by least squares: ``python -m tools.refit_srsn RUN.pt``.

    python -m tools.refit_srsn runs/srsn_lite_x2_fidelity.pt --out refitted --clean 0.93 \\
        --data BSDS500 --data portraits:384,256 --without BSD68 --without Set5 --without Set14

What comes before the last layer stays; for it the least squared error has one solution, found in
seconds. ``--clean`` says how much plainly shrunk pictures count against those of a webcam: a small
network cannot have both, and this is where on the way between them it shall be. Writes a checkpoint
of the same name, whose averaged weights are the new ones, for ``tools.export_srsn``.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from engines.networks.srsn.network import SrsnLite
from tools.srsn_pictures import Batch, Folder, Mixture, PatchSource
from tools.srsn_recipe import Recipe
from tools.srsn_training import load_average
from tools.train_srsn import load_folders

BATCH = 16

_RIDGE = 1e-7
"""Of the mean power of a feature; keeps those that never answer from having any weight at all."""


@dataclass(frozen=True, slots=True)
class Moments:
    """What least squares need to know of some patches.

    Attributes:
        square: ``(K + 1, K + 1) f64``, mean products of the features around a pixel, and a one.
        target: ``(K + 1, C) f64``, their mean products with what the layer should give.
    """

    square: Tensor
    target: Tensor

    def mixed(self, other: "Moments", share: float) -> "Moments":
        """These moments with a share of 0..1, and others with the rest."""
        rest = 1 - share
        return Moments(
            share * self.square + rest * other.square, share * self.target + rest * other.target
        )


def measure(network: SrsnLite, scale: int, batches: Iterable[Batch]) -> Moments:
    """The moments of a network's last layer on some patches, their border left out."""
    last = network.layers[-1]
    count = last.weight[0].numel()
    square = torch.zeros(count + 1, count + 1, dtype=torch.float64)
    target = torch.zeros(count + 1, len(last.weight), dtype=torch.float64)
    total = 0
    with torch.inference_mode():
        for small, large in batches:
            x = torch.from_numpy(small)
            given = _columns(network.features(x), last.kernel_size[0])
            lacks = nn.functional.pixel_unshuffle(
                torch.from_numpy(large) - network.bicubic(x), scale
            )
            wanted = lacks[..., 1:-1, 1:-1].flatten(2).transpose(1, 2).flatten(0, 1)
            square += (given.T @ given).double()
            target += (given.T @ wanted).double()
            total += len(given)
    return Moments(square / total, target / total)


def solve(network: SrsnLite, moments: Moments) -> None:
    """Gives a network's last layer the weights of the least squared error."""
    last = network.layers[-1]
    size = len(moments.square)
    ridge = _RIDGE * moments.square.diagonal().mean() * torch.eye(size, dtype=torch.float64)
    found = torch.linalg.solve(moments.square + ridge, moments.target).float()
    with torch.no_grad():
        last.weight.copy_(found[:-1].T.reshape(last.weight.shape))
        last.bias.copy_(found[-1])


def refit(
    network: SrsnLite,
    recipe: Recipe,
    folders: Sequence[Folder],
    *,
    clean: float,
    batches: int,
    seed: int,
) -> None:
    """Fits the last layer to patches of the recipe's folders, half of them through a webcam.

    Args:
        network: changed in place.
        recipe: how it was trained.
        folders: in the recipe's order.
        clean: share of the plainly shrunk patches, 0..1.
        batches: of either kind.
        seed: of the patches.
    """
    moments = []
    for degraded in (0.0, 1.0):
        mixture = Mixture(recipe.weights, (degraded,) * len(folders))
        source = PatchSource(folders, mixture, recipe.scale, recipe.patch_px, seed)
        patches = (source.batch(step, BATCH) for step in range(batches))
        moments.append(measure(network, recipe.scale, patches))
    solve(network, moments[0].mixed(moments[1], clean))


def main(arguments: Sequence[str] | None = None) -> int:
    """Fits what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", type=Path, help="of tools.train_srsn, of a lite network")
    parser.add_argument("--out", type=Path, required=True, help="folder of the new checkpoint")
    parser.add_argument("--data", action="append", required=True, help="FOLDER or FOLDER:384,256")
    parser.add_argument("--without", action="append", type=Path, default=[])
    parser.add_argument("--clean", type=float, default=0.93, help="share of plain pictures, 0..1")
    parser.add_argument("--batches", type=int, default=80, help="of 16 patches, of either kind")
    parser.add_argument("--threads", type=int, default=2, help="of the processor")
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    threadpool_limits(1, user_api="blas")
    try:
        if not 0 <= options.clean <= 1:
            raise ValueError(f"--clean: must be from 0 to 1, got {options.clean:g}.")
        averaged = load_average(options.checkpoint)
        network, recipe = averaged.network, averaged.recipe
        if not isinstance(network, SrsnLite):
            raise ValueError(f"{recipe.name}: must be a lite network, got a {recipe.kind} one.")
        folders = load_folders(options.data, options.without)
        refit(
            network,
            recipe,
            folders,
            clean=options.clean,
            batches=options.batches,
            seed=options.seed,
        )
        options.out.mkdir(parents=True, exist_ok=True)
        state = torch.load(options.checkpoint, map_location="cpu", weights_only=True)
        torch.save(state | {"average": network.state_dict()}, options.out / options.checkpoint.name)
    except (OSError, ValueError) as error:
        print(f"refit_srsn: {error}", file=sys.stderr)
        return 2
    return 0


def _columns(features: Tensor, side: int) -> Tensor:
    """The features around each pixel inside the border and a one, ``(pixels, K + 1)``."""
    around = nn.functional.unfold(features, side).transpose(1, 2).flatten(0, 1)
    return torch.cat([around, around.new_ones(len(around), 1)], dim=1)


if __name__ == "__main__":
    sys.exit(main())
