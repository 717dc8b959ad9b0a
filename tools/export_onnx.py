"""Exports a PyTorch network to ONNX and checks it: ``python -m tools.export_onnx``.

    python -m tools.export_onnx my_networks:small_swapper --out small.onnx \\
        --input target=faces:1,3,128,128 --input source=faces:1,512 --output swapped

``my_networks:small_swapper`` is a function without arguments that returns a ``torch.nn.Module``. A
dimension written ``name:size`` may vary in the result; dimensions of one name vary together. The
exported graph is simplified and then compared with PyTorch on random inputs of the given size and
of another one. Needs torch and onnxscript.
"""

import argparse
import importlib
import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from engines.errors import ModelError
from engines.graphs import parse_model, write_model
from engines.models.cache_files import write_atomically
from engines.onnxruntime import compute
from engines.self_check import compare
from engines.session import Array
from engines.simplify import simplify

OPSET = 18
MAX_ERROR = 1e-3

_LEAST_FREE = 2
"""PyTorch takes a dimension of size one for one that never varies."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What the network takes.

    Attributes:
        name: of the input in the ONNX graph.
        sizes: of its dimensions, in the example.
        free: names of the dimensions that may vary, by their index.
    """

    name: str
    sizes: tuple[int, ...]
    free: dict[int, str]

    def shape(self, factor: int = 1) -> tuple[int, ...]:
        """The shape with each free dimension this many times as large."""
        return tuple(
            max(_LEAST_FREE, size) * factor if axis in self.free else size
            for axis, size in enumerate(self.sizes)
        )


@dataclass(frozen=True, slots=True)
class Exported:
    """A checked network.

    Attributes:
        model: the serialised ONNX model.
        error: the largest against PyTorch, see ``engines.self_check``.
        num_nodes: in the graph.
    """

    model: bytes
    error: float
    num_nodes: int


def parse_input(text: str) -> InputSpec:
    """Reads ``name=1,3,height:128,width:128``.

    Raises:
        ValueError: it is written otherwise.
    """
    name, equals, dimensions = text.partition("=")
    sizes: list[int] = []
    free: dict[int, str] = {}
    for axis, part in enumerate(dimensions.split(",")):
        label, _, size = part.rpartition(":")
        if not size.isdecimal() or int(size) < 1:
            raise ValueError(f"--input: must be like x=1,3,height:128,width:128, got {text}.")
        sizes.append(int(size))
        if label:
            free[axis] = label
    if not name or not equals:
        raise ValueError(f"--input: must begin with a name and =, got {text}.")
    return InputSpec(name, tuple(sizes), free)


def load_factory(path: str) -> Callable[[], torch.nn.Module]:
    """The function behind ``module:function``.

    Raises:
        ValueError: there is no such module or function.
    """
    module, _, function = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path}: must be module:function that can be imported, got {error}."
        ) from error
    if not callable(found):
        raise ValueError(f"{path}: must be a function, got {type(found).__name__}.")
    return found  # type: ignore[no-any-return]


def export(
    network: torch.nn.Module, inputs: Sequence[InputSpec], outputs: Sequence[str], *, name: str
) -> Exported:
    """Exports a network in evaluation mode, simplifies and checks it.

    Args:
        network: what to export; its forward takes the inputs in order, float32.
        inputs: at least one.
        outputs: names of what it returns, in order.
        name: what error messages call it.

    Raises:
        ModelError: the ONNX graph does not compute what the network does.
    """
    network.eval()
    random = np.random.default_rng(0)
    samples = [
        {spec.name: random.uniform(-1, 1, spec.shape(factor)).astype(np.float32) for spec in inputs}
        for factor in (1, 2)
    ]
    simple = simplify(_graph(network, inputs, outputs, samples[0], name), samples, name=name)
    onnx.checker.check_model(simple.model, full_check=True)
    wanted = [_in_torch(network, sample, outputs) for sample in samples]
    found = compare(wanted, compute(simple.model, samples, name=name), max_error=MAX_ERROR)
    if not found.is_good:
        raise ModelError(f"{name}: ONNX must compute what PyTorch does, got: {found.fault}.")
    return Exported(simple.model, found.error, simple.num_nodes)


def _graph(
    network: torch.nn.Module,
    inputs: Sequence[InputSpec],
    outputs: Sequence[str],
    sample: dict[str, Array],
    name: str,
) -> bytes:
    with warnings.catch_warnings():
        # The exporter warns of what it deprecates itself and of names it was given twice.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            tuple(torch.from_numpy(array) for array in sample.values()),
            input_names=[spec.name for spec in inputs],
            output_names=list(outputs),
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=tuple(spec.free for spec in inputs),
            verbose=False,
        )
    proto = program.model_proto
    # Where the trace ran is nobody's business, and would change the hash from machine to machine.
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        del value.metadata_props[:]
    del proto.graph.metadata_props[:]
    del proto.metadata_props[:]
    return write_model(parse_model(proto.SerializeToString(), name), name)


def _in_torch(
    network: torch.nn.Module, sample: dict[str, Array], names: Sequence[str]
) -> dict[str, Array]:
    with torch.inference_mode():
        result: Any = network(*(torch.from_numpy(array) for array in sample.values()))
    tensors = result if isinstance(result, (tuple, list)) else (result,)
    return {name: tensor.numpy() for name, tensor in zip(names, tensors, strict=True)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exports what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("factory", help="module:function that returns a torch.nn.Module")
    parser.add_argument("--out", type=Path, required=True, help="the ONNX file to write")
    parser.add_argument(
        "--input", action="append", required=True, help="x=1,3,height:128,width:128"
    )
    parser.add_argument("--output", action="append", help="name of an output, in order; default y")
    options = parser.parse_args(arguments)
    # The exporter announces every optional package it does not find.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        inputs = [parse_input(text) for text in options.input]
        network = load_factory(options.factory)()
        done = export(network, inputs, options.output or ["y"], name=options.factory)
        write_atomically(options.out, done.model)
    except (ModelError, ValueError) as error:
        print(f"export_onnx: {error}", file=sys.stderr)
        return ModelError.exit_code
    megabytes = len(done.model) / 1e6
    print(f"{options.out}: {done.num_nodes} nodes, {megabytes:.1f} MB, error {done.error:.1e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
