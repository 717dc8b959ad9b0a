import pytest

from engines.errors import ModelError
from engines.families.fit import check_fit, fitting
from engines.models.catalogue import bundled_catalogue
from engines.onnxruntime import OnnxRuntimeSession

FAMILIES = bundled_catalogue().families

TWINS = {
    "inswapper": lambda t: t.swapper(128, emap=True),
    "hyperswap": lambda t: t.swapper(256, mask=True),
    "simswap_512": lambda t: t.swapper(512),
    "uniface": lambda t: t.swapper(256, source=(3, 256, 256)),
    "blendswap": lambda t: t.swapper(256, source=(3, 112, 112)),
    "dfm": lambda t: t.deepface(256),
    "scrfd": lambda t: t.scrfd(),
    "yunet": lambda t: t.yunet(),
    "yolo_face": lambda t: t.yolo(),
    "arcface": lambda t: t.recogniser(),
    "mobilefacenet": lambda t: t.recogniser(dimensions=128),
    "fan_68": lambda t: t.landmarks(256, 68, heatmap_px=64),
    "regressed_106": lambda t: t.landmarks(192, 106),
    "pfld_68": lambda t: t.landmarks(112, 68),
    "xseg": lambda t: t.occlusion(),
    "bisenet": lambda t: t.regions(),
    "restorer_512": lambda t: t.restorer(weighted=True),
    "gpen_256": lambda t: t.restorer(256),
    "enlarger_x2": lambda t: t.enlarger(2),
    "enlarger_x4": lambda t: t.enlarger(4),
    "fusenet": lambda t: t.fuser(),
    "crossface": lambda t: t.converter(),
}

RESTORERS = {name for name, family in FAMILIES.items() if family.role == "restorer"}

# Families that ask for the same tensors and differ in what they mean. A network that takes pictures
# of any size takes those of the restorers' sizes too.
ALIKE = {
    "inswapper": {"reswapper_128"},
    "enlarger_x2": {"enlarger_x4", *RESTORERS},
    "enlarger_x4": {"enlarger_x2", *RESTORERS},
    "hyperswap": {"simswap_256", "ghost", "hififace", "reswapper_256"},
}


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_fits_its_family_and_those_of_the_same_signature(twins, name):
    session = OnnxRuntimeSession(TWINS[name](twins))
    check_fit(FAMILIES[name], session.inputs, session.outputs, where=name)
    assert set(fitting(FAMILIES, session.inputs, session.outputs)) == {name} | ALIKE.get(
        name, set()
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_of_nothing_fits_no_family(name):
    with pytest.raises(ModelError, match="must have"):
        check_fit(FAMILIES[name], (), (), where=name)
