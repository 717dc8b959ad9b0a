import numpy as np
import onnx
import pytest
from onnx import helper

from engines.errors import ModelError
from engines.graphs import inputs_of, parse_model
from engines.onnxruntime import OnnxRuntimeSession, compute
from engines.profiles import Extents, Limits, samples_of
from engines.split import bottleneck, split
from engines.twins import TWINS, enlarger, swapper

HISTORY_WEIGHT = 0.7
NOISE = 4 / 255
NUM_FRAMES = 40
NUM_SETTLING = 10


def sample_for(model):
    crop = np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8)
    return samples_of(inputs_of(model, "twin"), [crop], Limits(side_px=Extents(64, 64, 64)))[0]


def run_halves(halves, sample):
    """Runs one half after the other; what the first gives is handed on by name."""
    given = {spec.name: sample[spec.name] for spec in inputs_of(halves.encoder, "encoder")}
    (between,) = compute(halves.encoder, [given])
    known = sample | between
    given = {spec.name: known[spec.name] for spec in inputs_of(halves.decoder, "decoder")}
    (outputs,) = compute(halves.decoder, [given])
    return between | outputs


@pytest.fixture(scope="module")
def narrow_swapper():
    return swapper((8, 16, 32, 64), 2)


def test_the_swappers_bottleneck_is_what_comes_out_of_its_last_style_block(narrow_swapper):
    proto = parse_model(narrow_swapper, "swapper")
    found = bottleneck(proto)
    (user,) = (node for node in proto.graph.node if found in node.input)
    (maker,) = (node for node in proto.graph.node if found in node.output)
    assert (maker.op_type, user.op_type) == ("Add", "Resize")


@pytest.mark.parametrize("name", ["swapper_depthwise", "swapper_quarter", "masker", "detector"])
def test_the_halves_of_a_twin_compute_what_the_whole_does(name):
    model = TWINS[name].make()
    halves = split(model)
    for half in (halves.encoder, halves.decoder):
        onnx.checker.check_model(half, full_check=True)
    sample = sample_for(model)
    (whole,) = compute(model, [sample])
    parts = run_halves(halves, sample)
    for key, wanted in whole.items():
        np.testing.assert_allclose(parts[key], wanted, rtol=1e-4, atol=1e-5)


def test_the_halves_share_the_weights_between_them(narrow_swapper):
    halves = split(narrow_swapper)
    assert len(halves.encoder) + len(halves.decoder) < 1.02 * len(narrow_swapper)
    assert min(len(halves.encoder), len(halves.decoder)) > 0.05 * len(narrow_swapper)


def test_both_halves_say_what_passes_between_them_first(narrow_swapper):
    halves = split(narrow_swapper)
    encoder, decoder = (OnnxRuntimeSession(part) for part in (halves.encoder, halves.decoder))
    assert [spec.name for spec in encoder.inputs] == ["target", "source"]
    assert encoder.outputs == decoder.inputs[:1]
    assert encoder.outputs[0].name == halves.tensor
    assert encoder.outputs[0].shape == (1, 64, 32, 32)
    assert halves.crossing == ()
    assert [spec.name for spec in decoder.outputs] == ["output"]


def test_maps_that_bypass_the_bottleneck_are_handed_on_beside_it():
    halves = split(TWINS["masker"].make())
    assert len(halves.crossing) == 3
    encoder, decoder = (inputs_of(part, "half") for part in (halves.encoder, halves.decoder))
    assert [spec.name for spec in encoder] == ["face"]
    assert [spec.name for spec in decoder] == [halves.tensor, *halves.crossing]


def test_it_can_be_cut_at_any_tensor_that_is_named(narrow_swapper):
    graph = parse_model(narrow_swapper, "swapper").graph
    first_layer = next(node for node in graph.node if node.op_type == "LeakyRelu").output[0]
    halves = split(narrow_swapper, first_layer)
    sample = sample_for(narrow_swapper)
    assert [spec.name for spec in inputs_of(halves.encoder, "encoder")] == ["target"]
    assert [spec.name for spec in inputs_of(halves.decoder, "decoder")] == [first_layer, "source"]
    (whole,) = compute(narrow_swapper, [sample])
    np.testing.assert_allclose(run_halves(halves, sample)["output"], whole["output"], atol=1e-5)


def test_a_picture_that_is_needed_again_at_the_end_goes_to_both_halves(build_model):
    nodes = [
        helper.make_node("AveragePool", ["x"], ["small"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Sigmoid", ["small"], ["smooth"]),
        helper.make_node("Resize", ["smooth", "", "scales"], ["large"]),
        helper.make_node("Add", ["large", "x"], ["y"]),
    ]
    shape = [1, 3, 16, 16]
    scales = [("scales", np.array([1, 1, 2, 2], np.float32))]
    model = build_model(nodes, [("x", shape)], [("y", shape)], scales)
    halves = split(model)
    assert (halves.tensor, halves.crossing) == ("smooth", ())
    sample = {"x": np.random.default_rng(0).normal(size=shape).astype(np.float32)}
    (whole,) = compute(model, [sample])
    np.testing.assert_allclose(run_halves(halves, sample)["y"], whole["y"], atol=1e-6)


def test_an_output_that_the_features_do_not_reach_is_the_encoders(build_model):
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["mask"]),
        helper.make_node("AveragePool", ["x"], ["small"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Tanh", ["small"], ["y"]),
    ]
    outputs = [("mask", [1, 3, 16, 16]), ("y", [1, 3, 8, 8])]
    model = build_model(nodes, [("x", [1, 3, 16, 16])], outputs)
    halves = split(model, "small")
    sample = {"x": np.random.default_rng(0).normal(size=(1, 3, 16, 16)).astype(np.float32)}
    (whole,) = compute(model, [sample])
    parts = run_halves(halves, sample)
    for key in ("mask", "y"):
        np.testing.assert_allclose(parts[key], whole[key], atol=1e-6)


def test_features_that_are_an_output_as_well_come_from_the_encoder(build_model):
    nodes = [
        helper.make_node("AveragePool", ["x"], ["small"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Tanh", ["small"], ["y"]),
    ]
    outputs = [("small", [1, 3, 8, 8]), ("y", [1, 3, 8, 8])]
    model = build_model(nodes, [("x", [1, 3, 16, 16])], outputs)
    halves = split(model, "small")
    sample = {"x": np.random.default_rng(0).normal(size=(1, 3, 16, 16)).astype(np.float32)}
    (whole,) = compute(model, [sample])
    parts = run_halves(halves, sample)
    for key in ("small", "y"):
        np.testing.assert_allclose(parts[key], whole[key], atol=1e-6)


def test_sizes_that_vary_stay_open_in_both_halves():
    model = enlarger(1, 8)
    halves = split(model)
    for side in (32, 48):
        sample = {"picture": np.random.default_rng(0).normal(size=(1, 3, side, side)).astype("f4")}
        (whole,) = compute(model, [sample])
        parts = run_halves(halves, sample)
        np.testing.assert_allclose(parts["enlarged"], whole["enlarged"], atol=1e-5)


@pytest.mark.parametrize(
    ("tensor", "why"),
    [
        ("nowhere", "must be one that a node makes, got 'nowhere'"),
        ("target", "must be one that a node makes, got 'target'"),
        ("output", "an output must depend on the tensor to split at, got none for 'output'"),
    ],
)
def test_a_tensor_that_cannot_be_cut_is_refused(narrow_swapper, tensor, why):
    with pytest.raises(ModelError, match=why):
        split(narrow_swapper, tensor)


def test_a_network_without_pictures_has_no_bottleneck(build_model):
    model = build_model([helper.make_node("Relu", ["x"], ["y"])], [("x", [1, 8])], [("y", [1, 8])])
    with pytest.raises(ModelError, match="Name the tensor to split at"):
        split(model)


class Halves:
    """A split swapper that runs over a clip, with a memory between its halves or without."""

    def __init__(self, model):
        halves = split(model)
        self.encoder, self.decoder = (
            OnnxRuntimeSession(part) for part in (halves.encoder, halves.decoder)
        )
        self.tensor = halves.tensor
        self.features = np.empty(self.encoder.outputs[0].shape, np.float32)
        self.output = np.empty(self.decoder.outputs[0].shape, np.float32)

    def play(self, frames, source, history_weight):
        """The outputs for all frames; ``memory = w memory + (1 - w) features``."""
        memory, outputs = None, []
        for frame in frames:
            given = {"target": frame, "source": source}
            self.encoder.enqueue(given, out={self.tensor: self.features}, stream=0)
            if memory is None:
                memory = self.features.copy()
            memory = history_weight * memory + (1 - history_weight) * self.features
            given = {self.tensor: memory.astype(np.float32)}
            self.decoder.enqueue(given, out={"output": self.output}, stream=0)
            outputs.append(self.output.copy())
        return np.stack(outputs)


def test_a_memory_between_the_halves_calms_the_output_of_a_noisy_still_picture(narrow_swapper):
    random = np.random.default_rng(5)
    sample = sample_for(narrow_swapper)
    noise = random.normal(0, NOISE, (NUM_FRAMES, *sample["target"].shape)).astype(np.float32)
    frames = [sample["target"] + one for one in noise]
    halves = Halves(narrow_swapper)
    deviation = {
        weight: halves.play(frames, sample["source"], weight)[NUM_SETTLING:].std(axis=0).mean()
        for weight in (0.0, HISTORY_WEIGHT)
    }
    # Of independent noise a memory of this weight leaves sqrt((1 - w) / (1 + w)) = 0.42.
    assert deviation[HISTORY_WEIGHT] < 0.5 * deviation[0.0]


def test_without_weight_on_the_past_the_memory_changes_nothing(narrow_swapper):
    sample = sample_for(narrow_swapper)
    (whole,) = compute(narrow_swapper, [sample])
    played = Halves(narrow_swapper).play([sample["target"]] * 2, sample["source"], 0.0)
    np.testing.assert_allclose(played[1], whole["output"], atol=1e-5)
