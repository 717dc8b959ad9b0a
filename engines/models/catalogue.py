"""The catalogue of models and pictures: what each is, its licence, its source and its hash.

The data stands in ``catalogue.yaml`` beside this file; the classes here are its schema.
"""

from importlib import resources
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from engines.errors import ModelError

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
Text = Annotated[str, Field(min_length=1)]
HttpUrl = Annotated[str, Field(pattern=r"^https?://[^/\s]+/\S*$")]

_STRICT = ConfigDict(extra="forbid", frozen=True)


class Wheel(BaseModel):
    """A wheel on the package index that carries files of the catalogue.

    Attributes:
        distribution: project name on the index.
        version: exact version.
        python_version: the wheel's Python, for example ``3.11``; any host can fetch it.
        platforms: wheel platform tags in order of preference.
        bytes: size of the preferred file, for progress.
        files: SHA-256 by file name.
    """

    model_config = _STRICT

    distribution: Text
    version: Text
    python_version: Annotated[str, Field(pattern=r"^3\.\d+$")]
    platforms: Annotated[tuple[str, ...], Field(min_length=1)]
    bytes: Annotated[int, Field(gt=0)]
    files: Annotated[dict[str, Sha256], Field(min_length=1)]


class WheelMember(BaseModel):
    """A file inside a wheel."""

    model_config = _STRICT

    kind: Literal["wheel_member"]
    wheel: Text
    member: Text


class Url(BaseModel):
    """A file behind one or more http(s) addresses, tried in order."""

    model_config = _STRICT

    kind: Literal["url"]
    urls: Annotated[tuple[HttpUrl, ...], Field(min_length=1)]


class Entry(BaseModel):
    """One model or picture.

    Attributes:
        title: what it is, in a few words.
        family: which adapter reads its outputs.
        format: ``tflite`` (converted on the way in), ``onnx``, or the suffix of a data file.
        default: whether it is fetched without being named.
        bytes: exact size of the original file.
        sha256: hash of the original file.
        source: where it comes from.
    """

    model_config = _STRICT

    title: Text
    family: Text
    format: Annotated[str, Field(pattern=r"^[a-z0-9]+$")]
    default: bool = False
    licence: Text
    licence_url: HttpUrl
    attribution: Text
    bytes: Annotated[int, Field(gt=0)]
    sha256: Sha256
    source: Annotated[WheelMember | Url, Field(discriminator="kind")]

    @property
    def is_model(self) -> bool:
        """Whether it is a network; otherwise it is data."""
        return self.format in ("tflite", "onnx")


class Catalogue(BaseModel):
    """Everything that can be fetched, by logical name."""

    model_config = _STRICT

    wheels: dict[str, Wheel] = {}
    models: dict[Name, Entry]

    @model_validator(mode="after")
    def _sources_exist(self) -> Self:
        for name, entry in self.models.items():
            source = entry.source
            if not isinstance(source, WheelMember):
                continue
            if source.wheel not in self.wheels:
                raise ValueError(f"{name}: wheel {source.wheel!r} is not in the catalogue")
            if PurePosixPath(source.member).is_absolute():
                raise ValueError(f"{name}: member {source.member!r} must be a relative path")
        return self


def parse_catalogue(text: str, *, where: str) -> Catalogue:
    """Validates a catalogue.

    Args:
        text: YAML.
        where: what error messages call it.

    Raises:
        ModelError: it is not YAML or does not follow the schema.
    """
    try:
        return Catalogue.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ModelError(
            f"{where}: must be YAML, got {' '.join(str(error).split())}. Correct the file."
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ModelError(f"{where}: {key}: {first['msg']}. Correct the file.") from error


def bundled_catalogue() -> Catalogue:
    """The catalogue that comes with the program."""
    text = resources.files("engines.models").joinpath("catalogue.yaml").read_text("utf-8")
    return parse_catalogue(text, where="catalogue.yaml")
