"""How one FuseNet network is trained, read from ``engines/networks/fusenet/recipes.yaml``."""

from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class Losses(BaseModel):
    """The weights of the composite loss; ``tools.fusenet_losses`` says what each is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    truth: Weight
    edges: Weight
    mask: Weight
    colour: Weight
    detail: Weight
    tone: Weight
    rim: Weight
    steady: Weight = 0.0
    identity: Weight = 0.0
    realism: Weight = 0.0


class Stage(BaseModel):
    """A part of a training.

    Attributes:
        steps: how long.
        sequences, frames: how many in a step, and how long they are.
        patch_px: side of the part of the network's pictures that is used, a multiple of 32.
        others: share of sequences in which somebody else than the target is drawn.
        losses: weights.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: Annotated[int, Field(ge=0)]
    sequences: Count
    frames: Annotated[int, Field(ge=1, le=6)]
    patch_px: Annotated[int, Field(ge=32, multiple_of=32)]
    others: Share
    losses: Losses


class Recipe(BaseModel):
    """One network's training.

    Attributes:
        name: of the network.
        kind: ``lite`` or ``full``.
        rate: the highest learning rate; it falls along half a cosine through all stages.
        stages: one after the other.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Literal["lite", "full"]
    rate: Annotated[float, Field(gt=0)]
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]

    @property
    def steps(self) -> int:
        """Of all stages."""
        return sum(stage.steps for stage in self.stages)

    def stage_at(self, step: int) -> Stage:
        """The stage that a step from 0 belongs to; the last one beyond the end."""
        end = 0
        for stage in self.stages:
            end += stage.steps
            if step < end:
                return stage
        return self.stages[-1]


def load_recipe(name: str) -> Recipe:
    """One recipe.

    Raises:
        ValueError: there is none of this name, or it makes no sense.
    """
    text = resources.files("engines.networks.fusenet").joinpath("recipes.yaml").read_text("utf-8")
    given: Mapping[str, Mapping[str, object]] = yaml.safe_load(text)
    if name not in given:
        raise ValueError(f"{name}: must be one of {', '.join(given)}.")
    try:
        return Recipe.model_validate({"name": name, **given[name]})
    except ValidationError as error:
        raise ValueError(f"recipes.yaml: must hold recipes, got {error}.") from error
