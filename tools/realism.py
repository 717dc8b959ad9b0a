"""How well a critic tells composites from pictures: ``python -m tools.realism PAIRS``.

A small network learns to tell crops of real pictures from composites on people that FuseNet was
trained with, and is asked about people that were kept out of both trainings. It is no part of
FuseNet's training and is trained afresh each time. Composites of the mesh and of FuseNet get
critics of their own. Printed is the area under the ROC curve: 0.5 where a critic has to guess, 1
where it is never wrong.

    python -m tools.fusenet_data portraits --out pairs
    python -m tools.realism pairs
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engines.errors import ModelError
from tools.export_fusenet import WEIGHTS
from tools.fusenet_disturb import Plane
from tools.fusenet_pairs import Pairs
from tools.fusenet_view import View, load_views
from tools.json_file import write_json
from tools.training_parts import rate_at

STEPS = 900
BATCH = 16
RATE = 1e-3
PATCH_PX = 136
"""Side of the part in the middle of a crop that the critic sees: the face, its rim and what lies
around."""

_WIDTHS = (24, 48, 96, 96)
_GROUPS = 8
_SHIFT_PX = 10
_DECAY = 1e-3
_FINE_PX, _FINE_GAIN = 5, 4.0
"""What is finer than this is shown a second time, this much stronger: seams are faint."""

_EXPOSURE, _TINT, _NOISE = 0.15, 0.04, 0.02
"""Standard deviations by which light, colours and noise of what it sees are varied, the same for
both kinds: neither is to be known by them."""


class Critic(nn.Module):  # type: ignore[misc]
    """Four strided convolutions, mean and maximum over all places, and a number: real above 0.

    A seam is a small part of a picture, so its strongest sign counts beside the mean.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        given = 6
        for channels in _WIDTHS:
            layers += [
                nn.Conv2d(given, channels, 4, stride=2, padding=1),
                nn.GroupNorm(_GROUPS, channels),
                nn.LeakyReLU(0.2),
            ]
            given = channels
        self.layers = nn.Sequential(*layers)
        self.last = nn.Linear(2 * given, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """``(N,)`` scores of ``(N, 3, p, p)`` RGB 0..1."""
        fine = pictures - nn.functional.avg_pool2d(pictures, _FINE_PX, 1, _FINE_PX // 2)
        found = self.layers(torch.cat([2 * pictures - 1, _FINE_GAIN * fine], 1))
        pooled = torch.cat([found.mean(dim=(2, 3)), found.amax(dim=(2, 3))], 1)
        scores: Tensor = self.last(pooled)
        return scores[:, 0]


def auc(real: NDArray[np.float64], made: NDArray[np.float64]) -> float:
    """Area under the ROC curve: how often a real one scores higher than a made one.

    Args:
        real, made: scores, any number of each; ties count half.
    """
    over = (real[:, None] > made[None]).mean() + 0.5 * (real[:, None] == made[None]).mean()
    return float(over)


def middle(picture: NDArray[np.float32], shift: tuple[int, int] = (0, 0)) -> NDArray[np.float32]:
    """The part of ``(3, S, S)`` that the critic sees, some pixels aside."""
    start = (picture.shape[-1] - PATCH_PX) // 2
    top, left = start + shift[0], start + shift[1]
    return picture[:, top : top + PATCH_PX, left : left + PATCH_PX]


def train_critic(
    real: NDArray[np.float32], made: NDArray[np.float32], seed: int, steps: int
) -> Critic:
    """Trains a critic on pairs of pictures ``(N, 3, S, S)``.

    Each batch holds a picture and its composite side by side, mirrored, shifted, lit and made noisy
    alike: neither who is seen nor the camera tells which is which.
    """
    torch.manual_seed(seed)
    random, critic = np.random.default_rng(seed), Critic()
    optimiser = torch.optim.AdamW(critic.parameters(), RATE, weight_decay=_DECAY)
    wanted = torch.cat([torch.ones(BATCH // 2), torch.zeros(BATCH // 2)])
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step, steps, RATE)
        kinds: tuple[list[Plane], list[Plane]] = ([], [])
        for number in random.integers(len(real), size=BATCH // 2).tolist():
            pair = _varied(random, np.stack([real[number], made[number]]))
            for kind, patch in zip(kinds, pair, strict=True):
                kind.append(patch)
        batch = torch.from_numpy(np.stack([*kinds[0], *kinds[1]]))
        loss = nn.functional.binary_cross_entropy_with_logits(critic(batch), wanted)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    critic.eval()
    return critic


def _varied(random: np.random.Generator, pair: Plane) -> Plane:
    """A picture and its composite ``(2, 3, S, S)`` as the critic is shown them."""
    shift = random.integers(-_SHIFT_PX, _SHIFT_PX + 1, 2).tolist()
    patches = np.stack([middle(one, (shift[0], shift[1])) for one in pair])
    if random.random() < 0.5:
        patches = patches[..., ::-1]
    light = random.normal(0, _EXPOSURE) + random.normal(0, _TINT, (3, 1, 1))
    patches = patches * np.exp(light).astype(np.float32)
    noise = random.uniform(0, _NOISE) * random.standard_normal(patches.shape, np.float32)
    return np.asarray(np.clip(patches + noise, 0, 1), np.float32)


def scores(critic: Critic, pictures: NDArray[np.float32]) -> NDArray[np.float64]:
    """What a critic says of each, mean of the picture and its mirror image."""
    patches = torch.from_numpy(np.stack([middle(picture) for picture in pictures]))
    with torch.inference_mode():
        said = critic(patches) + critic(patches.flip(-1))
    return np.asarray(said.numpy() / 2, np.float64)


def told_apart(
    seen: Sequence[View], asked: Sequence[View], kind: str, seed: int, steps: int
) -> float:
    """AUC of a critic for one kind of composite.

    Args:
        seen: what it is trained on.
        asked: what it is then asked about, other people.
        kind: ``mesh`` or ``fusenet``.
        seed: of the critic.
        steps: of its training.
    """
    critic = train_critic(
        np.stack([view.truth for view in seen]),
        np.stack([getattr(view, kind) for view in seen]),
        seed,
        steps,
    )
    real, made = (
        scores(critic, np.stack([getattr(view, which) for view in asked]))
        for which in ("truth", kind)
    )
    return auc(real, made)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pairs", type=Path, help="folder of tools.fusenet_data")
    parser.add_argument("--network", type=Path, default=WEIGHTS / "fusenet_lite.onnx")
    parser.add_argument("--seeds", type=int, default=2, help="critics of each kind")
    parser.add_argument("--steps", type=int, default=STEPS, help="of a critic's training")
    parser.add_argument("--most", type=int, default=800, help="composites it is trained on")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        seen, asked = (
            load_views(Pairs.read(options.pairs / f"{name}.npz"), options.network, most=most)
            for name, most in (("train", options.most), ("test", None))
        )
    except (ModelError, OSError, ValueError) as error:
        print(f"realism: {error}", file=sys.stderr)
        return 2
    found = {}
    for kind in ("mesh", "fusenet"):
        areas = [told_apart(seen, asked, kind, s, options.steps) for s in range(options.seeds)]
        found[kind] = float(np.mean(areas))
        shown = ", ".join(f"{area:.3f}" for area in areas)
        print(f"{kind}: AUC {found[kind]:.3f} ({shown})", flush=True)
    if options.json is not None:
        write_json(found, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
