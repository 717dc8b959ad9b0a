import pytest

from engines.errors import ModelError
from engines.models.catalogue import WheelMember, bundled_catalogue, parse_catalogue

DEFAULTS = {
    "face_detection_short_range",
    "face_detection_full_range",
    "face_landmark",
    "palm_detection_full",
    "hand_landmark_lite",
    "face_mesh_connections",
    "portrait_astronaut",
}
ENTRY = {
    "title": "A model",
    "family": "any",
    "format": "onnx",
    "licence": "MIT",
    "licence_url": "https://example.org/licence",
    "attribution": "Someone",
    "bytes": "1",
    "sha256": "'" + "0" * 64 + "'",
    "source": "{kind: url, urls: ['https://example.org/model']}",
}


def catalogue_with(**changes):
    lines = [f"    {key}: {value}" for key, value in (ENTRY | changes).items()]
    return "models:\n  one:\n" + "\n".join(lines) + "\n"


def test_the_bundled_catalogue_is_valid_and_complete():
    catalogue = bundled_catalogue()
    assert {name for name, entry in catalogue.models.items() if entry.default} == DEFAULTS
    assert len(catalogue.models) == 11
    assert all(isinstance(entry.source, WheelMember) for entry in catalogue.models.values())


def test_every_pinned_wheel_is_the_version_it_says():
    for wheel in bundled_catalogue().wheels.values():
        name = wheel.distribution.replace("-", "_")
        abi = "cp" + wheel.python_version.replace(".", "")
        for file_name in wheel.files:
            assert file_name.startswith(f"{name}-{wheel.version}-{abi}-{abi}-")


def test_a_catalogue_of_the_least_is_accepted():
    assert parse_catalogue(catalogue_with(), where="test").models["one"].is_model


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"sha256": "abc"}, "sha256"),
        ({"bytes": "0"}, "bytes"),
        ({"licence": "''"}, "licence"),
        ({"colour": "red"}, "colour"),
        ({"source": "{kind: url, urls: ['file:///etc/passwd']}"}, "urls"),
        ({"source": "{kind: url, urls: []}"}, "urls"),
        ({"source": "{kind: torrent}"}, "source"),
        ({"source": "{kind: wheel_member, wheel: none, member: x}"}, "wheel 'none'"),
    ],
)
def test_a_mistake_is_named_in_one_line(changes, key):
    with pytest.raises(ModelError, match=key) as caught:
        parse_catalogue(catalogue_with(**changes), where="test")
    assert "\n" not in str(caught.value)


def test_a_name_that_could_leave_the_cache_is_refused():
    with pytest.raises(ModelError, match="models"):
        parse_catalogue(catalogue_with().replace("one:", "../one:"), where="test")


def test_text_that_is_not_yaml_is_refused_in_one_line():
    with pytest.raises(ModelError, match="must be YAML") as caught:
        parse_catalogue("models: [\n", where="test")
    assert "\n" not in str(caught.value)
