from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import helper

from cuda_kernels.carry import settle_flow
from engines.errors import ModelError
from engines.fake import FakeSession
from engines.onnxruntime import OnnxRuntimeSession
from engines.session import TensorSpec
from realtime.aligned_view import AlignedView
from realtime.flow import DisFlow, MeshFlow, NetworkFlow

SPYNET = Path(__file__).parents[2].parent / "shared" / "assets/models/spynet_sintelClean_256.onnx"
SIDE_PX = 128
F32 = np.dtype(np.float32)
SHIFTS = [(3.25, -1.5), (-4.0, 2.75), (0.4, 0.0)]


def pattern(side_px, seed=5):
    """A smooth coloured pattern, wider than a view."""
    noise = np.random.default_rng(seed).normal(0, 1, (side_px, side_px, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return 128 + 45 * blurred / blurred.std()


def seen(now_from_before, side_px=SIDE_PX, points=None):
    """A view before and after everything in it moved by ``now_from_before`` ``(2, 3)``."""
    wide = pattern(2 * side_px)
    middle = np.float64([[1, 0, -side_px / 2], [0, 1, -side_px / 2], [0, 0, 1]])
    views = []
    for moved in (np.eye(3), np.vstack([now_from_before, [0, 0, 1]])):
        picture = cv2.warpAffine(
            wide, (moved @ middle)[:2], (side_px, side_px), flags=cv2.INTER_CUBIC
        )
        picture = np.clip(np.round(picture), 0, 255).astype(np.uint8)
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        at = np.zeros((4, 2)) if points is None else points @ moved[:2, :2].T + moved[:2, 2]
        views.append(AlignedView(np.eye(2, 3), picture, grey, at.astype(np.float32)))
    return views


def shifted(dx, dy):
    return np.float64([[1, 0, dx], [0, 1, dy]])


def turned(degrees, scale, side_px=SIDE_PX):
    return cv2.getRotationMatrix2D(((side_px - 1) / 2,) * 2, degrees, scale)


def wanted_flows(now_from_before, side_px=SIDE_PX):
    """From each pixel now to where it was before, and from each pixel before to where it is."""
    rows, columns = np.indices((side_px, side_px))
    grid = np.dstack([columns, rows, np.ones_like(rows)]).astype(np.float64)
    back = cv2.invertAffineTransform(now_from_before)
    return [grid @ matrix.T - grid[..., :2] for matrix in (back, now_from_before)]


def misses(flows, wanted, margin_px=16):
    """Median distance of each of two flows from the truth, away from the rim."""
    inner = slice(margin_px, -margin_px)
    return [
        float(np.median(np.linalg.norm(flow - truth, axis=-1)[inner, inner]))
        for flow, truth in zip(flows, wanted, strict=True)
    ]


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("side_px", [128, 288])
def test_dis_measures_a_shift_in_both_directions(shift, side_px):
    moved = shifted(*shift)
    flows = DisFlow().measure(*seen(moved, side_px))
    assert {flow.shape for flow in flows} == {(side_px, side_px, 2)}
    assert max(misses(flows, wanted_flows(moved, side_px))) < 0.2


@pytest.mark.parametrize(("degrees", "scale"), [(4, 1.0), (-3, 1.04)])
def test_dis_measures_a_turn_and_a_step_nearer(degrees, scale):
    moved = turned(degrees, scale)
    flows = DisFlow().measure(*seen(moved))
    assert max(misses(flows, wanted_flows(moved))) < 0.25


def test_dis_sees_no_motion_in_a_still_picture():
    backward, forward = DisFlow().measure(*seen(shifted(0, 0)))
    assert np.abs(backward).max() == np.abs(forward).max() == 0.0


def test_dis_gives_new_arrays_each_time():
    flow = DisFlow()
    first, _ = flow.measure(*seen(shifted(2, 0)))
    kept = first.copy()
    flow.measure(*seen(shifted(-2, 0)))
    np.testing.assert_array_equal(first, kept)
    flow.close()


def settled_flow(backward, forward):
    out = np.full_like(backward, np.nan)
    settle_flow(backward, forward, out=out)
    return out


def test_settled_flow_is_the_mean_of_there_and_back():
    moved = turned(3, 1.02)
    backward, forward = (flow.astype(np.float32) for flow in wanted_flows(moved))
    inner = slice(16, -16)
    settled = settled_flow(backward, forward)
    np.testing.assert_allclose(settled[inner, inner], backward[inner, inner], atol=1e-3)
    # What the one is off to the right the other is off to the left when it is turned around.
    off = np.float32([0.6, -0.2])
    np.testing.assert_allclose(
        settled_flow(backward + off, forward)[inner, inner],
        (backward + off / 2)[inner, inner],
        atol=0.05,
    )
    settled = settled_flow(backward + off, forward + off)
    np.testing.assert_allclose(settled[inner, inner], backward[inner, inner], atol=0.05)


@pytest.mark.parametrize(("degrees", "scale"), [(4, 1.0), (-3, 1.04)], ids=["turn", "near"])
def test_settled_flow_errs_less_on_what_turns_and_comes_near(degrees, scale):
    moved = turned(degrees, scale, 192)
    flows = DisFlow().measure(*seen(moved, 192))
    inner = (slice(16, -16), slice(16, -16))
    measured, settled = (
        float(np.square(flow - wanted_flows(moved, 192)[0])[inner].mean())
        for flow in (flows[0], settled_flow(*flows))
    )
    assert settled < 0.7 * measured


@pytest.fixture
def net():
    """A net of points over the middle of a view, and its triangles."""
    across, down = np.meshgrid(np.linspace(30.2, 98.7, 9), np.linspace(28.4, 95.1, 9))
    points = np.stack([across.ravel(), down.ravel()], axis=-1)
    corners = [9 * row + column for row in range(8) for column in range(8)]
    triangles = [t for c in corners for t in ((c, c + 1, c + 9), (c + 1, c + 10, c + 9))]
    return points, np.array(triangles, np.int32)


@pytest.mark.parametrize(
    "moved", [shifted(3.25, -1.5), turned(6, 1.0), turned(-4, 1.07)], ids=["shift", "turn", "near"]
)
def test_the_mesh_moves_inside_and_outside_with_its_points(net, moved):
    points, triangles = net
    flows = MeshFlow(triangles).measure(*seen(moved, points=points))
    for flow, truth in zip(flows, wanted_flows(moved), strict=True):
        assert np.abs(flow - truth).max() < 0.1


def test_one_point_of_the_mesh_moves_only_the_triangles_around_it(net):
    points, triangles = net
    before, now = seen(shifted(0, 0), points=points)
    now.points[40] += (3, -2)
    backward, forward = MeshFlow(triangles).measure(before, now)
    column, row = np.round(now.points[40]).astype(int)
    assert backward[row, column] == pytest.approx([-3, 2], abs=0.5)
    column, row = np.round(before.points[40]).astype(int)
    assert forward[row, column] == pytest.approx([3, -2], abs=0.5)
    rows, columns = np.nonzero(np.linalg.norm(backward, axis=-1) > 0.01)
    neighbours = points[[30, 50]]
    assert columns.min() >= neighbours[0, 0] - 1
    assert columns.max() <= neighbours[1, 0] + 1
    assert rows.min() >= neighbours[0, 1] - 1
    assert rows.max() <= neighbours[1, 1] + 1


def test_a_mesh_that_has_shrunk_to_a_point_moves_nothing(net):
    _, triangles = net
    views = seen(shifted(0, 0), points=np.full((81, 2), 60.0))
    flow = MeshFlow(triangles)
    for direction in flow.measure(*views):
        assert np.abs(direction).max() < 1e-6
    flow.close()


def spec(name, *shape):
    return TensorSpec(name, shape, F32)


def dis_of(first, second):
    """``(1, 2, H, W)`` flow from the first ``(1, 3, H, W)`` RGB 0..1 picture to the second."""
    greys = [
        cv2.cvtColor(np.round(255 * p[0].transpose(1, 2, 0)).astype(np.uint8), cv2.COLOR_RGB2GRAY)
        for p in (first, second)
    ]
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(*greys, None)
    return flow.transpose(2, 0, 1)[None]


def pair_session(height, width, *, peak=1.0):
    """A network of two inputs that really measures."""
    return FakeSession(
        (spec("one", 1, 3, height, width), spec("two", 1, 3, height, width)),
        (spec("flow", 1, 2, height, width),),
        lambda given: {"flow": dis_of(given["one"] / peak, given["two"] / peak)},
    )


def stack_session(height, width):
    """The same with both pictures in one input."""
    return FakeSession(
        (spec("both", 1, 6, height, width),),
        (spec("flow", 1, 2, height, width),),
        lambda given: {"flow": dis_of(given["both"][:, :3], given["both"][:, 3:])},
    )


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("session_of", [pair_session, stack_session])
def test_a_networks_flow_has_the_sign_and_size_of_the_motion(session_of, shift):
    moved = shifted(*shift)
    flow = NetworkFlow(session_of(SIDE_PX, SIDE_PX))
    assert max(misses(flow.measure(*seen(moved)), wanted_flows(moved))) < 0.2


def test_a_network_of_another_size_is_given_its_size_and_its_flow_is_scaled():
    moved = shifted(4.0, -3.0)
    flow = NetworkFlow(pair_session(96, 160))
    found = flow.measure(*seen(moved))
    assert [direction.shape for direction in found] == [(SIDE_PX, SIDE_PX, 2)] * 2
    assert max(misses(found, wanted_flows(moved))) < 0.25


def test_white_may_be_255():
    moved = shifted(2.0, 1.0)
    flow = NetworkFlow(pair_session(SIDE_PX, SIDE_PX, peak=255.0), peak=255.0)
    assert max(misses(flow.measure(*seen(moved)), wanted_flows(moved))) < 0.2


def test_pictures_go_in_as_rgb():
    given = []

    def compute(inputs):
        given.append({name: array.copy() for name, array in inputs.items()})
        return {"flow": np.zeros((1, 2, 32, 32), np.float32)}

    session = FakeSession(
        (spec("one", 1, 3, 32, 32), spec("two", 1, 3, 32, 32)),
        (spec("flow", 1, 2, 32, 32),),
        compute,
    )
    before, now = (
        AlignedView(
            np.eye(2, 3),
            np.full((32, 32, 3), colour, np.uint8),
            np.zeros((32, 32), np.uint8),
            np.zeros((4, 2), np.float32),
        )
        for colour in ((51, 102, 255), (0, 204, 153))
    )
    NetworkFlow(session).measure(before, now)
    assert len(given) == 2
    assert given[0]["one"][0, :, 3, 4] == pytest.approx([0.6, 0.8, 0.0])
    assert given[0]["two"][0, :, 3, 4] == pytest.approx([1.0, 0.4, 0.2])
    assert given[1]["one"][0, :, 3, 4] == pytest.approx([1.0, 0.4, 0.2])


def test_a_network_of_any_size_gets_a_multiple_of_32():
    sizes = []

    def compute(inputs):
        sizes.append(inputs["one"].shape)
        return {"flow": np.full((1, 2, *inputs["one"].shape[2:]), 1.6, np.float32)}

    session = FakeSession(
        (spec("one", -1, 3, -1, -1), spec("two", -1, 3, -1, -1)),
        (spec("flow", -1, 2, -1, -1),),
        compute,
    )
    backward, _ = NetworkFlow(session).measure(*seen(shifted(0, 0), side_px=100))
    assert sizes == [(1, 3, 128, 128)] * 2
    assert backward == pytest.approx(np.full((100, 100, 2), 1.6 * 100 / 128))


def test_of_several_outputs_the_last_flow_is_taken_in_pixels_of_its_own_size():
    def compute(inputs):
        return {
            "coarse": np.full((1, 2, 16, 16), 9, np.float32),
            "flow": np.full((1, 2, 32, 32), 2, np.float32),
            "mask": np.full((1, 1, 32, 32), 5, np.float32),
        }

    session = FakeSession(
        (spec("one", 1, 3, 64, 64), spec("two", 1, 3, 64, 64)),
        (spec("coarse", 1, 2, 16, 16), spec("flow", 1, 2, 32, 32), spec("mask", 1, 1, 32, 32)),
        compute,
    )
    backward, _ = NetworkFlow(session).measure(*seen(shifted(0, 0)))
    assert (backward == 2 * SIDE_PX / 32).all()


def test_buffers_are_taken_once():
    addresses = []

    def compute(inputs):
        addresses.append([array.ctypes.data for array in inputs.values()])
        return {"flow": np.zeros((1, 2, 64, 64), np.float32)}

    session = FakeSession(
        (spec("one", 1, 3, 64, 64), spec("two", 1, 3, 64, 64)),
        (spec("flow", 1, 2, 64, 64),),
        compute,
    )
    flow = NetworkFlow(session)
    for _ in range(3):
        flow.measure(*seen(shifted(0, 0)))
    assert addresses == addresses[:1] * 6


PICTURE = (1, 3, 64, 64)


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ([PICTURE], [(1, 2, 64, 64)]),
        ([PICTURE] * 3, [(1, 2, 64, 64)]),
        ([(1, 1, 64, 64)] * 2, [(1, 2, 64, 64)]),
        ([(1, 64, 64, 3)] * 2, [(1, 2, 64, 64)]),
        ([(3, 64, 64)] * 2, [(1, 2, 64, 64)]),
        ([(1, 3, 64, 64), (1, 6, 64, 64)], [(1, 2, 64, 64)]),
        ([PICTURE] * 2, [(1, 3, 64, 64)]),
        ([PICTURE] * 2, [(2, 64, 64)]),
        ([], [(1, 2, 64, 64)]),
        ([PICTURE] * 2, []),
        ([PICTURE] * 2, [(1, 2, 64, 64), (-1, 64)]),
    ],
)
def test_a_network_that_is_none_for_flow_is_refused_with_what_it_takes(inputs, outputs):
    session = FakeSession(
        tuple(spec(f"in{n}", *shape) for n, shape in enumerate(inputs)),
        tuple(spec(f"out{n}", *shape) for n, shape in enumerate(outputs)),
        lambda given: {},
    )
    with pytest.raises(ModelError, match=r"flow network: must take two .*Choose flow.provider"):
        NetworkFlow(session)


def test_closing_the_flow_closes_the_network():
    flow = NetworkFlow(pair_session(SIDE_PX, SIDE_PX))
    flow.close()
    with pytest.raises(ModelError, match="must be open"):
        flow.measure(*seen(shifted(0, 0)))


def ramp_network(side_px):
    """A real network for pictures whose red is the column and whose green is the row.

    The flow is the difference of the two pictures in grey levels, red over green.
    """
    weights = np.zeros((2, 3, 1, 1), np.float32)
    weights[0, 0] = weights[1, 1] = 255.0
    nodes = [
        helper.make_node("Sub", ["one", "two"], ["step"]),
        helper.make_node("Conv", ["step", "weights"], ["flow"]),
    ]
    shapes = {"one": 3, "two": 3, "flow": 2}
    values = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, num, side_px, side_px])
        for name, num in shapes.items()
    ]
    constant = helper.make_tensor("weights", onnx.TensorProto.FLOAT, weights.shape, weights)
    graph = helper.make_graph(nodes, "ramps", values[:2], values[2:], [constant])
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def test_an_onnx_network_measures_a_shift_through_onnx_runtime():
    rows, columns = np.indices((64, 64))
    before, now = (
        AlignedView(
            np.eye(2, 3),
            np.dstack([0 * rows, rows + 60 - dy, columns + 60 - dx]).astype(np.uint8),
            np.zeros((64, 64), np.uint8),
            np.zeros((4, 2), np.float32),
        )
        for dx, dy in ((0, 0), (5, -3))
    )
    flow = NetworkFlow(OnnxRuntimeSession(ramp_network(64)))
    backward, forward = flow.measure(before, now)
    np.testing.assert_allclose(backward, np.broadcast_to((-5, 3), (64, 64, 2)), atol=1e-3)
    np.testing.assert_allclose(forward, np.broadcast_to((5, -3), (64, 64, 2)), atol=1e-3)
    flow.close()


@pytest.mark.shared
def test_spynet_measures_a_shift_with_the_right_sign_and_size():
    if not SPYNET.exists():
        pytest.skip("the development media are not here")
    flow = NetworkFlow(OnnxRuntimeSession(SPYNET.read_bytes(), threads=2))
    moved = shifted(3.5, -2.0)
    found = flow.measure(*seen(moved, side_px=224))
    flow.close()
    assert max(misses(found, wanted_flows(moved, 224))) < 0.4
