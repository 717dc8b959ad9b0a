"""The operators with which a face network looks again at lips and eyes, as ONNX nodes.

A first set of landmarks says where the lips or an eye are; the features there are cut out, upright
and at one size, and the landmarks found in the cut-out are moved back. Semantics follow version 2
of MediaPipe's own operators (``mediapipe/util/tflite/operations``).
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.models.tflite_flexible import read_integers, read_map, read_number
from engines.models.tflite_graph import GraphBuilder
from engines.models.tflite_reader import Operator

Array = NDArray[Any]

_MATRIX = (1, 4, 4)
_VERSION = 2
_POINT_BYTES = 16
_NO_LENGTH = 1e-12
"""A line shorter than this, in pixels, has no direction."""


def landmarks_to_matrix(graph: GraphBuilder, op: Operator) -> None:
    """From landmarks ``(1, N, 3)`` to ``(1, 4, 4)``: pixels of the features from the cut-out's.

    The cut-out is the box around some landmarks in axes along the line between two of them.
    """
    _expect_version(op)
    source, output = op.inputs[0], op.outputs[0]
    shape = graph.tensor(source).shape
    if len(shape) != 3 or shape[0] != 1 or shape[2] != 3:
        raise ValueError(f"landmarks must be (1, N, 3), they are {shape}")
    options = read_map(op.custom_options)
    size_px = np.array([read_number(options, f"output_{side}") for side in ("width", "height")])
    scale = np.array([read_number(options, f"scale_{axis}") for axis in "xy"])
    if min(*size_px, *scale) <= 0:
        raise ValueError(f"size and scale must be positive, they are {size_px} and {scale}")
    around = _landmark_numbers(read_integers(options, "subset_idxs"), shape[1])
    ends = _landmark_numbers(
        [int(read_number(options, f"{side}_rotation_idx")) for side in ("left", "right")], shape[1]
    )
    write = _Writer(graph, output)
    plane = write("Gather", graph.nhwc(source), write.integers([0, 1]), axis=2)
    turn = _turn(write, plane, ends, read_number(options, "target_rotation_radians"))
    turned = write("MatMul", write("Gather", plane, write.integers(around), axis=1), turn)
    low = write("ReduceMin", turned, axes=[1], keepdims=1)
    extent = write("Sub", write("ReduceMax", turned, axes=[1], keepdims=1), low)
    axes = write("Mul", turn, write("Mul", extent, write.floats(scale / size_px)))
    corner = write("Add", low, write("Mul", extent, write.floats((1 - scale) / 2)))
    shift = write("MatMul", turn, write("Transpose", corner, perm=[0, 2, 1]))
    rows = write("Concat", axes, write.floats(np.zeros((1, 2, 1))), shift, axis=2)
    graph.emit("Concat", [rows, write.floats(np.eye(4)[None, 2:])], output, nchw=False, axis=1)


def cut_out(graph: GraphBuilder, op: Operator) -> None:
    """Features ``(1, H, W, C)`` sampled through a matrix ``(1, 4, 4)``.

    Whatever lies beyond the centres of the outermost pixels is 0.
    """
    _expect_version(op)
    (data, matrix), output = op.inputs, op.outputs[0]
    shape, out_shape = graph.tensor(data).shape, graph.tensor(output).shape
    _expect_matrix(graph, matrix)
    if len(shape) != 4 or len(out_shape) != 4 or shape[0] != 1:
        raise ValueError(f"features must be (1, H, W, C), they are {shape}")
    options = read_map(op.custom_options)
    wanted = tuple(int(read_number(options, f"output_{side}")) for side in ("height", "width"))
    if wanted != out_shape[1:3]:
        raise ValueError(f"the cut-out must be {out_shape[1:3]}, the options say {wanted}")
    graph.reserve(math.prod(out_shape[1:3]) * _POINT_BYTES)
    write = _Writer(graph, output)
    rows = write("Gather", graph.nhwc(matrix), write.integers([0, 1]), axis=1)
    # The first pixel's centre lies at a half, in the cut-out as in the features.
    at = write("MatMul", write.floats(_centres(*out_shape[1:3])), _transposed(write, rows))
    size_px = np.array([shape[2], shape[1]])
    place = write("Sub", write("Mul", at, write.floats(2 / size_px)), write.floats(1.0))
    # GridSample fades towards its border over half a pixel. What shall be 0 is sent so far away
    # that only zeros are there; one coordinate is enough.
    beyond = write("Greater", write("Abs", place), write.floats(1 - 1 / size_px))
    grid = write("Where", beyond, write.floats(3.0), place)
    graph.emit(
        "GridSample",
        [graph.nchw(data), grid],
        output,
        nchw=True,
        mode="bilinear",
        padding_mode="zeros",
        align_corners=0,
    )


def move_landmarks(graph: GraphBuilder, op: Operator) -> None:
    """Landmarks ``(1, N, 2)`` moved by a matrix ``(1, 4, 4)``."""
    _expect_version(op)
    (data, matrix), output = op.inputs, op.outputs[0]
    shape = graph.tensor(data).shape
    _expect_matrix(graph, matrix)
    if len(shape) != 3 or shape[2] != 2:
        raise ValueError(f"landmarks must be (1, N, 2), they are {shape}")
    write = _Writer(graph, output)
    rows = write("Gather", graph.nhwc(matrix), write.integers([0, 1]), axis=1)
    axes = write("Gather", rows, write.integers([0, 1]), axis=2)
    shift = write("Gather", rows, write.integers([3]), axis=2)
    moved = write("MatMul", graph.nhwc(data), _transposed(write, axes))
    graph.emit("Add", [moved, _transposed(write, shift)], output, nchw=False)


class _Writer:
    """Writes nodes whose results only the operator at hand uses."""

    def __init__(self, graph: GraphBuilder, output: int) -> None:
        self._graph = graph
        self._output = output

    def __call__(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Writes a node and returns its result's name."""
        result = self._graph.temporary(self._output)
        return self._graph.node(op_type, inputs, result, **attributes)

    def floats(self, value: Any) -> str:
        """A constant operand of float32."""
        return self._graph.initializer(np.asarray(value, np.float32), "attention")

    def integers(self, value: Any) -> str:
        """A constant operand of int64."""
        return self._graph.initializer(np.asarray(value, np.int64), "attention")


def _turn(write: _Writer, plane: str, ends: Array, target_rad: float) -> str:
    """Name of the ``(1, 2, 2)`` rotation that a point, as a row, is multiplied with.

    It turns the line between two landmarks to the wanted slope.

    Args:
        write: writes the nodes.
        plane: name of the landmarks, ``(1, N, 2)``.
        ends: numbers of the two landmarks.
        target_rad: the slope, clockwise in a picture.
    """
    line = write("Gather", plane, write.integers(ends), axis=1)
    along = write("MatMul", write.floats([[[-1.0, 1.0]]]), line)
    length = write("ReduceL2", along, axes=[2], keepdims=1)
    unit = write("Div", along, write("Max", length, write.floats(_NO_LENGTH)))
    cos, sin = math.cos(target_rad), math.sin(target_rad)
    turned = write("MatMul", unit, write.floats([[cos, sin, -sin, cos], [sin, -cos, cos, sin]]))
    return write("Reshape", turned, write.integers([1, 2, 2]))


def _transposed(write: _Writer, matrix: str) -> str:
    return write("Transpose", matrix, perm=[0, 2, 1])


def _centres(height: int, width: int) -> Array:
    """``(1, height, width, 4)``: the pixels' centres as points that a 4 x 4 matrix takes."""
    points = np.zeros((1, height, width, 4))
    points[0, :, :, 1], points[0, :, :, 0] = np.indices((height, width)) + 0.5
    points[..., 3] = 1
    return points


def _landmark_numbers(values: list[int], num_landmarks: int) -> Array:
    numbers = np.array(values, np.int64)
    if not numbers.size or numbers.min() < 0 or numbers.max() >= num_landmarks:
        raise ValueError(f"landmarks must be numbered 0 to {num_landmarks - 1}, got {values[:8]}")
    return numbers


def _expect_version(op: Operator) -> None:
    """Refuses the first version of an operator, which has the same name and another meaning."""
    if op.version != _VERSION:
        raise ValueError(f"version {_VERSION} is supported only")


def _expect_matrix(graph: GraphBuilder, index: int) -> None:
    shape = graph.tensor(index).shape
    if shape != _MATRIX:
        raise ValueError(f"the matrix must be {_MATRIX}, it is {shape}")
