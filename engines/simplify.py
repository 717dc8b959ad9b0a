"""Networks with everything computed beforehand that can be, and checked against the original."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engines.errors import ModelError
from engines.graphs import drop_unused, foreign_operators, parse_model, write_model
from engines.onnxruntime import compute, optimise
from engines.self_check import compare
from engines.session import Array

MAX_ERROR = 1e-3
"""Largest error that reordering of sums may cause; far above rounding, far below a mistake."""


@dataclass(frozen=True, slots=True)
class Simplified:
    """A network that computes the same with fewer nodes.

    Attributes:
        model: the serialised ONNX model.
        error: against the original, as ``engines.self_check`` measures it.
        num_nodes: how many there are now.
        num_nodes_before: how many there were.
        outputs: what the original gives for each of the samples, arrays by name.
    """

    model: bytes
    error: float
    num_nodes: int
    num_nodes_before: int
    outputs: tuple[Mapping[str, Array], ...]


def fold(model: bytes, *, name: str = "model") -> bytes:
    """Folds constants and merges layers, and compares nothing: the caller looks at the result.

    Args:
        model: a serialised ONNX model.
        name: what error messages call the network.

    Raises:
        ModelError: the model cannot be loaded, or uses operators that the standard does not know.
    """
    return _folded(model, name)[0]


def simplify(
    model: bytes, samples: Sequence[Mapping[str, Array]], *, threads: int = 1, name: str = "model"
) -> Simplified:
    """Folds constants and merges layers, then compares the outputs for the samples.

    Args:
        model: a serialised ONNX model.
        samples: arrays by input name; at least one.
        threads: CPU threads for the comparison.
        name: what error messages call the network.

    Raises:
        ModelError: the model cannot be loaded, uses operators that the standard does not know,
            or computes something else afterwards.
    """
    result, num_nodes, num_before = _folded(model, name)
    wanted = compute(model, samples, threads=threads, name=name)
    comparison = compare(
        wanted,
        compute(result, samples, threads=threads, name=name),
        max_error=MAX_ERROR,
    )
    if not comparison.is_good:
        raise ModelError(
            f"{name}: must compute the same when simplified, got: {comparison.fault}. "
            "Check the network with ONNX Runtime."
        )
    return Simplified(result, comparison.error, num_nodes, num_before, tuple(wanted))


def _folded(model: bytes, name: str) -> tuple[bytes, int, int]:
    """The simplified model, how many nodes it has, and how many there were."""
    original = parse_model(model, name)
    foreign = foreign_operators(original.graph)
    if foreign:
        raise ModelError(
            f"{name}: must use operators of the ONNX standard only, got {', '.join(foreign)}. "
            "Export the network without them."
        )
    # What the runtime writes may name operators of its own; then the graph stays as it is.
    proto = parse_model(optimise(write_model(original, name), name=name), name)
    if foreign_operators(proto.graph):
        proto = parse_model(model, name)
    drop_unused(proto)
    return write_model(proto, name), len(proto.graph.node), len(original.graph.node)
