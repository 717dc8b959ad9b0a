"""Reads a TFLite flatbuffer into plain, checked values; nothing of the schema classes leaves here.

The file is untrusted: every count is bounded by the size of the file, constants are views into its
bytes, and anything that does not fit becomes a ``ModelError``. Layout follows TensorFlow's
``schema.fbs`` version 3.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from engines.errors import ModelError

Array = NDArray[Any]

_MAX_ELEMENTS = 1 << 28
_MAX_TENSORS = 1 << 16
_MAX_OPERANDS = 1 << 10
_MAX_RANK = 8

_DTYPES: Mapping[int, np.dtype[Any]] = MappingProxyType(
    {
        tflite.TensorType.FLOAT32: np.dtype("<f4"),
        tflite.TensorType.FLOAT16: np.dtype("<f2"),
        tflite.TensorType.INT32: np.dtype("<i4"),
        tflite.TensorType.INT64: np.dtype("<i8"),
    }
)
_INDEX_DTYPES: Mapping[int, np.dtype[Any]] = MappingProxyType(
    {
        tflite.SparseIndexVector.Int32Vector: np.dtype("<i4"),
        tflite.SparseIndexVector.Uint16Vector: np.dtype("<u2"),
        tflite.SparseIndexVector.Uint8Vector: np.dtype("u1"),
    }
)

_WINDOW_FIELDS = ("Padding", "StrideH", "StrideW", "FusedActivationFunction")
_CONV_FIELDS = (*_WINDOW_FIELDS, "DilationHFactor", "DilationWFactor")
_POOL_FIELDS = (*_WINDOW_FIELDS, "FilterHeight", "FilterWidth")
_SLICE_FIELDS = ("BeginMask", "EndMask", "EllipsisMask", "NewAxisMask", "ShrinkAxisMask")
# Operator name → options table and the scalar fields of it that the importer reads.
_OPTIONS: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "ADD": ("AddOptions", ("FusedActivationFunction",)),
        "AVERAGE_POOL_2D": ("Pool2DOptions", _POOL_FIELDS),
        "CONCATENATION": ("ConcatenationOptions", ("Axis", "FusedActivationFunction")),
        "CONV_2D": ("Conv2DOptions", _CONV_FIELDS),
        "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", _CONV_FIELDS),
        "DEPTH_TO_SPACE": ("DepthToSpaceOptions", ("BlockSize",)),
        "FULLY_CONNECTED": ("FullyConnectedOptions", ("FusedActivationFunction", "WeightsFormat")),
        "MAX_POOL_2D": ("Pool2DOptions", _POOL_FIELDS),
        "MEAN": ("ReducerOptions", ("KeepDims",)),
        "MUL": ("MulOptions", ("FusedActivationFunction",)),
        "RESIZE_BILINEAR": ("ResizeBilinearOptions", ("AlignCorners", "HalfPixelCenters")),
        "STRIDED_SLICE": ("StridedSliceOptions", _SLICE_FIELDS),
        "SUB": ("SubOptions", ("FusedActivationFunction",)),
        "TRANSPOSE_CONV": ("TransposeConvOptions", _WINDOW_FIELDS),
    }
)


@dataclass(frozen=True, slots=True)
class SparseDim:
    """One level of a sparse tensor's index tree.

    Attributes:
        dense_size: number of positions of a dense level; 0 on a compressed one.
        segments: (parents + 1,) integers; None on a dense level.
        indices: (segments[-1],) integers; None on a dense level.
    """

    dense_size: int
    segments: Array | None
    indices: Array | None


@dataclass(frozen=True, slots=True)
class Sparsity:
    """How the stored values of a sparse tensor spread over its dense shape."""

    traversal_order: tuple[int, ...]
    block_map: tuple[int, ...]
    dims: tuple[SparseDim, ...]


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of the graph.

    Attributes:
        name: as in the file; may be empty.
        shape: every dimension at least 1.
        dtype: little-endian NumPy type.
        data: constant value in ``shape`` (flat values of a sparse one); None for an activation.
        sparsity: set on a sparse constant.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    data: Array | None
    sparsity: Sparsity | None


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator.

    Attributes:
        kind: builtin name (``CONV_2D``) or ``CUSTOM:`` and the custom code.
        version: operator version in the file.
        inputs: tensor indices; -1 for an input left out.
        outputs: tensor indices.
        options: the scalar fields that the importer reads, 0 where the table is absent.
        custom_options: raw bytes of a custom operator's options.
    """

    kind: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, int]
    custom_options: bytes


@dataclass(frozen=True, slots=True)
class TfliteGraph:
    """The only subgraph of a model; operators stand in the order they run."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_tflite(data: bytes, *, name: str) -> TfliteGraph:
    """Reads and checks a TFLite file.

    Args:
        data: the file.
        name: what error messages call it.

    Raises:
        ModelError: the bytes are no TFLite model, are damaged, or use a type this importer lacks.
    """
    if len(data) < 8 or data[4:8] != b"TFL3":
        raise ModelError(
            f"{name}: the file must be a TFLite model (identifier TFL3), "
            f"got {len(data)} bytes starting with {data[:8]!r}. Pull the model again."
        )
    try:
        return _read_model(data, name)
    except (struct.error, ValueError, TypeError, IndexError, KeyError, OverflowError) as error:
        # What the flatbuffer accessors raise when an offset or a length leaves the file.
        raise ModelError(
            f"{name}: the TFLite file must be intact, got damaged data ({error}). "
            "Pull the model again."
        ) from error


def _read_model(data: bytes, name: str) -> TfliteGraph:
    model = tflite.Model.GetRootAs(data)
    if model.Version() != 3 or model.SubgraphsLength() != 1:
        raise ModelError(
            f"{name}: the TFLite model must have schema version 3 and one subgraph, got version "
            f"{model.Version()} and {model.SubgraphsLength()} subgraphs. Use another model."
        )
    graph = model.Subgraphs(0)
    limit = min(_MAX_TENSORS, len(data) // 4)
    num_tensors = _bounded(graph.TensorsLength(), limit, "tensors")
    num_operators = _bounded(graph.OperatorsLength(), limit, "operators")
    tensors = tuple(_read_tensor(model, graph.Tensors(i), name) for i in range(num_tensors))
    operators = tuple(
        _read_operator(model, graph.Operators(i), num_tensors) for i in range(num_operators)
    )
    return TfliteGraph(
        tensors=tensors,
        operators=operators,
        inputs=_indices(graph.InputsLength(), graph.Inputs, 0, num_tensors),
        outputs=_indices(graph.OutputsLength(), graph.Outputs, 0, num_tensors),
    )


def _bounded(count: int, limit: int, what: str) -> int:
    if count > limit:
        raise ValueError(f"{count} {what}, at most {limit} fit")
    return count


def _indices(length: int, item: Any, lowest: int, num_tensors: int) -> tuple[int, ...]:
    values = tuple(int(item(i)) for i in range(_bounded(length, _MAX_OPERANDS, "operands")))
    if any(not lowest <= value < num_tensors for value in values):
        raise ValueError(f"tensor index out of range in {values[:8]}")
    return values


def _read_tensor(model: Any, tensor: Any, model_name: str) -> Tensor:
    name = (tensor.Name() or b"").decode("utf-8")
    dtype = _DTYPES.get(tensor.Type())
    if dtype is None:
        raise ModelError(
            f"{model_name}: tensors must be float32, float16, int32 or int64, got type "
            f"{_enum_name(tflite.TensorType, tensor.Type())} in {name!r}. Use a float model."
        )
    rank = _bounded(tensor.ShapeLength(), _MAX_RANK, "dimensions")
    shape = tuple(int(tensor.Shape(i)) for i in range(rank))
    if any(dim < 1 for dim in shape) or math.prod(shape) > _MAX_ELEMENTS:
        raise ValueError(f"shape {shape} of tensor {name!r}")
    sparsity = _read_sparsity(tensor.Sparsity(), rank)
    stored = _read_buffer(model, tensor.Buffer())
    if stored is None:
        return Tensor(name, shape, dtype, None, None)
    if stored.size % dtype.itemsize:
        raise ValueError(f"{stored.size} bytes of data for {dtype.name} tensor {name!r}")
    values = stored.view(dtype) if stored.flags.aligned else stored.copy().view(dtype)
    if sparsity is None:
        values = values.reshape(shape)
    return Tensor(name, shape, dtype, values, sparsity)


def _read_buffer(model: Any, index: int) -> Array | None:
    """The bytes of a buffer as (n,) u8, or None where it holds nothing."""
    if not 0 <= index < model.BuffersLength():
        raise ValueError(f"buffer index {index} out of range")
    buffer = model.Buffers(index)
    if buffer.Offset() or buffer.Size():
        raise ValueError("data outside the flatbuffer is not supported")
    if buffer.DataLength() == 0:
        return None
    data: Array = buffer.DataAsNumpy()
    return data


def _read_sparsity(sparsity: Any, rank: int) -> Sparsity | None:
    if sparsity is None:
        return None
    num_dims = _bounded(sparsity.DimMetadataLength(), 2 * _MAX_RANK, "sparse dimensions")
    order = tuple(
        int(sparsity.TraversalOrder(i))
        for i in range(_bounded(sparsity.TraversalOrderLength(), 2 * _MAX_RANK, "levels"))
    )
    blocks = tuple(
        int(sparsity.BlockMap(i))
        for i in range(_bounded(sparsity.BlockMapLength(), _MAX_RANK, "block dimensions"))
    )
    dims = tuple(_read_sparse_dim(sparsity.DimMetadata(i)) for i in range(num_dims))
    if len(dims) != rank + len(blocks) or sorted(order) != list(range(len(dims))):
        raise ValueError(f"traversal order {order} of a tensor of {rank} dimensions")
    if any(not 0 <= block < rank for block in blocks):
        raise ValueError(f"block map {blocks} of a tensor of {rank} dimensions")
    return Sparsity(order, blocks, dims)


def _read_sparse_dim(dim: Any) -> SparseDim:
    if dim.Format() == tflite.DimensionType.DENSE:
        if not 1 <= dim.DenseSize() <= _MAX_ELEMENTS:
            raise ValueError(f"dense size {dim.DenseSize()}")
        return SparseDim(int(dim.DenseSize()), None, None)
    segments = _read_index_vector(dim.ArraySegments(), dim.ArraySegmentsType())
    indices = _read_index_vector(dim.ArrayIndices(), dim.ArrayIndicesType())
    return SparseDim(0, segments, indices)


def _read_index_vector(table: Any, kind: int) -> Array:
    dtype = _INDEX_DTYPES[kind]
    vector = getattr(tflite, _enum_name(tflite.SparseIndexVector, kind))()
    vector.Init(table.Bytes, table.Pos)
    if vector.ValuesLength() == 0:
        return np.zeros(0, dtype)
    values: Array = vector.ValuesAsNumpy().astype(np.int64)
    return values


def _read_operator(model: Any, operator: Any, num_tensors: int) -> Operator:
    index = operator.OpcodeIndex()
    if not 0 <= index < model.OperatorCodesLength():
        raise ValueError(f"operator code {index} out of range")
    code = model.OperatorCodes(index)
    builtin = code.BuiltinCode()
    kind = _enum_name(tflite.BuiltinOperator, builtin)
    custom = b""
    if builtin == tflite.BuiltinOperator.CUSTOM:
        kind = f"CUSTOM:{(code.CustomCode() or b'').decode('utf-8')}"
        size = _bounded(operator.CustomOptionsLength(), 1 << 16, "bytes of custom options")
        custom = bytes(operator.CustomOptionsAsNumpy()) if size else b""
    return Operator(
        kind=kind,
        version=int(code.Version()),
        inputs=_indices(operator.InputsLength(), operator.Inputs, -1, num_tensors),
        outputs=_indices(operator.OutputsLength(), operator.Outputs, 0, num_tensors),
        options=_read_options(operator, kind),
        custom_options=custom,
    )


def _read_options(operator: Any, kind: str) -> Mapping[str, int]:
    if kind not in _OPTIONS:
        return MappingProxyType({})
    table_name, fields = _OPTIONS[kind]
    table = operator.BuiltinOptions()
    if table is None:
        return MappingProxyType(dict.fromkeys(fields, 0))
    if operator.BuiltinOptionsType() != getattr(tflite.BuiltinOptions, table_name):
        raise ValueError(f"{kind} without its {table_name}")
    options = getattr(tflite, table_name)()
    options.Init(table.Bytes, table.Pos)
    return MappingProxyType({field: int(getattr(options, field)()) for field in fields})


def _enum_name(enum: Any, value: int) -> str:
    for key, number in vars(enum).items():
        if not key.startswith("_") and number == value:
            return str(key)
    return f"number {value}"
