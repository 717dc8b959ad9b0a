import pytest
from pydantic import ValidationError

from engines.errors import ModelError
from engines.families.specs import SwapperFamily
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
    for name, entry in catalogue.models.items():
        if entry.default:
            assert isinstance(entry.files[0].source, WheelMember), name
        if entry.format == "onnx":
            assert entry.family in catalogue.families, name


def test_every_published_swapper_and_helper_is_there():
    """What people own files of, with the networks that those need beside them."""
    catalogue = bundled_catalogue()
    wanted = {
        *("inswapper_128", "inswapper_128_fp16", "simswap_256", "simswap_unofficial_512"),
        *(f"hyperswap_1{letter}_256" for letter in "abc"),
        *(f"ghost_{number}_256" for number in (1, 2, 3)),
        *("hififace_unofficial_256", "uniface_256", "blendswap_256"),
        *("retinaface_10g", "scrfd_2.5g", "yunet", "yoloface_8n", "mobilefacenet"),
        *("2dfan4", "2d106det", "xseg_1", "xseg_2", "xseg_3", "bisenet_resnet_34"),
        *("gfpgan_1.4", "codeformer", "gpen_bfr_512", "restoreformer_plus_plus"),
    }
    assert wanted <= catalogue.models.keys()
    assert {"reswapper_128", "reswapper_256", "dfm"} <= catalogue.families.keys()
    for family in catalogue.families.values():
        if family.role == "swapper" and family.source.kind == "embedding":
            needed = {family.source.recogniser, family.source.converter} - {None}
            assert needed <= catalogue.models.keys()
            assert ("converted" in family.source.rule) == (family.source.converter is not None)


def test_no_hash_stands_for_two_models():
    models = bundled_catalogue().models
    known = [sha256 for entry in models.values() for sha256 in entry.hashes]
    assert len(known) == len(set(known))
    assert max(len(entry.hashes) for entry in models.values()) >= 3


def test_a_release_is_a_list_of_mirrors():
    catalogue = bundled_catalogue()
    source = catalogue.models["hyperswap_1a_256"].files[0].source
    urls = catalogue.urls(source)
    assert len(urls) == 2
    assert all(url.endswith("/hyperswap_1a_256.onnx") for url in urls)


def test_a_model_is_known_by_each_of_its_hashes():
    catalogue = bundled_catalogue()
    for name, entry in catalogue.models.items():
        assert all(catalogue.name_of(sha256) == name for sha256 in entry.hashes)
    assert catalogue.name_of("0" * 64) is None


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
        ({"source": "{kind: release, release: none, file: x}"}, "release 'none'"),
        ({"source": "{kind: release, release: none, file: ../x}"}, "file"),
        ({"files": "[]"}, "bytes"),
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


def test_five_yaw_templates_belong_to_the_alignment_they_turn_about():
    family = bundled_catalogue().families["ghost"].model_dump()
    assert family["yaw_templates"]
    with pytest.raises(ValidationError, match="need template: arcface_112_v1"):
        SwapperFamily.model_validate(family | {"template": "ffhq_512"})
