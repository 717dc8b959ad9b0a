"""The catalogue of models and pictures: what each is, its licence, its sources and its hashes.

The data stands in the YAML files of ``engines.models.entries``; the classes here are its schema.
"""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from engines.errors import ModelError, UnknownNameError
from engines.families.specs import Family, Name

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(min_length=1)]
HttpUrl = Annotated[str, Field(pattern=r"^https?://[^/\s]+/\S*$")]

_STRICT = ConfigDict(extra="forbid", frozen=True)

# The one in C takes a tenth of the time, and is not in every build of the library.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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


class Release(BaseModel):
    """A file of a collection that is kept at several places."""

    model_config = _STRICT

    kind: Literal["release"]
    release: Text
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.+-]+$")]


class Packaged(BaseModel):
    """A file that comes with the program.

    Attributes:
        package: the package it lies in.
        file: its name.
    """

    model_config = _STRICT

    kind: Literal["packaged"]
    package: Annotated[str, Field(pattern=r"^engines(\.[a-z0-9_]+)*$")]
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.+-]+$")]

    @property
    def path(self) -> Path:
        """Where it lies in this installation."""
        return Path(str(resources.files(self.package).joinpath(self.file)))


class KnownFile(BaseModel):
    """One of the files that are known to hold a model; exports differ in their bytes.

    Attributes:
        sha256: hash of the file.
        bytes: its exact size, where known.
        source: where it comes from; None for one that can only be imported.
    """

    model_config = _STRICT

    sha256: Sha256
    bytes: Annotated[int, Field(gt=0)] | None = None
    source: (
        Annotated[WheelMember | Url | Release | Packaged, Field(discriminator="kind")] | None
    ) = None


class Entry(BaseModel):
    """One model or picture.

    Where there is one file only, its ``sha256``, ``bytes`` and ``source`` may stand in the entry
    itself.

    Attributes:
        title: what it is, in a few words.
        family: which adapter reads its outputs.
        format: ``tflite`` (converted on the way in), ``onnx``, or the suffix of a data file.
        default: whether it is fetched without being named.
        unused_outputs: of a network in another format, outputs that nothing reads; they are left
            out of the conversion with all that is computed for them alone.
        files: the files known to hold it, the preferred one first; none where no hash is known,
            so that it can only be imported with its family.
    """

    model_config = _STRICT

    title: Text
    family: Text
    format: Annotated[str, Field(pattern=r"^[a-z0-9]+$")]
    default: bool = False
    unused_outputs: tuple[Text, ...] = ()
    licence: Text
    licence_url: HttpUrl
    attribution: Text
    files: tuple[KnownFile, ...]

    @model_validator(mode="before")
    @classmethod
    def _one_file(cls, values: Any) -> Any:
        keys = KnownFile.model_fields.keys()
        if not isinstance(values, Mapping) or "files" in values or not keys & values.keys():
            return values
        own = {key: value for key, value in values.items() if key in keys}
        return {key: value for key, value in values.items() if key not in keys} | {"files": [own]}

    @property
    def is_model(self) -> bool:
        """Whether it is a network; otherwise it is data."""
        return self.format in ("tflite", "onnx")

    @property
    def hashes(self) -> frozenset[str]:
        """SHA-256 of every file that is known to hold it."""
        return frozenset(file.sha256 for file in self.files)

    @property
    def bytes(self) -> int | None:
        """Size of the preferred file, where known."""
        return self.files[0].bytes if self.files else None

    @property
    def packaged(self) -> Packaged | None:
        """Where it lies in the program itself; None for what must be fetched or imported."""
        sources = (file.source for file in self.files)
        return next((source for source in sources if isinstance(source, Packaged)), None)

    @property
    def can_be_pulled(self) -> bool:
        """Whether some file of it can be fetched and checked."""
        return any(file.source is not None for file in self.files)


class Catalogue(BaseModel):
    """Everything that can be fetched or imported, by logical name.

    Attributes:
        wheels: containers on the package index.
        releases: addresses of collections of files, mirrors in order; ``{file}`` stands for the
            file's name.
        families: what an imported network can be.
        models: what there is.
    """

    model_config = _STRICT

    wheels: dict[str, Wheel] = {}
    releases: dict[str, Annotated[tuple[HttpUrl, ...], Field(min_length=1)]] = {}
    families: dict[Name, Family] = {}
    models: dict[Name, Entry]

    @model_validator(mode="after")
    def _sources_exist(self) -> Self:
        for name, entry in self.models.items():
            for source in (file.source for file in entry.files):
                match source:
                    case WheelMember(wheel=wheel, member=member):
                        if wheel not in self.wheels:
                            raise ValueError(f"{name}: wheel {wheel!r} is not in the catalogue")
                        if PurePosixPath(member).is_absolute():
                            raise ValueError(f"{name}: member {member!r} must be a relative path")
                    case Release(release=release) if release not in self.releases:
                        raise ValueError(f"{name}: release {release!r} is not in the catalogue")
        return self

    def urls(self, source: Url | Release) -> tuple[str, ...]:
        """The addresses of a file, mirrors in order."""
        if isinstance(source, Url):
            return source.urls
        return tuple(url.replace("{file}", source.file) for url in self.releases[source.release])

    def name_of(self, sha256: str) -> str | None:
        """The model that a file of this hash holds."""
        return next((name for name, e in self.models.items() if sha256 in e.hashes), None)

    def family(self, name: str) -> Family:
        """What a family's networks expect and give.

        Raises:
            UnknownNameError: there is no such family, or none that can be chosen.
        """
        if name not in self.families:
            raise UnknownNameError(
                f"{name}: must be a family of networks ({', '.join(self.families)}). "
                "Choose one of them."
            )
        return self.families[name]


def parse_catalogue(text: str, *, where: str) -> Catalogue:
    """Validates a catalogue that stands in one text.

    Args:
        text: YAML.
        where: what error messages call it.

    Raises:
        ModelError: it is not YAML or does not follow the schema.
    """
    return _validated(_read_yaml(text, where), where)


def bundled_catalogue() -> Catalogue:
    """The catalogue that comes with the program."""
    merged: dict[str, dict[str, Any]] = {}
    folder = resources.files("engines.models.entries")
    for file in sorted(folder.iterdir(), key=lambda item: item.name):
        if not file.name.endswith(".yaml"):
            continue
        for section, entries in _read_yaml(file.read_text("utf-8"), file.name).items():
            twice = merged.setdefault(section, {}).keys() & entries.keys()
            if twice:
                raise ModelError(f"{file.name}: {min(twice)} must stand in one file, got two.")
            merged[section] |= entries
    return _validated(merged, "catalogue")


def _read_yaml(text: str, where: str) -> dict[str, Any]:
    try:
        content = yaml.load(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        raise ModelError(
            f"{where}: must be YAML, got {' '.join(str(error).split())}. Correct the file."
        ) from error
    if not isinstance(content, dict):
        raise ModelError(f"{where}: must hold named sections, got something else. Correct it.")
    return content


def _validated(content: dict[str, Any], where: str) -> Catalogue:
    try:
        return Catalogue.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ModelError(f"{where}: {key}: {first['msg']}. Correct the file.") from error
