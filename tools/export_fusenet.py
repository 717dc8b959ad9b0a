"""Makes ONNX files of trained FuseNet networks: ``python -m tools.export_fusenet RUN.pt``.

The averaged weights are rounded to 16 bits, exported for one face at the network's size, and
compared with PyTorch; they are stored in the 16 bits they have, and computed with in 32. Prints
hash and size of each for the catalogue. ``--fresh lite`` exports a network that has learnt nothing:
it only brings the tone nearer. Needs torch and onnxscript, as ``tools.export_onnx`` does.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from engines.errors import ModelError
from engines.models.cache_files import sha256_of, write_atomically
from engines.networks.fusenet.network import INPUTS, OUTPUTS, SHAPES, FuseNet, Shape, build
from tools.export_onnx import InputSpec, export
from tools.export_srsn import stored_in_16_bits

MAX_BYTES = {"lite": 3_000_000, "full": 25_000_000}

WEIGHTS = Path(__file__).parents[1] / "engines" / "networks" / "fusenet" / "weights"


def input_specs(shape: Shape) -> list[InputSpec]:
    """What a network of this shape takes, for one face."""
    side = shape.size_px
    cell = side // 4
    planes = {
        "render": (3, side, side),
        "validity": (1, side, side),
        "context": (3, side, side),
        "keep": (1, side, side),
        "memory_4": shape.memory_4,
        "memory_8": shape.memory_8,
        "confidence": (1, cell, cell),
    }
    return [InputSpec(name, (1, *planes[name]), {}) for name in INPUTS]


def export_fusenet(network: FuseNet, path: Path) -> bytes:
    """Writes a network as an ONNX file.

    Args:
        network: its weights are rounded to 16 bits.
        path: of the file, replaced at once.

    Returns:
        What was written.

    Raises:
        ModelError: it does not compute what PyTorch does, or is too large.
    """
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(weight.half().float())
    exported = export(network.eval(), input_specs(network.shape), OUTPUTS, name=path.stem)
    model = stored_in_16_bits(exported.model, path.stem)
    most = next(MAX_BYTES[kind] for kind, shape in SHAPES.items() if shape == network.shape)
    if len(model) > most:
        raise ModelError(f"{path.stem}: must be of at most {most} bytes, got {len(model)}.")
    write_atomically(path, model)
    return model


def load_average(checkpoint: Path) -> FuseNet:
    """The averaged weights of a checkpoint of ``tools.train_fusenet``.

    Raises:
        ValueError: it is of no network we know.
        OSError: the file cannot be read.
    """
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    network = build(state["kind"])
    network.load_state_dict(state["average"])
    return network


def main(arguments: Sequence[str] | None = None) -> int:
    """Exports what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoints", nargs="*", type=Path, help="of tools.train_fusenet")
    parser.add_argument("--fresh", choices=tuple(SHAPES), help="a network that has learnt nothing")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder of the ONNX files")
    options = parser.parse_args(arguments)
    # The exporter announces every optional package it does not find.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        networks = [load_average(path) for path in options.checkpoints]
        if options.fresh is not None:
            networks.append(build(options.fresh))
        for network in networks:
            kind = next(kind for kind, shape in SHAPES.items() if shape == network.shape)
            model = export_fusenet(network, options.out / f"fusenet_{kind}.onnx")
            print(f"  fusenet_{kind}:\n    sha256: {sha256_of(model)}\n    bytes: {len(model)}")
    except (ModelError, OSError, ValueError) as error:
        print(f"export_fusenet: {error}", file=sys.stderr)
        return ModelError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
