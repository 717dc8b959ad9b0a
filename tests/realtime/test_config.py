from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from realtime.config import PACKAGED, Config, known_keys, load_config, parse_size, read_packaged
from realtime.errors import ConfigError


def overlay(folder: Path, text: str) -> str:
    path = folder / "my.yaml"
    path.write_text(text)
    return str(path)


def flattened(layer: object, prefix: str = "") -> set[str]:
    if not isinstance(layer, dict) or not layer:
        return {prefix.removesuffix(".")}
    return set().union(*(flattened(value, f"{prefix}{key}.") for key, value in layer.items()))


def test_the_default_file_and_the_models_agree_key_for_key_and_value_for_value():
    assert flattened(dict(read_packaged("default"))) == set(known_keys())
    assert load_config() == Config()


def test_every_section_refuses_unknown_keys_and_cannot_be_changed():
    sections = [Config, *(info.annotation for info in Config.model_fields.values())]
    for section in sections:
        if isinstance(section, type) and issubclass(section, BaseModel):
            assert section.model_config.get("extra") == "forbid", section
            assert section.model_config.get("frozen") is True, section


@pytest.mark.parametrize("name", PACKAGED)
def test_each_packaged_file_loads_by_its_name(name: str):
    assert isinstance(load_config(name), Config)


def test_speed_and_quality_differ_from_the_default():
    assert len({load_config(name).model_dump_json() for name in PACKAGED}) == len(PACKAGED)


def test_each_layer_wins_over_the_one_before(tmp_path: Path):
    path = overlay(tmp_path, "output: {crf: 20, preset: fast}\ncamera: {size: 640x480}")
    config = load_config(path, ["output.crf=21", "output.preset=slow"], {"output.crf": "22"})
    assert (config.output.crf, config.output.preset) == (22, "slow")
    assert config.camera.size == (640, 480)
    assert config.camera.rate_hz == 30


def test_an_overlay_may_start_from_a_packaged_file(tmp_path: Path):
    config = load_config(overlay(tmp_path, "base: speed\noutput: {crf: 30}"))
    speed = load_config("speed")
    assert config == speed.model_copy(
        update={"output": speed.output.model_copy(update={"crf": 30})}
    )


def test_an_empty_overlay_changes_nothing(tmp_path: Path):
    assert load_config(overlay(tmp_path, "# nothing\n")) == Config()


@pytest.mark.parametrize(
    ("setting", "key", "message"),
    [
        ("camera.sise=640x480", "camera.sise", r"unknown key\. Did you mean camera\.size\?"),
        ("crf=20", "crf", r"unknown key\. Did you mean output\.crf\?"),
        ("guard.onloss=blur", "guard.onloss", r"Did you mean guard\.on_loss\?"),
        ("trak.max_faces=2", "trak.max_faces", r"Did you mean track\.max_faces\?"),
        ("gard=2", "gard", r"Did you mean guard\?"),
        ("zzzzzz=1", "zzzzzz", r"unknown key\. Known keys: camera\.size, "),
        ("output.crf=99", "output.crf", r"must be less than or equal to 51, got 99\.$"),
        ("output.crf=high", "output.crf", r"must be a valid integer.*got 'high'\.$"),
        ("output.preset=warp", "output.preset", r"must be 'ultrafast'.*got 'warp'\.$"),
        ("camera.size=big", "camera.size", r"must be WIDTHxHEIGHT in pixels.*got 'big'\.$"),
        ("camera.size=8x8", "camera.size", r"must be greater than or equal to 16, got 8\.$"),
        ("camera.rate_hz=often", "camera.rate_hz", r"must be pictures per second.*got 'often'\.$"),
        ("camera.rate_hz=1/0", "camera.rate_hz", r"must be pictures per second"),
        ("camera=3", "camera", r"must be a valid dictionary.*got 3\.$"),
        ("pipeline.lanes=4", "pipeline.lanes", r"must be 'auto', 1, 2 or 3, got 4\.$"),
        ("output.size", "output.size", r"must be key\.path=value"),
        ("=3", "=3", r"must be key\.path=value"),
        ("camera..size=3", "camera..size=3", r"must be key\.path=value"),
        ("output.crf=[", "output.crf", r"the value must be valid YAML, got '\['\.$"),
    ],
)
def test_a_bad_setting_is_named_by_its_dotted_key(setting: str, key: str, message: str):
    with pytest.raises(ConfigError, match=message) as error:
        load_config(settings=[setting])
    assert error.value.key == key
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("camera: [", r"must be valid YAML, got: "),
        ("- 1\n- 2", r"must hold named sections"),
        ("1: 2", r"must hold named sections"),
        ("base: turbo", r"^base: must be one of default, speed, quality, got 'turbo'"),
        ("base: [speed]", r"^base: must be one of default, speed, quality"),
        ("[" * 5000, r"must be valid YAML"),
        ("camera: {width: 3}", r"^camera\.width: unknown key"),
    ],
)
def test_a_bad_overlay_is_one_line(tmp_path: Path, text: str, message: str):
    with pytest.raises(ConfigError, match=message) as error:
        load_config(overlay(tmp_path, text))
    assert "\n" not in str(error.value)


def test_an_overlay_that_is_missing_a_folder_or_not_text_is_refused(tmp_path: Path):
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    for name, reason in [
        ("none.yaml", "No such file"),
        (".", "Is a directory"),
        ("binary.yaml", "not a text file"),
    ]:
        with pytest.raises(ConfigError, match=reason):
            load_config(str(tmp_path / name))


def test_an_overlay_that_tries_to_be_huge_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="at most 1000000 bytes"):
        load_config(overlay(tmp_path, "#" * 1_000_001))


def test_rates_are_exact():
    assert load_config(settings=["camera.rate_hz=30000/1001"]).camera.rate_hz == Fraction(
        30000, 1001
    )
    assert load_config(settings=["camera.rate_hz=29.97"]).camera.rate_hz == Fraction(2997, 100)


@given(st.integers(16, 8192), st.integers(16, 8192), st.sampled_from("xX"))
def test_every_size_in_range_is_read_back(width: int, height: int, cross: str):
    assert parse_size(f"{width}{cross}{height}") == (width, height)


def test_a_word_alone_names_the_model_of_a_section_and_keeps_the_rest(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("restore: lite\n")
    found = load_config(str(path), ["restore.strength=0.5"]).restore
    assert (found.model, found.strength) == ("lite", 0.5)
    path.write_text("restore: {strength: 0.25}\n")
    found = load_config(str(path), ["restore=full"]).restore
    assert (found.model, found.strength) == ("full", 0.25)
    assert load_config(str(path), ["restore=off"]).restore.model == "off"
