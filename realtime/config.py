"""The configuration of the whole engine as typed models, and how its layers become one.

Layers, each over the one before: the packaged ``configs/default.yaml``, an overlay file (which may
name another packaged file as its ``base``), ``key.path=value`` settings, flags of the command line.
"""

import difflib
from collections.abc import Iterable, Mapping
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from realtime.errors import ConfigError
from realtime.feature_memory import MemoryConfig
from realtime.stages.align import AlignConfig
from realtime.stages.blend import CompositeConfig
from realtime.stages.choose import ChooseConfig
from realtime.stages.guard import GuardConfig
from realtime.stages.mark import MarkConfig
from realtime.stages.match import MatchConfig
from realtime.stages.neural_swap import NeuralSwapConfig
from realtime.stages.occlude import OccludeConfig
from realtime.stages.refine import RefineConfig
from realtime.stages.restore import RestoreConfig
from realtime.stages.swap import MeshSwapConfig
from realtime.stages.track import TrackConfig

PACKAGED = ("default", "speed", "quality")
"""Names of the configuration files that come with the program."""

MAX_CONFIG_BYTES = 1_000_000

_WORD = "model"

Layer = Mapping[str, Any]


def parse_size(value: object) -> object:
    """``1280x720`` as ``(1280, 720)`` pixels; anything but a string is left to the model."""
    if not isinstance(value, str):
        return value
    width, cross, height = value.lower().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise ValueError("must be WIDTHxHEIGHT in pixels, like 1280x720")
    return int(width), int(height)


def parse_rate(value: object) -> object:
    """Pictures per second as an exact fraction: ``30``, ``29.97`` or ``30000/1001``."""
    try:
        return Fraction(str(value))
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError("must be pictures per second, like 30 or 30000/1001") from error


Pixels = Annotated[int, Field(ge=16, le=8192)]
Size = Annotated[tuple[Pixels, Pixels], BeforeValidator(parse_size)]
Rate = Annotated[Fraction, BeforeValidator(parse_rate), Field(ge=1, le=240)]


class CameraConfig(BaseModel, frozen=True, extra="forbid"):
    """What is asked of the camera; it may answer with the nearest it can do.

    Attributes:
        size: width and height in pixels.
        rate_hz: pictures per second.
    """

    size: Size = (1280, 720)
    rate_hz: Rate = Fraction(30)


class OutputConfig(BaseModel, frozen=True, extra="forbid"):
    """What the outputs receive.

    Attributes:
        size: width and height in pixels; pictures of another shape get black bars. None: as the
            input.
        rate_hz: pictures per second where the output is paced. None: as the input.
        crf: H.264 quality of files, 0 (lossless) to 51 (worst).
        preset: x264 preset of files: speed against file size.
        virtual_camera: what writes to a virtual camera: ``v4l2`` is our own writer (Linux);
            ``auto`` takes it where it can.
    """

    size: Size | None = None
    rate_hz: Rate | None = None
    crf: int = Field(18, ge=0, le=51)
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"] = (
        "veryfast"
    )
    virtual_camera: Literal["auto", "v4l2", "pyvirtualcam"] = "auto"


class DeviceConfig(BaseModel, frozen=True, extra="forbid"):
    """What does the computing.

    Attributes:
        kind: of swapping and flow networks; all else is computed on the processor. ``auto`` takes
            an NVIDIA GPU where something runs networks on one, ``cuda`` demands that.
        threads: threads of each network and of OpenCV; the engine's own lanes come on top.
    """

    kind: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(1, ge=1, le=64)


class PipelineConfig(BaseModel, frozen=True, extra="forbid"):
    """How the stages are spread over threads.

    Attributes:
        lanes: threads the stages are shared among. ``auto``: three for files where there are two
            processor cores; one for live input, which adds the least delay.
        max_failures: failed pictures in a row after which work on a file ends with an error.
    """

    lanes: Literal["auto", 1, 2, 3] = "auto"
    max_failures: int = Field(30, ge=1)


class FuseConfig(BaseModel, frozen=True, extra="forbid"):
    """How the swapped face is kept steady.

    Attributes:
        enabled: False leaves landmarks and faces of each frame as they come.
        align: how motion is measured and landmarks are kept steady.
        memory: how long a face is remembered.
    """

    enabled: bool = True
    align: AlignConfig = AlignConfig()
    memory: MemoryConfig = MemoryConfig()


class Config(BaseModel, frozen=True, extra="forbid"):
    """Everything that can be set; sections belong to the parts that read them."""

    camera: CameraConfig = CameraConfig()
    output: OutputConfig = OutputConfig()
    device: DeviceConfig = DeviceConfig()
    pipeline: PipelineConfig = PipelineConfig()
    track: TrackConfig = TrackConfig()
    occlude: OccludeConfig = OccludeConfig()
    fuse: FuseConfig = FuseConfig()
    match: MatchConfig = MatchConfig()
    choose: ChooseConfig = ChooseConfig()
    swapper: str = Field("mesh", pattern=r"^[a-z0-9_.]+$")
    swap: MeshSwapConfig = MeshSwapConfig()
    neural: NeuralSwapConfig = NeuralSwapConfig()
    refine: RefineConfig = RefineConfig()
    composite: CompositeConfig = CompositeConfig()
    restore: RestoreConfig = RestoreConfig()
    guard: GuardConfig = GuardConfig()
    mark: MarkConfig = MarkConfig()


def load_config(
    overlay: str | None = None, settings: Iterable[str] = (), flags: Layer | None = None
) -> Config:
    """Builds the configuration from its layers.

    Args:
        overlay: path of a YAML file, or the name of a packaged one.
        settings: ``key.path=value`` with the value in YAML.
        flags: values by dotted key; these win.

    Raises:
        ConfigError: a file, key or value cannot be used.
    """
    merged = read_packaged("default")
    if overlay is not None:
        for layer in _read_overlay(overlay):
            merged = _merged(merged, layer)
    for setting in settings:
        merged = _merged(merged, _parse_setting(setting))
    for key, value in (flags or {}).items():
        merged = _merged(merged, _nested(key, value))
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        raise _config_error(error) from error


def read_packaged(name: str) -> Layer:
    """The contents of a configuration file that comes with the program."""
    text = resources.files("configs").joinpath(f"{name}.yaml").read_text("utf-8")
    return _parse_yaml(text, f"{name}.yaml")


def known_keys(model: type[BaseModel] = Config, prefix: str = "") -> dict[str, object]:
    """Every dotted key that can be set, with its default."""
    keys: dict[str, object] = {}
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            keys |= known_keys(info.annotation, f"{prefix}{name}.")
        else:
            keys[f"{prefix}{name}"] = info.get_default(call_default_factory=True)
    return keys


def _read_overlay(overlay: str) -> list[Layer]:
    """The overlay's base, if it names one, and the overlay itself."""
    path = Path(overlay)
    if overlay in PACKAGED and not path.exists():
        return [read_packaged(overlay)]
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ConfigError(overlay, f"must be a file of at most {MAX_CONFIG_BYTES} bytes.")
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "not a text file"
        raise ConfigError(
            overlay,
            f"must be a YAML file or one of {', '.join(PACKAGED)}, got: {reason}. Check the path.",
        ) from error
    layer = dict(_parse_yaml(text, overlay))
    base = layer.pop("base", "default")
    if base not in PACKAGED:
        raise ConfigError("base", f"must be one of {', '.join(PACKAGED)}, got {base!r}.")
    return [layer] if base == "default" else [read_packaged(base), layer]


def _parse_yaml(text: str, where: str) -> Layer:
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(where, f"must be valid YAML, got: {reason}.") from error
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigError(where, "must hold named sections like 'camera:' at its top level.")
    return content


def _parse_setting(setting: str) -> Layer:
    key, equals, text = setting.partition("=")
    if not equals or not all(key.split(".")):
        raise ConfigError(setting, "must be key.path=value, like guard.on_loss=blur.")
    try:
        return _nested(key, yaml.safe_load(text))
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(key, f"the value must be valid YAML, got {text!r}.") from error


def _nested(key: str, value: object) -> Layer:
    head, _, rest = key.partition(".")
    return {head: _nested(rest, value) if rest else value}


def _merged(under: Layer, over: Layer) -> Layer:
    """``over`` laid on ``under``, section by section.

    A section that names a model may be given as a word alone: ``restore: lite``.
    """
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = _merged(below, value)
        elif isinstance(below, Mapping) and _WORD in below:
            merged[key] = {**below, _WORD: value}
        else:
            merged[key] = value
    return merged


def _config_error(error: ValidationError) -> ConfigError:
    """The first thing that is wrong, under its dotted key."""
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        # Below an unknown section the first key helps to find the one that was meant.
        below = first["input"]
        while isinstance(below, Mapping) and below:
            key, below = next(iter(below.items()))
            path.append(str(key))
        return _unknown_key(".".join(path))
    known = known_keys()
    sections = {key.rpartition(".")[0] for key in known}
    key = next(
        (
            candidate
            for length in range(len(path), 0, -1)
            if (candidate := ".".join(path[:length])) in known or candidate in sections
        ),
        ".".join(path),
    )
    wanted = first["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return ConfigError(key, f"{wanted[0].lower()}{wanted[1:]}, got {first['input']!r}.")


def _unknown_key(key: str) -> ConfigError:
    """Names the known key or section nearest to an unknown one."""
    known = known_keys()
    sections = {name.partition(".")[0] for name in known}
    near = difflib.get_close_matches(key, [*known, *sections], n=1)
    if not near:
        by_leaf = {name.rpartition(".")[2]: name for name in known}
        leaves = difflib.get_close_matches(key.rpartition(".")[2], by_leaf, n=1)
        near = [by_leaf[leaf] for leaf in leaves]
    section = key.rpartition(".")[0]
    inside = [name for name in known if name.startswith(f"{section}.")]
    hint = f"Did you mean {near[0]}?" if near else f"Known keys: {', '.join(inside or known)}."
    return ConfigError(key, f"unknown key. {hint}")
