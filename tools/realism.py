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
from tools.fusenet_pairs import Pairs
from tools.fusenet_view import View, load_views
from tools.json_file import write_json

STEPS = 400
BATCH = 16
RATE = 1e-3
PATCH_PX = 112
"""Side of the part in the middle of a crop that the critic sees: the face and its rim."""

_CHANNELS = 24
_SHIFT_PX = 12


class Critic(nn.Module):  # type: ignore[misc]
    """Four strided convolutions, the mean over all places, and a number: real above 0."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        given = 3
        for channels in (_CHANNELS, 2 * _CHANNELS, 4 * _CHANNELS, 4 * _CHANNELS):
            layers += [nn.Conv2d(given, channels, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
            given = channels
        self.layers = nn.Sequential(*layers)
        self.last = nn.Linear(given, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """``(N,)`` scores of ``(N, 3, p, p)`` RGB 0..1."""
        scores: Tensor = self.last(self.layers(2 * pictures - 1).mean(dim=(2, 3)))
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
    """Trains a critic on ``(N, 3, S, S)`` pictures of both kinds, mirrored and shifted."""
    torch.manual_seed(seed)
    random, critic = np.random.default_rng(seed), Critic()
    optimiser = torch.optim.Adam(critic.parameters(), RATE)
    for _ in range(steps):
        patches = []
        for kind in (real, made):
            for number in random.integers(len(kind), size=BATCH // 2).tolist():
                shift = random.integers(-_SHIFT_PX, _SHIFT_PX + 1, 2).tolist()
                patch = middle(kind[number], tuple(shift))
                patches.append(patch[..., ::-1] if random.random() < 0.5 else patch)
        batch = torch.from_numpy(np.ascontiguousarray(np.stack(patches)))
        wanted = torch.cat([torch.ones(BATCH // 2), torch.zeros(BATCH // 2)])
        loss = nn.functional.binary_cross_entropy_with_logits(critic(batch), wanted)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    critic.eval()
    return critic


def scores(critic: Critic, pictures: NDArray[np.float32]) -> NDArray[np.float64]:
    """What a critic says of each."""
    patches = np.stack([middle(picture) for picture in pictures])
    with torch.inference_mode():
        return np.asarray(critic(torch.from_numpy(patches)).numpy(), np.float64)


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
    parser.add_argument("--most", type=int, default=400, help="composites it is trained on")
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
