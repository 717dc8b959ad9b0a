import hashlib

import pytest

from engines.errors import ModelError
from engines.models.hand_finder import HAND_NETWORKS
from engines.models.library import ModelLibrary
from engines.opener import open_exactly
from realtime.config import load_config
from realtime.face_mesh import load_face_mesh
from realtime.flow import DisFlow, MeshFlow, NetworkFlow
from realtime.job import synthetic_job
from realtime.job_models import (
    fetch_models,
    has_picture_networks,
    network_names,
    open_file,
    open_flow,
)
from realtime.terminal import Terminal

JOB = synthetic_job(1.0)


@pytest.mark.models
def test_a_job_s_networks_are_fetched_and_named_with_their_hashes():
    models = fetch_models(JOB, load_config(), Terminal())
    names = network_names(JOB, load_config(), models.library)
    assert tuple(models.hashes) == names
    for name in names:
        data = models.library.path(name).read_bytes()
        assert models.hashes[name] == hashlib.sha256(data).hexdigest()


@pytest.mark.models
def test_the_small_networks_run_in_onnx_runtime_whatever_the_device():
    for kind in ("auto", "cpu"):
        config = load_config(settings=[f"device.kind={kind}"])
        models = fetch_models(JOB, config, Terminal())
        for name in models.hashes:
            session = models.library.session(name)
            assert session.provider == "onnxruntime:CPU"
            session.close()


def test_hands_are_only_needed_where_they_are_looked_for():
    library = ModelLibrary(offline=True)
    without = load_config(settings=["occlude.hands=false"])
    assert set(HAND_NETWORKS) <= set(network_names(JOB, load_config(), library))
    assert not set(HAND_NETWORKS) & set(network_names(JOB, without, library))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([], False),
        (["swapper=inswapper_128"], True),
        (["restore.model=lite"], True),
        (["fuse.align.flow=network", "fuse.align.network=a.onnx"], True),
        (["fuse.align.flow=network", "fuse.align.network=a.onnx", "fuse.enabled=false"], False),
    ],
)
def test_only_networks_over_pictures_may_use_a_gpu(settings, expected):
    assert has_picture_networks(load_config(settings=settings)) == expected


@pytest.fixture
def flow_network(tmp_path):
    from onnx import TensorProto, helper

    nodes = [helper.make_node("Concat", ["a", "b"], ["c"], axis=1)]
    nodes.append(helper.make_node("Slice", ["c", "from", "to", "axis"], ["flow"]))
    picture, flow = [1, 3, 64, 64], [1, 2, 64, 64]
    numbers = {"from": [0], "to": [2], "axis": [1]}
    graph = helper.make_graph(
        nodes,
        "flow",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, picture) for name in "ab"],
        [helper.make_tensor_value_info("flow", TensorProto.FLOAT, flow)],
        [helper.make_tensor(k, TensorProto.INT64, [1], v) for k, v in numbers.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    path = tmp_path / "flow.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    )
    return path


@pytest.mark.models
def test_the_flow_is_measured_as_configured(flow_network):
    library = ModelLibrary()
    library.pull(["face_mesh_connections"])
    mesh = load_face_mesh(library.path("face_mesh_connections").read_text("utf-8"))
    for settings, kind in [
        ([], DisFlow),
        (["fuse.align.flow=mesh"], MeshFlow),
        (["fuse.align.flow=network", f"fuse.align.network={flow_network}"], NetworkFlow),
    ]:
        flow = open_flow(load_config(settings=settings), mesh, open_exactly)
        assert type(flow) is kind


def test_a_network_of_the_user_s_own_goes_to_the_same_opener_as_all_others(flow_network):
    asked = []

    def opener(model, **how):
        asked.append((model, how))
        return open_exactly(model, threads=how["threads"], name=how["name"])

    open_file(flow_network, 2, opener).close()
    how = {"threads": 2, "name": "flow.onnx", "exact": False}
    assert asked == [(flow_network.read_bytes(), how)]


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(ModelError, match="must be a readable ONNX file, got: No such file"):
        open_file(tmp_path / "none.onnx", 1, open_exactly)
