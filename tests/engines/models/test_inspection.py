"""Files that are not what they say, and networks that reach for what is not theirs."""

import gzip
import io
import pickle
import zipfile

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from engines.errors import ModelError
from engines.models.external_data import take_in
from engines.models.inspection import inspect_model, last_initializer


def model_with(nodes, *, constants=(), functions=(), opsets=()):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", onnx.TensorProto.FLOAT, ["n", 4])],
        [value("y", onnx.TensorProto.FLOAT, ["n", 4])],
        initializer=list(constants),
    )
    return helper.make_model(
        graph,
        functions=list(functions),
        opset_imports=[helper.make_opsetid("", 17), *opsets],
        ir_version=9,
    )


def adding(constant):
    return model_with([helper.make_node("Add", ["x", "c"], ["y"])], constants=[constant])


def external(location, *, offset=None, length=None):
    """A constant of four numbers kept in another file."""
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "c")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    facts = {"location": location, "offset": offset, "length": length}
    for key, value in facts.items():
        if value is not None:
            tensor.external_data.add(key=key, value=str(value))
    return tensor


def inspect(data, folder):
    return inspect_model(data, where="the file", folder=folder)


def refused(data, folder):
    with pytest.raises(ModelError) as caught:
        inspect(data, folder)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("the file: ")
    return str(caught.value)


def torch_checkpoint():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02.")
    return buffer.getvalue()


class Calling:
    """Would call something when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was executed",)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "an empty file"),
        (b"\0" * 64, "an empty file"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "a Git LFS pointer",
        ),
        (b"\n<!DOCTYPE html><title>Sign in</title>", "a web page"),
        (b"\xef\xbb\xbf\r\n<HTML>", "a web page"),
        (b'{"error": "Access denied"}', "a text"),
        (gzip.compress(b"model"), "a GZIP"),
        (b"\x0a\0\0\0\0\0\0\0" + b'{"w": {}}', "a safetensors file"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "a web page"),
        (pickle.dumps({"weights": [1.0]}), "a pickle, which can run code"),
        (pickle.dumps([1], protocol=2), "a pickle, which can run code"),
        (pickle.dumps(Calling(), protocol=0), "a pickle, which can run code"),
        (pickle.dumps(Calling(), protocol=1), "a pickle, which can run code"),
        (pickle.dumps({"w": [1.5] * 99}, protocol=0), "a pickle, which can run code"),
        (pickle.dumps({"w": [1.5] * 99}, protocol=1), "a pickle, which can run code"),
        (torch_checkpoint(), "a PyTorch checkpoint, which is a pickle"),
        (b"PK\x03\x04" + b"\0" * 40, "a ZIP"),
        (b"\x1c\0\0\0TFL3" + b"\0" * 40, "a TensorFlow Lite file"),
        (b"\x89HDF\r\n\x1a\n", "a Keras file"),
    ],
)
def test_other_kinds_of_file_are_named(data, kind, tmp_path):
    assert f"must be an ONNX file, got {kind}" in refused(data, tmp_path)


@pytest.mark.parametrize("text", [b"hello.", b"Is this it?", b"(a model)", b"(\x01"])
def test_not_everything_that_begins_like_an_old_pickle_is_called_one(text, tmp_path):
    assert "pickle" not in refused(text, tmp_path)


def test_a_cut_off_file_is_refused_wherever_it_ends(tmp_path):
    constant = numpy_helper.from_array(np.arange(4, dtype=np.float32), "c")
    whole = adding(constant).SerializeToString()
    assert inspect(whole, tmp_path).model == whole
    for length in range(
        1, len(whole) - len(model_with([]).opset_import[0].SerializeToString()) - 2
    ):
        assert "the file: must " in refused(whole[:length], tmp_path)


def test_noise_is_refused(tmp_path):
    assert "must" in refused(np.random.default_rng(0).bytes(4096), tmp_path)


def test_the_tensors_are_read_off_the_graph(tmp_path):
    constant = numpy_helper.from_array(np.zeros(4, np.float32), "c")
    model = adding(constant)
    # Old exporters list constants among the inputs.
    model.graph.input.append(helper.make_tensor_value_info("c", onnx.TensorProto.FLOAT, [4]))
    found = inspect(model.SerializeToString(), tmp_path)
    assert [(spec.name, spec.shape) for spec in found.inputs] == [("x", (-1, 4))]
    assert [(spec.name, spec.shape) for spec in found.outputs] == [("y", (-1, 4))]
    assert found.inputs[0].dtype == np.float32


@pytest.mark.parametrize(
    ("node", "shown"),
    [
        (helper.make_node("Steal", ["x"], ["y"], domain="evil.corp"), "evil.corp.Steal"),
        (helper.make_node("NotAnOperator", ["x"], ["y"]), "ai.onnx.NotAnOperator"),
    ],
)
def test_operators_that_nobody_knows_are_refused(node, shown, tmp_path):
    opsets = [helper.make_opsetid("evil.corp", 1)]
    assert f"got {shown}" in refused(
        model_with([node], opsets=opsets).SerializeToString(), tmp_path
    )


def test_an_unknown_operator_inside_a_branch_is_found(tmp_path):
    def branch(node):
        output = helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, None)
        return helper.make_graph([node], "branch", [], [output])

    good = branch(helper.make_node("Identity", ["x"], ["z"]))
    bad = branch(helper.make_node("Steal", ["x"], ["z"], domain="evil.corp"))
    constant = numpy_helper.from_array(np.array(True), "c")
    chosen = helper.make_node("If", ["c"], ["y"], then_branch=good, else_branch=bad)
    model = model_with([chosen], constants=[constant])
    assert "evil.corp.Steal" in refused(model.SerializeToString(), tmp_path)


def test_an_operator_that_the_file_defines_itself_is_fine(tmp_path):
    opset = helper.make_opsetid("", 17)
    function = helper.make_function(
        "own", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [opset]
    )
    node = helper.make_node("Twice", ["x"], ["y"], domain="own")
    model = model_with([node], functions=[function], opsets=[helper.make_opsetid("own", 1)])
    assert inspect(model.SerializeToString(), tmp_path).inputs[0].name == "x"


def test_data_beside_the_model_are_taken_into_it(tmp_path):
    numbers = np.array([1, 2, 3, 4], np.float32)
    (tmp_path / "weights.bin").write_bytes(b"head" + numbers.tobytes() + b"tail")
    data = adding(external("weights.bin", offset=4, length=16)).SerializeToString()
    found = inspect(data, tmp_path)
    assert found.model != data
    np.testing.assert_array_equal(last_initializer(found.model, name="m"), numbers)
    # It holds everything itself now, so it may lie anywhere.
    assert inspect(found.model, tmp_path / "elsewhere").model == found.model


@pytest.mark.parametrize(
    "location",
    [
        *("../secret.bin", "/etc/hostname", "a/../../secret.bin", "C:\\secret.bin", "", "out"),
        *("folder/secret.bin", "circle"),
    ],
)
def test_data_outside_the_folder_are_refused(location, tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    secret = tmp_path / "secret.bin"
    secret.write_bytes(b"\0" * 16)
    (folder / "out").symlink_to(secret)
    (folder / "folder").symlink_to(tmp_path)
    (folder / "circle").symlink_to("circle")
    message = refused(adding(external(location, length=16)).SerializeToString(), folder)
    assert f"must lie in the model's folder, got {location!r}" in message


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"location": "none.bin"}, "must lie beside it"),
        ({"location": "short.bin", "length": 16}, "must hold 16 bytes from 0 on, got 8"),
        ({"location": "short.bin", "offset": -4}, "must lie beside it"),
        ({"location": "short.bin", "offset": "x"}, "must lie beside it"),
        ({"location": "short.bin", "offset": 9}, "must hold -1 bytes from 9 on, got 0"),
        ({"location": "short.bin", "length": 10**20}, "from 0 on, got 8"),
        ({"location": "short\0.bin"}, "must lie in the model's folder"),
    ],
)
def test_data_that_are_missing_or_too_short_are_refused(facts, message, tmp_path):
    (tmp_path / "short.bin").write_bytes(b"\0" * 8)
    assert message in refused(adding(external(**facts)).SerializeToString(), tmp_path)


def test_more_data_than_an_onnx_file_can_hold_are_refused_unread(tmp_path):
    with (tmp_path / "huge.bin").open("wb") as file:
        file.truncate(3 << 30)
    assert "must be smaller than 2 GiB" in refused(
        adding(external("huge.bin")).SerializeToString(), tmp_path
    )


def test_constants_that_share_a_file_count_each_for_itself(tmp_path):
    (tmp_path / "shared.bin").write_bytes(b"\0" * 16)
    tensors = [external("shared.bin"), external("shared.bin"), external("shared.bin")]
    assert take_in(tensors[:2], where="the file", folder=tmp_path, room=32)
    with pytest.raises(ModelError, match="the file: must be smaller than 2 GiB"):
        take_in([*tensors[2:], external("shared.bin")], where="the file", folder=tmp_path, room=31)


def test_a_long_name_of_a_data_file_is_cut_in_the_message(tmp_path):
    message = refused(adding(external("a" * 5000)).SerializeToString(), tmp_path)
    assert "must lie beside it, got " in message
    assert len(message) < 300


def test_data_of_a_constant_inside_a_node_are_found_too(tmp_path):
    constant = helper.make_node("Constant", [], ["c"], value=external("../secret.bin", length=16))
    model = model_with([constant, helper.make_node("Add", ["x", "c"], ["y"])])
    assert "must lie in the model's folder" in refused(model.SerializeToString(), tmp_path)


def test_the_last_constant_is_read_in_single_precision():
    halves = numpy_helper.from_array(np.array([[1, 2], [3, 4]], np.float16), "c")
    first = numpy_helper.from_array(np.zeros(4, np.float32), "b")
    model = adding(first)
    model.graph.initializer.append(halves)
    last = last_initializer(model.SerializeToString(), name="m")
    assert last.dtype == np.float32
    np.testing.assert_array_equal(last, [[1, 2], [3, 4]])
    without = model_with([helper.make_node("Relu", ["x"], ["y"])]).SerializeToString()
    with pytest.raises(ModelError, match="m: the graph must hold constants"):
        last_initializer(without, name="m")


def test_a_last_constant_that_does_not_fill_its_shape_is_refused():
    short = numpy_helper.from_array(np.zeros(4, np.float32), "c")
    short.raw_data = short.raw_data[:7]
    with pytest.raises(ModelError, match="m: the last constant must hold"):
        last_initializer(adding(short).SerializeToString(), name="m")


def test_a_type_that_does_not_exist_is_refused(tmp_path):
    model = adding(numpy_helper.from_array(np.zeros(4, np.float32), "c"))
    model.graph.input[0].type.tensor_type.elem_type = 999
    assert "must have a type that ONNX knows" in refused(model.SerializeToString(), tmp_path)
