"""A network of every family on its way to a plan, which TensorRT for RTX builds without a GPU."""

import numpy as np
import pytest

from engines.build import Recipe
from engines.build_worker import prepare
from engines.families.pixels import pixel_ranges
from engines.graphs import inputs_of
from engines.models.catalogue import bundled_catalogue
from engines.plan import build_plan

pytestmark = pytest.mark.rtx

FAMILIES = bundled_catalogue().families
# The real networks of these are built by tools.build_ahead.
TWINS = sorted(FAMILIES.keys() - {"blazeface", "face_mesh"})
TARGETS = ("sm_86", "sm_89")


@pytest.fixture(scope="module")
def prepared(twins):
    crops = [np.random.default_rng(1).integers(0, 256, (96, 96, 3), np.uint8)]

    def run(name):
        recipe = Recipe(pixels=pixel_ranges(FAMILIES[name]))
        return prepare(twins.BY_FAMILY[name](), crops, recipe, name)

    return run


@pytest.mark.parametrize("name", TWINS)
def test_it_is_built_in_16_bits_for_each_gpu_and_takes_what_the_network_does(prepared, name):
    import tensorrt_rtx as trt

    ready = prepared(name)
    assert (ready.facts["precision"], ready.facts["fault"]) == ("fp16", "")
    open_inputs = {one.name for one in inputs_of(ready.model, name) if -1 in one.shape}
    assert ready.profile.keys() == open_inputs
    for target in TARGETS:
        assert build_plan(ready.model, ready.profile, target=target, name=name).data
    # A plan cannot be opened without a GPU; what it was built from can be asked for its types.
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, trt.Logger(trt.Logger.ERROR))
    assert parser.parse(ready.model)
    read = {
        network.get_input(index).name: np.dtype(trt.nptype(network.get_input(index).dtype))
        for index in range(network.num_inputs)
    }
    assert read == {one.name: one.dtype for one in inputs_of(ready.model, name)}
    given = ready.reference.samples[0]
    assert read == {tensor: array.dtype for tensor, array in given.items()}
