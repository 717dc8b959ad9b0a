import numpy as np
import pytest

from engines.errors import ModelError
from engines.families.restorer import Restorer
from engines.models.catalogue import bundled_catalogue
from engines.onnxruntime import OnnxRuntimeSession

FAMILIES = bundled_catalogue().families
RESTORERS = ["restorer_512", "gpen_256"]
LARGE = ["gpen_1024", "gpen_2048"]


@pytest.mark.parametrize("name", RESTORERS)
@pytest.mark.parametrize("weight", [None, 0.25])
def test_a_crop_comes_out_as_defined_to_the_level(twins, name, weight):
    family = FAMILIES[name]
    model = twins.restorer(family.size_px, weighted=weight is not None)
    restorer = Restorer(OnnxRuntimeSession(model), family, weight=weight or 0.5)
    shape = (restorer.crop_px, restorer.crop_px, 3)
    crop = np.asarray(np.random.default_rng(6).integers(0, 256, shape), np.uint8)
    out = np.full_like(crop, 77)
    restorer.restore(crop, out=out)
    # The twin changes the sign of -1..1 and multiplies by the weight.
    signed = -(crop / 127.5 - 1) * (weight or 1.0)
    assert np.abs(out - (signed + 1) * 127.5).max() <= 0.505


@pytest.mark.parametrize("name", LARGE)
def test_a_large_crop_comes_out_as_defined_to_the_level(twins, name):
    family = FAMILIES[name]
    restorer = Restorer(OnnxRuntimeSession(twins.restorer(family.size_px)), family)
    assert restorer.crop_px == int(name.removeprefix("gpen_"))
    shape = (restorer.crop_px, restorer.crop_px, 3)
    crop = np.random.default_rng(6).integers(0, 256, shape, np.uint8)
    out = np.full_like(crop, 77)
    restorer.restore(crop, out=out)
    # The sign of -1..1 changed is the negative.
    np.testing.assert_array_equal(out, 255 - crop)


def test_every_restorer_is_looked_at():
    listed = {name for name, family in FAMILIES.items() if family.role == "restorer"}
    assert listed == {*RESTORERS, *LARGE}


def test_another_signature_is_refused(twins):
    with pytest.raises(ModelError, match=r"an input of shape \?×3×512×512, got 1×3×256×256"):
        Restorer(OnnxRuntimeSession(twins.restorer(256)), FAMILIES["restorer_512"])


def test_a_second_input_must_be_one_number(twins):
    session = OnnxRuntimeSession(twins.swapper(512))
    with pytest.raises(ModelError, match=r"a second input of shape 1, got 1×512"):
        Restorer(session, FAMILIES["restorer_512"])
