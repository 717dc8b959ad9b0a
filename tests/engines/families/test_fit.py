import pytest

from engines.errors import ModelError
from engines.families.fit import check_fit, fitting
from engines.models.catalogue import bundled_catalogue
from engines.onnxruntime import OnnxRuntimeSession

FAMILIES = bundled_catalogue().families

RESTORERS = {name for name, family in FAMILIES.items() if family.role == "restorer"}

ENLARGERS = {"enlarger_x2", "enlarger_x4"}

# Families that ask for the same tensors and differ in what they mean. A network that takes pictures
# of any size takes those of the restorers' sizes too.
GROUPS = (
    {"inswapper", "reswapper_128"},
    {"hyperswap", "simswap_256", "ghost", "hififace", "reswapper_256"},
)


def alike(name):
    if name in ENLARGERS:
        return ENLARGERS | RESTORERS
    return next((group for group in GROUPS if name in group), {name})


# Detectors and landmarks of MediaPipe come as TFLite files; the real ones are tested instead.
WITHOUT_TWINS = {"blazeface", "face_mesh"}


def test_every_family_has_a_twin(twins):
    assert twins.BY_FAMILY.keys() == FAMILIES.keys() - WITHOUT_TWINS


@pytest.mark.parametrize("name", sorted(FAMILIES.keys() - WITHOUT_TWINS))
def test_a_twin_fits_its_family_and_those_of_the_same_signature(twins, name):
    session = OnnxRuntimeSession(twins.BY_FAMILY[name]())
    check_fit(FAMILIES[name], session.inputs, session.outputs, where=name)
    assert set(fitting(FAMILIES, session.inputs, session.outputs)) == alike(name)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_of_nothing_fits_no_family(name):
    with pytest.raises(ModelError, match="must have"):
        check_fit(FAMILIES[name], (), (), where=name)
