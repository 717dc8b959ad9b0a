"""How one SR-SN network is trained, read from ``engines/networks/srsn/recipes.yaml``."""

from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

Share = Annotated[float, Field(ge=0, le=1)]


class Losses(BaseModel):
    """The weights of the composite loss."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    l1: Annotated[float, Field(ge=0)]
    perceptual: Annotated[float, Field(ge=0)]
    adversarial: Annotated[float, Field(ge=0)]
    colour: Annotated[float, Field(ge=0)]


class Recipe(BaseModel):
    """One network's training.

    Attributes:
        name: of the network.
        kind: ``full`` or ``lite``.
        scale: 2 or 4.
        start_from: a trained network whose weights are taken where their shapes agree.
        steps, batch: how long, and how many patches at a time.
        patch_px: side of a patch before enlargement.
        rate: the highest learning rate; it falls along half a cosine.
        weights: how often patches come from each folder.
        degraded: how many of each folder's patches went through a webcam.
        losses: weights of the composite loss.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Literal["full", "lite"]
    scale: Literal[2, 4]
    start_from: str | None = None
    steps: Annotated[int, Field(ge=0)]
    batch: Annotated[int, Field(ge=1)]
    patch_px: Annotated[int, Field(ge=16, multiple_of=2)]
    rate: Annotated[float, Field(gt=0)]
    weights: tuple[Annotated[float, Field(gt=0)], ...]
    degraded: tuple[Share, ...]
    losses: Losses


def load_recipes() -> dict[str, Recipe]:
    """Every recipe by the name of its network.

    Raises:
        ValueError: one of them makes no sense.
    """
    text = resources.files("engines.networks.srsn").joinpath("recipes.yaml").read_text("utf-8")
    given: Mapping[str, Mapping[str, object]] = yaml.safe_load(text)
    try:
        return {name: Recipe.model_validate({"name": name, **one}) for name, one in given.items()}
    except ValidationError as error:
        raise ValueError(f"recipes.yaml: must hold recipes, got {error}.") from error


def load_recipe(name: str) -> Recipe:
    """One recipe.

    Raises:
        ValueError: there is none of this name.
    """
    recipes = load_recipes()
    if name not in recipes:
        raise ValueError(f"{name}: must be one of {', '.join(recipes)}.")
    return recipes[name]
