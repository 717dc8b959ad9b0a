"""Looks at a file that claims to be a network before anything of it is used.

What cannot be a plain ONNX graph is refused with what it is instead; what is one is searched for
operators that nobody knows and for data in other files. Nothing of the file is executed.
"""

import pickletools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import helper

from engines.errors import ModelError
from engines.models.external_data import MAX_BYTES, take_in, too_large
from engines.session import TensorSpec

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_PAGE_STARTS = (b"<!doctype", b"<html", b"<?xml")
_ZIP = b"PK\x03\x04"
_PICKLE_PROTOCOLS = range(2, 6)
_OLD_PICKLE_STARTS = frozenset(b"()]}FGIJKLMNSTUVXc")
_MOST_PICKLE_OPS = 64
"""How many are looked at; no other kind of file has so many of them one after the other."""

_STANDARD_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
_RUNTIME_DOMAIN = "com.microsoft"


@dataclass(frozen=True, slots=True)
class Inspected:
    """A network that passed.

    Attributes:
        model: the ONNX file, complete in itself.
        inputs, outputs: its tensors in graph order; -1 for a dimension that may vary.
    """

    model: bytes
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


def refuse_other_kinds(data: bytes, *, where: str) -> None:
    """Tells what a file is that is not an ONNX file, by its first bytes.

    Raises:
        ModelError: it is empty, a Git LFS pointer, a web page, a pickle or another format.
    """
    kind = _other_kind(data)
    if kind is not None:
        what, advice = kind
        raise ModelError(f"{where}: must be an ONNX file, got {what}. {advice}")


def inspect_model(data: bytes, *, where: str, folder: Path) -> Inspected:
    """Checks a file and takes in what it keeps in other files of its folder.

    Args:
        data: the file.
        where: what error messages call it.
        folder: the folder it lies in; data kept anywhere else are refused.

    Raises:
        ModelError: it is no ONNX file, is cut off, uses unknown operators, or keeps data outside
            its folder.
    """
    refuse_other_kinds(data, where=where)
    model = _parse(data, where)
    _check_operators(model, where)
    if take_in(_all_tensors(model), where=where, folder=folder, room=MAX_BYTES - model.ByteSize()):
        data = _serialised(model, where)
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    return Inspected(
        data,
        tuple(_spec(value, where) for value in graph.input if value.name not in constants),
        tuple(_spec(value, where) for value in graph.output),
    )


def last_initializer(model: bytes, *, name: str) -> NDArray[np.float32]:
    """The last constant of a graph, in which some swappers keep a matrix for the embedding.

    Args:
        model: an ONNX file.
        name: what error messages call it.

    Returns:
        The array, ``f32``.

    Raises:
        ModelError: the file is no ONNX file or has no constants.
    """
    graph = _parse(model, name).graph
    if not graph.initializer:
        raise ModelError(
            f"{name}: the graph must hold constants, got none. Use the file as it was published."
        )
    try:
        return np.asarray(onnx.numpy_helper.to_array(graph.initializer[-1]), np.float32)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{name}: the last constant must hold what its shape and type say, got "
            f"{' '.join(str(error).split())[:200]}. Download it again."
        ) from error


def _other_kind(data: bytes) -> tuple[str, str] | None:
    """What it is and what to do, or None where it may be ONNX."""
    again = "Download it again."
    convert = "Use the model's ONNX export."
    start = data[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not data.strip(b"\0"):
        return "an empty file", again
    if data.startswith(LFS_POINTER):
        return "a Git LFS pointer", "Download the file it points to."
    if start.startswith(_PAGE_STARTS):
        return "a web page", again
    if start.startswith(b"{"):
        return "a text, as servers answer with", again
    if data.startswith(_ZIP):
        is_torch = b"data.pkl" in data[:4096]
        what = "a PyTorch checkpoint, which is a pickle and can run code" if is_torch else "a ZIP"
        return what, convert if is_torch else "Unpack it first."
    if data.startswith(b"\x1f\x8b"):
        return "a GZIP", "Unpack it first."
    if data[8:10] == b'{"':
        return "a safetensors file", convert
    if _is_pickle(data):
        return "a pickle, which can run code", convert
    if data[4:8] == b"TFL3":
        return "a TensorFlow Lite file", convert
    if data.startswith(b"\x89HDF"):
        return "a Keras file", convert
    return None


def _is_pickle(data: bytes) -> bool:
    """Whether it is one by its header or, of the old protocols that have none, by its beginning."""
    if data[0] == 0x80 and len(data) > 1 and data[1] in _PICKLE_PROTOCOLS:
        return True
    if data[0] not in _OLD_PICKLE_STARTS:
        return False
    try:
        # Reads only; nothing is made of what it reads.
        for number, (operation, _, _) in enumerate(pickletools.genops(data)):
            if number == _MOST_PICKLE_OPS or operation.name == "STOP":
                return number > 0
    except (ValueError, IndexError, OverflowError):
        pass
    return False


def _parse(data: bytes, where: str) -> onnx.ModelProto:
    if len(data) > MAX_BYTES:
        raise ModelError(f"{where}: must be smaller than 2 GiB, got {len(data)} bytes.")
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise ModelError(
            f"{where}: must be a whole ONNX file, got a cut-off or different one. "
            "Download it again."
        ) from error
    if not model.ir_version or not model.graph.node or not model.graph.output:
        raise ModelError(
            f"{where}: must hold a network, got a file without one. Download it again."
        )
    return model


def _check_operators(model: onnx.ModelProto, where: str) -> None:
    """Only operators of the standard, of the runtime, or made of those in the file itself."""
    own = {(function.domain, function.name) for function in model.functions}
    unknown = sorted(
        {
            f"{node.domain or 'ai.onnx'}.{node.op_type}"
            for node in _all_nodes(model)
            if (node.domain, node.op_type) not in own and not _is_known(node)
        }
    )
    if unknown:
        raise ModelError(
            f"{where}: must use operators of ONNX, got {', '.join(unknown[:4])}. "
            "Export the network without custom operators."
        )


def _is_known(node: onnx.NodeProto) -> bool:
    if node.domain == _RUNTIME_DOMAIN:
        return True
    return node.domain in _STANDARD_DOMAINS and bool(
        onnx.defs.has(node.op_type, "" if node.domain == "ai.onnx" else node.domain)
    )


def _all_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every node: of the graph, of its functions and of graphs inside nodes."""
    pending = [*model.graph.node, *(node for f in model.functions for node in f.node)]
    while pending:
        node = pending.pop()
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                pending.extend(graph.node)


def _all_tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every constant: initializers and attributes, in graphs inside nodes too."""
    yield from _graph_tensors(model.graph)
    for node in _all_nodes(model):
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for graph in (attribute.g, *attribute.graphs):
                yield from _graph_tensors(graph)


def _graph_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)


def _serialised(model: onnx.ModelProto, where: str) -> bytes:
    try:
        return bytes(model.SerializeToString())
    except ValueError as error:
        raise too_large(where) from error


def _spec(value: onnx.ValueInfoProto, where: str) -> TensorSpec:
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not tensor.elem_type:
        raise ModelError(f"{where}: {value.name} must be a plain tensor, got something else.")
    shape = tuple(
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else -1
        for dim in tensor.shape.dim
    )
    try:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except KeyError as error:
        raise ModelError(
            f"{where}: {value.name} must have a type that ONNX knows, got number "
            f"{tensor.elem_type}. Download it again."
        ) from error
    return TensorSpec(value.name, shape, dtype)
