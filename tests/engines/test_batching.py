import numpy as np
import pytest
from onnx import helper

from engines.batching import with_open_batch
from engines.errors import ModelError
from engines.graphs import inputs_of
from engines.onnxruntime import compute
from engines.twins import depthwise_swapper, detector


def samples_for(model, size=2, side=64):
    random = np.random.default_rng(0)
    return [
        {
            spec.name: random.normal(size=[side if d < 0 else d for d in spec.shape]).astype("f4")
            for spec in inputs_of(model, "twin")
        }
        for _ in range(size)
    ]


def test_a_swapper_made_for_one_face_takes_two_and_does_with_each_what_it_did_alone():
    model = depthwise_swapper()
    samples = samples_for(model)
    opened = with_open_batch(model, samples)
    assert [spec.shape for spec in inputs_of(opened, "twin")] == [(-1, 3, 128, 128), (-1, 512)]
    both = {key: np.concatenate([one[key] for one in samples]) for key in samples[0]}
    (together,) = compute(opened, [both])
    for index, alone in enumerate(compute(model, samples)):
        np.testing.assert_allclose(together["output"][index], alone["output"][0], atol=1e-5)


def test_a_network_that_fixes_the_batch_inside_is_left_alone():
    model = detector(8, (8, 8, 8, 8), (1, 1, 1, 1))
    assert with_open_batch(model, samples_for(model)) == model


def test_a_network_that_mixes_its_batch_is_left_alone(build_model):
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["x", "mean"], ["y"]),
    ]
    model = build_model(nodes, [("x", [1, 8])], [("y", [1, 8])])
    assert with_open_batch(model, samples_for(model)) == model


def test_a_batch_that_is_open_already_stays_so(build_model):
    model = build_model(
        [helper.make_node("Relu", ["x"], ["y"])], [("x", ["n", 8])], [("y", ["n", 8])]
    )
    assert with_open_batch(model, samples_for(model)) == model


def test_bytes_that_are_no_model_are_a_model_error():
    with pytest.raises(ModelError, match="must be an ONNX model"):
        with_open_batch(b"\xff\xff", [])
