"""One training of an SR-SN network: its weights, their average, and a step of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from engines.graphs import parse_model
from engines.networks.srsn.losses import (
    PatchCritic,
    TextureDistance,
    VggDistance,
    colour_loss,
    critic_loss,
)
from engines.networks.srsn.muon import Muon, matrices
from engines.networks.srsn.network import build
from realtime.frame import Image
from tools.srsn_pictures import as_picture, as_planes
from tools.srsn_recipe import Recipe, load_recipe
from tools.training_parts import follow, load_state, rate_at, save_state

STORED_SUFFIX = "_16"
"""Ends the name of a weight that an exported file keeps in 16 bits."""

_WINDOW = 8
"""Side of the windows whose mean colour is to stay, in pixels of the small picture."""

_BETAS = (0.9, 0.99)
_ADAM_SHARE = 0.5
"""Of the rate, for what is no matrix: biases, and layers from or to three channels."""

_CRITIC_SHARE = 3.0
"""Of the rate, for the critic: it begins with nothing, where the network was trained before."""

_LONGEST_STEP = 1.0
"""Gradients longer than this are cut; the rate would be too high for them."""


class Training:
    """Networks, optimisers and the step reached; the same seed gives the same weights.

    Args:
        recipe: what to train.
        device: ``cpu`` or ``cuda``.
        seed: of the first weights.
        vgg: weights of VGG for the perceptual loss; None: the substitute.
        fast: compile the network (minutes, once).
    """

    def __init__(
        self, recipe: Recipe, device: str, seed: int, *, vgg: Path | None = None, fast: bool = False
    ) -> None:
        torch.manual_seed(seed)
        self.recipe = recipe
        self.step = 0
        self.device = device
        # A processor computes convolutions of pictures that lie channels last a fifth faster.
        layout: Any = torch.channels_last
        self.network = build(recipe.kind, recipe.scale).to(device, memory_format=layout)
        self.average = build(recipe.kind, recipe.scale).to(device, memory_format=layout).eval()
        self.average.load_state_dict(self.network.state_dict())
        self._detail: Any = torch.compile(self.network.detail) if fast else self.network.detail
        wide, others = matrices(self.network)
        self._optimisers = {
            "muon": (Muon(wide, recipe.rate), 1.0),
            "adam": (torch.optim.Adam(others, recipe.rate, _BETAS), _ADAM_SHARE),
        }
        self._distance: nn.Module | None = None
        if recipe.losses.perceptual:
            self._distance = (VggDistance(vgg) if vgg else TextureDistance()).to(device)
        self._critic: PatchCritic | None = None
        if recipe.losses.adversarial:
            self._critic = PatchCritic().to(device)
            self._critic_optimiser = torch.optim.Adam(
                self._critic.parameters(), recipe.rate, (0.5, 0.99)
            )

    def advance(self, small: NDArray[np.float32], large: NDArray[np.float32]) -> dict[str, float]:
        """One step.

        Args:
            small: ``(N, 3, p, p)`` RGB 0..1.
            large: what it should become, ``(N, 3, scale p, scale p)``.

        Returns:
            The learning rate and the parts of the loss.
        """
        layout = torch.channels_last
        x, wanted = (
            torch.from_numpy(one).to(self.device, memory_format=layout) for one in (small, large)
        )
        rate = rate_at(self.step, self.recipe.steps, self.recipe.rate)
        with torch.autocast(self.device, torch.bfloat16, enabled=self._in_16_bits()):
            detail = self._detail(x).float()
        found = detail + self.network.bicubic(x)
        loss, facts = self._loss(found, wanted, detail)
        self.network.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), _LONGEST_STEP)
        for optimiser, share in self._optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate * share
            optimiser.step()
        if self._critic is not None:
            facts["critic"] = self._advance_critic(self._critic, found.detach(), wanted, rate)
        follow(self.average, self.network, self.step)
        self.step += 1
        return facts | {"rate": rate}

    def save(self, path: Path) -> None:
        """Writes everything that is needed to go on; a file that is there is replaced at once."""
        save_state(path, self._parts(), step=self.step)

    def load(self, path: Path) -> None:
        """Goes on where ``save`` left it."""
        self.step = load_state(path, self._parts(), self.device)["step"]

    def start_from(self, path: Path) -> None:
        """Takes over another network's weights where their shapes agree.

        Args:
            path: a checkpoint, of which the averaged weights are taken, or an ONNX file of
                ``tools.export_srsn``.

        Raises:
            ValueError: there is no such file, or none of its weights fits.
        """
        if not path.exists():
            raise ValueError(
                f"{path}: must have been trained before, got nothing. Train it first, or name "
                "an ONNX file with --init."
            )
        given = weights_in(path)
        for network in (self.network, self.average):
            own = network.state_dict()
            same = {
                name: t for name, t in given.items() if name in own and own[name].shape == t.shape
            }
            if not same:
                raise ValueError(
                    f"{path}: must hold weights of a {self.recipe.kind} network, got none that "
                    "fits. Name another file."
                )
            network.load_state_dict(own | same)

    def _parts(self) -> dict[str, Any]:
        parts: dict[str, Any] = {"network": self.network, "average": self.average}
        parts |= {name: optimiser for name, (optimiser, _) in self._optimisers.items()}
        if self._critic is None:
            return parts
        return parts | {"critic": self._critic, "critic_optimiser": self._critic_optimiser}

    def _loss(
        self, found: Tensor, wanted: Tensor, detail: Tensor
    ) -> tuple[Tensor, dict[str, float]]:
        weights = self.recipe.losses
        parts = {
            "l1": nn.functional.l1_loss(found, wanted),
            "colour": colour_loss(detail, _WINDOW * self.recipe.scale),
        }
        if self._distance is not None:
            is_deep = isinstance(self._distance, VggDistance)
            enabled = is_deep and self._in_16_bits()
            with torch.autocast(self.device, torch.bfloat16, enabled=enabled):
                parts["perceptual"] = self._distance(found, wanted)
        if self._critic is not None:
            self._critic.requires_grad_(False)
            parts["adversarial"] = -self._critic(found).mean()
            self._critic.requires_grad_(True)
        total = sum(
            (getattr(weights, name) * part for name, part in parts.items()), found.new_zeros(())
        )
        return total, {name: part.item() for name, part in parts.items()}

    def _advance_critic(
        self, critic: PatchCritic, made: Tensor, real: Tensor, rate: float
    ) -> float:
        for group in self._critic_optimiser.param_groups:
            group["lr"] = rate * _CRITIC_SHARE
        loss = critic_loss(critic(real), critic(made))
        self._critic_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._critic_optimiser.step()
        return float(loss.item())

    def _in_16_bits(self) -> bool:
        """Whether the device computes bfloat16 faster than 32 bits."""
        if self.device != "cpu":
            return True
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def weights_in(path: Path) -> dict[str, Tensor]:
    """A network's weights by their names in PyTorch, from a checkpoint or an ONNX file.

    Raises:
        OSError: the file cannot be read.
    """
    if path.suffix != ".onnx":
        average: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)[
            "average"
        ]
        return average
    stored = parse_model(path.read_bytes(), path.stem).graph.initializer
    return {
        constant.name.removesuffix(STORED_SUFFIX): torch.tensor(
            numpy_helper.to_array(constant).astype(np.float32)
        )
        for constant in stored
    }


@dataclass(frozen=True, slots=True)
class Averaged:
    """A network with averaged weights, on any device.

    Attributes:
        recipe: how it is trained.
        network: in evaluation mode.
    """

    recipe: Recipe
    network: nn.Module

    def resolve(self, image: Image) -> Image:
        """Enlarges ``(h, w, 3) u8 BGR``."""
        place = next(self.network.parameters()).device
        with torch.inference_mode():
            made = self.network(torch.from_numpy(as_planes([image])).to(place))
        return as_picture(made[0].cpu().numpy())


def load_average(checkpoint: Path) -> Averaged:
    """The averaged weights of a checkpoint, whose name is that of its recipe.

    Raises:
        ValueError: there is no such recipe.
        OSError: the file cannot be read.
    """
    recipe = load_recipe(checkpoint.stem)
    network = build(recipe.kind, recipe.scale).eval()
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    network.load_state_dict(state["average"])
    return Averaged(recipe, network)
