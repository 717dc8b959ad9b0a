"""One training of a FuseNet network: its weights, their average, and a step of it."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engines.networks.fusenet.network import Result, build, no_memory
from engines.networks.srsn.losses import PatchCritic, TextureDistance, critic_loss
from tools import fusenet_losses as losses
from tools.fusenet_losses import Scene
from tools.fusenet_pairs import Shots, arcface_grid
from tools.fusenet_recipe import Recipe
from tools.torch_graph import TorchGraph, load_torch_graph
from tools.training_parts import follow, load_state, rate_at, save_state

_BETAS = (0.9, 0.99)
_CRITIC_RATE = 4e-4
"""It does not fall: a critic that learns no more says nothing."""

_CRITIC_BETAS = (0.5, 0.99)
_LONGEST_STEP = 1.0
_CRITIC_CHANNELS = 24
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


class Training:
    """Networks, optimisers and the step reached; the same seed gives the same weights.

    Args:
        recipe: what to train.
        device: ``cpu`` or ``cuda``.
        seed: of the first weights.
        recogniser: the ONNX file of the judge's recogniser; needed for an identity loss only.
        fast: compile the network (minutes, once).
        bfloat16: compute the networks in it; weights and losses stay in 32 bits.

    Raises:
        ValueError: a recogniser is needed and there is none.
        ModelError: it cannot be used.
    """

    def __init__(
        self,
        recipe: Recipe,
        device: str,
        seed: int,
        *,
        recogniser: Path | None = None,
        fast: bool = False,
        bfloat16: bool = False,
    ) -> None:
        torch.manual_seed(seed)
        self.recipe = recipe
        self.step = 0
        self.device = device
        self._bfloat16 = bfloat16
        # Depthwise convolutions of pictures that lie channels last are several times as fast.
        layout: Any = torch.channels_last
        self.network = build(recipe.kind).to(device, memory_format=layout)
        self.average = build(recipe.kind).to(device, memory_format=layout).eval()
        self.average.load_state_dict(self.network.state_dict())
        self._compute: Any = torch.compile(self.network) if fast else self.network
        self._critic = PatchCritic(_CRITIC_CHANNELS).to(device)
        self._edges = TextureDistance().to(device)
        self._recogniser: TorchGraph | None = None
        if any(stage.losses.identity for stage in recipe.stages):
            if recogniser is None:
                raise ValueError(f"{recipe.name}: an identity loss needs a recogniser, got none.")
            self._recogniser = load_torch_graph(recogniser).to(device)
        self._mean = torch.tensor(_IMAGENET_MEAN, device=device)[:, None, None]
        self._std = torch.tensor(_IMAGENET_STD, device=device)[:, None, None]
        self._optimiser = torch.optim.Adam(self.network.parameters(), recipe.rate, _BETAS)
        self._critic_optimiser = torch.optim.Adam(
            self._critic.parameters(), _CRITIC_RATE, _CRITIC_BETAS
        )

    def advance(self, shots: Shots) -> dict[str, float]:
        """One step.

        Returns:
            The learning rate and the parts of the loss.
        """
        rate = rate_at(self.step, self.recipe.steps, self.recipe.rate)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        given = {
            one.name: torch.from_numpy(getattr(shots, one.name)).to(self.device)
            for one in fields(Shots)
        }
        scenes, made, unsteady = self._unrolled(given)
        parts, finished, real = self._parts_of_loss(given, scenes, made)
        if unsteady is not None:
            parts["steady"] = unsteady
        weights = self.recipe.stage_at(self.step).losses
        total = sum(
            (getattr(weights, name) * part for name, part in parts.items()), real.new_zeros(())
        )
        self._optimiser.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), _LONGEST_STEP)
        self._optimiser.step()
        facts = {name: part.item() for name, part in parts.items()}
        if weights.realism:
            facts["critic"] = self._advance_critic(finished.detach(), real)
        follow(self.average, self.network, self.step)
        self.step += 1
        return facts | {"rate": rate}

    def save(self, path: Path) -> None:
        """Writes everything that is needed to go on."""
        save_state(path, self._parts(), step=self.step, kind=self.recipe.kind)

    def load(self, path: Path) -> None:
        """Goes on where ``save`` left it."""
        self.step = load_state(path, self._parts(), self.device)["step"]

    def _parts(self) -> dict[str, Any]:
        return {
            "network": self.network,
            "average": self.average,
            "optimiser": self._optimiser,
            "critic": self._critic,
            "critic_optimiser": self._critic_optimiser,
        }

    def _unrolled(
        self, given: dict[str, Tensor]
    ) -> tuple[list[Scene], list[Result], Tensor | None]:
        """Runs the frames in order, the memory carried along the flow."""
        count, frames = given["render"].shape[:2]
        own = given["own"].reshape(count, 1, 1, 1)
        nothing = no_memory(self.network.shape, count, given["render"].shape[-1])
        memory_4, memory_8, _ = (one.to(self.device) for one in nothing)
        scenes: list[Scene] = []
        made: list[Result] = []
        unsteady = []
        for number in range(frames):
            scene = _scene(given, number, own)
            confidence = given["confidence"][:, number]
            flow = given["flow"][:, number]
            if number:
                memory_4 = losses.sampled(made[-1].next_memory_4, _coarse_grid(flow, 4))
                memory_8 = losses.sampled(made[-1].next_memory_8, _coarse_grid(flow, 8))
            with self._quick():
                found = self._compute(
                    scene.render,
                    scene.validity,
                    scene.context,
                    scene.keep,
                    memory_4,
                    memory_8,
                    confidence,
                )
            found = Result(*(one.float() for one in found))
            if number:
                trust = nn.functional.interpolate(confidence, scale_factor=4)
                grid = losses.flow_grid(flow)
                unsteady.append(losses.steady_loss(scene, found, scenes[-1], made[-1], grid, trust))
            scenes.append(scene)
            made.append(found)
        return scenes, made, torch.stack(unsteady).mean() if unsteady else None

    def _parts_of_loss(
        self, given: dict[str, Tensor], scenes: list[Scene], made: list[Result]
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """All but ``steady``, the finished pictures, and the true ones."""
        scene = Scene(*(torch.cat([getattr(s, f.name) for s in scenes]) for f in fields(Scene)))
        result = Result(*(torch.cat(parts) for parts in zip(*made, strict=True)))
        finished = losses.composed(scene, result)
        known = torch.where(scene.own > 0, finished, scene.truth)
        parts = {
            "truth": losses.truth_loss(scene, result),
            "edges": self._edges(known, scene.truth),
            "mask": losses.mask_loss(scene, result),
            "colour": losses.colour_loss(scene, result),
            "detail": losses.detail_loss(scene, result),
            "tone": losses.tone_loss(scene, result),
            "rim": losses.rim_loss(scene, result),
        }
        weights = self.recipe.stage_at(self.step).losses
        if weights.identity and self._recogniser is not None:
            last = losses.composed(scenes[-1], made[-1])
            parts["identity"] = self._identity(self._recogniser, given, last)
        if weights.realism:
            self._critic.requires_grad_(False)
            with self._quick():
                parts["realism"] = -self._critic(finished).float().mean()
            self._critic.requires_grad_(True)
        return parts, finished, scene.truth

    def _identity(
        self, recogniser: TorchGraph, given: dict[str, Tensor], finished: Tensor
    ) -> Tensor:
        """Whom the recogniser sees in the last frames."""
        places = given["arcface"][:, -1].cpu().numpy()
        grid = torch.from_numpy(arcface_grid(places, finished.shape[-1])).to(self.device)
        crops = (losses.sampled(finished, grid) - self._mean) / self._std
        with self._quick():
            embedding = recogniser(crops).float()
        return losses.identity_loss(embedding, given["embedding"], 1 - given["own"])

    def _quick(self) -> torch.autocast:
        return torch.autocast(self.device, torch.bfloat16, enabled=self._bfloat16)

    def _advance_critic(self, made: Tensor, real: Tensor) -> float:
        with self._quick():
            scores = self._critic(real), self._critic(made)
        loss = critic_loss(*(one.float() for one in scores))
        self._critic_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._critic_optimiser.step()
        return float(loss.item())


def _scene(given: dict[str, Tensor], number: int, own: Tensor) -> Scene:
    names = ("render", "validity", "context", "keep", "truth", "hidden", "zones")
    return Scene(**{name: given[name][:, number] for name in names}, own=own)


def _coarse_grid(flow: Tensor, cell: int) -> Tensor:
    """The grid at a part of the resolution."""
    moved = nn.functional.avg_pool2d(flow.permute(0, 3, 1, 2), cell) / cell
    return losses.flow_grid(moved.permute(0, 2, 3, 1))
